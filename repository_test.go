package main_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// yamlFiles are all of the repository's, each parsed; a key that stands twice is an error.
func yamlFiles(t *testing.T) map[string]any {
	t.Helper()
	all := map[string]any{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == ".git" || name == "bin" || name == "dist" || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(name) != ".yml" && filepath.Ext(name) != ".yaml":
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var content any
		if err := yaml.Unmarshal(text, &content); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		all[name] = content
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// eachText calls see with every text of a YAML document, and the key that it belongs to.
func eachText(document any, key string, see func(key, text string)) {
	switch v := document.(type) {
	case map[string]any:
		for k, below := range v {
			eachText(below, k, see)
		}
	case []any:
		for _, below := range v {
			eachText(below, key, see)
		}
	case string:
		see(key, v)
	}
}

var (
	pinnedAction = regexp.MustCompile(`^[\w-]+/[\w-]+@[0-9a-f]{40}$`)
	versionAfter = regexp.MustCompile(`uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d`)
	makeCall     = regexp.MustCompile(`\bmake ((?:--?\S+ )*)([a-z][a-z-]*)`)
	folderCall   = regexp.MustCompile(`go -C (\S+)`)
	makeTarget   = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
)

// makeTargets are those of GNUmakefile.
func makeTargets(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("GNUmakefile")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range makeTarget.FindAllStringSubmatch(string(text), -1) {
		all = append(all, m[1])
	}
	return all
}

func TestWorkflowsCallWhatExists(t *testing.T) {
	targets, calls := makeTargets(t), 0
	for name, document := range yamlFiles(t) {
		eachText(document, "", func(key, text string) {
			switch key {
			case "uses":
				if !pinnedAction.MatchString(text) {
					t.Errorf("%s: the action %s is not pinned by its commit", name, text)
				}
			case "run":
				for _, m := range makeCall.FindAllStringSubmatch(text, -1) {
					if calls++; !slices.Contains(targets, m[2]) {
						t.Errorf("%s: make %s: there is no such target", name, m[2])
					}
				}
				for _, m := range folderCall.FindAllStringSubmatch(text, -1) {
					if _, err := os.Stat(filepath.Join(m[1], "go.mod")); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
				if first, _, _ := strings.Cut(text, " "); strings.HasPrefix(first, ".") {
					if _, err := os.Stat(first); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			}
		})
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if all, said := bytes.Count(text, []byte("uses: ")), len(versionAfter.FindAll(text, -1)); all != said {
			t.Errorf("%s: %d of %d actions have their version in a comment", name, said, all)
		}
	}
	if calls < 4 {
		t.Errorf("the workflows call make %d times: their form is another than this test's", calls)
	}
}

// TestPagesCallWhatExists looks at the commands on the pages that people follow.
func TestPagesCallWhatExists(t *testing.T) {
	targets := makeTargets(t)
	pages := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"}
	for _, pattern := range []string{"docs/templates/*.tmpl", "docs/templates/*/*.tmpl"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	command := regexp.MustCompile("(?m)(?:^|`)make ([a-z][a-z-]*)")
	link := regexp.MustCompile(`\]\(((?:\.\./)*[\w./-]+)(?:#[\w-]*)?\)`)
	commands := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range command.FindAllStringSubmatch(string(text), -1) {
			if commands++; !slices.Contains(targets, m[1]) {
				t.Errorf("%s: make %s: there is no such target", page, m[1])
			}
		}
		from := strings.Replace(filepath.Dir(page), "docs/templates", "docs", 1) // where the page is once it is made
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(from, m[1])); err != nil {
				t.Errorf("%s: the link to %s: %v", page, m[1], err)
			}
		}
	}
	if commands < 10 {
		t.Errorf("%d commands are found: their form is another than this test's", commands)
	}
}

// TestTheCommandsForOneTestFindOne tries the arguments of go test in CONTRIBUTING.md on the names of tests.
func TestTheCommandsForOneTestFindOne(t *testing.T) {
	page, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	all := sources(t)
	commands := regexp.MustCompile(`go test (?:-v )?\./(\S+) -run (\S+)`).FindAllStringSubmatch(string(page), -1)
	for _, m := range commands {
		found := slices.ContainsFunc(all, func(s source) bool {
			return s.isTest() && s.dir() == m[1] && slices.ContainsFunc(s.file.Decls, func(d ast.Decl) bool {
				fn, ok := d.(*ast.FuncDecl)
				return ok && strings.HasPrefix(fn.Name.Name, m[2])
			})
		})
		if !found {
			t.Errorf("./%s has no test %s", m[1], m[2])
		}
	}
	if len(commands) < 3 {
		t.Errorf("%d commands are found: their form is another than this test's", len(commands))
	}
}

func TestDependabotLooksWhereDependenciesAre(t *testing.T) {
	where := map[string]string{"gomod": "go.mod", "docker": "Dockerfile", "github-actions": ".github/workflows", "pip": "*.txt"}
	modules := map[string]bool{}
	for _, update := range yamlFiles(t)[".github/dependabot.yml"].(map[string]any)["updates"].([]any) {
		u := update.(map[string]any)
		folders, _ := u["directories"].([]any)
		if folder, single := u["directory"]; single {
			folders = append(folders, folder)
		}
		for _, folder := range folders {
			ecosystem := u["package-ecosystem"].(string)
			pattern := filepath.Join(".", folder.(string), where[ecosystem])
			if found, err := filepath.Glob(pattern); err != nil || len(found) == 0 {
				t.Errorf("%s: there is no %s", ecosystem, pattern)
			} else if ecosystem == "gomod" {
				modules[found[0]] = true
			}
		}
	}
	all, err := filepath.Glob("toolchain/*/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range append(all, "go.mod") {
		if !modules[module] {
			t.Errorf("nobody looks after %s", module)
		}
	}
}

func TestTheChangelogHasTheRegistrysForm(t *testing.T) {
	text, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	heading := regexp.MustCompile(`^## \d+\.\d+\.\d+(-\w+)? \((Unreleased|[A-Z][a-z]+ \d{1,2}, \d{4})\)$`)
	section := regexp.MustCompile(`^(BREAKING CHANGES|NOTES|FEATURES|ENHANCEMENTS|BUG FIXES|SECURITY):$`)
	versions := 0
	for n, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "## "):
			if versions++; !heading.MatchString(line) {
				t.Errorf("line %d: %q is no heading of a version", n+1, line)
			}
		case versions > 0 && line != "" && !strings.HasPrefix(line, "* ") && !strings.HasPrefix(line, "  ") && !section.MatchString(line):
			t.Errorf("line %d: %q is neither a section nor an entry of one", n+1, line)
		}
	}
	if versions == 0 {
		t.Error("there is no version")
	}
}

func TestTheNotesOfAReleaseAreItsPartOfTheChangelog(t *testing.T) {
	t.Parallel()
	notes, err := exec.CommandContext(t.Context(), "make", "--silent", "release-notes", "VERSION=0.1.0").CombinedOutput()
	if err != nil || !strings.Contains(string(notes), "FEATURES:") || strings.Contains(string(notes), "## ") {
		t.Errorf("0.1.0: %v\n%s", err, notes)
	}
	if out, err := exec.CommandContext(t.Context(), "make", "--silent", "release-notes", "VERSION=0.1").CombinedOutput(); err == nil || !strings.Contains(string(out), `no section "## 0.1"`) {
		t.Errorf("a version that is not there: %v\n%s", err, out)
	}
}

// notSwitches are variables that tests read and that are no switches of theirs.
var notSwitches = []string{"PATH", "AWS_ACCESS_KEY_ID", "TF_LOG_SDK", "CONSULECS_DEMO_TOKEN"}

// TestEverySwitchOfTheTestsIsExplained compares the table of CONTRIBUTING.md with the variables that tests, and what only tests
// use, read from the environment. Those with TEST in the name are between a test and the processes that it starts.
func TestEverySwitchOfTheTestsIsExplained(t *testing.T) {
	page, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{"TF_ACC": false} // terraform-plugin-testing reads it
	for _, row := range strings.Split(string(page), "\n") {
		if cell, _, found := strings.Cut(strings.TrimPrefix(row, "| "), " | "); found && strings.HasPrefix(row, "| `") {
			for _, m := range regexp.MustCompile("`([A-Z_]+)`").FindAllStringSubmatch(cell, -1) {
				told[m[1]] = true
			}
		}
	}
	isRead := map[string]bool{"TF_ACC": true}
	for dir, files := range byPackage(sources(t)) {
		for _, name := range variablesRead(files) {
			if slices.Contains(notSwitches, name) || strings.Contains(name, "TEST") && name != "" {
				continue
			}
			if isRead[name] = true; !told[name] {
				t.Errorf("%s reads %s, which CONTRIBUTING.md does not explain", dir, name)
			}
		}
	}
	for name, is := range told {
		if !is || !isRead[name] {
			t.Errorf("CONTRIBUTING.md explains %s (%v), and a test reads it: %v", name, is, isRead[name])
		}
	}
}

// byPackage are the files of tests and of what only tests use, by folder.
func byPackage(all []source) map[string][]source {
	packages := map[string][]source{}
	for _, s := range all {
		if s.isTest() || within(s.dir(), "internal/testenv") || within(s.dir(), "internal/localecs") {
			packages[s.dir()] = append(packages[s.dir()], s)
		}
	}
	return packages
}

// variablesRead are the names of environment variables that a package's files ask for: as a text, by a constant, or by a function
// of the package that is called with a text.
func variablesRead(files []source) []string {
	constants, parameters := map[string]string{}, map[string]bool{}
	found := map[string]bool{}
	inspect := func(visit func(ast.Node)) {
		for _, s := range files {
			ast.Inspect(s.file, func(n ast.Node) bool { visit(n); return true })
		}
	}
	inspect(func(n ast.Node) {
		if spec, ok := n.(*ast.ValueSpec); ok {
			for i, name := range spec.Names {
				if i < len(spec.Values) {
					constants[name.Name] = literal(spec.Values[i])
				}
			}
		}
	})
	inspect(func(n ast.Node) {
		fn, ok := n.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			return
		}
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !asksEnvironment(call) {
				return true
			}
			arg, isName := call.Args[0].(*ast.Ident)
			switch {
			case !isName:
				found[literal(call.Args[0])] = true
			case constants[arg.Name] != "":
				found[constants[arg.Name]] = true
			default:
				parameters[fn.Name.Name] = true
			}
			return true
		})
	})
	inspect(func(n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return
		}
		if name, ok := call.Fun.(*ast.Ident); ok && parameters[name.Name] {
			for _, arg := range call.Args {
				found[literal(arg)] = true
			}
		}
	})
	delete(found, "")
	return slices.Sorted(maps.Keys(found))
}

func asksEnvironment(call *ast.CallExpr) bool {
	fn, ok := call.Fun.(*ast.SelectorExpr)
	return ok && fmt.Sprint(fn.X) == "os" && (fn.Sel.Name == "Getenv" || fn.Sel.Name == "LookupEnv") && len(call.Args) == 1
}

// literal is the text that an expression is; "" if it is none.
func literal(e ast.Expr) string {
	if basic, ok := e.(*ast.BasicLit); ok {
		text, _ := strconv.Unquote(basic.Value)
		return text
	}
	return ""
}
