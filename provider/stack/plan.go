package stack

import (
	"context"
	"maps"
	"reflect"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// writePlan sets the computed attributes of a model: those that open names to unknown. It sets them all at once, since the
// framework's way goes through the whole plan for each.
func writePlan(plan *tfsdk.Plan, model any, open map[string]bool) (diags diag.Diagnostics) {
	var is map[string]tftypes.Value
	if err := plan.Raw.As(&is); err != nil {
		diags.AddError("Plan not readable", err.Error())
		return diags
	}
	all, v := maps.Clone(is), reflect.ValueOf(model)
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Tag.Get("tfsdk"), v.Field(i).Interface()
		if open[name] {
			field = tftypes.UnknownValue
		}
		all[name] = computed(all[name].Type(), field)
	}
	plan.Raw = tftypes.NewValue(plan.Raw.Type(), all)
	return diags
}

// computed is a field of a model as Terraform has it: a pointer to a plain value, or texts by key.
func computed(typ tftypes.Type, field any) tftypes.Value {
	texts, ok := field.(map[string]string)
	switch {
	case !ok:
		return tftypes.NewValue(typ, field)
	case texts == nil:
		return tftypes.NewValue(typ, nil)
	}
	elements := map[string]tftypes.Value{}
	for key, text := range texts {
		elements[key] = tftypes.NewValue(tftypes.String, text)
	}
	return tftypes.NewValue(typ, elements)
}

// counted is the service with the desired count of the configuration. A plan may keep one that is left to others, which may have
// changed since: an update must not say it.
func (s *Stack[M]) counted(ctx context.Context, service *block.ECSService, config tfsdk.Config, diags *diag.Diagnostics) *block.ECSService {
	var asked M
	if _, ok := row.Decode(ctx, config, &asked, diags); !ok {
		return service
	}
	return service.WithCountOf(s.Kind.Parts(&asked).Service)
}
