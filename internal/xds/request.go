package xds

import "github.com/consulecs/terraform-provider-consulecs/internal/wire"

// Types of resources whose first arrival makes Envoy live.
const (
	TypeListener = "type.googleapis.com/envoy.config.listener.v3.Listener"
	TypeCluster  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
)

// Field numbers of envoy.service.discovery.v3.DeltaDiscoveryRequest and google.rpc.Status.
const (
	fieldTypeURL       = 2
	fieldNonce         = 6
	fieldErrorDetail   = 7
	fieldStatusMessage = 2
)

// request is what the proxy reads of a DeltaDiscoveryRequest: enough to tell what Envoy has applied or refused.
type request struct {
	typeURL  string
	nonce    string // of the response that it answers; "" for none
	refused  bool   // that response was refused
	complain string // why
}

func parseRequest(data []byte) (request, error) {
	m, err := wire.Parse(data)
	if err != nil {
		return request{}, err
	}
	detail, err := m.Message(fieldErrorDetail)
	if err != nil {
		return request{}, err
	}
	return request{
		typeURL: m.Text(fieldTypeURL), nonce: m.Text(fieldNonce), refused: m.Has(fieldErrorDetail), complain: detail.Text(fieldStatusMessage),
	}, nil
}
