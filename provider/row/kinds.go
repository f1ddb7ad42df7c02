package row

import (
	"fmt"
	"reflect"

	dataschema "github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
)

// The framework has types of rows for each kind of schema, whose fields have the same names. What a resource and something else
// take stands only once: as rows of a resource.

// DataSchema is that of a data source.
func DataSchema(description string, fields Fields) dataschema.Schema {
	attributes, blocks := fields.Split()
	return dataschema.Schema{MarkdownDescription: description, Attributes: dataAttributes(attributes), Blocks: dataBlocks(blocks)}
}

func dataAttributes(from map[string]schema.Attribute) map[string]dataschema.Attribute {
	all := map[string]dataschema.Attribute{}
	for name, a := range from {
		switch a.(type) {
		case schema.StringAttribute:
			all[name] = alike[dataschema.StringAttribute](a)
		case schema.Int32Attribute:
			all[name] = alike[dataschema.Int32Attribute](a)
		case schema.BoolAttribute:
			all[name] = alike[dataschema.BoolAttribute](a)
		case schema.ListAttribute:
			all[name] = alike[dataschema.ListAttribute](a)
		case schema.SetAttribute:
			all[name] = alike[dataschema.SetAttribute](a)
		case schema.MapAttribute:
			all[name] = alike[dataschema.MapAttribute](a)
		default:
			panic(fmt.Sprintf("internal error: %s is %T, of which data sources have no kind", name, a))
		}
	}
	return all
}

func dataBlocks(from map[string]schema.Block) map[string]dataschema.Block {
	all := map[string]dataschema.Block{}
	for name, b := range from {
		switch b := b.(type) {
		case schema.SingleNestedBlock:
			to := alike[dataschema.SingleNestedBlock](b)
			to.Attributes, to.Blocks = dataAttributes(b.Attributes), dataBlocks(b.Blocks)
			all[name] = to
		case schema.ListNestedBlock:
			to := alike[dataschema.ListNestedBlock](b)
			to.NestedObject = alike[dataschema.NestedBlockObject](b.NestedObject)
			to.NestedObject.Attributes, to.NestedObject.Blocks = dataAttributes(b.NestedObject.Attributes), dataBlocks(b.NestedObject.Blocks)
			all[name] = to
		default:
			panic(fmt.Sprintf("internal error: %s is %T, of which data sources have no kind", name, b))
		}
	}
	return all
}

// alike is a row of another kind of schema that says what from says, as far as it has fields for it. What a resource computes where
// nobody says it (FlagOr and its kin) is computed for its state alone.
func alike[T any](from any) T {
	var to T
	source, target := reflect.ValueOf(from), reflect.ValueOf(&to).Elem()
	for i := range target.NumField() {
		if field := source.FieldByName(target.Type().Field(i).Name); field.IsValid() && field.Type().AssignableTo(target.Field(i).Type()) {
			target.Field(i).Set(field)
		}
	}
	if optional := target.FieldByName("Optional"); optional.IsValid() && optional.Bool() {
		target.FieldByName("Computed").SetBool(false)
	}
	return to
}
