package toolcache

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// inventoryName is the file of an entry that says what the complete entry holds. A machine that goes down in a bad moment
// may leave files that have a name and nothing in them, and a disk that was full others that are cut short.
const inventoryName = "inventory.json"

// takeInventory writes down the sizes of an entry's files, by their path in it.
func takeInventory(entry string) error {
	sizes := map[string]int64{}
	err := filepath.WalkDir(entry, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "__pycache__": // Python's own, which it renews
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(entry, name)
		sizes[inside] = info.Size()
		return err
	})
	if err != nil {
		return fmt.Errorf("take the inventory: %w", err)
	}
	raw, err := json.Marshal(sizes)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(entry, inventoryName), raw, 0o644)
}

// damage says what of an entry is not as its inventory has it, "" for nothing.
func damage(entry string) string {
	raw, err := os.ReadFile(filepath.Join(entry, inventoryName))
	if err != nil {
		return err.Error()
	}
	var sizes map[string]int64
	if err := json.Unmarshal(raw, &sizes); err != nil {
		return fmt.Sprintf("%s: %v", inventoryName, err)
	}
	for name, size := range sizes {
		info, err := os.Lstat(filepath.Join(entry, name))
		switch {
		case err != nil:
			return err.Error()
		case info.Size() != size:
			return fmt.Sprintf("%s has %d bytes, want %d", name, info.Size(), size)
		}
	}
	return ""
}

// dropDamaged removes the entries that are no longer whole, so that they are made anew. Those without an inventory stay.
func (c Cache) dropDamaged(out io.Writer) error {
	inventories, err := filepath.Glob(filepath.Join(c.Root, "*", "*", inventoryName))
	if err != nil {
		return err
	}
	for _, inventory := range inventories {
		entry := filepath.Dir(inventory)
		what := damage(entry)
		if what == "" {
			continue
		}
		fmt.Fprintf(out, "%s is damaged and made anew: %s\n", entry, what)
		if err := c.discard(entry); err != nil {
			return fmt.Errorf("remove what is damaged: %w", err)
		}
	}
	return nil
}

// discard takes an entry away in one step, so that no interruption leaves a part of it that has lost its inventory.
func (c Cache) discard(entry string) error {
	if err := os.MkdirAll(c.scratch(), 0o755); err != nil {
		return err
	}
	gone, err := os.MkdirTemp(c.scratch(), "damaged-")
	if err != nil {
		return err
	}
	if err := os.Rename(entry, filepath.Join(gone, "entry")); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}
