package agentconfig

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// Rule is what a field's tag says about its value. The parser, the checks and the JSON Schema all read it.
type Rule struct {
	Key      string   // in the document
	Required bool     // the key must be there and hold more than null or an empty string
	Unique   bool     // no element of the list may be there twice
	Enum     []string // the strings allowed, besides the empty one where the field is not required
	Min, Max *int64   // bounds of a number
}

// RuleOf reads the json and rule tags of a field.
func RuleOf(field reflect.StructField) Rule {
	var r Rule
	r.Key, _, _ = strings.Cut(field.Tag.Get("json"), ",")
	for word := range strings.SplitSeq(field.Tag.Get("rule"), ",") {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "required":
			r.Required = true
		case "unique":
			r.Unique = true
		case "enum":
			r.Enum = strings.Split(value, "|")
		case "min":
			r.Min = bound(value)
		case "max":
			r.Max = bound(value)
		}
	}
	if r.Max != nil && r.Min == nil {
		r.Min = new(int64)
	}
	return r
}

func bound(value string) *int64 {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		panic("internal error: bound in a rule tag: " + value)
	}
	return &n
}

// checkRules applies the tags to every value in v.
func checkRules(v reflect.Value, path problem.Path, found *problem.List) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			checkRules(v.Elem(), path, found)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			rule := RuleOf(v.Type().Field(i))
			rule.check(v.Field(i), path.Child(rule.Key), found)
			checkRules(v.Field(i), path.Child(rule.Key), found)
		}
	case reflect.Slice:
		for i := range v.Len() {
			checkRules(v.Index(i), path.Child(i), found)
		}
	}
}

func (r Rule) check(v reflect.Value, path problem.Path, found *problem.List) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		r.checkString(v.String(), path, found)
	case reflect.Int, reflect.Int64:
		if n := v.Int(); r.Min != nil && n < *r.Min || r.Max != nil && n > *r.Max {
			found.Add(path, "is %d, want %s", n, r.bounds())
		}
	case reflect.Slice:
		if r.Unique {
			checkUnique(v, path, found)
		}
	}
}

func (r Rule) checkString(s string, path problem.Path, found *problem.List) {
	switch {
	case s == "" && r.Required:
		found.Add(path, "is empty")
	case s != "" && r.Enum != nil && !slices.Contains(r.Enum, s):
		found.Add(path, "is %q, want one of %s", s, strings.Join(r.Enum, ", "))
	}
}

func (r Rule) bounds() string {
	if r.Max == nil {
		return fmt.Sprintf("at least %d", *r.Min)
	}
	return fmt.Sprintf("%d to %d", *r.Min, *r.Max)
}

func checkUnique(list reflect.Value, path problem.Path, found *problem.List) {
	first := map[any]int{}
	for i := range list.Len() {
		value := list.Index(i).Interface()
		if j, twice := first[value]; twice {
			found.AddWith([]problem.Path{path.Child(j)}, path.Child(i), "%v is in the list twice", value)
			continue
		}
		first[value] = i
	}
}
