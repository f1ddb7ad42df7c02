package xds

import (
	"bytes"
	"slices"
)

// Owner makes resources of a type its own: what its Shape makes of them depends on more than what Consul sends, and may change while that
// stays. So they are kept as Consul has sent them, and it is for the owner to see that Envoy takes them: Consul is told that they were
// taken, whatever Envoy says, or it would send them again. Its functions must not call the proxy.
type Owner struct {
	Owns     func(name string) bool     // nil: all of the type
	Answered func(name, refusal string) // Envoy has taken the resource, or has refused it for a reason; nil: nobody minds
	Gone     func(name string)          // Consul has no such resource any more, or Envoy wants none, or it has to come anew; nil: nobody minds
	Closed   bool                       // Envoy gets no resource that could not be changed, for any reason: as it came, it does harm
}

// kept is a resource of an owner's over Envoy's streams: Consul sends nothing again of which Envoy says that it has it.
type kept struct {
	came  resource  // from Consul
	sent  []byte    // to Envoy at last; nil: it is left out
	nonce string    // of the response with that; "" once Envoy has taken it
	by    *exchange // that sent it
}

// Own sets the owner of resources of a type. It is set before Envoy starts.
func (p *Proxy) Own(typeURL string, owner Owner) { p.owners.Store(typeURL, owner) }

// Reshape sends Envoy those resources of an owner's again of which the shape makes something else now, with the version that Consul gave
// them. Without a stream they wait for the next one, and those that Envoy refuses for their time.
func (p *Proxy) Reshape(typeURL string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.stream; e != nil {
		if _, spoken := e.stale[typeURL]; spoken { // else Envoy's first word does the same
			e.stale[typeURL] = true
			e.pacer.awake()
		}
	}
}

// owner is the owner of resources of the type, and whether it has this one.
func (p *Proxy) owner(typeURL, name string) (owner Owner, owns bool) {
	found, _ := p.owners.Load(typeURL)
	owner, owns = found.(Owner)
	return owner, owns && (owner.Owns == nil || owner.Owns(name))
}

func (p *Proxy) owns(typeURL, name string) bool {
	_, owns := p.owner(typeURL, name)
	return owns
}

// closed reports whether Envoy gets a resource changed or not at all.
func (p *Proxy) closed(typeURL, name string) bool {
	owner, owns := p.owner(typeURL, name)
	return owns && owner.Closed
}

// outdated are the types of which something may have another shape now.
func (e *exchange) outdated() (types []string) {
	e.proxy.mu.Lock()
	defer e.proxy.mu.Unlock()
	for typeURL, stale := range e.stale {
		if stale {
			types = append(types, typeURL)
			e.stale[typeURL] = false
		}
	}
	return types
}

// begins notes that Envoy speaks of a type, and reports whether it is for the first time on this stream.
func (e *exchange) begins(typeURL string) bool {
	e.proxy.mu.Lock()
	defer e.proxy.mu.Unlock()
	_, spoken := e.stale[typeURL]
	if !spoken {
		e.stale[typeURL] = true
		e.pacer.awake()
	}
	return !spoken
}

// heardOfOwned looks at what Envoy says it has, and does not want any more. What it does not say it has on a new stream, Consul sends
// again if there is such a thing still; the rest has its shape from an earlier stream, which may have changed, or may not have arrived.
func (e *exchange) heardOfOwned(r request) {
	e.proxy.making.Lock()
	defer e.proxy.making.Unlock()
	if e.begins(r.typeURL) {
		for at := range e.proxy.kept {
			if at.typeURL == r.typeURL && !r.has[at.name] {
				e.forget(r.typeURL, at.name)
			}
		}
	}
	e.forget(r.typeURL, r.unsubscribed...)
}

// keep remembers what Consul says of resources of an owner's, as it came.
func (e *exchange) keep(r response) {
	for _, one := range r.resources {
		if at := (place{r.typeURL, one.name}); e.proxy.owns(r.typeURL, one.name) {
			if e.proxy.kept[at] == nil {
				e.proxy.kept[at] = &kept{}
			}
			e.proxy.kept[at].came = resource{one.name, one.version, slices.Clone(one.data)}
		}
	}
	e.forget(r.typeURL, r.removed...)
}

// forget drops what Consul has no more, or Envoy does not want.
func (e *exchange) forget(typeURL string, names ...string) {
	for _, name := range names {
		e.pacer.forget(place{typeURL, name})
		delete(e.proxy.kept, place{typeURL, name})
		if owner, owns := e.proxy.owner(typeURL, name); owns && owner.Gone != nil {
			owner.Gone(name)
		}
	}
}

// sends notes what a response to Envoy has of what is kept.
func (e *exchange) sends(r response) {
	note := func(name string, data []byte) {
		if k := e.proxy.kept[place{r.typeURL, name}]; k != nil {
			k.sent, k.nonce, k.by = data, r.nonce, e
		}
	}
	for _, one := range r.resources {
		note(one.name, one.data)
	}
	for _, name := range r.removed {
		note(name, nil)
	}
}

// answered notes Envoy's answer to a response with resources of an owner's, and tells it, unless something newer is on its way.
func (e *exchange) answered(r request, n news) {
	e.proxy.making.Lock()
	defer e.proxy.making.Unlock()
	for _, name := range n.own {
		k := e.proxy.kept[place{r.typeURL, name}]
		if k == nil || k.by != e || k.nonce != r.nonce {
			continue
		}
		if !r.refused {
			k.nonce = ""
		}
		if owner, _ := e.proxy.owner(r.typeURL, name); owner.Answered != nil && !n.among { // else nobody knows yet
			owner.Answered(name, r.complain)
		}
	}
}

// remade is an offer of a single resource with what the shape makes of it now, if an owner has it.
func (e *exchange) remade(offer response) response {
	if k := e.proxy.kept[place{offer.typeURL, offer.resources[0].name}]; k != nil {
		offer.resources = []resource{k.came}
		offer, _ = e.proxy.reshape(offer)
		e.sends(offer)
	}
	return offer
}

// reshaped is a response with all that has another shape now than Envoy was sent, or was sent on a stream that ended before Envoy had
// taken it. Without any the response is empty.
func (e *exchange) reshaped(typeURL string) response {
	all := response{typeURL: typeURL}
	for at, k := range e.proxy.kept {
		if at.typeURL != typeURL || e.pacer.holds(at) {
			continue
		}
		now, _ := e.proxy.reshape(response{typeURL: typeURL, resources: []resource{k.came}})
		var data []byte
		for _, one := range now.resources {
			data = one.data
		}
		if lost := k.nonce != "" && k.by != e; lost || !bytes.Equal(data, k.sent) {
			all.resources = append(all.resources, now.resources...)
			all.removed = append(all.removed, now.removed...)
		}
	}
	if len(all.resources)+len(all.removed) > 0 {
		all = e.pacer.offer(all)
		e.sends(all)
	}
	return all
}
