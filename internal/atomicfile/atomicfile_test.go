package atomicfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/consulecs/terraform-provider-consulecs/internal/atomicfile"
)

func TestAFileIsReplacedWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	for _, text := range []string{"old", "new"} { // the second time, over a file that nobody may write
		if err := atomicfile.Write(name, strings.NewReader(text), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	broken := errors.New("broken off")
	if err := atomicfile.Write(name, iotest.ErrReader(broken), 0o444); !errors.Is(err, broken) {
		t.Errorf("got %v, want the reader's error", err)
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "new" {
		t.Errorf("the file holds %q, %v", text, err)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o444 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("the folder holds %v, %v; want the file alone", left, err)
	}
	if err := atomicfile.Write(filepath.Join(dir, "none", "file"), strings.NewReader(""), 0o444); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
}
