package toolcache

import (
	"os"
	"path/filepath"
	"testing"
)

func TestContainersAreFavouredWhereTheyCanBe(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	applyFavours(filepath.Join(root, "none")) // no harm
	shares := filepath.Join(root, "cpu", "docker", "cpu.shares")
	if err := os.MkdirAll(filepath.Dir(shares), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(shares, []byte("1024"), 0o644); err != nil {
		t.Fatal(err)
	}
	applyFavours(root)
	if got, err := os.ReadFile(shares); err != nil || string(got) != favours["cpu/docker/cpu.shares"] {
		t.Errorf("shares %q (%v), want %s", got, err, favours["cpu/docker/cpu.shares"])
	}
	if exists(filepath.Join(root, "docker", "cpu.weight")) {
		t.Error("a setting was made up that the kernel does not have")
	}
}
