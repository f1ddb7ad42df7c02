package toolcache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// BusyBoxImage is the public image that pages show applications with. Here it holds Debian's BusyBox, under the name by which it is
// pulled elsewhere: localecs pulls nothing.
const BusyBoxImage = "public.ecr.aws/docker/library/busybox:1.37"

// busyBoxPackage is the Debian package with the program, which is linked statically and needs nothing else.
const busyBoxPackage = "busybox-static"

// busyBoxNames are the names under which the pages' commands call it.
var busyBoxNames = []string{"sh", "cat", "chmod", "echo", "httpd", "mkdir", "printf", "sleep", "wget"}

func (c Cache) busyBoxKey() string {
	release, _ := os.ReadFile("/etc/os-release") // as in baseKey
	return digest(string(release), busyBoxPackage)
}

// bringBusyBox takes the program out of its package.
func (c Cache) bringBusyBox(ctx context.Context, h Host) (path string, err error) {
	path = filepath.Join(c.dir("busybox", c.busyBoxKey()), "busybox")
	return path, c.fill("busybox", c.busyBoxKey(), func(tmp string) error {
		root, err := unpackDebs(ctx, h, tmp, []string{busyBoxPackage})
		if err != nil {
			return err
		}
		for _, place := range []string{"bin/busybox", "usr/bin/busybox"} { // Debian 12 has it here, Debian 13 there
			if exists(filepath.Join(root, place)) {
				return errors.Join(os.Rename(filepath.Join(root, place), filepath.Join(tmp, "busybox")), os.RemoveAll(root))
			}
		}
		return fmt.Errorf("package %s holds no busybox", busyBoxPackage)
	})
}

// busyBox makes the image of the program and its other names.
func (m images) busyBox(ctx context.Context, program string) (how string, err error) {
	content, err := fileDigests(program)
	if err != nil {
		return "", err
	}
	return m.ensure(ctx, BusyBoxImage, digest(content, strings.Join(busyBoxNames, " ")), func(labels map[string]string) error {
		root := stream(func(t tarball) error {
			if err := t.folder("tmp", 0o1777); err != nil {
				return err
			}
			for _, name := range busyBoxNames {
				if err := t.link("bin/"+name, "/bin/busybox"); err != nil {
					return err
				}
			}
			return t.file("bin/busybox", 0o755, program)
		})
		defer root.Close()
		return m.engine.importImage(ctx, BusyBoxImage, append(labelLines(labels), "ENV PATH=/bin", `CMD ["sh"]`), root)
	})
}
