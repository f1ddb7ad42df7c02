package agentconfig

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// Locality has calls stay in the task's availability zone.
type Locality struct {
	PreferZone *bool             `json:"preferZone,omitempty"`                     // Envoy calls the instances in the task's own zone while they are healthy; default false
	Spill      string            `json:"spill,omitempty" rule:"enum=gradual|full"` // when calls leave the zone. gradual: a part of them, as soon as fewer than five of seven instances in it are healthy. full: all of them, when none is; default: gradual
	Zones      map[string]string `json:"zones,omitempty"`                          // zones of networks, by their CIDR blocks; they beat what Consul's catalog says. Default: none, the catalog alone tells
}

// The values of Spill.
const (
	SpillGradual = "gradual"
	SpillFull    = "full"
)

// PrefersZone reports whether the task asks for calls to stay in its zone.
func (c Config) PrefersZone() bool { return or(deref(c.Locality).PreferZone, false) }

// LocalitySettings is the locality section with its defaults, also when the section is absent.
func (c Config) LocalitySettings() Locality {
	l := deref(c.Locality)
	l.PreferZone = withDefault(l.PreferZone, false)
	l.Spill = cmp.Or(l.Spill, SpillGradual)
	return l
}

// CheckNetwork says why a CIDR block cannot be told a zone by; "" means that it can.
func CheckNetwork(cidr string) string {
	prefix, err := netip.ParsePrefix(cidr)
	switch {
	case err != nil:
		return "want a CIDR block, such as 10.0.1.0/24"
	case prefix != prefix.Masked():
		return "has bits beyond its prefix: want " + prefix.Masked().String()
	case prefix.Addr().Is4In6():
		return "is IPv4 in the form of IPv6: want it in its own"
	}
	return ""
}

func (l Locality) check(found *problem.List) {
	path := problem.At("locality")
	if !or(l.PreferZone, false) {
		for _, of := range []struct {
			key string
			set bool
		}{{"spill", l.Spill != ""}, {"zones", len(l.Zones) > 0}} {
			if of.set {
				found.AddWith([]problem.Path{path.Child("preferZone")}, path.Child(of.key), "is set, but %s is not true: no zone is preferred", path.Child("preferZone"))
			}
		}
	}
	first := map[netip.Prefix]string{}
	for _, cidr := range slices.Sorted(maps.Keys(l.Zones)) {
		at := path.Child("zones", problem.Key(cidr))
		if why := CheckNetwork(cidr); why != "" {
			found.Add(at, "is for the network %q, which %s", cidr, why)
			continue
		}
		prefix := netip.MustParsePrefix(cidr)
		switch other, twice := first[prefix]; {
		case twice:
			found.AddWith([]problem.Path{path.Child("zones", problem.Key(other))}, at, "is for the network %q, which is there already as %q", cidr, other)
		case l.Zones[cidr] == "":
			found.Add(at, "is empty, want the name of a zone, such as eu-west-1a")
		}
		first[prefix] = cidr
	}
}
