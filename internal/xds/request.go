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
	fieldHas           = 5
	fieldHasName       = 1
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

	unsubscribed []string        // names of which Envoy wants to hear no more
	has          map[string]bool // names of what it has from an earlier stream, in the first request about a type
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
	versions, err := m.Messages(fieldHas)
	if err != nil {
		return request{}, err
	}
	r := request{
		typeURL: m.Text(fieldTypeURL), nonce: m.Text(fieldNonce), refused: m.Has(fieldErrorDetail), complain: detail.Text(fieldStatusMessage),
		unsubscribed: m.Texts(fieldUnsubscribe), has: map[string]bool{},
	}
	for _, one := range versions {
		r.has[one.Text(fieldHasName)] = true
	}
	return r, nil
}
