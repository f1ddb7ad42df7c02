package xds

import (
	"google.golang.org/protobuf/encoding/protowire"
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
	var r response
	err := eachField(data, func(num protowire.Number, value, whole []byte) error {
		switch {
		case value == nil:
			r.rest = append(r.rest, whole...)
		case num == fieldResources:
			r.resources = append(r.resources, resource{data: value})
			return r.resources[len(r.resources)-1].parse()
		case num == fieldResponseType:
			r.typeURL = string(value)
		case num == fieldResponseNonce:
			r.nonce = string(value)
		case num == fieldRemoved:
			r.removed = append(r.removed, string(value))
		default:
			r.rest = append(r.rest, whole...)
		}
		return nil
	})
	return r, err
}

// parse reads the name and the version of the resource.
func (r *resource) parse() error {
	return fields(r.data, func(num protowire.Number, value []byte) error {
		switch num {
		case fieldVersion:
			r.version = string(value)
		case fieldResourceName:
			r.name = string(value)
		}
		return nil
	})
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

// withoutAnswer is the request without what it says of a response. It is nil if nothing of use is left.
func withoutAnswer(request []byte) []byte {
	var kept []byte
	useful := false
	err := eachField(request, func(num protowire.Number, _, whole []byte) error {
		if num == fieldSubscribe || num == fieldUnsubscribe {
			useful = true
		}
		if num != fieldNonce && num != fieldErrorDetail {
			kept = append(kept, whole...)
		}
		return nil
	})
	if err != nil || !useful {
		return nil
	}
	return kept
}

// eachField calls visit for each field of a message, with the value of a length-delimited one and with the whole of it. The
// value of any other is nil.
func eachField(data []byte, visit func(num protowire.Number, value, whole []byte) error) error {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeField(data)
		if n < 0 {
			return errMalformed
		}
		whole := data[:n]
		data = data[n:]
		var value []byte
		if typ == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(whole)
			value, _ = protowire.ConsumeBytes(whole[tag:])
		}
		if err := visit(num, value, whole); err != nil {
			return err
		}
	}
	return nil
}
