package row

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/models"
)

// Decode reads a configuration or a plan into a model, and names the places whose values are not known yet.
func Decode[M any](ctx context.Context, from tfsdk.Config, model *M, diags *diag.Diagnostics) (unknown []problem.Path, ok bool) {
	if RefuseNumbers(ctx, from, diags) {
		return nil, false
	}
	replaced, unknown, err := Known(from.Raw)
	if err != nil {
		diags.AddError("Configuration not readable", err.Error())
		return nil, false
	}
	diags.Append(models.Get(ctx, tfsdk.State{Raw: replaced, Schema: from.Schema}, model)...)
	return unknown, !diags.HasError()
}

// TerraformPath is a place as values are looked up by.
func TerraformPath(place problem.Path) *tftypes.AttributePath {
	at := tftypes.NewAttributePath()
	for _, step := range place {
		switch step := step.(type) {
		case int:
			at = at.WithElementKeyInt(step)
		case problem.Key:
			at = at.WithElementKeyString(string(step))
		default:
			at = at.WithAttributeName(fmt.Sprint(step))
		}
	}
	return at
}

// frameworkPath is a place as diagnostics name it.
func frameworkPath(place problem.Path) path.Path {
	at := path.Empty()
	for _, step := range place {
		switch step := step.(type) {
		case int:
			at = at.AtListIndex(step)
		case problem.Key:
			at = at.AtMapKey(string(step))
		default:
			at = at.AtName(fmt.Sprint(step))
		}
	}
	return at
}

// Known replaces what is not known yet by null, and names the places, so that models need no third state. Elements of
// collections become empty instead: a model has no place for a null among texts or objects. Elements that are null, which the
// schema refuses, are named, too: nothing is to be said of the empty text in their stead.
func Known(raw tftypes.Value) (tftypes.Value, []problem.Path, error) {
	var unknown []problem.Path
	replaced, err := tftypes.Transform(raw, func(at *tftypes.AttributePath, v tftypes.Value) (tftypes.Value, error) {
		if v.IsKnown() && (!v.IsNull() || !isElement(at)) {
			return v, nil
		}
		unknown = append(unknown, placeOf(at))
		if isElement(at) {
			return emptyValue(v.Type()), nil
		}
		return tftypes.NewValue(v.Type(), nil), nil
	})
	if err != nil {
		return raw, nil, fmt.Errorf("replace unknown values: %w", err)
	}
	return replaced, unknown, nil
}

func isElement(at *tftypes.AttributePath) bool {
	steps := at.Steps()
	if len(steps) == 0 {
		return false
	}
	_, isAttribute := steps[len(steps)-1].(tftypes.AttributeName)
	return !isAttribute
}

// placeOf is the path as problems name it. A place inside a set is the set: its elements have no names.
func placeOf(at *tftypes.AttributePath) problem.Path {
	var place problem.Path
	for _, step := range at.Steps() {
		switch s := step.(type) {
		case tftypes.AttributeName:
			place = append(place, string(s))
		case tftypes.ElementKeyString:
			place = append(place, problem.Key(s))
		case tftypes.ElementKeyInt:
			place = append(place, int(s))
		default:
			return place
		}
	}
	return place
}

// emptyValue stands for an element that is null or not known: the empty text, zero, or an object without attributes.
func emptyValue(t tftypes.Type) tftypes.Value {
	switch {
	case t.Is(tftypes.String):
		return tftypes.NewValue(t, "")
	case t.Is(tftypes.Number):
		return tftypes.NewValue(t, 0)
	case t.Is(tftypes.Bool):
		return tftypes.NewValue(t, false)
	}
	if o, ok := t.(tftypes.Object); ok {
		fields := map[string]tftypes.Value{}
		for name, field := range o.AttributeTypes {
			fields[name] = tftypes.NewValue(field, nil)
		}
		return tftypes.NewValue(t, fields)
	}
	return tftypes.NewValue(t, nil)
}

// Affects reports whether one of the attributes, in dotted names such as iam.task_role, or a value below it is unknown. The step * is
// any element of a list, as in container.*.image.
func Affects(unknown []problem.Path, attributes ...string) bool {
	return slices.ContainsFunc(unknown, func(place problem.Path) bool {
		return slices.ContainsFunc(attributes, func(name string) bool {
			at := stepsOf(name)
			for i := range min(len(at), len(place)) {
				if _, isIndex := place[i].(int); isIndex && at[i] == star {
					at[i] = place[i]
				}
			}
			return place.Within(at) || at.Within(place)
		})
	})
}
