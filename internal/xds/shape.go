package xds

import (
	"bytes"

	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// fieldResource is the Any of a Resource.
const fieldResource wire.Number = 2

// Shape changes a resource on its way from Consul to Envoy. Its name and version stay Consul's, so the same resource has to
// come out the same.
type Shape func(typeURL string, resource *wire.Message) error

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
	for i := range r.resources {
		one := &r.resources[i]
		data, err := shape.of(r.typeURL, one.data)
		if err != nil {
			p.log.Warn("configuration passed on unchanged", "type", short(r.typeURL), "name", one.name, "err", err)
			continue
		}
		changed = changed || !bytes.Equal(data, one.data)
		one.data = data
	}
	return changed
}

// of is a resource of a response, changed.
func (s Shape) of(typeURL string, resource []byte) ([]byte, error) {
	m, err := wire.Parse(resource)
	if err != nil {
		return nil, err
	}
	err = m.Edit(fieldResource, func(value *wire.Message) error {
		return value.EditAny(typeURL, func(m *wire.Message) error { return s(typeURL, m) })
	})
	return m.Bytes(), err
}
