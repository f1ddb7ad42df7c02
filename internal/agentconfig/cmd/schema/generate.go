package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
)

// object is a JSON Schema; encoding/json writes its keys sorted.
type object = map[string]any

// generate returns the schema. The comments of the types in the folder source become its descriptions.
func generate(source string) ([]byte, error) {
	docs, err := readDocs(source)
	if err != nil {
		return nil, fmt.Errorf("read comments: %w", err)
	}
	schema := structSchema(reflect.TypeFor[agentconfig.Config](), docs)
	schema["$schema"] = "http://json-schema.org/draft-07/schema#"
	schema["title"] = "CONSUL_ECS_CONFIG_JSON"
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err = enc.Encode(schema)
	return b.Bytes(), err
}

func structSchema(t reflect.Type, docs map[string]string) object {
	properties, required := object{}, []string{}
	for i := range t.NumField() {
		field := t.Field(i)
		rule := agentconfig.RuleOf(field)
		property := valueSchema(field.Type, rule, docs)
		if doc := docs[t.Name()+"."+field.Name]; doc != "" {
			property["description"] = doc
		}
		if rule.Required {
			required = append(required, rule.Key)
		} else {
			property["type"] = []any{property["type"], "null"}
		}
		properties[rule.Key] = property
	}
	schema := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		schema["required"] = required
	}
	if doc := docs[t.Name()]; doc != "" {
		schema["description"] = doc
	}
	return schema
}

func valueSchema(t reflect.Type, rule agentconfig.Rule, docs map[string]string) object {
	switch t.Kind() {
	case reflect.Pointer:
		return valueSchema(t.Elem(), rule, docs)
	case reflect.Struct:
		return structSchema(t, docs)
	case reflect.Slice:
		schema := object{"type": "array", "items": valueSchema(t.Elem(), agentconfig.Rule{}, docs)}
		if rule.Unique {
			schema["uniqueItems"] = true
		}
		return schema
	case reflect.Map:
		schema := object{"type": "object"}
		if t.Elem().Kind() == reflect.String {
			schema["additionalProperties"] = object{"type": []any{"string", "null"}}
		}
		return schema
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return numberSchema(rule)
	case reflect.String:
		return stringSchema(rule)
	default:
		panic("internal error: no JSON Schema for " + t.String())
	}
}

func numberSchema(rule agentconfig.Rule) object {
	schema := object{"type": "integer"}
	if rule.Min != nil {
		schema["minimum"] = *rule.Min
	}
	if rule.Max != nil {
		schema["maximum"] = *rule.Max
	}
	return schema
}

func stringSchema(rule agentconfig.Rule) object {
	schema := object{"type": "string"}
	switch {
	case rule.Enum != nil && rule.Required:
		schema["enum"] = rule.Enum
	case rule.Enum != nil:
		allowed := []any{"", nil}
		for _, value := range rule.Enum {
			allowed = append(allowed, value)
		}
		schema["enum"] = allowed
	case rule.Required:
		schema["minLength"] = 1
	}
	return schema
}

// readDocs maps Type and Type.Field to the comments in a folder's Go files.
func readDocs(folder string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, err
	}
	docs := map[string]string{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			if types, ok := decl.(*ast.GenDecl); ok {
				addDocs(docs, types)
			}
		}
	}
	if len(docs) == 0 {
		return nil, fmt.Errorf("no Go types in %s", folder)
	}
	return docs, nil
}

func addDocs(docs map[string]string, types *ast.GenDecl) {
	for _, spec := range types.Specs {
		named, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		fields, ok := named.Type.(*ast.StructType)
		if !ok {
			continue
		}
		docs[named.Name.Name] = oneLine(types.Doc.Text())
		for _, field := range fields.Fields.List {
			for _, name := range field.Names {
				docs[named.Name.Name+"."+name.Name] = oneLine(field.Comment.Text())
			}
		}
	}
}

func oneLine(comment string) string { return strings.Join(strings.Fields(comment), " ") }
