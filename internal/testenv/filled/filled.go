// Package filled sets every field of a struct, so that a test sees which of them get lost on a way: tests on the surface compare
// what the provider offers with the types of AWS's SDK by it.
package filled

import (
	"fmt"
	"reflect"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// unions have the one member of each interface of the SDK that is met.
var unions = map[reflect.Type]func() any{
	reflect.TypeFor[ecstypes.SharingStrategy](): func() any { return &ecstypes.SharingStrategyMemberNvidiaMps{} },
}

// In sets every exported field of the struct that v points to, and of those below: texts to "x", numbers to a number above 0, flags to
// true, and lists and maps to one element. A field that is embedded and of an interface that is not known stays as it is.
func In[T any](v *T) *T {
	n := int64(0)
	fill(reflect.ValueOf(v).Elem(), &n)
	return v
}

func fill(v reflect.Value, n *int64) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			if isField(v.Type().Field(i)) {
				fill(v.Field(i), n)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n)
		fill(value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Interface:
		if member := unions[v.Type()]; member != nil {
			v.Set(reflect.ValueOf(member()))
			fill(v.Elem().Elem(), n)
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(*n)
	case reflect.Float64:
		v.SetFloat(float64(*n))
	}
}

func isField(f reflect.StructField) bool { return f.IsExported() && f.Name != "ResultMetadata" }

// Place is a field in a filled struct.
type Place struct {
	Path  string // as in Containers[0].Name
	value reflect.Value
}

// Empty reports whether the field has the zero value.
func (p Place) Empty() bool { return p.value.IsZero() }

// Clear sets the field to the zero value.
func (p Place) Clear() { p.value.SetZero() }

// Places are all fields of the struct that v points to, and of those below it, as far as they are set.
func Places[T any](v *T) []Place { return places(reflect.ValueOf(v).Elem(), "") }

func places(v reflect.Value, at string) []Place {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return places(v.Elem(), at)
		}
	case reflect.Slice:
		var all []Place
		for i := range v.Len() {
			all = append(all, places(v.Index(i), fmt.Sprintf("%s[%d]", at, i))...)
		}
		return all
	case reflect.Struct:
		var all []Place
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !isField(f) {
				continue
			}
			below := f.Name
			if at != "" {
				below = at + "." + f.Name
			}
			all = append(all, Place{below, v.Field(i)})
			all = append(all, places(v.Field(i), below)...)
		}
		return all
	}
	return nil
}
