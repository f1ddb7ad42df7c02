package dataplanefile

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// unknownKeys lists the keys of the document that File has no field for.
func unknownKeys(data []byte) []string {
	var document any
	if err := json.Unmarshal(data, &document); err != nil {
		return nil // the reader of the document has told
	}
	found := strangers("", document, reflect.TypeFor[File]())
	slices.Sort(found)
	return found
}

// strangers lists what of value, an object under path, t has no field for. As encoding/json has it, case does not count.
func strangers(path string, value any, t reflect.Type) []string {
	object, ok := value.(map[string]any)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[TLS]() {
		t = reflect.TypeFor[tlsJSON]()
	}
	if !ok || t.Kind() != reflect.Struct {
		return nil
	}
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		fields[strings.ToLower(name)] = t.Field(i).Type
	}
	var found []string
	for key, inner := range object {
		if field, known := fields[strings.ToLower(key)]; known && key != "-" {
			found = append(found, strangers(path+key+".", inner, field)...)
		} else {
			found = append(found, path+key+": unknown key, passed over")
		}
	}
	return found
}
