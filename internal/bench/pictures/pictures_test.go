package pictures

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const folder = "../../../docs/design"

func TestThePicturesShowWhatTheTablesSay(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(folder, "figures.md"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := Draw(string(page))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if have, err := os.ReadFile(filepath.Join(folder, name)); err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s is not what the tables say (%v): run make generate", name, err)
		}
		if !strings.Contains(string(page), "("+name+")") {
			t.Errorf("figures.md does not show %s", name)
		}
	}
}

func TestTheRowsOfATableAreRead(t *testing.T) {
	t.Parallel()
	rows := read("words  that are  no row\n" +
		"FIGURE       MEDIAN   SPREAD      SAMPLES  GOAL     INCUMBENT*\n" +
		"a → b        0.784 s  0.7 to 1.3  15       < 1.1 s  1.21 s\n" +
		"of which c   3        1 to 4      5        -        -\n")
	if len(rows) != 2 || rows["a → b"] != (row{0.784, "1.21 s"}) || rows["of which c"] != (row{3, "-"}) {
		t.Errorf("read %v", rows)
	}
	if their, err := rows.published("a → b"); err != nil || their != 1.21 {
		t.Errorf("the incumbent's is %v, %v", their, err)
	}
	for name, ask := range map[string]func(string) (float64, error){"of which c": rows.published, "d": rows.median} {
		if _, err := ask(name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
