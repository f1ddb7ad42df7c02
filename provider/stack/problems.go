package stack

import (
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Report turns problems into diagnostics at their attributes.
func Report(config tfsdk.Config, found problem.List, diags *diag.Diagnostics) {
	for _, p := range found {
		named := p.In(func(at problem.Path) problem.Path {
			if alone := row.Spoken(config.Raw, at); len(alone) < len(at) {
				return alone
			}
			return withNames(config.Raw, at)
		})
		at, text := attributePath(config.Raw.Type(), p.Path), named.Path.String()+" "+named.Message()+"."
		if p.Warning {
			diags.AddAttributeWarning(at, "Doubtful "+named.Path.String(), text)
		} else {
			diags.AddAttributeError(at, "Invalid "+named.Path.String(), text)
		}
	}
}

// attributePath goes as far down as the type does.
func attributePath(typ tftypes.Type, at problem.Path) path.Path {
	where := path.Empty()
	for _, step := range at {
		switch t := typ.(type) {
		case tftypes.Object:
			name, _ := step.(string)
			below, ok := t.AttributeTypes[name]
			if !ok {
				return where
			}
			where, typ = where.AtName(name), below
		case tftypes.List:
			index, ok := step.(int)
			if !ok {
				return where
			}
			where, typ = where.AtListIndex(index), t.ElementType
		case tftypes.Map:
			key, ok := step.(problem.Key)
			if !ok {
				return where
			}
			where, typ = where.AtMapKey(string(key)), t.ElementType
		default: // an element of a set has no path that anybody could read
			return where
		}
	}
	return where
}

// withNames writes container["app"] for container[0], where no other container of the configuration has the name.
func withNames(raw tftypes.Value, at problem.Path) problem.Path {
	named := slices.Clone(at)
	for i, step := range at {
		index, ok := step.(int)
		if !ok {
			continue
		}
		list := elements(raw, at[:i])
		if index >= len(list) {
			return named
		}
		name := nameOf(list[index])
		alike := 0
		for _, v := range list {
			if nameOf(v) == name {
				alike++
			}
		}
		if name != "" && alike == 1 {
			named[i] = problem.Key(name)
		}
	}
	return named
}

// elements are those of the list at a place, if there is one and it is known. They are the value's own: not to be changed.
func elements(raw tftypes.Value, at problem.Path) []tftypes.Value {
	var list []tftypes.Value
	if v, ok := valueAt(raw, at); ok && v.IsKnown() {
		_ = v.As(&list) // of what is no list, nothing is wanted
	}
	return list
}

// nameOf is the attribute name of an object; "" if it has none that is known.
func nameOf(object tftypes.Value) (name string) {
	if v, ok := valueAt(object, problem.At("name")); ok && v.IsKnown() && !v.IsNull() {
		_ = v.As(&name) // of what is no text, nothing is wanted
	}
	return name
}

func valueAt(raw tftypes.Value, at problem.Path) (tftypes.Value, bool) {
	found, _, err := tftypes.WalkAttributePath(raw, row.TerraformPath(at))
	v, ok := found.(tftypes.Value)
	return v, ok && err == nil
}

// supplied are the attributes of a resource whose value may come from the provider, by the provider's attribute.
var supplied = map[string][]problem.Path{
	"default_tags":      {problem.At("default_tags")}, // which no resource sets
	"consul_servers":    {problem.At("consul_servers"), problem.At("controller", "consul_servers")},
	"login":             {problem.At("login"), problem.At("controller", "login")},
	"agent_image":       {problem.At("image"), problem.At("sidecars", "image"), problem.At("controller", "image")},
	"iam_role_path":     {problem.At("iam_role_path"), problem.At("controller", "iam_role_path")},
	"log_configuration": {problem.At("log_configuration"), problem.At("sidecars", "log_configuration"), problem.At("controller", "log_configuration")},
}

// withoutSupplied leaves out what depends on attributes that are absent and that the provider may supply. own are places that it does
// not, of the resource.
func withoutSupplied(found problem.List, raw tftypes.Value, own []problem.Path) problem.List {
	mayBeSupplied := func(at problem.Path) bool {
		if slices.ContainsFunc(own, at.Within) {
			return false
		}
		for _, places := range supplied {
			if slices.ContainsFunc(places, at.Within) && absent(raw, at) {
				return true
			}
		}
		return false
	}
	return slices.DeleteFunc(found, func(p problem.Problem) bool {
		return mayBeSupplied(p.Path) || slices.ContainsFunc(p.With, mayBeSupplied)
	})
}

// unknownHere are the places of a resource that follow from places of the provider's configuration which are not known yet.
func unknownHere(inProvider []problem.Path, raw tftypes.Value, own []problem.Path) []problem.Path {
	var all []problem.Path
	for _, place := range inProvider {
		name, _ := place[0].(string)
		for _, at := range supplied[name] {
			if here := at.Child(place[1:]...); absent(raw, here) && !slices.ContainsFunc(own, here.Within) {
				all = append(all, here)
			}
		}
	}
	return all
}

// withoutMissing leaves out what is said of required attributes that are missing: the schema's own check says so.
func withoutMissing(found problem.List, config tfsdk.Config) problem.List {
	fields, _ := config.Schema.(schema.Schema)
	return slices.DeleteFunc(found, func(p problem.Problem) bool { return absent(config.Raw, p.Path) && row.IsRequired(fields, p.Path) })
}

// absent reports whether there is no value at a place.
func absent(raw tftypes.Value, place problem.Path) bool {
	found, rest, err := tftypes.WalkAttributePath(raw, row.TerraformPath(place))
	if err != nil {
		return len(rest.Steps()) > 0
	}
	v, ok := found.(tftypes.Value)
	return ok && v.IsNull()
}
