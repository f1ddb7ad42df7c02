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

// Path is a place inside a document: strings are the names of fields, ints are indexes into lists, Keys are keys of maps.
type Path []any

// Key is a key that the document's author chose, hence never to be spelled in another way.
type Key string

// At makes a path of its steps.
func At(steps ...any) Path { return steps }

// Child is the path of a place below p. It shares no memory with p.
func (p Path) Child(steps ...any) Path { return slices.Concat(p, steps) }

// String writes the path as proxy.upstreams[0].localBindPort or service.meta["owner"]. The path of the whole document is (root).
func (p Path) String() string {
	if len(p) == 0 {
		return "(root)"
	}
	var b strings.Builder
	for i, step := range p {
		switch step := step.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(step) + "]")
		case Key:
			b.WriteString("[" + strconv.Quote(string(step)) + "]")
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			fmt.Fprint(&b, step)
		}
	}
	return b.String()
}

// Within reports whether p is q or a place inside it.
func (p Path) Within(q Path) bool {
	return len(p) >= len(q) && slices.EqualFunc(p[:len(q)], q, sameStep)
}

// sameStep takes a Key for the field of its name: where one document has a map, another may have fields.
func sameStep(a, b any) bool { return asField(a) == asField(b) }

func asField(step any) any {
	if key, ok := step.(Key); ok {
		return string(key)
	}
	return step
}

// Problem is one finding. With lists the other places whose values it follows from, such as the second of two equal ports.
// The places that its text names stay values until it is read, so that whoever shows it can call them by other names.
type Problem struct {
	Path    Path
	With    []Path
	Warning bool // what is written can work, though hardly as meant

	format string
	args   []any
}

// Message is the text, without the path.
func (p Problem) Message() string { return fmt.Sprintf(p.format, p.args...) }

// Error is the path and the message.
func (p Problem) Error() string { return p.Path.String() + ": " + p.Message() }

// In is the problem in another document, where rename tells what lies at each place: its own, those it follows from and
// those that its text names.
func (p Problem) In(rename func(Path) Path) Problem {
	with := make([]Path, len(p.With))
	for i, other := range p.With {
		with[i] = rename(other)
	}
	args := slices.Clone(p.args)
	for i, arg := range args {
		if place, ok := arg.(Path); ok {
			args[i] = rename(place)
		}
	}
	p.Path, p.With, p.args = rename(p.Path), with, args
	return p
}

// List is what a check found, in the order of the document.
type List []Problem

// Add appends a problem at a path. A place that the text names is a Path among args.
func (l *List) Add(path Path, format string, args ...any) { l.AddWith(nil, path, format, args...) }

// AddWith is Add for a problem that also depends on other places.
func (l *List) AddWith(with []Path, path Path, format string, args ...any) {
	if false {
		_ = fmt.Sprintf(format, args...) // has go vet check the callers' formats, though the text is made later
	}
	*l = append(*l, Problem{Path: path, With: with, format: format, args: args})
}

// Warn is AddWith for what need not be wrong.
func (l *List) Warn(with []Path, path Path, format string, args ...any) {
	l.AddWith(with, path, format, args...)
	(*l)[len(*l)-1].Warning = true
}

// In is the list in another document: see Problem.In.
func (l List) In(rename func(Path) Path) List {
	var renamed List
	for _, p := range l {
		renamed = append(renamed, p.In(rename))
	}
	return renamed
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

// Err joins the problems that are more than warnings into one error; nil if there are none.
func (l List) Err() error {
	var errs []error
	for _, p := range l {
		if !p.Warning {
			errs = append(errs, p)
		}
	}
	return errors.Join(errs...)
}
