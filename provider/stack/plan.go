package stack

import (
	"context"
	"reflect"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// writePlan sets the computed attributes of a model: those that open names to unknown.
func writePlan(ctx context.Context, plan *tfsdk.Plan, model any, open map[string]bool) diag.Diagnostics {
	var diags diag.Diagnostics
	v := reflect.ValueOf(model)
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Tag.Get("tfsdk"), v.Field(i).Interface()
		if open[name] {
			field = unknownOf(field)
		}
		diags.Append(plan.SetAttribute(ctx, path.Root(name), field)...)
	}
	return diags
}

func unknownOf(field any) attr.Value {
	switch field.(type) {
	case *int64:
		return types.Int64Unknown()
	case map[string]string:
		return types.MapUnknown(types.StringType)
	default:
		return types.StringUnknown()
	}
}
