package taskdef

import (
	"cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// defaultPartition is the admin partition of what names none.
const defaultPartition = "default"

// checkScopes checks the Enterprise scopes: controllers take a task with one of its two tags for broken, and Consul refuses
// some ways out of a datacenter in some scopes.
func (s Spec) checkScopes(found *problem.List) {
	service := s.Service
	partition, namespace := problem.At("service", "partition"), problem.At("service", "namespace")
	switch {
	case service.Partition != "" && service.Namespace == "":
		found.AddWith([]problem.Path{partition}, namespace, "is missing, which %s needs", partition)
	case service.Partition == "" && service.Namespace != "":
		found.AddWith([]problem.Path{namespace}, partition, "is missing, which %s needs", namespace)
	}
	own := cmp.Or(service.Partition, defaultPartition)
	for _, p := range s.pairs() {
		for i, u := range p.proxy.Upstreams {
			checkReach(u, own, p.proxyAt.Child("upstreams", i), found)
		}
	}
}

// pair is a service of the task and its proxy, as they were asked for, and where.
type pair struct {
	service            agentconfig.Service
	proxy              agentconfig.Proxy
	serviceAt, proxyAt problem.Path
}

// pairs are all services of the task.
func (s Spec) pairs() []pair {
	all := []pair{{s.Service, s.Proxy, problem.At("service"), problem.At("proxy")}}
	for n, further := range s.Services {
		p := pair{serviceAt: problem.At("services", n, "service"), proxyAt: problem.At("services", n, "proxy")}
		if further.Service != nil {
			p.service = *further.Service
		}
		if further.Proxy != nil {
			p.proxy = *further.Proxy
		}
		all = append(all, p)
	}
	return all
}

// checkReach checks where an upstream of a service in the partition leads.
func checkReach(u agentconfig.Upstream, own string, path problem.Path, found *problem.List) {
	with := []problem.Path{problem.At("service", "partition"), path.Child("destinationPartition"), path.Child("destinationPeer"), path.Child("datacenter")}
	switch to := cmp.Or(u.DestinationPartition, defaultPartition); {
	case u.DestinationPeer != "" && u.Datacenter != "":
		found.AddWith(with, path.Child("datacenter"), "is %q, but %s is set, and the peering leads there by itself: leave one of them out",
			u.Datacenter, path.Child("destinationPeer"))
	case u.DestinationPeer != "" && u.DestinationPartition != "" && to != own:
		found.AddWith(with, path.Child("destinationPartition"), "is %q, but Consul takes only peerings of the service's own partition %q: leave it out", to, own)
	case u.DestinationPeer == "" && u.Datacenter != "" && (to != defaultPartition || own != defaultPartition):
		found.AddWith(with, path.Child("datacenter"), "is %q, but Consul leads to another datacenter only from the partition %q to the same: use a cluster peering and %s",
			u.Datacenter, defaultPartition, path.Child("destinationPeer"))
	}
}
