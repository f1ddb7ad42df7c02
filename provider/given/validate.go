package given

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Validate has the validators of a schema look at a value that Read has made, and asks for what is required: what Terraform and the
// framework do for a configuration.
func Validate(ctx context.Context, of schema.Schema, config tfsdk.Config) diag.Diagnostics {
	v := validation{config: config}
	v.fields(ctx, of.Attributes, of.Blocks, config.Raw, path.Empty())
	return v.found
}

type validation struct {
	config tfsdk.Config
	found  diag.Diagnostics
}

func (v *validation) fields(ctx context.Context, attributes map[string]schema.Attribute, blocks map[string]schema.Block, raw tftypes.Value, at path.Path) {
	var values map[string]tftypes.Value
	if raw.IsNull() || raw.As(&values) != nil { // Read has made it, so it is an object
		return
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		if a.IsRequired() && values[name].IsNull() {
			v.found.AddAttributeError(at.AtName(name), "Missing "+name, fmt.Sprintf("%s is missing.", at.AtName(name)))
			continue
		}
		v.value(ctx, a, a.GetType(), values[name], at.AtName(name))
	}
	for _, name := range slices.Sorted(maps.Keys(blocks)) {
		v.block(ctx, blocks[name], values[name], at.AtName(name))
	}
}

func (v *validation) block(ctx context.Context, b schema.Block, raw tftypes.Value, at path.Path) {
	switch b := b.(type) {
	case schema.SingleNestedBlock:
		if !raw.IsNull() { // the framework asks for the fields of a block that is left out, too, hence its own validators do
			v.value(ctx, b, b.Type(), raw, at)
		}
		v.fields(ctx, b.Attributes, b.Blocks, raw, at)
	case schema.ListNestedBlock:
		var elements []tftypes.Value
		if raw.IsNull() || raw.As(&elements) != nil {
			return
		}
		v.value(ctx, b, b.Type(), raw, at)
		for i, e := range elements {
			v.fields(ctx, b.NestedObject.Attributes, b.NestedObject.Blocks, e, at.AtListIndex(i))
		}
	default:
		panic(fmt.Sprintf("internal error: no validation of a %T", b))
	}
}

// value has the validators of a row look at its value. The framework keeps the interfaces that its rows implement to itself.
func (v *validation) value(ctx context.Context, of any, typ attr.Type, raw tftypes.Value, at path.Path) {
	value, err := typ.ValueFromTerraform(ctx, raw)
	if err != nil {
		v.found.AddAttributeError(at, "Unreadable value", fmt.Sprintf("%s is not readable: %v.", at, err))
		return
	}
	expression := at.Expression()
	switch row := of.(type) {
	case interface{ StringValidators() []validator.String }:
		for _, check := range row.StringValidators() {
			var resp validator.StringResponse
			check.ValidateString(ctx, validator.StringRequest{Path: at, PathExpression: expression, Config: v.config, ConfigValue: value.(basetypes.StringValue)}, &resp)
			v.found.Append(resp.Diagnostics...)
		}
	case interface{ Int32Validators() []validator.Int32 }:
		for _, check := range row.Int32Validators() {
			var resp validator.Int32Response
			check.ValidateInt32(ctx, validator.Int32Request{Path: at, PathExpression: expression, Config: v.config, ConfigValue: value.(basetypes.Int32Value)}, &resp)
			v.found.Append(resp.Diagnostics...)
		}
	case interface{ ListValidators() []validator.List }:
		for _, check := range row.ListValidators() {
			var resp validator.ListResponse
			check.ValidateList(ctx, validator.ListRequest{Path: at, PathExpression: expression, Config: v.config, ConfigValue: value.(basetypes.ListValue)}, &resp)
			v.found.Append(resp.Diagnostics...)
		}
	case interface{ SetValidators() []validator.Set }:
		for _, check := range row.SetValidators() {
			var resp validator.SetResponse
			check.ValidateSet(ctx, validator.SetRequest{Path: at, PathExpression: expression, Config: v.config, ConfigValue: value.(basetypes.SetValue)}, &resp)
			v.found.Append(resp.Diagnostics...)
		}
	case interface{ MapValidators() []validator.Map }:
		for _, check := range row.MapValidators() {
			var resp validator.MapResponse
			check.ValidateMap(ctx, validator.MapRequest{Path: at, PathExpression: expression, Config: v.config, ConfigValue: value.(basetypes.MapValue)}, &resp)
			v.found.Append(resp.Diagnostics...)
		}
	case interface{ ObjectValidators() []validator.Object }:
		for _, check := range row.ObjectValidators() {
			var resp validator.ObjectResponse
			check.ValidateObject(ctx, validator.ObjectRequest{Path: at, PathExpression: expression, Config: v.config, ConfigValue: value.(basetypes.ObjectValue)}, &resp)
			v.found.Append(resp.Diagnostics...)
		}
	case interface{ BoolValidators() []validator.Bool }, interface{ Int64Validators() []validator.Int64 }: // no row has any
	default:
		panic(fmt.Sprintf("internal error: no validation of a %T", of))
	}
}
