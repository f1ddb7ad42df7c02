package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"reflect"
	"strings"
	"text/template"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
)

// guideText is the page around the tables.
//
//go:embed settings.md.tmpl
var guideText string

// guide returns the page of all settings. The comments of the types in the two folders say what each key means.
func guide(configSource, fileSource string) ([]byte, error) {
	var tables struct{ Config, File string }
	for _, part := range []struct {
		source string
		of     reflect.Type
		table  *string
	}{
		{configSource, reflect.TypeFor[agentconfig.Config](), &tables.Config},
		{fileSource, reflect.TypeFor[dataplanefile.File](), &tables.File},
	} {
		docs, err := readDocs(part.source)
		if err != nil {
			return nil, fmt.Errorf("read comments: %w", err)
		}
		*part.table = strings.Join(rows(part.of, "", docs), "\n")
	}
	page, err := template.New("settings").Parse(guideText)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = page.Execute(&b, tables)
	return b.Bytes(), err
}

// rows are the keys of a type and of the types in it, one line of a table each.
func rows(t reflect.Type, path string, docs map[string]string) []string {
	var all []string
	for i := range t.NumField() {
		field := t.Field(i)
		rule := agentconfig.RuleOf(field)
		if rule.Key == "-" {
			continue
		}
		key, inner := path+rule.Key, element(field.Type)
		doc := docs[t.Name()+"."+field.Name]
		if doc == "" && inner.Kind() == reflect.Struct {
			doc = docs[inner.Name()]
		}
		all = append(all, fmt.Sprintf("| `%s` | %s | %s |", key, kind(field.Type, rule), strings.ReplaceAll(doc, "|", `\|`)))
		if inner.Kind() == reflect.Struct && t != reflect.TypeFor[agentconfig.FurtherService]() { // whose parts stand above, with other defaults
			all = append(all, rows(inner, key+dots(field.Type), docs)...)
		}
	}
	return all
}

// element is what a pointer or a list is of.
func element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t
}

func dots(t reflect.Type) string {
	if t.Kind() == reflect.Slice {
		return "[]."
	}
	return "."
}

// kind is a type in the words of JSON, with what the rule says about its values.
func kind(t reflect.Type, rule agentconfig.Rule) string {
	text := word(t)
	switch {
	case rule.Enum != nil:
		text += ": " + strings.Join(rule.Enum, ", ")
	case rule.Min != nil && rule.Max != nil:
		text += fmt.Sprintf(", %d to %d", *rule.Min, *rule.Max)
	case rule.Min != nil:
		text += fmt.Sprintf(", at least %d", *rule.Min)
	}
	if rule.Required {
		text += ", required"
	}
	return text
}

func word(t reflect.Type) string {
	if t == reflect.TypeFor[dataplanefile.Duration]() {
		return "duration"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return word(t.Elem())
	case reflect.Slice:
		return "list of " + word(t.Elem()) + "s"
	case reflect.Map, reflect.Struct:
		return "object"
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int64:
		return "integer"
	case reflect.String:
		return "string"
	default:
		panic("internal error: no word for " + t.String())
	}
}
