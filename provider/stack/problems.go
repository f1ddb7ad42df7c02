package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// inResource names problems by the attributes of the resource.
func inResource(found problem.List, places []row.Place) problem.List {
	return found.In(func(at problem.Path) problem.Path { return translate(at, places) })
}

func translate(from problem.Path, places []row.Place) problem.Path {
	for _, p := range places {
		if rest, indexes, ok := cut(from, strings.Split(p.From, ".")); ok {
			return slices.Concat(fill(strings.Split(p.To, "."), indexes), spelled(rest))
		}
	}
	return spelled(from)
}

// cut takes the prefix off the path and returns the indexes that its stars stood for.
func cut(from problem.Path, prefix []string) (rest problem.Path, indexes []any, ok bool) {
	if len(from) < len(prefix) {
		return nil, nil, false
	}
	for i, want := range prefix {
		index, isIndex := from[i].(int)
		switch {
		case want == "*" && isIndex:
			indexes = append(indexes, index)
		case from[i] != want:
			return nil, nil, false
		}
	}
	return from[len(prefix):], indexes, true
}

func fill(steps []string, indexes []any) problem.Path {
	var filled problem.Path
	for _, step := range steps {
		if step == "*" {
			filled, indexes = append(filled, indexes[0]), indexes[1:]
		} else {
			filled = append(filled, step)
		}
	}
	return filled
}

// spelled writes camel case as snake case.
func spelled(p problem.Path) problem.Path {
	var all problem.Path
	for _, step := range p {
		if name, ok := step.(string); ok {
			step = snake(name)
		}
		all = append(all, step)
	}
	return all
}

func snake(camel string) string {
	var b strings.Builder
	for i, r := range camel {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// report turns problems into diagnostics at their attributes.
func report(config tfsdk.Config, found problem.List, diags *diag.Diagnostics) {
	fields, _ := config.Schema.(schema.Schema)
	for _, p := range found {
		at, text := attributePath(fields.Attributes, p.Path), p.Path.String()+" "+p.Message()+"."
		if p.Warning {
			diags.AddAttributeWarning(at, "Doubtful "+p.Path.String(), text)
		} else {
			diags.AddAttributeError(at, "Invalid "+p.Path.String(), text)
		}
	}
}

// attributePath goes as far down as the schema does.
func attributePath(fields row.Attributes, at problem.Path) path.Path {
	where := path.Empty()
	var current schema.Attribute = schema.SingleNestedAttribute{Attributes: fields}
	for _, step := range at {
		name, isName := step.(string)
		key, isKey := step.(problem.Key)
		index, _ := step.(int)
		switch a := current.(type) {
		case schema.SingleNestedAttribute:
			if current = a.Attributes[name]; current == nil {
				return where
			}
			where = where.AtName(name)
		case schema.ListNestedAttribute:
			if isName || isKey {
				return where
			}
			where, current = where.AtListIndex(index), schema.SingleNestedAttribute{Attributes: a.NestedObject.Attributes}
		case schema.MapAttribute:
			if !isKey {
				return where
			}
			return where.AtMapKey(string(key))
		case schema.ListAttribute:
			return where.AtListIndex(index)
		default:
			return where
		}
	}
	return where
}

// defaulted are the attributes that the provider may supply.
var defaulted = []problem.Path{
	problem.At("consul_servers"), problem.At("login"), problem.At("image"), problem.At("iam_role_path"), problem.At("log_configuration"),
	problem.At("sidecars", "image"), problem.At("sidecars", "log_configuration"),
}

// withoutDefaulted leaves out what depends on attributes that are absent and that the provider may supply.
func withoutDefaulted(found problem.List, raw tftypes.Value) problem.List {
	mayBeSupplied := func(at problem.Path) bool {
		return slices.ContainsFunc(defaulted, at.Within) && absent(raw, at)
	}
	return slices.DeleteFunc(found, func(p problem.Problem) bool {
		return mayBeSupplied(p.Path) || slices.ContainsFunc(p.With, mayBeSupplied)
	})
}

// withoutMissing leaves out what is said of required attributes that are missing: Terraform's own check says so.
func withoutMissing(found problem.List, config tfsdk.Config) problem.List {
	fields, _ := config.Schema.(schema.Schema)
	return slices.DeleteFunc(found, func(p problem.Problem) bool {
		attribute, err := fields.AttributeAtTerraformPath(context.Background(), terraformPath(p.Path))
		return err == nil && attribute.IsRequired() && absent(config.Raw, p.Path)
	})
}

func terraformPath(place problem.Path) *tftypes.AttributePath {
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

// absent reports whether there is no value at a place.
func absent(raw tftypes.Value, place problem.Path) bool {
	found, rest, err := tftypes.WalkAttributePath(raw, terraformPath(place))
	if err != nil {
		return len(rest.Steps()) > 0
	}
	v, ok := found.(tftypes.Value)
	return ok && v.IsNull()
}
