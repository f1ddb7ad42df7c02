package xds

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"sync"

	"google.golang.org/grpc/mem"

	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// reviser remembers the resources of one type as Consul has sent them, over Envoy's streams: Consul sends nothing again of which
// Envoy says that it has it. So they can be shaped anew when what the shape knows has changed. What Envoy gets then has the version
// that Consul gave it, and a nonce of ours, so that its answer is kept from Consul.
type reviser struct {
	typeURL string
	forget  func(name string) // hears what Envoy has no more

	mu     sync.Mutex // held while resources of the type are shaped and sent, so that no older one is sent later
	kept   map[string]keptResource
	stale  bool // some may have another shape now
	nonces int
	wake   chan struct{}
}

// keptResource is one as it came, and as Envoy has it.
type keptResource struct {
	came resource
	sent []byte
}

// Revise lets resources of a type be shaped anew, by Reshape. Forget hears the names of those that Envoy has no more. It is called
// before Envoy starts, and once.
func (p *Proxy) Revise(typeURL string, forget func(name string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reviser = &reviser{typeURL: typeURL, forget: forget, kept: map[string]keptResource{}, wake: make(chan struct{}, 1)}
}

// Reshape sends Envoy those resources again that the shape now makes others of. Without a stream they wait for the next one.
func (p *Proxy) Reshape() {
	if v := p.revises(); v != nil {
		v.mu.Lock()
		v.stale = true
		v.mu.Unlock()
		v.nudge()
	}
}

func (p *Proxy) revises() *reviser {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reviser
}

func (v *reviser) nudge() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// hold keeps others from sending resources of the type until the function that it returns is called.
func (v *reviser) hold(typeURL string) (release func()) {
	if v == nil || v.typeURL != typeURL {
		return func() {}
	}
	v.mu.Lock()
	return v.mu.Unlock
}

// keep notes a response of Consul's: as it came, and as it goes to Envoy.
func (v *reviser) keep(r response, came []resource) {
	if v == nil || v.typeURL != r.typeURL {
		return
	}
	sent := map[string][]byte{}
	for _, one := range r.resources {
		sent[one.name] = one.data
	}
	for _, one := range came {
		v.kept[one.name] = keptResource{one, sent[one.name]}
	}
	v.drop(r.removed)
}

func (v *reviser) drop(names []string) {
	for _, name := range names {
		delete(v.kept, name)
		v.forget(name)
	}
}

// heard looks at what Envoy says on a stream: from its first word about the type on, it takes revised resources there.
func (v *reviser) heard(unsubscribed []string) {
	v.mu.Lock()
	v.drop(unsubscribed)
	stale := v.stale
	v.mu.Unlock()
	if stale {
		v.nudge()
	}
}

// revise is the response with everything that has another shape now; it has no resources if nothing has.
func (v *reviser) revise(p *Proxy) response {
	v.nonces++
	r := response{typeURL: v.typeURL, nonce: fmt.Sprintf("%sshaped-%d", ownNonce, v.nonces)}
	for name, one := range v.kept {
		shaped, _ := p.reshape(response{typeURL: v.typeURL, resources: []resource{one.came}})
		for _, now := range shaped.resources {
			if !bytes.Equal(now.data, one.sent) {
				v.kept[name] = keptResource{one.came, now.data}
				r.resources = append(r.resources, now)
			}
		}
	}
	return r
}

// reviseWhenTold sends what has another shape whenever there may be something, until ctx ends.
func (e *exchange) reviseWhenTold(ctx context.Context) {
	v := e.proxy.revises()
	if v == nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-v.wake:
		}
		if !e.spoken.Load() {
			continue // what Envoy says first of the type wakes it again
		}
		if err := e.sendRevised(v); err != nil {
			v.nudge() // the stream is over, and the next one has to send it
			return
		}
	}
}

func (e *exchange) sendRevised(v *reviser) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.stale {
		return nil
	}
	before := maps.Clone(v.kept)
	r := v.revise(e.proxy)
	if len(r.resources) > 0 {
		if err := e.tellEnvoy(&frame{mem.BufferSlice{mem.SliceBuffer(r.marshal())}}); err != nil {
			v.kept = before
			return err
		}
	}
	v.stale = false
	return nil
}

// heardOfRevised looks at what Envoy says of the type that is revised.
func (e *exchange) heardOfRevised(r request, data []byte) {
	if v := e.proxy.revises(); v != nil && v.typeURL == r.typeURL {
		e.spoken.Store(true)
		v.heard(unsubscribed(data))
	}
}

// unsubscribed are the names that Envoy's request says it wants to hear of no more.
func unsubscribed(request []byte) []string {
	m, err := wire.Parse(request)
	if err != nil {
		return nil
	}
	return m.Texts(fieldUnsubscribe)
}
