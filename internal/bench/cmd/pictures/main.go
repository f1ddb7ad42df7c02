// Command pictures draws the pictures of docs/design/figures.md anew, from its tables. Run it by make generate, from the
// repository's root. Exit codes: 0 drawn, 1 an error.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/pictures"
)

const folder = "docs/design"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

func run() error {
	page, err := os.ReadFile(filepath.Join(folder, "figures.md"))
	if err != nil {
		return err
	}
	files, err := pictures.Draw(string(page))
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
