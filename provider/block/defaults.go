package block

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// DefaultRolePath is where roles go whose user names no path.
func (d Defaults) DefaultRolePath(otherwise string) string {
	return cmp.Or(d.RolePath, otherwise)
}

// ImportTags are the user's tags: neither the mesh's nor the provider's.
func (d Defaults) ImportTags(tags map[string]string) map[string]string {
	own := maps.Clone(tags)
	maps.DeleteFunc(own, func(key, value string) bool {
		ours := func(prefix string) bool { return strings.HasPrefix(key, prefix) }
		supplied, ok := d.Tags[key]
		return slices.ContainsFunc(mesh.TagPrefixes(), ours) || ok && supplied == value || d.IgnoredTags.Has(key)
	})
	if len(own) == 0 {
		return nil
	}
	return own
}

// Defaults are the settings of the provider that its resources fall back to.
type Defaults struct {
	Servers          *ConsulServers
	Login            *Login
	Image            string
	RolePath         string // of mesh tasks' roles; "" means the mesh's own
	LogConfiguration *LogConfiguration
	Tags             map[string]string
	IgnoredTags      IgnoredTags
	Module           taskdef.Module
	Unknown          []problem.Path // places of the provider's configuration that are not known yet
	Consul           *ConsulAPI     // nil: the provider asks no Consul
}

// RefuseUnknown reports attributes of the provider that are not known yet, for what cannot leave open what follows from them.
func (d Defaults) RefuseUnknown(diags *diag.Diagnostics, attributes ...string) {
	for _, place := range d.Unknown {
		if row.Affects([]problem.Path{place}, attributes...) {
			diags.AddError("Provider setting not known", fmt.Sprintf("The provider's %s depends on a resource that does not exist yet, and it is needed now. "+
				"Apply that resource first, for instance with -target, or set %s to a value that is known.", place, place))
		}
	}
}

// TagsWith are the provider's tags overlaid by the resource's.
func (d Defaults) TagsWith(own map[string]string) map[string]string {
	all := maps.Clone(d.Tags)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, own)
	return all
}

// Module is the provider of a version, as the tags of tasks name it.
func Module(version string) taskdef.Module {
	return taskdef.Module{Name: "terraform-provider-consulecs", Version: version}
}

// IgnoredTags are tags that something else puts on what the provider makes.
type IgnoredTags struct{ Keys, Prefixes []string }

// Has reports whether a tag is one of them.
func (t IgnoredTags) Has(key string) bool {
	return slices.Contains(t.Keys, key) || slices.ContainsFunc(t.Prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}

// Without takes them out of tags.
func (t IgnoredTags) Without(tags map[string]string) map[string]string {
	maps.DeleteFunc(tags, func(key, _ string) bool { return t.Has(key) })
	return tags
}

// Check refuses those of the mesh, by which a resource knows what is its own.
func (t IgnoredTags) Check(keys, prefixes problem.Path, found *problem.List) {
	for _, own := range mesh.TagPrefixes() {
		for _, key := range t.Keys {
			if strings.HasPrefix(key, own) {
				found.Add(keys, "has %q, a key of the mesh: controllers know tasks by it, and the provider what is its own", key)
			}
		}
		for _, prefix := range t.Prefixes {
			if strings.HasPrefix(own, prefix) || strings.HasPrefix(prefix, own) {
				found.Add(prefixes, "has %q, with which keys of the mesh begin, such as %s: controllers know tasks by them, and the provider what is its own", prefix, own)
			}
		}
	}
}

// CheckTags refuses tags of a resource that the provider ignores.
func (d Defaults) CheckTags(tags map[string]string, found *problem.List) {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if d.IgnoredTags.Has(key) {
			found.Add(problem.At("tags", problem.Key(key)), "is a key that the provider's ignore_tags names: whoever ignores a tag cannot set it")
		}
	}
}
