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
	for i, u := range s.Proxy.Upstreams {
		checkReach(u, own, problem.At("proxy", "upstreams", i), found)
	}
	for n, further := range s.Services {
		if further.Proxy == nil {
			continue
		}
		for i, u := range further.Proxy.Upstreams {
			checkReach(u, own, problem.At("services", n, "proxy", "upstreams", i), found)
		}
	}
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
