// Package zones has Envoy call instances in the caller's own zone first.
//
// It changes what Consul configures: the endpoints of a service become those in the caller's zone and, below them, the others; and
// instances that cannot be reached are left out, all of those in the zone if need be. Consul does not tell Envoy where an instance is,
// so an Atlas keeps what somebody has found out. It decides on values; whoever has it asks Consul and tells it.
//
// Why it is done so, and what was measured: see docs/design/zones.md.
package zones

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
)

// Locality is where an instance is.
type Locality struct {
	Region string // "" for any: who names zones by networks alone does not say it
	Zone   string
}

// near tells whether both are one zone.
func (l Locality) near(other Locality) bool {
	return l.Zone == other.Zone && (l.Region == other.Region || l.Region == "" || other.Region == "")
}

// Networks tell the zone of an address by the network that it is in. Of several the narrowest counts.
type Networks []network

type network struct {
	prefix netip.Prefix
	zone   string
}

// ParseNetworks reads a map of CIDR blocks to zones.
func ParseNetworks(zones map[string]string) (Networks, error) {
	var all Networks
	for _, text := range slices.Sorted(maps.Keys(zones)) {
		if why := agentconfig.CheckNetwork(text); why != "" {
			return nil, fmt.Errorf("network %q: %s", text, why)
		}
		prefix := netip.MustParsePrefix(text)
		if why := agentconfig.CheckZone(zones[text]); why != "" {
			return nil, fmt.Errorf("network %q: its zone %s", text, why)
		}
		all = append(all, network{prefix, zones[text]})
	}
	slices.SortStableFunc(all, func(a, b network) int { return cmp.Compare(b.prefix.Bits(), a.prefix.Bits()) })
	return all, nil
}

// Of is the zone of an address.
func (n Networks) Of(addr netip.Addr) (Locality, bool) {
	for _, one := range n {
		if one.prefix.Contains(addr) {
			return Locality{Zone: one.zone}, true
		}
	}
	return Locality{}, false
}
