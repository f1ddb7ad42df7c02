package pemfiles_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/pemfiles"
)

func TestAFileOrTheFilesOfAFolderAreRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := filepath.Join(dir, "1.pem"), filepath.Join(dir, "2.pem")
	deeper := filepath.Join(dir, "sub", "3.pem")
	if err := os.Mkdir(filepath.Dir(deeper), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{one, two, deeper} {
		if err := os.WriteFile(name, []byte(filepath.Base(name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string][]pemfiles.File{
		one: {{Name: one, PEM: []byte("1.pem")}},
		dir: {{Name: one, PEM: []byte("1.pem")}, {Name: two, PEM: []byte("2.pem")}},
	} {
		got, err := pemfiles.Read(name)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if _, err := pemfiles.Read(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}
