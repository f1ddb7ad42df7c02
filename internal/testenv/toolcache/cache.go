// Package toolcache brings the real components that the tests and the demo run on into one cache under the user's
// cache directory, keyed by version so that every clone shares it, and tells where each of them is.
//
// Setup.Run brings what is missing. Find only looks: tests call it. What a machine needs is decided on plain values
// (Host, Todo, needs) before anything is done.
//
// # Organization
//
// setup.go names the steps and step.go runs them. host.go and needs.go decide what the machine lacks. tools.go, python.go and rootfs.go are
// the ways that a tool comes, command.go and tarball.go what they use. busybox.go and musl.go are programs that tests run in tasks. cache.go, inventory.go and paths.go keep what came; daemon.go,
// engine.go, favour.go and images.go are Docker.
package toolcache

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/consulecs/terraform-provider-consulecs/toolchain"
)

// Cache is the tool cache on disk: <Root>/<tool>/<key>/… is complete as soon as it exists.
type Cache struct {
	Root string
	Pins toolchain.Pins
}

// Open names the user's cache. It creates nothing.
func Open() (Cache, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return Cache{}, fmt.Errorf("find the user's cache directory: %w", err)
	}
	pins, err := toolchain.Load()
	if err != nil {
		return Cache{}, err
	}
	return Cache{Root: filepath.Join(dir, "consulecs"), Pins: pins}, nil
}

func (c Cache) dir(tool, key string) string { return filepath.Join(c.Root, tool, key) }

// scratch is where half-made entries lie; it is emptied under the lock.
func (c Cache) scratch() string { return filepath.Join(c.Root, "tmp") }

// fill makes the entry tool/key out of what build leaves in a scratch directory. An entry that is there stays.
func (c Cache) fill(tool, key string, build func(tmp string) error) error {
	final := c.dir(tool, key)
	if exists(final) {
		return nil
	}
	if err := os.MkdirAll(c.scratch(), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(c.scratch(), tool+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := build(tmp); err != nil {
		return err
	}
	if err := takeInventory(tmp); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return err
	}
	return os.Rename(tmp, final)
}

// digest is a short key for the given parts.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s,", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
