// Package models reads Terraform's values into models of Go, and writes them back, as the plugin framework's own Get and Set do. Those
// check the name of each field by a regular expression that they compile anew, and work the type of each block out from the schema
// below it, for every value of every call. What is not as it should be is left to the framework, which says so in its own words.
package models

import (
	"context"
	"fmt"
	"math/big"
	"reflect"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Get reads a state, or what has its form, into the model that model points to, which is empty so far.
func Get[M any](ctx context.Context, from tfsdk.State, model *M) diag.Diagnostics {
	r := reader{ctx, from}
	if err := r.object(reflect.ValueOf(model).Elem(), from.Raw, true); err == nil {
		return nil
	}
	var empty M
	*model = empty
	return from.Get(ctx, model)
}

// Set writes the model that model points to into a state.
func Set[M any](ctx context.Context, to *tfsdk.State, model *M) diag.Diagnostics {
	if v, err := write(ctx, reflect.ValueOf(model).Elem(), to.Raw.Type()); err == nil {
		to.Raw = v
		return nil
	}
	return to.Set(ctx, model)
}

// valueType is that of fields which are the framework's values themselves.
var valueType = reflect.TypeFor[attr.Value]()

type reader struct {
	ctx  context.Context
	from tfsdk.State
}

// object reads an object into a struct, each of whose fields is one of the object's. Those of an embedded struct count as its own.
func (r reader) object(into reflect.Value, from tftypes.Value, isRoot bool) error {
	var all map[string]tftypes.Value
	if !from.IsKnown() || from.IsNull() {
		return fmt.Errorf("there is no object")
	}
	if err := from.As(&all); err != nil {
		return err
	}
	read, err := r.fields(into, all, isRoot)
	if err == nil && read != len(all) {
		err = fmt.Errorf("%s has %d of the fields, want %d", into.Type(), read, len(all))
	}
	return err
}

func (r reader) fields(into reflect.Value, all map[string]tftypes.Value, isRoot bool) (read int, _ error) {
	for i := range into.NumField() {
		field := into.Type().Field(i)
		if field.Anonymous {
			more, err := r.fields(into.Field(i), all, isRoot)
			if err != nil {
				return 0, err
			}
			read += more
			continue
		}
		name := field.Tag.Get("tfsdk")
		v, ok := all[name]
		if !ok {
			return 0, fmt.Errorf("there is no %q", name)
		}
		read++
		err := error(nil)
		switch isValue := field.Type.Implements(valueType); {
		case isValue && isRoot:
			err = r.value(into.Field(i), v, name)
		case isValue:
			err = fmt.Errorf("its type is not known here")
		default:
			err = r.read(into.Field(i), v)
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
	}
	return read, nil
}

// value reads what the framework has a value for, by the schema's type.
func (r reader) value(into reflect.Value, from tftypes.Value, name string) error {
	typ, diags := r.from.Schema.TypeAtPath(r.ctx, path.Root(name))
	if diags.HasError() {
		return fmt.Errorf("no type: %v", diags)
	}
	v, err := typ.ValueFromTerraform(r.ctx, from)
	if err != nil {
		return err
	}
	is := reflect.ValueOf(v)
	if !is.Type().AssignableTo(into.Type()) {
		return fmt.Errorf("it is %T, want %s", v, into.Type())
	}
	into.Set(is)
	return nil
}

// read reads any other value: what is null is a nil pointer, list or map, what is not known fits nowhere.
func (r reader) read(into reflect.Value, from tftypes.Value) error {
	switch {
	case !from.IsKnown():
		return fmt.Errorf("it is not known")
	case from.IsNull() && (into.Kind() == reflect.Pointer || into.Kind() == reflect.Slice || into.Kind() == reflect.Map):
		return nil
	case from.IsNull():
		return fmt.Errorf("it is null")
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		return r.read(into.Elem(), from)
	case reflect.Struct:
		return r.object(into, from, false)
	case reflect.Slice:
		return r.list(into, from)
	case reflect.Map:
		return r.texts(into, from)
	case reflect.String:
		var text string
		err := from.As(&text)
		into.SetString(text)
		return err
	case reflect.Bool:
		var yes bool
		err := from.As(&yes)
		into.SetBool(yes)
		return err
	default:
		return readNumber(into, from)
	}
}

func (r reader) list(into reflect.Value, from tftypes.Value) error {
	var all []tftypes.Value
	if err := from.As(&all); err != nil {
		return err
	}
	into.Set(reflect.MakeSlice(into.Type(), len(all), len(all)))
	for i := range all {
		if err := r.read(into.Index(i), all[i]); err != nil {
			return fmt.Errorf("%d: %w", i, err)
		}
	}
	return nil
}

func (r reader) texts(into reflect.Value, from tftypes.Value) error {
	var all map[string]tftypes.Value
	if err := from.As(&all); err != nil {
		return err
	}
	into.Set(reflect.MakeMapWithSize(into.Type(), len(all)))
	for key, v := range all {
		element := reflect.New(into.Type().Elem()).Elem()
		if err := r.read(element, v); err != nil {
			return fmt.Errorf("%q: %w", key, err)
		}
		into.SetMapIndex(reflect.ValueOf(key).Convert(into.Type().Key()), element)
	}
	return nil
}

func readNumber(into reflect.Value, from tftypes.Value) error {
	var n big.Float
	if err := from.As(&n); err != nil {
		return err
	}
	switch {
	case into.CanInt():
		whole, exact := n.Int64()
		if exact != big.Exact || into.OverflowInt(whole) {
			return fmt.Errorf("%s has no place in %s", n.String(), into.Type())
		}
		into.SetInt(whole)
		return nil
	case into.CanUint():
		whole, exact := n.Uint64()
		if exact != big.Exact || into.OverflowUint(whole) {
			return fmt.Errorf("%s has no place in %s", n.String(), into.Type())
		}
		into.SetUint(whole)
		return nil
	case into.Kind() == reflect.Float64:
		decimal, _ := n.Float64()
		if near := big.NewFloat(decimal); n.Text('f', -1) != near.Text('f', -1) { // too great, too small, or of too many digits
			return fmt.Errorf("%s has no place in %s", n.String(), into.Type())
		}
		into.SetFloat(decimal)
		return nil
	default:
		return fmt.Errorf("%s is no kind of value that is known here", into.Type())
	}
}
