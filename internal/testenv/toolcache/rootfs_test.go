package toolcache

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unpacked makes a tree as dpkg -x leaves one: some packages in the old folders, some below /usr.
func unpacked(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{
		"lib/x86_64-linux-gnu/libc.so.6":                   "libc",
		"lib64/ld-linux-x86-64.so.2":                       "loader",
		"usr/lib/x86_64-linux-gnu/libxtables.so.12":        "xtables",
		"usr/lib/x86_64-linux-gnu/gconv/ISO8859-1.so":      "conversion",
		"usr/sbin/xtables-nft-multi":                       "iptables",
		"etc/protocols":                                    "tcp 6 TCP\n",
		"usr/share/ca-certificates/mozilla/B.crt":          "-----B-----",
		"usr/share/ca-certificates/mozilla/A.crt":          "-----A-----",
		"usr/share/doc/libc6/copyright":                    "…",
		"usr/share/man/man8/iptables.8.gz":                 "…",
		"usr/share/lintian/overrides/libc6":                "…",
		"usr/share/ca-certificates/mozilla/not-a-root.txt": "…",
	} {
		writeFile(t, filepath.Join(root, name), content)
	}
	return root
}

func TestFinishRootDoesWhatInstallScriptsDo(t *testing.T) {
	t.Parallel()
	root := unpacked(t)
	if err := finishRoot(root); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{} // path to link or content, as the tar of the image has them
	tr := tar.NewReader(stream(func(w tarball) error { return w.tree(root) }))
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 {
			t.Errorf("%s belongs to %d:%d, want root", h.Name, h.Uid, h.Gid)
		}
		if h.Typeflag != tar.TypeDir {
			got[h.Name] = h.Linkname + string(content)
		}
	}
	want := map[string]string{
		"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib32": "usr/lib32", "lib64": "usr/lib64", "libx32": "usr/libx32",
		"usr/lib/x86_64-linux-gnu/libc.so.6":        "libc",
		"usr/lib64/ld-linux-x86-64.so.2":            "loader",
		"usr/lib/x86_64-linux-gnu/libxtables.so.12": "xtables",
		"usr/sbin/xtables-nft-multi":                "iptables",
		"usr/sbin/iptables":                         "xtables-nft-multi", "usr/sbin/ip6tables": "xtables-nft-multi",
		"usr/sbin/iptables-save": "xtables-nft-multi", "usr/sbin/ip6tables-save": "xtables-nft-multi",
		"usr/sbin/iptables-restore": "xtables-nft-multi", "usr/sbin/ip6tables-restore": "xtables-nft-multi",
		"etc/protocols":                     "tcp 6 TCP\n",
		"etc/ssl/certs/ca-certificates.crt": "-----A-----\n-----B-----\n",
		"etc/passwd":                        "root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
		"etc/group":                         "root:x:0:\nnogroup:x:65534:\n",
		"etc/nsswitch.conf":                 "passwd: files\ngroup: files\nhosts: files dns\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFinishRootRefusesAnIncompleteBase(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"no iptables":     "usr/sbin/xtables-nft-multi",
		"no certificates": "usr/share/ca-certificates",
	}
	for name, gone := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := unpacked(t)
			if err := os.RemoveAll(filepath.Join(root, gone)); err != nil {
				t.Fatal(err)
			}
			if err := finishRoot(root); err == nil {
				t.Error("got no error")
			}
		})
	}
}
