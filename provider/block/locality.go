package block

import (
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

func LocalityRow() schema.SingleNestedBlock {
	return row.Object("Has calls stay in the task's availability zone, which saves what AWS takes for traffic between zones, and the way. It is about the calls that the task makes, to each service of its own datacenter. "+
		"A zone with few instances gets all calls of the zone: see [the guide](../guides/zones.md).", row.Fields{
		"prefer_zone": row.Flag("Call the instances in the task's own zone while they are healthy. Default `false`."),
		"spill": row.Text("When calls leave the zone: with `gradual` a part of them does as soon as fewer than five of seven instances in it are healthy, with `full` all of them do when none is. " +
			"Only with `prefer_zone`. Default `gradual`."),
		"zones": row.TextMap("Zones of networks, by CIDR blocks such as `\"10.0.1.0/24\" = \"eu-west-1a\"`, which beat what Consul's catalog says. With it, nobody has to ask for an address in one of them. " +
			"It has to be changed when subnets come. Only with `prefer_zone`. Default: none; the agents look where instances are in the catalog."),
	})
}

type Locality struct {
	PreferZone *bool             `tfsdk:"prefer_zone"`
	Spill      *string           `tfsdk:"spill"`
	Zones      map[string]string `tfsdk:"zones"`
}

func (m *Locality) Spec() agentconfig.Locality {
	var l agentconfig.Locality
	if m != nil {
		row.ToSpec(&l, m)
	}
	return l
}

// ReadLocality is nil where no zone is preferred.
func ReadLocality(cfg agentconfig.Config) *Locality {
	if !cfg.PrefersZone() {
		return nil
	}
	var m Locality
	row.FromSpec(&m, *cfg.Locality)
	return &m
}
