package toolcache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// baseLayout counts up when the way the container base is put together changes.
const baseLayout = "1"

// baseKey names the container base by its packages, the Debian release they come from and the layout.
func (c Cache) baseKey() string {
	release, _ := os.ReadFile("/etc/os-release") // none: then there is no apt either, and needs says so
	return digest(baseLayout, string(release), strings.Join(c.Pins.BasePackages, " "))
}

// bringBase unpacks the Debian packages of the container base and does what their install scripts would have done.
func (c Cache) bringBase(ctx context.Context, h Host) (how string, err error) {
	if exists(c.dir("base", c.baseKey())) {
		return "present", nil
	}
	return "unpacked", c.fill("base", c.baseKey(), func(tmp string) error {
		debs, root := filepath.Join(tmp, "debs"), filepath.Join(tmp, "root")
		for _, dir := range []string{debs, root} {
			if err := os.Mkdir(dir, 0o755); err != nil {
				return err
			}
		}
		if err := downloadDebs(ctx, h, debs, c.Pins.BasePackages); err != nil {
			return err
		}
		files, err := filepath.Glob(filepath.Join(debs, "*.deb"))
		if err != nil {
			return err
		}
		if len(files) != len(c.Pins.BasePackages) {
			return fmt.Errorf("download the container base: %d of %d packages came", len(files), len(c.Pins.BasePackages))
		}
		for _, deb := range files {
			if _, err := (command{}).run(ctx, "dpkg", "-x", deb, root); err != nil {
				return err
			}
		}
		if err := finishRoot(root); err != nil {
			return err
		}
		return os.RemoveAll(debs)
	})
}

// downloadDebs fetches packages without installing them. Package lists can be older than the archive: then root
// refreshes them and tries once more.
func downloadDebs(ctx context.Context, h Host, dir string, packages []string) error {
	download := func() error {
		_, err := command{dir: dir}.run(ctx, "apt-get", append([]string{"download", "-q"}, packages...)...)
		return err
	}
	if h.AptLists {
		err := download()
		if err == nil {
			return nil
		}
		if !h.Root {
			return fmt.Errorf("%w\nhint: apt's package lists may be too old: sudo apt-get update", err)
		}
	}
	if err := aptUpdate(ctx); err != nil {
		return err
	}
	return download()
}

// unpackDebs fetches packages and lays their files out in the folder root of dir.
func unpackDebs(ctx context.Context, h Host, dir string, packages []string) (root string, err error) {
	if err := downloadDebs(ctx, h, dir, packages); err != nil {
		return "", err
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return "", err
	}
	root = filepath.Join(dir, "root")
	for _, deb := range debs {
		if _, err := (command{}).run(ctx, "dpkg", "-x", deb, root); err != nil {
			return "", err
		}
		if err := os.Remove(deb); err != nil {
			return "", err
		}
	}
	return root, nil
}

func aptUpdate(ctx context.Context) error {
	_, err := command{}.run(ctx, "apt-get", "update", "-q")
	return err
}

// aptInstall installs packages on this machine; only root may.
func aptInstall(ctx context.Context, h Host, packages []string) error {
	install := func() error {
		args := append([]string{"install", "-q", "-y", "--no-install-recommends"}, packages...)
		_, err := command{env: []string{"DEBIAN_FRONTEND=noninteractive"}}.run(ctx, "apt-get", args...)
		return err
	}
	if h.AptLists && install() == nil {
		return nil
	}
	if err := aptUpdate(ctx); err != nil {
		return err
	}
	return install()
}

// finishRoot turns unpacked packages into a root file system.
func finishRoot(root string) error {
	steps := []func(string) error{mergeUsr, linkIptables, bundleCertificates, dropDocs, writeAccounts}
	for _, step := range steps {
		if err := step(root); err != nil {
			return fmt.Errorf("finish the container base: %w", err)
		}
	}
	return nil
}

// mergeUsr moves /bin, /lib and so on below /usr, as every current Debian has it: some packages still carry the
// old places, others the new ones, and the loader must find both.
func mergeUsr(root string) error {
	for _, dir := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		old, merged := filepath.Join(root, dir), filepath.Join(root, "usr", dir)
		if err := os.MkdirAll(merged, 0o755); err != nil {
			return err
		}
		if info, err := os.Lstat(old); err == nil && info.IsDir() {
			if err := moveTree(old, merged); err != nil {
				return err
			}
		}
		if err := os.Symlink("usr/"+dir, old); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// moveTree moves what lies in from into to, folder by folder, and removes from.
func moveTree(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		source, target := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		if e.IsDir() && exists(target) {
			if err := moveTree(source, target); err != nil {
				return err
			}
			continue
		}
		if err := os.Rename(source, target); err != nil {
			return err
		}
	}
	return os.Remove(from)
}

// linkIptables makes the links that Debian's alternatives make at install. The nft flavour is the one that every
// current kernel has.
func linkIptables(root string) error {
	const program = "xtables-nft-multi"
	sbin := filepath.Join(root, "usr", "sbin")
	if !exists(filepath.Join(sbin, program)) {
		return fmt.Errorf("package iptables holds no %s", program)
	}
	for _, family := range []string{"iptables", "ip6tables"} {
		for _, verb := range []string{"", "-save", "-restore"} {
			if err := relink(program, filepath.Join(sbin, family+verb)); err != nil {
				return err
			}
		}
	}
	return nil
}

func relink(target, link string) error {
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Symlink(target, link)
}

// bundleCertificates writes the one file of roots that programs read; ca-certificates makes it at install.
func bundleCertificates(root string) error {
	certs, err := filepath.Glob(filepath.Join(root, "usr/share/ca-certificates/mozilla/*.crt"))
	if err != nil {
		return err
	}
	if len(certs) == 0 {
		return errors.New("package ca-certificates holds no certificates")
	}
	slices.Sort(certs)
	var bundle []byte
	for _, name := range certs {
		pem, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		bundle = append(append(bundle, pem...), '\n')
	}
	dir := filepath.Join(root, "etc/ssl/certs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "ca-certificates.crt"), bundle, 0o644)
}

// dropDocs removes what no container reads.
func dropDocs(root string) error {
	for _, pattern := range []string{"usr/share/doc", "usr/share/man", "usr/share/lintian", "usr/share/ca-certificates", "usr/lib/*/gconv"} {
		dirs, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return err
		}
		for _, dir := range dirs {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeAccounts names the users that containers run as, and makes the folders that programs expect.
func writeAccounts(root string) error {
	if err := os.Mkdir(filepath.Join(root, "tmp"), 0o755); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(root, "tmp"), os.ModeSticky|0o777); err != nil {
		return err
	}
	files := map[string]string{
		"etc/passwd":        "root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
		"etc/group":         "root:x:0:\nnogroup:x:65534:\n",
		"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}
