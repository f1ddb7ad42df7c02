package row

import (
	"cmp"
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// An import cannot know how a configuration spells a default, and Terraform has what is planned be what the configuration says. So
// an import spells the default out, and the rows below keep it where the configuration leaves it out: such an attribute is
// computed, too. What no import wrote stays out of state and plan.

// FlagOr is a flag whose default, which its description tells, an import spells out.
func FlagOr(otherwise bool, description string) schema.BoolAttribute {
	a := Flag(description)
	a.Computed, a.PlanModifiers = true, []planmodifier.Bool{keepDefault{types.BoolValue(otherwise)}}
	return a
}

// NumberOr is FlagOr for a number.
func NumberOr(otherwise int32, description string, validators ...validator.Int32) schema.Int32Attribute {
	a := Number(description, validators...)
	a.Computed, a.PlanModifiers = true, []planmodifier.Int32{keepDefault{types.Int32Value(otherwise)}}
	return a
}

// DecimalOr is FlagOr for a number with a fraction.
func DecimalOr(otherwise float64, description string, validators ...validator.Float64) schema.Float64Attribute {
	a := Decimal(description, validators...)
	a.Computed, a.PlanModifiers = true, []planmodifier.Float64{keepDefault{types.Float64Value(otherwise)}}
	return a
}

// TextOr is FlagOr for a text.
func TextOr(otherwise, description string, validators ...validator.String) schema.StringAttribute {
	a := Text(description, validators...)
	a.Computed, a.PlanModifiers = true, []planmodifier.String{keepDefault{types.StringValue(otherwise)}}
	return a
}

// FixedTextOr is TextOr for a text whose change makes a new resource, unless only the spelling of the default differs.
func FixedTextOr(otherwise, description string, validators ...validator.String) schema.StringAttribute {
	a := TextOr(otherwise, description, validators...)
	other := func(_ context.Context, req planmodifier.StringRequest, resp *stringplanmodifier.RequiresReplaceIfFuncResponse) {
		meant := func(v types.String) string { return cmp.Or(v.ValueString(), otherwise) }
		resp.RequiresReplace = req.PlanValue.IsUnknown() || meant(req.StateValue) != meant(req.PlanValue)
	}
	const why = "another value makes a new resource"
	a.PlanModifiers = append(a.PlanModifiers, stringplanmodifier.RequiresReplaceIf(other, why, why))
	return a
}

// keepDefault plans what the configuration leaves out: the default where the state spells it out, else nothing.
type keepDefault struct{ is attr.Value }

func (k keepDefault) Description(context.Context) string {
	return fmt.Sprintf("left out, it stays %s in a state that says so", k.is)
}

func (k keepDefault) MarkdownDescription(ctx context.Context) string { return k.Description(ctx) }

// keptDefault is what is planned: as it is, where the configuration says something.
func keptDefault[V attr.Value](k keepDefault, config, state, planned, nothing V) V {
	switch {
	case !config.IsNull():
		return planned
	case state.Equal(k.is):
		return state
	default:
		return nothing
	}
}

func (k keepDefault) PlanModifyBool(_ context.Context, req planmodifier.BoolRequest, resp *planmodifier.BoolResponse) {
	resp.PlanValue = keptDefault(k, req.ConfigValue, req.StateValue, resp.PlanValue, types.BoolNull())
}

func (k keepDefault) PlanModifyInt32(_ context.Context, req planmodifier.Int32Request, resp *planmodifier.Int32Response) {
	resp.PlanValue = keptDefault(k, req.ConfigValue, req.StateValue, resp.PlanValue, types.Int32Null())
}

func (k keepDefault) PlanModifyFloat64(_ context.Context, req planmodifier.Float64Request, resp *planmodifier.Float64Response) {
	resp.PlanValue = keptDefault(k, req.ConfigValue, req.StateValue, resp.PlanValue, types.Float64Null())
}

func (k keepDefault) PlanModifyString(_ context.Context, req planmodifier.StringRequest, resp *planmodifier.StringResponse) {
	resp.PlanValue = keptDefault(k, req.ConfigValue, req.StateValue, resp.PlanValue, types.StringNull())
}

// TextSetOr is FlagOr for a set of texts.
func TextSetOr(otherwise []string, description string, validators ...validator.Set) schema.SetAttribute {
	var values []attr.Value
	for _, text := range otherwise {
		values = append(values, types.StringValue(text))
	}
	a := TextSet(description, validators...)
	a.Computed, a.PlanModifiers = true, []planmodifier.Set{keepDefault{types.SetValueMust(types.StringType, values)}}
	return a
}

func (k keepDefault) PlanModifySet(_ context.Context, req planmodifier.SetRequest, resp *planmodifier.SetResponse) {
	resp.PlanValue = keptDefault(k, req.ConfigValue, req.StateValue, resp.PlanValue, types.SetNull(types.StringType))
}

// Like is a text or number whose default is what another attribute of the same state says.
type Like struct {
	At path.Expression // relative to the attribute, or from the root
	As func(string) string
}

func (Like) Description(context.Context) string {
	return "left out, it stays what another attribute says in a state that says so"
}

func (l Like) MarkdownDescription(ctx context.Context) string { return l.Description(ctx) }

func (l Like) PlanModifyString(ctx context.Context, req planmodifier.StringRequest, resp *planmodifier.StringResponse) {
	if !req.ConfigValue.IsNull() {
		return
	}
	var other types.String
	if resp.PlanValue = types.StringNull(); l.read(ctx, req.State, req.Path, &other) && l.As(other.ValueString()) == req.StateValue.ValueString() {
		resp.PlanValue = req.StateValue
	}
}

func (l Like) PlanModifyInt32(ctx context.Context, req planmodifier.Int32Request, resp *planmodifier.Int32Response) {
	if !req.ConfigValue.IsNull() {
		return
	}
	var other types.Int32
	if resp.PlanValue = types.Int32Null(); l.read(ctx, req.State, req.Path, &other) && other.Equal(req.StateValue) {
		resp.PlanValue = req.StateValue
	}
}

// read reads the other attribute of a state; false if there is no state yet.
func (l Like) read(ctx context.Context, state tfsdk.State, from path.Path, other any) bool {
	if state.Raw.IsNull() {
		return false
	}
	at, diags := state.PathMatches(ctx, from.Expression().Merge(l.At))
	return !diags.HasError() && len(at) == 1 && !state.GetAttribute(ctx, at[0], other).HasError()
}

// NonzeroOr is FlagOr for a number that cannot be 0.
func NonzeroOr(otherwise int32, description string) schema.Int32Attribute {
	return NumberOr(otherwise, description, notZero{})
}
