package xds

import (
	"bytes"
	"errors"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// fieldResource is the Any of a Resource.
const fieldResource wire.Number = 2

// Shape tells how resources of a type are changed on their way from Consul to Envoy; nil for a type that is passed on as it comes,
// and is not read then. Their names and versions stay Consul's, so the same resource has to come out the same, unless an Owner has it.
type Shape func(typeURL string) (change func(resource *wire.Message) error)

// ErrLeftOut is the error of a change after which Envoy shall not have the resource.
var ErrLeftOut = errors.New("left out")

// Shapes is one after the other.
func Shapes(all ...Shape) Shape {
	return func(typeURL string) func(*wire.Message) error {
		var changes []func(*wire.Message) error
		for _, shape := range all {
			if change := shape(typeURL); change != nil {
				changes = append(changes, change)
			}
		}
		if len(changes) == 0 {
			return nil
		}
		return func(resource *wire.Message) error {
			for _, change := range changes {
				if err := change(resource); err != nil {
					return err
				}
			}
			return nil
		}
	}
}

// Shape sets how resources are changed. It is set before Envoy starts.
func (p *Proxy) Shape(shape Shape) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shape = shape
}

// reshape changes the resources of a response, and reports whether any is another now. One that cannot be read stays as it came, unless
// its owner does not want that: it is Envoy that has to understand it.
func (p *Proxy) reshape(r response) (_ response, changed bool) {
	p.mu.Lock()
	shape := p.shape
	p.mu.Unlock()
	if shape == nil {
		return r, false
	}
	change := shape(r.typeURL)
	if change == nil {
		return r, false
	}
	var left []resource
	for _, one := range r.resources {
		data, err := changedBy(change, r.typeURL, one.data)
		if expected := errors.Is(err, ErrLeftOut); expected || err != nil && p.closed(r.typeURL, one.name) {
			r.removed, changed = append(r.removed, one.name), true
			level := hclog.Warn
			if expected {
				level = hclog.Debug
			}
			p.log.Log(level, "configuration left out", "type", short(r.typeURL), "name", one.name, "err", err)
			continue
		}
		if err != nil {
			p.log.Warn("configuration passed on unchanged", "type", short(r.typeURL), "name", one.name, "err", err)
			left = append(left, one)
			continue
		}
		changed = changed || !bytes.Equal(data, one.data)
		left = append(left, resource{one.name, one.version, data})
	}
	r.resources = left
	return r, changed
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
