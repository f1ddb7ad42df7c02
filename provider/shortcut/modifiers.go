package shortcut

import (
	"context"
	"fmt"
	"reflect"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// modify makes of an attribute's planned value what its modifiers say. They get no private data: it stays with the framework, of which
// the calls here know nothing. A modifier that keeps some needs the framework's own way.
type modify func(ctx context.Context, m *modification, at path.Path, config, state, plan tftypes.Value) (tftypes.Value, error)

// modifier is what modifies an attribute; nil if nothing does. It fails for what the walks here do not know.
func modifier(ctx context.Context, a schema.Attribute) (modify, error) {
	if a.IsWriteOnly() {
		return nil, fmt.Errorf("write-only attributes are not known")
	}
	if err := plainly(ctx, a); err != nil {
		return nil, err
	}
	row := reflect.ValueOf(a)
	if otherwise := row.FieldByName("Default"); otherwise.IsValid() && !otherwise.IsNil() {
		return nil, fmt.Errorf("defaults are not known")
	}
	if modifiers := row.FieldByName("PlanModifiers"); modifiers.IsValid() && modifiers.Len() == 0 {
		return nil, nil
	}
	switch a := a.(type) {
	case schema.StringAttribute:
		return one(a.GetType(), a.PlanModifiers, modifyText), nil
	case schema.BoolAttribute:
		return one(a.GetType(), a.PlanModifiers, modifyFlag), nil
	case schema.Int32Attribute:
		return one(a.GetType(), a.PlanModifiers, modifyNumber), nil
	case schema.Float64Attribute:
		return one(a.GetType(), a.PlanModifiers, modifyDecimal), nil
	case schema.SetAttribute:
		return one(a.GetType(), a.PlanModifiers, modifySet), nil
	default:
		return nil, fmt.Errorf("modifiers of %T are not known", a)
	}
}

// plainly fails for attributes with attributes of their own, and for those whose values have a say in what is valid or the same.
func plainly(ctx context.Context, a schema.Attribute) error {
	switch a.(type) {
	case schema.StringAttribute, schema.BoolAttribute, schema.Int32Attribute, schema.Int64Attribute, schema.Float64Attribute, schema.ListAttribute, schema.SetAttribute, schema.MapAttribute:
	default:
		return fmt.Errorf("%T is not known", a)
	}
	for typ := a.GetType(); ; {
		if v := reflect.TypeOf(typ.ValueType(ctx)); v.PkgPath() != reflect.TypeFor[types.String]().PkgPath() {
			return fmt.Errorf("values of %s are not known", v)
		}
		of, ok := typ.(attr.TypeWithElementType)
		if !ok {
			return nil
		}
		if typ = of.ElementType(); typ.Equal(types.Float64Type) || typ.Equal(types.Float32Type) {
			return fmt.Errorf("collections of decimals are not known")
		}
	}
}

// attribute is one with modifiers, as one of them sees it.
type attribute[V attr.Value] struct {
	*modification
	at                  path.Path
	config, state, plan V
}

// one has the modifiers see an attribute of Terraform's type typ one after the other, each by step.
func one[V attr.Value, M any](typ attr.Type, modifiers []M, step func(context.Context, M, attribute[V]) (next V, replace bool)) modify {
	return func(ctx context.Context, m *modification, at path.Path, config, state, plan tftypes.Value) (tftypes.Value, error) {
		a := attribute[V]{modification: m, at: at}
		for from, to := range map[*tftypes.Value]*V{&config: &a.config, &state: &a.state, &plan: &a.plan} {
			v, err := typ.ValueFromTerraform(ctx, *from)
			if err != nil {
				return plan, err
			}
			is, ok := v.(V)
			if !ok {
				return plan, fmt.Errorf("it is %T, want %T", v, is)
			}
			*to = is
		}
		for _, modifier := range modifiers {
			next, replace := step(ctx, modifier, a)
			if a.plan = next; replace {
				m.into.replace.Append(at)
			}
		}
		return a.plan.ToTerraformValue(ctx)
	}
}

func modifyText(ctx context.Context, by planmodifier.String, a attribute[types.String]) (types.String, bool) {
	resp := planmodifier.StringResponse{PlanValue: a.plan}
	by.PlanModifyString(ctx, planmodifier.StringRequest{
		Path: a.at, PathExpression: a.at.Expression(), Config: a.modification.config, State: a.modification.state, Plan: a.modification.plan,
		ConfigValue: a.config, StateValue: a.state, PlanValue: a.plan,
	}, &resp)
	a.into.diags.Append(resp.Diagnostics...)
	return resp.PlanValue, resp.RequiresReplace
}

func modifyFlag(ctx context.Context, by planmodifier.Bool, a attribute[types.Bool]) (types.Bool, bool) {
	resp := planmodifier.BoolResponse{PlanValue: a.plan}
	by.PlanModifyBool(ctx, planmodifier.BoolRequest{
		Path: a.at, PathExpression: a.at.Expression(), Config: a.modification.config, State: a.modification.state, Plan: a.modification.plan,
		ConfigValue: a.config, StateValue: a.state, PlanValue: a.plan,
	}, &resp)
	a.into.diags.Append(resp.Diagnostics...)
	return resp.PlanValue, resp.RequiresReplace
}

func modifyNumber(ctx context.Context, by planmodifier.Int32, a attribute[types.Int32]) (types.Int32, bool) {
	resp := planmodifier.Int32Response{PlanValue: a.plan}
	by.PlanModifyInt32(ctx, planmodifier.Int32Request{
		Path: a.at, PathExpression: a.at.Expression(), Config: a.modification.config, State: a.modification.state, Plan: a.modification.plan,
		ConfigValue: a.config, StateValue: a.state, PlanValue: a.plan,
	}, &resp)
	a.into.diags.Append(resp.Diagnostics...)
	return resp.PlanValue, resp.RequiresReplace
}

func modifyDecimal(ctx context.Context, by planmodifier.Float64, a attribute[types.Float64]) (types.Float64, bool) {
	resp := planmodifier.Float64Response{PlanValue: a.plan}
	by.PlanModifyFloat64(ctx, planmodifier.Float64Request{
		Path: a.at, PathExpression: a.at.Expression(), Config: a.modification.config, State: a.modification.state, Plan: a.modification.plan,
		ConfigValue: a.config, StateValue: a.state, PlanValue: a.plan,
	}, &resp)
	a.into.diags.Append(resp.Diagnostics...)
	return resp.PlanValue, resp.RequiresReplace
}

func modifySet(ctx context.Context, by planmodifier.Set, a attribute[types.Set]) (types.Set, bool) {
	resp := planmodifier.SetResponse{PlanValue: a.plan}
	by.PlanModifySet(ctx, planmodifier.SetRequest{
		Path: a.at, PathExpression: a.at.Expression(), Config: a.modification.config, State: a.modification.state, Plan: a.modification.plan,
		ConfigValue: a.config, StateValue: a.state, PlanValue: a.plan,
	}, &resp)
	a.into.diags.Append(resp.Diagnostics...)
	return resp.PlanValue, resp.RequiresReplace
}
