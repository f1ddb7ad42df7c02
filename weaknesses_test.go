package main_test

import (
	"go/ast"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestEveryTestThatIsPromisedExists keeps docs/design/weaknesses.md true: the tests that it names are in the folders that it
// names them for.
func TestEveryTestThatIsPromisedExists(t *testing.T) {
	page, err := os.ReadFile("docs/design/weaknesses.md")
	if err != nil {
		t.Fatal(err)
	}
	exists := map[string]bool{}
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.isTest() && f.Recv == nil {
				exists[s.dir()+" "+f.Name.Name] = true
			}
		}
	}
	promised, dir := 0, ""
	code := regexp.MustCompile("`([^`]+)`")
	for _, row := range strings.Split(string(page), "\n") {
		if !strings.HasPrefix(row, "|") {
			continue
		}
		for _, m := range code.FindAllStringSubmatch(row, -1) {
			name := m[1]
			if !strings.HasPrefix(name, "Test") {
				dir = name
				continue
			}
			if promised++; !exists[dir+" "+name] {
				t.Errorf("%s has no test %s", dir, name)
			}
		}
	}
	if promised < 50 {
		t.Errorf("%d tests are found on the page: its form is another than this test's", promised)
	}
}
