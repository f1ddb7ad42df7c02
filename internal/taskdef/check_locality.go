package taskdef

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/undelivered"
)

// locality is what the agents are told of it: nothing where no zone is preferred, as the incumbent's agents do not know the key.
func (s Spec) locality() *agentconfig.Locality {
	l := s.Locality
	if (l.PreferZone == nil || !*l.PreferZone) && l.Spill == "" && len(l.Zones) == 0 {
		return nil
	}
	return &l
}

// checkLocality warns of outlier detection that keeps calls in a zone that is gone: where one is configured, the agents leave it as it is.
func (s Spec) checkLocality(found *problem.List) {
	if !AgentConfig(s).PrefersZone() {
		return
	}
	prefers := problem.At("locality", "preferZone")
	const why = "calls prefer a zone by %s: if all instances of the zone are gone, no more than that share of all is left out, and calls go on to the others until Consul knows. Set it to %d"
	for _, p := range s.pairs() {
		if r := p.service.NetworkResilience; r != nil && r.Enabled {
			at := p.serviceAt.Child("networkResilienceConfig", "outlierDetection", "maxEjectionPercent")
			share := agentconfig.OutlierShare
			if o := r.OutlierDetection; o != nil && o.MaxEjectionPercent != nil {
				share = *o.MaxEjectionPercent
			}
			if share < undelivered.EjectAtMost {
				found.Warn([]problem.Path{prefers, at}, at, "is %d, and "+why, share, prefers, undelivered.EjectAtMost)
			}
		}
		for i, u := range p.proxy.Upstreams {
			at := p.proxyAt.Child("upstreams", i, "config")
			if share, set := ejectionShare(u.Config); set && share < undelivered.EjectAtMost {
				found.Warn([]problem.Path{prefers, at}, at, "has a max_ejection_percent of %v in its passive_health_check, and "+why, share, prefers, undelivered.EjectAtMost)
			}
		}
	}
}

// ejectionShare is the share of instances that the opaque configuration of an upstream lets be left out. Consul reads its keys in
// every spelling of upper and lower case, with and without underscores.
func ejectionShare(config map[string]any) (share float64, set bool) {
	check, _ := keyed(config, "passivehealthcheck").(map[string]any)
	switch n := keyed(check, "maxejectionpercent").(type) {
	case float64:
		return n, true
	case json.Number:
		share, err := n.Float64()
		return share, err == nil
	case int:
		return float64(n), true
	case string: // Consul takes it for the number
		share, err := strconv.ParseFloat(n, 64)
		return share, err == nil
	}
	return 0, false
}

func keyed(object map[string]any, key string) any {
	for name, value := range object {
		if strings.ToLower(strings.ReplaceAll(name, "_", "")) == key {
			return value
		}
	}
	return nil
}
