package block

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
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
