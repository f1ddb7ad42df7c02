package row

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	dataschema "github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
)

// The models mirror the types that they are translated to, field by field, so one function translates them all. A field of
// a model goes to the field of the same Go name, or of the name in its tag `spec`; spec:"-" is translated by hand. What a
// user writes as a map may be a list of pairs to AWS.

// ToSpec sets the fields of the struct that dst points to from the model src. Nil fields leave dst's alone. Models and
// their targets are ours, so a mismatch is an error of the program and panics.
func ToSpec(dst, src any) { forward(reflect.ValueOf(dst).Elem(), reflect.ValueOf(src)) }

// FromSpec is the way back: it sets the model that dst points to from src. Zero values and empty ones become nil, since
// ECS does not tell them from unset; a number or a flag that src points to is said, also 0 and false.
func FromSpec(dst, src any) { backward(reflect.ValueOf(dst).Elem(), reflect.ValueOf(src), false) }

// FromWritten is FromSpec for what a person wrote: a text that src points to is said, too, even if it is empty.
func FromWritten(dst, src any) { backward(reflect.ValueOf(dst).Elem(), reflect.ValueOf(src), true) }

func forward(dst, src reflect.Value) {
	switch {
	case src.Kind() == reflect.Pointer:
		if !src.IsNil() {
			forward(dst, src.Elem())
		}
	case dst.Kind() == reflect.Pointer:
		dst.Set(reflect.New(dst.Type().Elem()))
		forward(dst.Elem(), src)
	case src.Kind() == reflect.Struct:
		eachField(src, dst, func(from, to reflect.Value) { forward(to, from) })
	case src.Kind() == reflect.Slice:
		if src.IsNil() {
			return
		}
		dst.Set(reflect.MakeSlice(dst.Type(), src.Len(), src.Len()))
		for i := range src.Len() {
			forward(dst.Index(i), src.Index(i))
		}
	case src.Kind() == reflect.Map && dst.Kind() == reflect.Slice:
		forwardPairs(dst, src)
	case src.Kind() == reflect.Map:
		if !src.IsNil() {
			dst.Set(src.Convert(dst.Type()))
		}
	default:
		dst.Set(src.Convert(dst.Type()))
	}
}

func backward(dst, src reflect.Value, written bool) {
	switch {
	case empty(src):
	case src.Kind() == reflect.Pointer && dst.Kind() == reflect.Pointer && src.Elem().Kind() != reflect.Struct && (written || src.Elem().Kind() != reflect.String):
		dst.Set(reflect.New(dst.Type().Elem()))
		dst.Elem().Set(src.Elem().Convert(dst.Type().Elem()))
	case src.Kind() == reflect.Pointer:
		backward(dst, src.Elem(), written)
	case dst.Kind() == reflect.Pointer:
		dst.Set(reflect.New(dst.Type().Elem()))
		backward(dst.Elem(), src, written)
	case src.Kind() == reflect.Struct:
		eachField(dst, src, func(to, from reflect.Value) { backward(to, from, written) })
	case src.Kind() == reflect.Slice && dst.Kind() == reflect.Map:
		backwardPairs(dst, src)
	case src.Kind() == reflect.Slice:
		dst.Set(reflect.MakeSlice(dst.Type(), src.Len(), src.Len()))
		for i := range src.Len() {
			backward(dst.Index(i), src.Index(i), written)
		}
	default:
		dst.Set(src.Convert(dst.Type()))
	}
}

// forwardPairs writes a map of texts as AWS does: as a list of names with a Value or a ValueFrom, here in the order of the names.
func forwardPairs(dst, src reflect.Value) {
	names := src.MapKeys()
	slices.SortFunc(names, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
	for _, name := range names {
		pair := reflect.New(dst.Type().Elem()).Elem()
		forward(pair.FieldByName("Name"), name)
		forward(pairValue(pair), src.MapIndex(name))
		dst.Set(reflect.Append(dst, pair))
	}
}

func backwardPairs(dst, src reflect.Value) {
	dst.Set(reflect.MakeMap(dst.Type()))
	for i := range src.Len() {
		var name, value string
		backward(reflect.ValueOf(&name).Elem(), src.Index(i).FieldByName("Name"), false)
		backward(reflect.ValueOf(&value).Elem(), pairValue(src.Index(i)), false)
		dst.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(value))
	}
}

func pairValue(pair reflect.Value) reflect.Value {
	if v := pair.FieldByName("ValueFrom"); v.IsValid() {
		return v
	}
	return pair.FieldByName("Value")
}

// eachField calls visit with each field of the model and its counterpart.
func eachField(model, other reflect.Value, visit func(model, other reflect.Value)) {
	for i := range model.NumField() {
		field := model.Type().Field(i)
		if field.Anonymous {
			eachField(model.Field(i), other, visit)
			continue
		}
		name := field.Name
		if tag, ok := field.Tag.Lookup("spec"); ok {
			name = tag
		}
		if name == "-" {
			continue
		}
		counterpart := other.FieldByName(name)
		if !counterpart.IsValid() {
			panic(fmt.Sprintf("internal error: %s has no field %s for %s.%s", other.Type(), name, model.Type(), field.Name))
		}
		visit(model.Field(i), counterpart)
	}
}

// empty reports whether a value says no more than an absent one. A pointer to a number or a boolean says something.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return v.IsNil() || v.Elem().Kind() == reflect.Struct && empty(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if !empty(v.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	default:
		return v.IsZero()
	}
}

// Overlay returns base with every field that over sets: the resource's settings over the provider's. Both are pointers to
// models of one type; lists and maps are taken whole.
func Overlay[T any](base, over *T) *T {
	if base == nil || over == nil {
		if over != nil {
			return over
		}
		return base
	}
	merged := *base
	overlayStruct(reflect.ValueOf(&merged).Elem(), reflect.ValueOf(over).Elem())
	return &merged
}

func overlayStruct(dst, over reflect.Value) {
	for i := range over.NumField() {
		to, from := dst.Field(i), over.Field(i)
		switch {
		case from.IsZero():
		case from.Kind() == reflect.Pointer && from.Elem().Kind() == reflect.Struct && !to.IsNil():
			copied := reflect.New(to.Type().Elem())
			copied.Elem().Set(to.Elem())
			overlayStruct(copied.Elem(), from.Elem())
			to.Set(copied)
		default:
			to.Set(from)
		}
	}
}

// Value is what p points to; the zero value if it is nil.
func Value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// Spell sets what is nil to its default.
func Spell[T any](p **T, otherwise T) {
	if *p == nil {
		*p = &otherwise
	}
}

// The framework has types of rows for each kind of schema, whose fields have the same names. What a resource and something else
// take stands only once: as rows of a resource.

// DataSchema is that of a data source.
func DataSchema(description string, fields Fields) dataschema.Schema {
	attributes, blocks := fields.Split()
	return dataschema.Schema{MarkdownDescription: description, Attributes: dataAttributes(attributes), Blocks: dataBlocks(blocks)}
}

func dataAttributes(from map[string]schema.Attribute) map[string]dataschema.Attribute {
	all := map[string]dataschema.Attribute{}
	for name, a := range from {
		switch a.(type) {
		case schema.StringAttribute:
			all[name] = alike[dataschema.StringAttribute](a)
		case schema.Int32Attribute:
			all[name] = alike[dataschema.Int32Attribute](a)
		case schema.BoolAttribute:
			all[name] = alike[dataschema.BoolAttribute](a)
		case schema.ListAttribute:
			all[name] = alike[dataschema.ListAttribute](a)
		case schema.SetAttribute:
			all[name] = alike[dataschema.SetAttribute](a)
		case schema.MapAttribute:
			all[name] = alike[dataschema.MapAttribute](a)
		default:
			panic(fmt.Sprintf("internal error: %s is %T, of which data sources have no kind", name, a))
		}
	}
	return all
}

func dataBlocks(from map[string]schema.Block) map[string]dataschema.Block {
	all := map[string]dataschema.Block{}
	for name, b := range from {
		switch b := b.(type) {
		case schema.SingleNestedBlock:
			to := alike[dataschema.SingleNestedBlock](b)
			to.Attributes, to.Blocks = dataAttributes(b.Attributes), dataBlocks(b.Blocks)
			all[name] = to
		case schema.ListNestedBlock:
			to := alike[dataschema.ListNestedBlock](b)
			to.NestedObject = alike[dataschema.NestedBlockObject](b.NestedObject)
			to.NestedObject.Attributes, to.NestedObject.Blocks = dataAttributes(b.NestedObject.Attributes), dataBlocks(b.NestedObject.Blocks)
			all[name] = to
		default:
			panic(fmt.Sprintf("internal error: %s is %T, of which data sources have no kind", name, b))
		}
	}
	return all
}

// alike is a row of another kind of schema that says what from says, as far as it has fields for it. What a resource computes where
// nobody says it (FlagOr and its kin) is computed for its state alone.
func alike[T any](from any) T {
	var to T
	source, target := reflect.ValueOf(from), reflect.ValueOf(&to).Elem()
	for i := range target.NumField() {
		if field := source.FieldByName(target.Type().Field(i).Name); field.IsValid() && field.Type().AssignableTo(target.Field(i).Type()) {
			target.Field(i).Set(field)
		}
	}
	if optional := target.FieldByName("Optional"); optional.IsValid() && optional.Bool() {
		target.FieldByName("Computed").SetBool(false)
	}
	return to
}
