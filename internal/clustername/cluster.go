package clustername

import "github.com/consulecs/terraform-provider-consulecs/internal/wire"

// Fields of Envoy's Cluster and of its TLS.
const (
	clusterSocket wire.Number = 24
	socketConfig  wire.Number = 3
	tlsServerName wire.Number = 2

	typeTLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
)

// Proved is the name that whoever a cluster leads to has to prove by TLS; it is not ok for a cluster without TLS. It differs from the
// cluster's own name where a failover goes to another service, another datacenter or a peer: Consul names a failover's clusters after the
// first of them.
func Proved(cluster *wire.Message) (serverName string, ok bool, err error) {
	socket, err := cluster.Message(clusterSocket)
	if err != nil {
		return "", false, err
	}
	config, err := socket.Message(socketConfig)
	if err != nil {
		return "", false, err
	}
	err = config.EditAny(typeTLS, func(tls *wire.Message) error {
		serverName, ok = tls.Text(tlsServerName), true
		return nil
	})
	return serverName, ok, err
}
