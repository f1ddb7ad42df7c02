package row

import (
	"cmp"
	"reflect"
	"slices"
)

// What a refresh makes of settings that the user left out: they stay out while they are AWS's defaults.

// Refreshed is the value as it is; nil if the user left it out and it is the default.
func Refreshed[T comparable](was *T, is, otherwise T) *T {
	if was == nil && is == otherwise {
		return nil
	}
	return &is
}

// RefreshedText is Refreshed for what AWS may not say at all, which then is the default.
func RefreshedText[T ~string](was *string, is T, otherwise string) *string {
	return Refreshed(was, cmp.Or(string(is), otherwise), otherwise)
}

// RefreshedSet keeps the user's order while the elements are the same.
func RefreshedSet(was, is []string) []string {
	a, b := slices.Sorted(slices.Values(was)), slices.Sorted(slices.Values(is))
	if slices.Equal(a, b) {
		return was
	}
	return b
}

// RefreshedList keeps the user's spelling while it means the same.
func RefreshedList[M, S any](was []M, is []S) []M {
	var asked []S
	ToSpec(&asked, was)
	if len(asked) == 0 && len(is) == 0 || reflect.DeepEqual(asked, is) {
		return was
	}
	var next []M
	FromSpec(&next, is)
	return next
}

// SameMeaning reports whether two models say the same once spell has written their defaults out.
func SameMeaning[M any](a, b M, spell func(*M)) bool {
	return reflect.DeepEqual(spelled(a, spell), spelled(b, spell))
}

// spelled works on a copy: models share what they point to.
func spelled[M any](m M, spell func(*M)) M {
	copied := deepCopy(reflect.ValueOf(&m).Elem()).Interface().(M)
	spell(&copied)
	return copied
}

func deepCopy(v reflect.Value) reflect.Value {
	switch copied := reflect.New(v.Type()).Elem(); {
	case v.Kind() == reflect.Pointer && !v.IsNil():
		copied.Set(reflect.New(v.Type().Elem()))
		copied.Elem().Set(deepCopy(v.Elem()))
		return copied
	case v.Kind() == reflect.Slice && v.Len() > 0:
		copied.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			copied.Index(i).Set(deepCopy(v.Index(i)))
		}
		return copied
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Map && v.Len() == 0: // an empty one is none
		return copied
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			copied.Field(i).Set(deepCopy(v.Field(i)))
		}
		return copied
	default:
		return v
	}
}
