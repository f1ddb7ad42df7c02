// Package problem holds findings about a value that a person wrote: where in it, and what is wrong. A check gathers all of
// them, so that one round of corrections is enough; Terraform turns each into a diagnostic at its attribute. The package is pure.
package problem

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Path is a place inside a document: strings are keys, ints are indexes into lists.
type Path []any

// At makes a path of its steps.
func At(steps ...any) Path { return steps }

// Child is the path of a place below p. It shares no memory with p.
func (p Path) Child(steps ...any) Path { return slices.Concat(p, steps) }

// String writes the path as proxy.upstreams[0].localBindPort. The path of the whole document is (root).
func (p Path) String() string {
	if len(p) == 0 {
		return "(root)"
	}
	var b strings.Builder
	for i, step := range p {
		if index, ok := step.(int); ok {
			b.WriteString("[" + strconv.Itoa(index) + "]")
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		fmt.Fprint(&b, step)
	}
	return b.String()
}

// Within reports whether p is q or a place inside it.
func (p Path) Within(q Path) bool { return len(p) >= len(q) && slices.Equal(p[:len(q)], q) }

// Problem is one finding. With lists the other places whose values it follows from, such as the second of two equal ports.
type Problem struct {
	Path    Path
	With    []Path
	Message string
}

// Error is the path and the message.
func (p Problem) Error() string { return p.Path.String() + ": " + p.Message }

// List is what a check found, in the order of the document.
type List []Problem

// Add appends a problem at a path.
func (l *List) Add(path Path, format string, args ...any) { l.AddWith(nil, path, format, args...) }

// AddWith is Add for a problem that also depends on other places.
func (l *List) AddWith(with []Path, path Path, format string, args ...any) {
	*l = append(*l, Problem{Path: path, With: with, Message: fmt.Sprintf(format, args...)})
}

// Without leaves out the problems that follow from a place whose value is not known: such a place reads as empty, and what
// is said about it, or about a default in its stead, may be false.
func (l List) Without(unknown ...Path) List {
	var kept List
	for _, p := range l {
		depends := func(u Path) bool {
			return p.Path.Within(u) || slices.ContainsFunc(p.With, func(with Path) bool { return with.Within(u) })
		}
		if !slices.ContainsFunc(unknown, depends) {
			kept = append(kept, p)
		}
	}
	return kept
}

// Err joins the problems into one error; nil if there are none.
func (l List) Err() error {
	errs := make([]error, len(l))
	for i, p := range l {
		errs[i] = p
	}
	return errors.Join(errs...)
}
