// Package atomicfile writes files that others may read at any time.
package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// Write puts the content at name in one step: a reader sees the old file or the new one, never a part, also where the writer
// dies meanwhile. A file that is there already, of whatever mode, is no hindrance.
func Write(name string, content io.Reader, mode os.FileMode) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	_, err = io.Copy(tmp, content)
	if err := errors.Join(err, tmp.Chmod(mode), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
