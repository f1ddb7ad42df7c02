package models

import (
	"context"
	"fmt"
	"reflect"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// write is a field, or a whole model, as a value of Terraform's.
func write(ctx context.Context, from reflect.Value, typ tftypes.Type) (tftypes.Value, error) {
	if from.Type().Implements(valueType) {
		v, err := from.Interface().(attr.Value).ToTerraformValue(ctx)
		if err == nil && !typ.Equal(v.Type()) {
			err = fmt.Errorf("it is %s, want %s", v.Type(), typ)
		}
		return v, err
	}
	switch from.Kind() {
	case reflect.Pointer:
		if from.IsNil() {
			return tftypes.NewValue(typ, nil), nil
		}
		return write(ctx, from.Elem(), typ)
	case reflect.Struct:
		object, ok := typ.(tftypes.Object)
		if !ok {
			return tftypes.Value{}, fmt.Errorf("it is an object, want %s", typ)
		}
		all := make(map[string]tftypes.Value, len(object.AttributeTypes))
		if err := writeFields(ctx, all, from, object); err != nil {
			return tftypes.Value{}, err
		}
		if len(all) != len(object.AttributeTypes) {
			return tftypes.Value{}, fmt.Errorf("%s has %d of the fields, want %d", from.Type(), len(all), len(object.AttributeTypes))
		}
		return tftypes.NewValue(typ, all), nil
	case reflect.Slice:
		return writeList(ctx, from, typ)
	case reflect.Map:
		return writeTexts(ctx, from, typ)
	case reflect.String:
		return plain(typ, tftypes.String, from.String())
	case reflect.Bool:
		return plain(typ, tftypes.Bool, from.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return plain(typ, tftypes.Number, from.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return plain(typ, tftypes.Number, from.Uint())
	case reflect.Float64:
		return plain(typ, tftypes.Number, from.Float())
	default:
		return tftypes.Value{}, fmt.Errorf("%s is no kind of value that is known here", from.Type())
	}
}

// plain is a value that is neither an object nor a collection.
func plain(want, is tftypes.Type, v any) (tftypes.Value, error) {
	if !want.Is(is) {
		return tftypes.Value{}, fmt.Errorf("it is %s, want %s", is, want)
	}
	return tftypes.NewValue(want, v), nil
}

func writeFields(ctx context.Context, into map[string]tftypes.Value, from reflect.Value, object tftypes.Object) error {
	for i := range from.NumField() {
		field := from.Type().Field(i)
		if field.Anonymous {
			if err := writeFields(ctx, into, from.Field(i), object); err != nil {
				return err
			}
			continue
		}
		name := field.Tag.Get("tfsdk")
		typ, ok := object.AttributeTypes[name]
		if !ok {
			return fmt.Errorf("there is no %q", name)
		}
		v, err := write(ctx, from.Field(i), typ)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		into[name] = v
	}
	return nil
}

func writeList(ctx context.Context, from reflect.Value, typ tftypes.Type) (tftypes.Value, error) {
	var of tftypes.Type
	switch typ := typ.(type) {
	case tftypes.List:
		of = typ.ElementType
	case tftypes.Set:
		of = typ.ElementType
	default:
		return tftypes.Value{}, fmt.Errorf("it is a list, want %s", typ)
	}
	if from.IsNil() {
		return tftypes.NewValue(typ, nil), nil
	}
	all := make([]tftypes.Value, from.Len())
	for i := range all {
		v, err := write(ctx, from.Index(i), of)
		if err != nil {
			return tftypes.Value{}, fmt.Errorf("%d: %w", i, err)
		}
		all[i] = v
	}
	return tftypes.NewValue(typ, all), nil
}

func writeTexts(ctx context.Context, from reflect.Value, typ tftypes.Type) (tftypes.Value, error) {
	of, ok := typ.(tftypes.Map)
	if !ok {
		return tftypes.Value{}, fmt.Errorf("it is a map, want %s", typ)
	}
	if from.IsNil() {
		return tftypes.NewValue(typ, nil), nil
	}
	all := make(map[string]tftypes.Value, from.Len())
	for entries := from.MapRange(); entries.Next(); {
		v, err := write(ctx, entries.Value(), of.ElementType)
		if err != nil {
			return tftypes.Value{}, fmt.Errorf("%q: %w", entries.Key(), err)
		}
		all[entries.Key().String()] = v
	}
	return tftypes.NewValue(typ, all), nil
}
