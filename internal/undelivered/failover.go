package undelivered

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/consulecs/terraform-provider-consulecs/internal/clustername"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// failoverTarget begins the names of the clusters that a failover is made of. They go on with a number, a tilde and the name of the
// cluster that routes lead to, whoever the target is.
const failoverTarget = "failover-target~"

// failovers are the services that a cluster may fail over to, as far as Consul has sent the clusters of its targets. Envoy gets
// clusters before the routes that lead to them. Where Consul has another target in the same place, that counts alone; one whose place
// goes is still believed: it was a target, and harms nobody but itself.
type failovers struct {
	mu sync.Mutex
	to map[string]map[string]string // services by the cluster's name and the target's number
}

// note remembers whom a cluster is the target of, by the server name that it has to prove.
func (f *failovers) note(cluster *wire.Message) error {
	target, ok := strings.CutPrefix(cluster.Text(clusterName), failoverTarget)
	if !ok {
		return nil
	}
	number, of, _ := strings.Cut(target, "~")
	serverName, ok, err := clustername.Proved(cluster)
	if ok {
		f.set(of, number, serverName)
	}
	return err
}

func (f *failovers) set(of, number, serverName string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.to[of] == nil {
		f.to[of] = map[string]string{}
	}
	delete(f.to[of], number)
	if name, ok := clustername.Parse(serverName); ok {
		f.to[of][number] = name.Service
	}
}

// services are whom a cluster may fail over to.
func (f *failovers) services(cluster string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Compact(slices.Sorted(maps.Values(f.to[cluster])))
}
