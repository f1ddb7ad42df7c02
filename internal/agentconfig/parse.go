package agentconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// Parse reads the document strictly. Unknown keys, values of a wrong type and values that Problems finds are reported
// together, each with its JSON path. null is as absent, which is what the incumbent's module writes for values not set.
// Values are not printed when their type is wrong: they may be secrets that went astray.
func Parse(data []byte) (Config, error) {
	plain, err := decodeJSON(data)
	if err != nil {
		return Config{}, fmt.Errorf("parse agent configuration: %w", err)
	}
	var cfg Config
	var d decoder
	d.decode(plain, reflect.ValueOf(&cfg).Elem(), nil)
	wrong := make([]problem.Path, len(d.found))
	for i, p := range d.found {
		wrong[i] = p.Path
	}
	found := append(d.found, cfg.Problems().Without(wrong...)...)
	if err := found.Err(); err != nil {
		return Config{}, fmt.Errorf("parse agent configuration: %w", err)
	}
	return cfg, nil
}

// Marshal writes the document without white space, keys in the order of the types, maps sorted.
func Marshal(cfg Config) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // the document counts against the 64 KiB of a task definition
	if err := enc.Encode(cfg); err != nil {
		return nil, fmt.Errorf("write agent configuration: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func decodeJSON(data []byte) (plain any, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&plain); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the document is empty")
		}
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("no JSON at byte %d: %w", syntax.Offset, err)
		}
		return nil, fmt.Errorf("no JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("text after the document at byte %d", dec.InputOffset())
	}
	return plain, nil
}

type decoder struct{ found problem.List }

// decode writes plain, which decodeJSON made, into v.
func (d *decoder) decode(plain any, v reflect.Value, path problem.Path) {
	if plain == nil {
		if len(path) == 0 {
			d.wrongType(plain, "an object", path)
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(plain, v.Elem(), path)
	case reflect.Struct:
		d.decodeStruct(plain, v, path)
	case reflect.Slice:
		d.decodeSlice(plain, v, path)
	case reflect.Map:
		d.decodeMap(plain, v, path)
	case reflect.Interface:
		v.Set(reflect.ValueOf(opaque(plain)))
	case reflect.String:
		if s, ok := plain.(string); ok {
			v.SetString(s)
			return
		}
		d.wrongType(plain, "a string", path)
	case reflect.Bool:
		if b, ok := plain.(bool); ok {
			v.SetBool(b)
			return
		}
		d.wrongType(plain, "true or false", path)
	case reflect.Int, reflect.Int64:
		d.decodeInt(plain, v, path)
	default:
		panic("internal error: agent configuration has a field of type " + v.Type().String())
	}
}

func (d *decoder) decodeInt(plain any, v reflect.Value, path problem.Path) {
	number, ok := plain.(json.Number)
	if !ok {
		d.wrongType(plain, "a whole number", path)
		return
	}
	n, err := number.Int64()
	if err != nil {
		d.wrongType(plain, "a whole number", path)
		return
	}
	v.SetInt(n)
}

func (d *decoder) decodeStruct(plain any, v reflect.Value, path problem.Path) {
	object, ok := plain.(map[string]any)
	if !ok {
		d.wrongType(plain, "an object", path)
		return
	}
	known := map[string]bool{}
	for i := range v.NumField() {
		rule := RuleOf(v.Type().Field(i))
		known[rule.Key] = true
		if rule.Required && object[rule.Key] == nil {
			d.found.Add(path.Child(rule.Key), "is missing")
			continue
		}
		d.decode(object[rule.Key], v.Field(i), path.Child(rule.Key))
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		switch {
		case known[key]:
		case len(path) == 0 && key == "gateway":
			d.found.Add(path.Child(key), "gateways are not supported by this version")
		default:
			d.found.AddUnknownKey(path.Child(key), key, slices.Collect(maps.Keys(known)))
		}
	}
}

func (d *decoder) decodeSlice(plain any, v reflect.Value, path problem.Path) {
	list, ok := plain.([]any)
	if !ok {
		d.wrongType(plain, "a list", path)
		return
	}
	out := reflect.MakeSlice(v.Type(), len(list), len(list))
	for i, element := range list {
		if element == nil {
			d.wrongType(element, "a value", path.Child(i))
			continue
		}
		d.decode(element, out.Index(i), path.Child(i))
	}
	v.Set(out)
}

func (d *decoder) decodeMap(plain any, v reflect.Value, path problem.Path) {
	object, ok := plain.(map[string]any)
	if !ok {
		d.wrongType(plain, "an object", path)
		return
	}
	out := reflect.MakeMap(v.Type())
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if object[key] == nil && v.Type().Elem().Kind() == reflect.String {
			continue
		}
		value := reflect.New(v.Type().Elem()).Elem()
		d.decode(object[key], value, path.Child(key))
		out.SetMapIndex(reflect.ValueOf(key), value)
	}
	v.Set(out)
}

// opaque turns json.Number into float64 everywhere in plain, the form that readers of opaque configuration expect.
func opaque(plain any) any {
	switch plain := plain.(type) {
	case json.Number:
		f, err := plain.Float64()
		if err != nil {
			return plain.String() // beyond float64's range
		}
		return f
	case map[string]any:
		for key, value := range plain {
			plain[key] = opaque(value)
		}
	case []any:
		for i, value := range plain {
			plain[i] = opaque(value)
		}
	}
	return plain
}

func (d *decoder) wrongType(plain any, want string, path problem.Path) {
	got := "null"
	switch plain := plain.(type) {
	case map[string]any:
		got = "an object"
	case []any:
		got = "a list"
	case string:
		got = "a string"
	case bool:
		got = fmt.Sprint(plain)
	case json.Number:
		got = "the number " + plain.String()
	}
	d.found.Add(path, "got %s, want %s", got, want)
}
