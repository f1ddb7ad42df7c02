// Package pemfiles reads certificate authorities, which a setting names as one file or as a folder of them.
package pemfiles

import (
	"errors"
	"os"
	"path/filepath"
)

// File is one file and what it holds.
type File struct {
	Name string
	PEM  []byte
}

// Read reads the file name, or every file right under the folder name. An error tells of those that cannot be read.
func Read(name string) ([]File, error) {
	names := []string{name}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		entries, err := os.ReadDir(name)
		if err != nil {
			return nil, err
		}
		names = nil
		for _, e := range entries {
			if !e.IsDir() {
				names = append(names, filepath.Join(name, e.Name()))
			}
		}
	}
	var files []File
	var errs []error
	for _, n := range names {
		pem, err := os.ReadFile(n)
		if err == nil {
			files = append(files, File{n, pem})
		}
		errs = append(errs, err)
	}
	return files, errors.Join(errs...)
}
