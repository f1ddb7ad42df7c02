package xds

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// Field numbers of envoy.service.discovery.v3.DeltaDiscoveryResponse and Resource, and of the parts of a request that
// concern what Envoy wants to hear of.
const (
	fieldResources     = 2
	fieldResponseType  = 4
	fieldResponseNonce = 5
	fieldRemoved       = 6
	fieldVersion       = 1
	fieldResourceName  = 3
	fieldSubscribe     = 3
	fieldUnsubscribe   = 4
)

// resource is one resource of a response.
type resource struct {
	name, version string
	data          []byte // as it came
}

// response is a DeltaDiscoveryResponse.
type response struct {
	typeURL, nonce string
	resources      []resource
	removed        []string
	rest           []byte // the fields that are passed on as they came, with their tags
}

func parseResponse(data []byte) (response, error) {
	m, err := wire.Parse(data)
	if err != nil {
		return response{}, err
	}
	r := response{typeURL: m.Text(fieldResponseType), nonce: m.Text(fieldResponseNonce), removed: m.Texts(fieldRemoved)}
	for _, content := range m.Contents(fieldResources) {
		one, err := wire.Parse(content)
		if err != nil {
			return response{}, err
		}
		r.resources = append(r.resources, resource{name: one.Text(fieldResourceName), version: one.Text(fieldVersion), data: content})
	}
	for _, known := range []wire.Number{fieldResources, fieldResponseType, fieldResponseNonce, fieldRemoved} {
		m.Remove(known)
	}
	r.rest = m.Bytes()
	return r, nil
}

// marshal writes the response; what was read as it came is written so.
func (r response) marshal() []byte {
	data := append([]byte(nil), r.rest...)
	for _, one := range r.resources {
		data = appendBytes(data, fieldResources, one.data)
	}
	data = appendBytes(data, fieldResponseType, []byte(r.typeURL))
	data = appendBytes(data, fieldResponseNonce, []byte(r.nonce))
	for _, name := range r.removed {
		data = appendBytes(data, fieldRemoved, []byte(name))
	}
	return data
}

func appendBytes(to []byte, num protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, num, protowire.BytesType), value)
}

// acceptance is the request by which Envoy would say that it has taken the response.
func acceptance(of response) []byte {
	return appendBytes(appendBytes(nil, fieldTypeURL, []byte(of.typeURL)), fieldNonce, []byte(of.nonce))
}

// withoutRefusal is the request as Envoy would send it had it taken the response.
func withoutRefusal(request []byte) []byte {
	m, err := wire.Parse(request)
	if err != nil {
		return request
	}
	m.Remove(fieldErrorDetail)
	return m.Bytes()
}

// withoutAnswer is the request without what it says of a response. It is nil if nothing of use is left.
func withoutAnswer(request []byte) []byte {
	m, err := wire.Parse(request)
	if err != nil || !m.Has(fieldSubscribe) && !m.Has(fieldUnsubscribe) {
		return nil
	}
	m.Remove(fieldNonce)
	m.Remove(fieldErrorDetail)
	return m.Bytes()
}
