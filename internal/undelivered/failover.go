package undelivered

import (
	"slices"
	"strings"
	"sync"

	"github.com/consulecs/terraform-provider-consulecs/internal/clustername"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// Fields of a cluster's TLS.
const (
	clusterSocket wire.Number = 24
	socketConfig  wire.Number = 3
	tlsServerName wire.Number = 2

	typeTLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"

	// failoverTarget begins the names of the clusters that a failover is made of. They go on with a number, a tilde and the name of the
	// cluster that routes lead to, whoever the target is.
	failoverTarget = "failover-target~"
)

// failovers are the services that a cluster may fail over to, as far as Consul has sent the clusters of its targets. Envoy gets
// clusters before the routes that lead to them. A target that Consul takes away later is still believed: it was one, and harms
// nobody but itself.
type failovers struct {
	mu sync.Mutex
	to map[string][]string // by the cluster's name
}

// note remembers whom a cluster is the target of, by the server name that it has to prove.
func (f *failovers) note(cluster *wire.Message) error {
	target, ok := strings.CutPrefix(cluster.Text(clusterName), failoverTarget)
	if !ok {
		return nil
	}
	_, of, _ := strings.Cut(target, "~")
	socket, err := cluster.Message(clusterSocket)
	if err != nil {
		return err
	}
	return socket.Edit(socketConfig, func(config *wire.Message) error {
		return config.EditAny(typeTLS, func(tls *wire.Message) error {
			name, ok := clustername.Parse(tls.Text(tlsServerName))
			f.mu.Lock()
			defer f.mu.Unlock()
			if ok && !slices.Contains(f.to[of], name.Service) {
				f.to[of] = append(f.to[of], name.Service)
			}
			return nil
		})
	})
}

// services are whom a cluster may fail over to.
func (f *failovers) services(cluster string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.to[cluster])
}
