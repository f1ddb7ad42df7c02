package release_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/release"
)

// program writes a module that is linked with another, which has the given files, and returns its folder.
func program(t *testing.T, other map[string]string) string {
	t.Helper()
	files := map[string]string{
		"go.mod":              "module example.com/program\n\ngo 1.26\n\nrequire example.com/other v1.0.0\n\nreplace example.com/other => ./other\n",
		"main.go":             "package main\n\nimport _ \"example.com/other/inner\"\n\nfunc main() {}\n",
		"other/go.mod":        "module example.com/other\n\ngo 1.26\n",
		"other/inner/code.go": "package inner\n",
		"other/far/code.go":   "package far\n",
		"other/far/LICENSE":   "Business Source License 1.1, of what is not linked",
	}
	for name, text := range other {
		files["other/"+name] = text
	}
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOFLAGS", "-mod=mod")
	t.Setenv("GOWORK", "off")
	return dir
}

func TestLicencesOfWhatIsLinkedAreHandedOn(t *testing.T) {
	on := []release.Platform{{OS: "linux", Arch: "amd64"}, {OS: "windows", Arch: "arm64"}}
	dir := program(t, map[string]string{"LICENSE.txt": "Do as you like.\r\n", "inner/NOTICE": "By somebody.", "inner/licence.go": "package inner\n"})
	modules, err := release.Modules(t.Context(), dir, on, ".")
	if err != nil {
		t.Fatal(err)
	}
	text := release.Text("program", append(modules, release.Module{Path: "example.com/same", Version: "v2", Texts: []string{"Do as you like."}}))
	for _, want := range []string{
		"program is made with the software below.",
		"\nexample.com/other v1.0.0\nexample.com/same v2\n\nDo as you like.\n",
		"\nexample.com/other v1.0.0\n\nBy somebody.\n",
		"Go, its standard library and runtime go1.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the document does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "Business Source") || strings.Contains(text, "package inner") {
		t.Errorf("the document has what is not linked, or code:\n%s", text)
	}
}

func TestWhatMayNotShipEndsTheRelease(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no licence":             {nil, "example.com/other v1.0.0 has no licence text"},
		"a licence that forbids": {map[string]string{"LICENSE": "License text\n\nBusiness Source License 1.1"}, "example.com/other v1.0.0 is under the Business Source License"},
		"copyleft in a part":     {map[string]string{"LICENSE": "Free.", "inner/COPYING": "GNU Affero General Public License"}, "is under the GNU AFFERO GENERAL PUBLIC LICENSE"},
	} {
		_, err := release.Modules(t.Context(), program(t, c.files), []release.Platform{{OS: "linux", Arch: "amd64"}}, ".")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
