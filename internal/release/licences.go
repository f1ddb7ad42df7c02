// Package release holds what a release needs beside GoReleaser and the Dockerfile: the licence texts of everything that is linked
// into what ships. Its tests read a snapshot of the release as those who install it will: archives, sums, signature, bills of
// materials, and an installation by Terraform and OpenTofu. Nothing of it ships.
package release

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Platform is an operating system and a processor in Go's words.
type Platform struct{ OS, Arch string }

// Module is a module that is linked into what ships, with its licence texts.
type Module struct {
	Path, Version string
	Texts         []string // each once, the file nearest to the module's root first
}

// goLicence is how the standard library and the runtime stand in the list.
const goLicence = "Go, its standard library and runtime"

// licenceFile matches the names of files that hold what has to be handed on.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|unlicense)([-._].*)?$`)

// refused are licences under which nothing of ours may ship, as their texts begin.
var refused = []string{"Business Source License", "GNU GENERAL PUBLIC LICENSE", "GNU AFFERO GENERAL PUBLIC LICENSE", "Server Side Public License"}

// Modules lists what packages are linked of on any of the platforms, in the order of the paths. A module without a licence text, or
// with one that forbids to ship it, is an error. repo is the root of the repository.
func Modules(ctx context.Context, repo string, platforms []Platform, packages ...string) ([]Module, error) {
	folders := map[[2]string]map[string]bool{} // of each module, those of the packages that are linked
	roots := map[[2]string]string{}
	for _, p := range platforms {
		linked, err := list(ctx, repo, p, packages)
		if err != nil {
			return nil, err
		}
		for _, pkg := range linked {
			if pkg.Module == nil || pkg.Module.Main {
				continue
			}
			key := [2]string{pkg.Module.Path, pkg.Module.Version}
			if folders[key] == nil {
				folders[key] = map[string]bool{}
			}
			folders[key][pkg.Dir], roots[key] = true, pkg.Module.Dir
		}
	}
	all, err := standardLibrary(ctx)
	errs := []error{err}
	for key, dirs := range folders {
		m := Module{Path: key[0], Version: key[1]}
		for _, dir := range upTo(roots[key], dirs) {
			texts, err := licences(dir)
			if err != nil {
				return nil, err
			}
			m.Texts = append(m.Texts, texts...)
		}
		errs = append(errs, m.check())
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Module) int { return strings.Compare(a.Path, b.Path) })
	return all, errors.Join(errs...)
}

// linkedPackage is what go list says of a package.
type linkedPackage struct {
	Dir    string
	Module *struct {
		Path, Version, Dir string
		Main               bool
	}
}

func list(ctx context.Context, repo string, p Platform, packages []string) ([]linkedPackage, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-deps", "-json=Dir,Module"}, packages...)...)
	cmd.Dir = repo
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.OS, "GOARCH="+p.Arch)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("list the packages of %s for %s/%s: %w: %s", strings.Join(packages, ", "), p.OS, p.Arch, err, strings.TrimSpace(said.String()))
	}
	var all []linkedPackage
	for d := json.NewDecoder(&out); ; {
		var pkg linkedPackage
		switch err := d.Decode(&pkg); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("read the list of packages: %w", err)
		}
		all = append(all, pkg)
	}
}

// standardLibrary is Go's own part of every program.
func standardLibrary(ctx context.Context) ([]Module, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT", "GOVERSION").Output()
	if err != nil {
		return nil, fmt.Errorf("ask Go where it is: %w", err)
	}
	root, version, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	texts, err := licences(root)
	m := Module{Path: goLicence, Version: version, Texts: texts}
	return []Module{m}, errors.Join(err, m.check())
}

// upTo returns the folders and those above them, up to a module's root, which comes first: parts of a module may have licences of
// their own.
func upTo(root string, folders map[string]bool) []string {
	all := map[string]bool{root: true}
	for dir := range folders {
		for ; len(dir) > len(root) && strings.HasPrefix(dir, root); dir = filepath.Dir(dir) {
			all[dir] = true
		}
	}
	var sorted []string
	for dir := range all {
		sorted = append(sorted, dir)
	}
	slices.Sort(sorted)
	return sorted
}

func licences(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("look for licence texts: %w", err)
	}
	var texts []string
	for _, e := range entries {
		if e.IsDir() || !licenceFile.MatchString(e.Name()) || filepath.Ext(e.Name()) == ".go" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read a licence text: %w", err)
		}
		texts = append(texts, strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")))
	}
	return texts, nil
}

func (m Module) check() error {
	if len(m.Texts) == 0 {
		return fmt.Errorf("%s %s has no licence text\nhint: do without the module, or teach internal/release where its text is", m.Path, m.Version)
	}
	for _, text := range m.Texts {
		begin := strings.ToLower(text[:min(len(text), 300)])
		for _, name := range refused {
			if strings.Contains(begin, strings.ToLower(name)) {
				return fmt.Errorf("%s %s is under the %s: it must not be linked into what ships", m.Path, m.Version, name)
			}
		}
	}
	return nil
}

// Text is the document that goes with a release: each licence text once, after the modules that it covers.
func Text(of string, modules []Module) string {
	var order []string
	covers := map[string][]string{}
	for _, m := range modules {
		for _, text := range m.Texts {
			if covers[text] == nil {
				order = append(order, text)
			}
			covers[text] = append(covers[text], strings.TrimSpace(m.Path+" "+m.Version))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s is made with the software below. Each text stands after the names of what it covers.\n", of)
	for _, text := range order {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", strings.Repeat("-", 80), strings.Join(slices.Compact(covers[text]), "\n"), text)
	}
	return b.String()
}
