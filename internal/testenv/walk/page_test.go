package walk

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// fence is one of a page's blocks of code.
type fence struct {
	kind  string // shell, terraform, or text: what the shell block before it prints
	lines []string
	line  int // of the page: that of the first one
}

func (f fence) text() string { return strings.Join(f.lines, "\n") + "\n" }

// fences are the blocks of a page in order.
func fences(t *testing.T, page string) []fence {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var all []fence
	inside := false
	for i, line := range strings.Split(string(raw), "\n") {
		kind, mark := strings.CutPrefix(line, "```")
		switch {
		case mark && inside:
			inside = false
		case mark:
			all, inside = append(all, fence{kind: kind, line: i + 2}), true
		case inside:
			all[len(all)-1].lines = append(all[len(all)-1].lines, line)
		}
	}
	return all
}

// yours matches a line with a value of the reader's.
var yours = regexp.MustCompile(`^export (\w+)=(.*?)\s+# yours\b`)

// filled has the reader's values in a block. Each one is used up.
func filled(t *testing.T, f fence, values map[string]string) fence {
	t.Helper()
	lines := make([]string, len(f.lines))
	for i, line := range f.lines {
		lines[i] = line
		if m := yours.FindStringSubmatch(line); m != nil {
			value, ok := values[m[1]]
			if !ok {
				t.Errorf("line %d: the walk has no value for %s", f.line+i, m[1])
			}
			lines[i] = fmt.Sprintf("export %s='%s'", m[1], value)
			delete(values, m[1])
		}
	}
	f.lines = lines
	return f
}

// name is that of the file that a terraform block says it is.
func (f fence) name(t *testing.T) string {
	t.Helper()
	name, ok := strings.CutPrefix(f.lines[0], "# ")
	if !ok || strings.ContainsAny(name, " /") {
		t.Fatalf("line %d: a terraform block begins with %q, want the name of its file in a comment", f.line, f.lines[0])
	}
	return name
}

// mark is what the script prints before each block.
const mark = "@@ line "

// script is the whole page as one: what is to be run, and what is to be written, as it stands there.
func script(t *testing.T, blocks []fence, values map[string]string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("set -euo pipefail\n")
	for _, f := range blocks {
		fmt.Fprintf(&b, "echo '%s%d'\n", mark, f.line)
		switch f.kind {
		case "shell":
			b.WriteString(filled(t, f, values).text())
		case "terraform":
			fmt.Fprintf(&b, "cat >%s <<'WALKED'\n%sWALKED\n", f.name(t), f.text())
		case "text":
		default:
			t.Fatalf("line %d: a block of kind %q, want shell, terraform or text", f.line, f.kind)
		}
	}
	for name := range values {
		t.Errorf("the page asks for no %s", name)
	}
	return b.String()
}

// printed is what each shell block printed, by its line.
func printed(out string) map[int]string {
	all := map[int]string{}
	for _, part := range strings.Split("\n"+out, "\n"+mark)[1:] {
		var line int
		head, text, _ := strings.Cut(part, "\n")
		if _, err := fmt.Sscan(head, &line); err == nil {
			all[line] = text
		}
	}
	return all
}

// missing is the first line of want that is not in got, after those before it; "" for none. An ellipsis stands for anything.
func missing(want []string, got string) string {
	lines := strings.Split(got, "\n")
	for _, line := range want {
		pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + `\s*$`)
		at := 0
		for at < len(lines) && !pattern.MatchString(lines[at]) {
			at++
		}
		if at == len(lines) {
			return line
		}
		lines = lines[at+1:]
	}
	return ""
}

func TestWhatABlockPrintsIsFoundInOrder(t *testing.T) {
	t.Parallel()
	const got = "noise\napi\t1\nnoise\n{\"ready\":true,\"leader\":\"x\"}\nweb \n"
	for name, test := range map[string]struct {
		want []string
		miss string
	}{
		"all, with noise between": {[]string{"api\t1", `{"ready":true,…}`, "web"}, ""},
		"in another order":        {[]string{"web", "api\t1"}, "api\t1"},
		"a part of a line":        {[]string{"api"}, "api"},
		"what is not there":       {[]string{"api\t1", "stock"}, "stock"},
	} {
		if miss := missing(test.want, got); miss != test.miss {
			t.Errorf("%s: %q is missing, want %q", name, miss, test.miss)
		}
	}
}
