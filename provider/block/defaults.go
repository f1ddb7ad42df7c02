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
