package xds

import (
	"google.golang.org/grpc/mem"

	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// Fields of envoy.service.discovery.v3.DeltaDiscoveryResponse and of its Resource.
const (
	responseResources = 2
	responseTypeURL   = 4
	resourceValue     = 2
)

// Shape changes a resource on its way from Consul to Envoy. Its name and version stay Consul's, so the same resource has to
// come out the same.
type Shape func(typeURL string, resource *wire.Message) error

// Shape sets how resources are changed. It is set before Envoy starts.
func (p *Proxy) Shape(shape Shape) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shape = shape
}

// shaped is a response as Envoy gets it. What cannot be read is passed on as it came: it is Envoy that has to understand it.
func (p *Proxy) shaped(f frame) frame {
	p.mu.Lock()
	shape := p.shape
	p.mu.Unlock()
	if shape == nil {
		return f
	}
	data, err := reshape(f.data.Materialize(), shape)
	if err != nil {
		p.log.Warn("configuration passed on unchanged", "err", err)
		return f
	}
	f.data.Free()
	return frame{data: mem.BufferSlice{mem.SliceBuffer(data)}}
}

func reshape(data []byte, shape Shape) ([]byte, error) {
	response, err := wire.Parse(data)
	if err != nil {
		return nil, err
	}
	typeURL := response.Text(responseTypeURL)
	err = response.EditEach(responseResources, func(resource *wire.Message) (bool, error) {
		return true, resource.Edit(resourceValue, func(value *wire.Message) error {
			return value.EditAny(typeURL, func(m *wire.Message) error { return shape(typeURL, m) })
		})
	})
	if err != nil {
		return nil, err
	}
	return response.Bytes(), nil
}
