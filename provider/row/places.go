package row

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// Places tells which attribute of a model has what a place of the Spec says. It follows from the models' tags alone: `tfsdk`
// names the attribute; its place has that name, the field's or that in the tag `spec`, or those in the tag `at`, with commas
// between: each below the place of the struct, or below the Spec itself after a slash. A dot is the place of the struct.
type Places []place

// place says that what lies at from in a Spec lies at to in the model; star stands for an index. Names in from are bare: in lower
// case and without underscores, as places spell them in more than one way.
type place struct{ from, to problem.Path }

const star = "*"

// PlacesOf gathers the places of a model, which is a struct.
func PlacesOf(model any) Places {
	var all Places
	all.gather(reflect.TypeOf(model), nil, problem.Path{})
	slices.SortStableFunc(all, func(a, b place) int { return cmp.Or(len(b.from)-len(a.from), len(b.to)-len(a.to)) })
	return all
}

func (p *Places) gather(model reflect.Type, from []problem.Path, to problem.Path) {
	if from == nil {
		from = []problem.Path{{}}
	}
	for i := range model.NumField() {
		field := model.Field(i)
		name, element := field.Tag.Get("tfsdk"), field.Type
		if field.Tag.Get("at") == "-" {
			continue
		}
		if field.Anonymous && element.Kind() == reflect.Struct {
			p.gather(element, from, to)
			continue
		}
		if name == "" {
			continue
		}
		below, at := placesOf(field, from), to.Child(name)
		for element.Kind() == reflect.Pointer {
			element = element.Elem()
		}
		if element.Kind() != reflect.Struct || field.Tag.Get("at") != "." {
			p.add(below, at)
		}
		if element.Kind() == reflect.Slice && element.Elem().Kind() == reflect.Struct {
			element, at = element.Elem(), at.Child(star)
			for j := range below {
				below[j] = below[j].Child(star)
			}
			p.add(below, at)
		}
		if element.Kind() == reflect.Struct {
			p.gather(element, below, at)
		}
	}
}

func (p *Places) add(from []problem.Path, to problem.Path) {
	for _, f := range from {
		*p = append(*p, place{f, to})
	}
}

// placesOf are the places of a field whose struct lies at parents. A struct at a dot only groups what lies there.
func placesOf(field reflect.StructField, parents []problem.Path) []problem.Path {
	names := []string{field.Name}
	if tag := field.Tag.Get("spec"); tag != "" && tag != "-" {
		names = []string{tag}
	}
	if tag := field.Tag.Get("at"); tag != "" {
		names = strings.Split(tag, ",")
	}
	names = append(names, field.Tag.Get("tfsdk"))
	for i, name := range names {
		names[i] = bare(name)
	}
	slices.Sort(names)
	var all []problem.Path
	for _, name := range slices.Compact(names) {
		if absolute, ok := strings.CutPrefix(name, "/"); ok {
			all = append(all, stepsOf(absolute))
			continue
		}
		for _, parent := range parents {
			all = append(all, parent.Child(stepsOf(name)...))
		}
	}
	return all
}

// Says reports whether a model has a value at the place of an attribute.
func Says(model any, at problem.Path) bool { return says(reflect.ValueOf(model), at) }

func says(v reflect.Value, at problem.Path) bool {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return false
		}
		v = v.Elem()
	}
	if len(at) == 0 || v.Kind() != reflect.Struct { // an element of a list or a map
		return !v.IsZero() || v.Kind() != reflect.Slice && v.Kind() != reflect.Map
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		switch {
		case field.Anonymous && says(v.Field(i), at):
			return true
		case field.Tag.Get("tfsdk") != "" && field.Tag.Get("tfsdk") == at[0]:
			return says(v.Field(i), at[1:])
		}
	}
	return false
}

func bare(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "") }

func stepsOf(dotted string) problem.Path {
	if dotted == "." {
		return nil
	}
	var steps problem.Path
	for _, step := range strings.Split(dotted, ".") {
		steps = append(steps, step)
	}
	return steps
}

// Attribute is the path of the attribute that has what a place of the Spec says, as far down as there is one.
func (p Places) Attribute(at problem.Path) problem.Path {
	for _, candidate := range p {
		if found, ok := candidate.match(at); ok {
			return found
		}
	}
	return at
}

// match fills the indexes in, and keeps what lies deeper than the attribute: elements of lists and maps of plain values.
func (c place) match(at problem.Path) (problem.Path, bool) {
	if len(at) < len(c.from) {
		return nil, false
	}
	var indexes []any
	for i, want := range c.from {
		switch step := at[i].(type) {
		case int:
			if want != star {
				return nil, false
			}
			indexes = append(indexes, step)
		case string:
			if bare(step) != want {
				return nil, false
			}
		default:
			return nil, false
		}
	}
	var filled problem.Path
	for _, step := range c.to {
		if step == star {
			step, indexes = indexes[0], indexes[1:]
		}
		filled = append(filled, step)
	}
	for _, rest := range at[len(c.from):] {
		if _, isName := rest.(string); isName {
			break
		}
		filled = append(filled, rest)
	}
	return filled, true
}

// oftenAlone are the blocks that may be written many times and most often are written once.
var oftenAlone = []string{"service"}

// OftenAlone reports whether at is the place of such a block.
func OftenAlone(at problem.Path) bool {
	return len(at) == 1 && slices.Contains(oftenAlone, at.String())
}

// Names are how the block of a configuration's place is written, and how people say it: see Spoken. Of a place in no such block, both
// are the same.
func Names(raw tftypes.Value, at *tftypes.AttributePath) (written, spoken string) {
	place := placeOf(at)
	block := place[:min(2, len(place))]
	return block.String(), Spoken(raw, block).String()
}

// Spoken is a place as people say it of a configuration: of a block that most often is written once, and is here, nobody says that it
// is the first.
func Spoken(raw tftypes.Value, at problem.Path) problem.Path {
	if len(at) < 2 || at[1] != 0 || !OftenAlone(at[:1]) {
		return at
	}
	found, _, err := tftypes.WalkAttributePath(raw, TerraformPath(at[:1]))
	var list []tftypes.Value
	if v, ok := found.(tftypes.Value); err != nil || !ok || !v.Type().Is(tftypes.List{}) || v.IsKnown() && v.As(&list) != nil || len(list) > 1 {
		return at
	}
	return at[:1].Child(at[2:]...)
}
