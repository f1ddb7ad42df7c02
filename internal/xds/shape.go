package xds

import (
	"bytes"

	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// fieldResource is the Any of a Resource.
const fieldResource wire.Number = 2

// Shape tells how resources of a type are changed on their way from Consul to Envoy; nil for a type that is passed on as it comes,
// and is not read then. Their names and versions stay Consul's, so the same resource has to come out the same, unless the type is
// revised.
type Shape func(typeURL string) (change func(resource *wire.Message) error)

// Shape sets how resources are changed. It is set before Envoy starts.
func (p *Proxy) Shape(shape Shape) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shape = shape
}

// reshape changes the resources of a response, and reports whether any is another now. One that cannot be read stays as it came:
// it is Envoy that has to understand it.
func (p *Proxy) reshape(r response) (changed bool) {
	p.mu.Lock()
	shape := p.shape
	p.mu.Unlock()
	if shape == nil {
		return false
	}
	change := shape(r.typeURL)
	if change == nil {
		return false
	}
	for i := range r.resources {
		one := &r.resources[i]
		data, err := changedBy(change, r.typeURL, one.data)
		if err != nil {
			p.log.Warn("configuration passed on unchanged", "type", short(r.typeURL), "name", one.name, "err", err)
			continue
		}
		changed = changed || !bytes.Equal(data, one.data)
		one.data = data
	}
	return changed
}

// changedBy is a resource of a response, changed.
func changedBy(change func(*wire.Message) error, typeURL string, resource []byte) ([]byte, error) {
	m, err := wire.Parse(resource)
	if err != nil {
		return nil, err
	}
	err = m.Edit(fieldResource, func(value *wire.Message) error { return value.EditAny(typeURL, change) })
	return m.Bytes(), err
}
