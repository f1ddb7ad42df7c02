// Package given reads values that have no schema of their own, as functions get them, by the schema of a resource: with the
// conversions that Terraform makes of a configuration, and with an error for each key that the schema does not have. Terraform itself
// checks nothing of such values, and drops nothing without a word here.
package given

import (
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// Read converts a value, which is wholly known, to a type. What does not fit is told by its place, and is null in what is returned.
// Values are not printed where their type is wrong: they may be secrets that went astray. oftenAlone tells of the lists for which their
// only element will do.
func Read(value tftypes.Value, as tftypes.Type, oftenAlone func(problem.Path) bool) (tftypes.Value, problem.List) {
	r := reader{oftenAlone: oftenAlone}
	read := r.read(value, as, problem.At())
	return read, r.found
}

type reader struct {
	oftenAlone func(problem.Path) bool
	found      problem.List
}

func (r *reader) read(v tftypes.Value, as tftypes.Type, at problem.Path) tftypes.Value {
	if v.IsNull() {
		return tftypes.NewValue(as, nil)
	}
	switch as := as.(type) {
	case tftypes.Object:
		return r.object(v, as, at)
	case tftypes.Map:
		return r.texts(v, as, at)
	case tftypes.List:
		return r.list(v, as, as.ElementType, at)
	case tftypes.Set:
		return r.list(v, as, as.ElementType, at)
	}
	converted, ok := primitive(v, as)
	if !ok {
		return r.refuse(v, wanted(as), as, at)
	}
	return converted
}

func (r *reader) object(v tftypes.Value, as tftypes.Object, at problem.Path) tftypes.Value {
	fields, ok := fieldsOf(v)
	if !ok {
		return r.refuse(v, "an object", as, at)
	}
	known := slices.Collect(maps.Keys(as.AttributeTypes))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if as.AttributeTypes[name] == nil {
			r.found.AddUnknownKey(at.Child(name), name, known)
		}
	}
	all := map[string]tftypes.Value{}
	for _, name := range slices.Sorted(slices.Values(known)) {
		typ := as.AttributeTypes[name]
		all[name] = tftypes.NewValue(typ, nil)
		if field, ok := fields[name]; ok {
			all[name] = r.read(field, typ, at.Child(name))
		}
	}
	return tftypes.NewValue(as, all)
}

func (r *reader) texts(v tftypes.Value, as tftypes.Map, at problem.Path) tftypes.Value {
	fields, ok := fieldsOf(v)
	if !ok {
		return r.refuse(v, "a map", as, at)
	}
	all := map[string]tftypes.Value{}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		all[key] = r.element(fields[key], as.ElementType, at.Child(problem.Key(key)))
	}
	return tftypes.NewValue(as, all)
}

func (r *reader) list(v tftypes.Value, as, element tftypes.Type, at problem.Path) tftypes.Value {
	var elements []tftypes.Value
	if _, isOne := fieldsOf(v); isOne && r.oftenAlone(at) {
		return tftypes.NewValue(as, []tftypes.Value{r.read(v, element, at)})
	}
	if !isList(v.Type()) || v.As(&elements) != nil {
		return r.refuse(v, "a list", as, at)
	}
	all := make([]tftypes.Value, len(elements))
	for i, e := range elements {
		all[i] = r.element(e, element, at.Child(i))
	}
	return tftypes.NewValue(as, all)
}

// element is for what must not be null: it would be left out without a word.
func (r *reader) element(v tftypes.Value, as tftypes.Type, at problem.Path) tftypes.Value {
	if v.IsNull() {
		r.found.Add(at, "is null: give it a value, or leave it out")
	}
	return r.read(v, as, at)
}

func (r *reader) refuse(v tftypes.Value, want string, as tftypes.Type, at problem.Path) tftypes.Value {
	r.found.Add(at, "got %s, want %s", described(v.Type()), want)
	return tftypes.NewValue(as, nil)
}

// fieldsOf are the fields of an object or of a map, which expressions such as merge(...) make of objects.
func fieldsOf(v tftypes.Value) (map[string]tftypes.Value, bool) {
	var fields map[string]tftypes.Value
	ok := v.Type().Is(tftypes.Object{}) || v.Type().Is(tftypes.Map{})
	return fields, ok && v.As(&fields) == nil
}

func isList(t tftypes.Type) bool {
	return t.Is(tftypes.List{}) || t.Is(tftypes.Set{}) || t.Is(tftypes.Tuple{})
}

// numberPrecision is Terraform's own, in bits.
const numberPrecision = 512

// primitive converts texts, numbers and flags into each other as Terraform does.
func primitive(v tftypes.Value, as tftypes.Type) (tftypes.Value, bool) {
	if v.Type().Is(as) {
		return v, true
	}
	var text string
	var number big.Float
	var flag bool
	switch {
	case as.Is(tftypes.String) && v.Type().Is(tftypes.Number) && v.As(&number) == nil:
		return tftypes.NewValue(as, number.Text('f', -1)), true
	case as.Is(tftypes.String) && v.Type().Is(tftypes.Bool) && v.As(&flag) == nil:
		return tftypes.NewValue(as, fmt.Sprint(flag)), true
	case !v.Type().Is(tftypes.String) || v.As(&text) != nil:
		return v, false
	case as.Is(tftypes.Bool) && (text == "true" || text == "false"):
		return tftypes.NewValue(as, text == "true"), true
	case as.Is(tftypes.Number):
		parsed, _, err := big.ParseFloat(text, 10, numberPrecision, big.ToNearestEven)
		return tftypes.NewValue(as, parsed), err == nil
	}
	return v, false
}

func wanted(t tftypes.Type) string {
	switch {
	case t.Is(tftypes.Number):
		return "a number"
	case t.Is(tftypes.Bool):
		return "true or false"
	}
	return "a string"
}

func described(t tftypes.Type) string {
	switch {
	case t.Is(tftypes.String):
		return "a string"
	case t.Is(tftypes.Number):
		return "a number"
	case t.Is(tftypes.Bool):
		return "a flag"
	case isList(t):
		return "a list"
	}
	return "an object"
}
