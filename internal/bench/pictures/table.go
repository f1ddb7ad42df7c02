// Package pictures draws what docs/design/figures.md says in tables, so that how something grows can be seen. A picture has no
// numbers of its own: it is made of the tables alone, and a test holds the two together.
package pictures

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// row is a figure as make bench prints it.
type row struct {
	median    float64
	incumbent string // "-" for none
}

// table is the figures of a page, by their names.
type table map[string]row

// gap is what lies between two columns.
var gap = regexp.MustCompile(`\s{2,}`)

// read takes the rows of every table on a page: those whose columns are a name, a median, a spread, samples, a goal and what is
// known of the incumbent.
func read(page string) table {
	t := table{}
	for line := range strings.Lines(page) {
		columns := gap.Split(strings.TrimSpace(line), -1)
		if len(columns) != 6 {
			continue
		}
		number, _, _ := strings.Cut(columns[1], " ")
		if median, err := strconv.ParseFloat(number, 64); err == nil {
			t[columns[0]] = row{median, columns[5]}
		}
	}
	return t
}

// tasks is the number of tasks that the name of a figure begins with.
var tasks = regexp.MustCompile(`^(?:before, )?(\d+) tasks, `)

// sizes are the numbers of tasks for which the tables have a figure, whose name has %[1]d where the number stands.
func (t table) sizes(figure string) (all []int) {
	for name := range t {
		number := tasks.FindStringSubmatch(name)
		if number == nil {
			continue
		}
		if n, err := strconv.Atoi(number[1]); err == nil && fmt.Sprintf(figure, n) == name {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

// median is that of a figure, which has to be there.
func (t table) median(name string) (float64, error) {
	r, ok := t[name]
	if !ok {
		return 0, fmt.Errorf("no table has the figure %q", name)
	}
	return r.median, nil
}

// published is what is known of the incumbent in seconds, of which the last number counts.
func (t table) published(name string) (float64, error) {
	r, ok := t[name]
	if !ok {
		return 0, fmt.Errorf("no table has the figure %q", name)
	}
	number, _ := strings.CutSuffix(r.incumbent, " s")
	seconds, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("figure %q: %q is no time of the incumbent's", name, r.incumbent)
	}
	return seconds, nil
}
