package pictures

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot"
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

func TestALineGoesThroughEveryNumberOfTasksThatWasMeasured(t *testing.T) {
	t.Parallel()
	rows := table{}
	for _, name := range []string{
		"50000 tasks, 3 servers: 50000 die at once, it took", "1000 tasks, 3 servers: 1000 die at once, it took", "10000 tasks, 3 servers: 1000 die at once, it took",
		"before, 100 tasks, 3 servers: 100 die at once, it took", "RunTask → Envoy ready",
	} {
		rows[name] = row{}
	}
	for figure, want := range map[string][]int{
		"%[1]d tasks, 3 servers: %[1]d die at once, it took":         {1000, 50000},
		"%[1]d tasks, 3 servers: 1000 die at once, it took":          {1000, 10000},
		"before, %[1]d tasks, 3 servers: %[1]d die at once, it took": {100},
		"%[1]d tasks, 1 server: %[1]d die at once, it took":          nil,
	} {
		if got := rows.sizes(figure); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", figure, got, want)
		}
	}
	if err := add(plot.New(), rows, line{figure: "%[1]d tasks, 1 server: it took"}); err == nil || !strings.Contains(err.Error(), "1 server") {
		t.Errorf("a line without a point: %v", err)
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
