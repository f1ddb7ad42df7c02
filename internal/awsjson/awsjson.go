// Package awsjson writes and reads the types of aws-sdk-go-v2 in the JSON that AWS's JSON 1.1 protocol sends and that
// task definition files hold. The SDK's types carry no JSON tags and its own codec is private to each client, so the
// mapping is made here by reflection: a key is the field's name with its first letter in lower case, nil and empty
// values are left out, times are seconds since 1970. The package is pure.
package awsjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// Marshal returns v, a struct of the SDK or a pointer to one, as JSON with sorted keys. Unset fields are left out.
func Marshal(v any) ([]byte, error) {
	plain, _, err := encode(reflect.ValueOf(v))
	if err != nil {
		return nil, err
	}
	return json.Marshal(plain)
}

// MarshalIndent is Marshal with an indentation of two spaces and a final newline, for files that people read.
func MarshalIndent(v any) ([]byte, error) {
	compact, err := Marshal(v)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// Unmarshal reads JSON into the SDK type that v points to. A value of the wrong type is an error that names its path,
// such as containerDefinitions[0].cpu. Unknown keys are ignored, as AWS ignores them; UnmarshalStrict refuses them.
func Unmarshal(data []byte, v any) error { return unmarshal(data, v, false) }

// UnmarshalStrict is Unmarshal with unknown keys as errors.
func UnmarshalStrict(data []byte, v any) error { return unmarshal(data, v, true) }

func unmarshal(data []byte, v any, strict bool) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var plain any
	if err := dec.Decode(&plain); err != nil {
		return fmt.Errorf("parse JSON: %w", err)
	}
	if dec.More() {
		return fmt.Errorf("parse JSON: more than one value")
	}
	return decoder{strict}.decode(plain, reflect.ValueOf(v).Elem(), "")
}

var timeType = reflect.TypeFor[time.Time]()

// encode turns v into maps, slices and scalars. ok is false for what is to be left out.
func encode(v reflect.Value) (plain any, ok bool, err error) {
	switch v.Kind() {
	case reflect.Invalid:
		return nil, false, nil
	case reflect.Interface:
		return encodeUnion(v)
	case reflect.Pointer:
		if v.IsNil() {
			return nil, false, nil
		}
		plain, _, err = encode(v.Elem())
		return plain, true, err // a pointer to a zero value was set on purpose
	case reflect.Struct:
		if v.Type() == timeType {
			return json.Number(fmt.Sprintf("%.3f", float64(v.Interface().(time.Time).UnixMilli())/1e3)), true, nil
		}
		return encodeStruct(v)
	case reflect.Slice:
		return encodeSlice(v)
	case reflect.Map:
		return encodeMap(v)
	case reflect.String:
		return v.String(), v.Len() > 0, nil
	case reflect.Bool:
		return v.Bool(), v.Bool(), nil
	case reflect.Int, reflect.Int32, reflect.Int64:
		return v.Int(), v.Int() != 0, nil
	case reflect.Float32, reflect.Float64:
		return v.Float(), v.Float() != 0, nil
	default:
		return nil, false, fmt.Errorf("encode: no JSON form for %s", v.Type())
	}
}

func encodeStruct(v reflect.Value) (any, bool, error) {
	out := map[string]any{}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if skipped(field) {
			continue
		}
		plain, ok, err := encode(v.Field(i))
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", field.Name, err)
		}
		if ok {
			out[key(field)] = plain
		}
	}
	return out, true, nil
}

func encodeSlice(v reflect.Value) (any, bool, error) {
	if v.IsNil() {
		return nil, false, nil
	}
	out := make([]any, v.Len())
	for i := range out {
		plain, _, err := encode(v.Index(i))
		if err != nil {
			return nil, false, err
		}
		out[i] = plain
	}
	return out, true, nil
}

func encodeMap(v reflect.Value) (any, bool, error) {
	if v.IsNil() {
		return nil, false, nil
	}
	out := map[string]any{}
	for _, k := range v.MapKeys() {
		plain, _, err := encode(v.MapIndex(k))
		if err != nil {
			return nil, false, err
		}
		out[k.String()] = plain
	}
	return out, true, nil
}

type decoder struct{ strict bool }

func (d decoder) decode(plain any, v reflect.Value, path string) error {
	if plain == nil {
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.decode(plain, v.Elem(), path)
	case reflect.Struct:
		if v.Type() == timeType {
			return decodeTime(plain, v, path)
		}
		return d.decodeStruct(plain, v, path)
	case reflect.Slice:
		return d.decodeSlice(plain, v, path)
	case reflect.Map:
		return d.decodeMap(plain, v, path)
	case reflect.Interface:
		return d.decodeUnion(plain, v, path)
	default:
		return decodeScalar(plain, v, path)
	}
}

func (d decoder) decodeStruct(plain any, v reflect.Value, path string) error {
	object, ok := plain.(map[string]any)
	if !ok {
		return typeError(plain, "an object", path)
	}
	known := map[string]int{}
	for i := range v.NumField() {
		if field := v.Type().Field(i); !skipped(field) {
			known[key(field)] = i
		}
	}
	for _, k := range slices.Sorted(maps.Keys(object)) {
		i, ok := known[k]
		if !ok {
			if d.strict {
				return fmt.Errorf("%s: %s", join(path, k), problem.UnknownKey(k, slices.Collect(maps.Keys(known))))
			}
			continue
		}
		if err := d.decode(object[k], v.Field(i), join(path, k)); err != nil {
			return err
		}
	}
	return nil
}

func (d decoder) decodeSlice(plain any, v reflect.Value, path string) error {
	list, ok := plain.([]any)
	if !ok {
		return typeError(plain, "a list", path)
	}
	out := reflect.MakeSlice(v.Type(), len(list), len(list))
	for i := range list {
		if err := d.decode(list[i], out.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	v.Set(out)
	return nil
}

func (d decoder) decodeMap(plain any, v reflect.Value, path string) error {
	object, ok := plain.(map[string]any)
	if !ok {
		return typeError(plain, "an object", path)
	}
	out := reflect.MakeMap(v.Type())
	for k := range object {
		value := reflect.New(v.Type().Elem()).Elem()
		if err := d.decode(object[k], value, join(path, k)); err != nil {
			return err
		}
		out.SetMapIndex(reflect.ValueOf(k).Convert(v.Type().Key()), value)
	}
	v.Set(out)
	return nil
}

func decodeScalar(plain any, v reflect.Value, path string) error {
	switch v.Kind() {
	case reflect.String:
		s, ok := plain.(string)
		if !ok {
			return typeError(plain, "a string", path)
		}
		v.SetString(s)
	case reflect.Bool:
		b, ok := plain.(bool)
		if !ok {
			return typeError(plain, "true or false", path)
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int32, reflect.Int64:
		n, ok := plain.(json.Number)
		if !ok {
			return typeError(plain, "a whole number", path)
		}
		i, err := n.Int64()
		if err != nil || v.OverflowInt(i) {
			return typeError(plain, "a whole number", path)
		}
		v.SetInt(i)
	case reflect.Float32, reflect.Float64:
		n, ok := plain.(json.Number)
		if !ok {
			return typeError(plain, "a number", path)
		}
		f, err := n.Float64()
		if err != nil {
			return typeError(plain, "a number", path)
		}
		v.SetFloat(f)
	default:
		return fmt.Errorf("%s: decode: no JSON form for %s", path, v.Type())
	}
	return nil
}

func decodeTime(plain any, v reflect.Value, path string) error {
	n, ok := plain.(json.Number)
	if !ok {
		return typeError(plain, "seconds since 1970", path)
	}
	f, err := n.Float64()
	if err != nil {
		return typeError(plain, "seconds since 1970", path)
	}
	v.Set(reflect.ValueOf(time.UnixMilli(int64(f * 1e3)).UTC()))
	return nil
}

// skipped reports whether a field is no member of the JSON form: unexported or the SDK's marker types.
func skipped(f reflect.StructField) bool {
	return !f.IsExported() || f.Anonymous || f.Name == "ResultMetadata"
}

// key is the key of a field: its name with the first letter in lower case.
func key(f reflect.StructField) string { return lowerFirst(f.Name) }

func lowerFirst(name string) string { return strings.ToLower(name[:1]) + name[1:] }

func join(path, k string) string {
	if path == "" {
		return k
	}
	return path + "." + k
}

func typeError(plain any, want, path string) error {
	if path == "" {
		path = "(root)"
	}
	return fmt.Errorf("%s: got %s, want %s", path, describe(plain), want)
}

// describe names a JSON value without printing a long one: values may be secrets.
func describe(plain any) string {
	switch plain := plain.(type) {
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		return "a string"
	case bool:
		return fmt.Sprint(plain)
	default:
		return fmt.Sprint("the number ", plain)
	}
}
