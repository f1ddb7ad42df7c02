package xds

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

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
	var r request
	err := fields(data, func(num protowire.Number, value []byte) error {
		switch num {
		case fieldTypeURL:
			r.typeURL = string(value)
		case fieldNonce:
			r.nonce = string(value)
		case fieldErrorDetail:
			r.refused = true
			return fields(value, func(num protowire.Number, value []byte) error {
				if num == fieldStatusMessage {
					r.complain = string(value)
				}
				return nil
			})
		}
		return nil
	})
	return r, err
}

var errMalformed = errors.New("malformed message")

// fields calls visit for each length-delimited field of a message and skips the others.
func fields(data []byte, visit func(protowire.Number, []byte) error) error {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return errMalformed
		}
		data = data[n:]
		if typ != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(num, typ, data); n < 0 {
				return errMalformed
			}
			data = data[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(data)
		if n < 0 {
			return errMalformed
		}
		if err := visit(num, value); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}
