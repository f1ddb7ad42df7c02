package xds

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// The pauses before Envoy gets a resource again that it has refused double from the first to the longest.
const (
	firstAgain = 2 * time.Second
	lastAgain  = time.Minute
)

// ownNonce begins the nonces of our own responses. Consul's are hexadecimal numbers.
const ownNonce = "again-"

// pacer keeps what Envoy has refused on one stream from coming to it again and again. Consul sends a refused resource anew
// whenever Envoy answers anything, and at once where another resource hangs on it, as a route does on a listener: that is
// hundreds of refusals a second. So Consul hears of the first refusal. When it sends the same again, that is left out, and
// Consul is told that it was taken, lest it sends it for ever; from then on we offer it to Envoy, ever more seldom. What is
// new, and every other resource, passes at once. Of what an Owner has, Consul does not even hear the first refusal.
type pacer struct {
	mu     sync.Mutex
	sent   map[string]response // by nonce: what Envoy has not answered yet
	last   map[place]latest    // what was sent last of a resource, if that is among it
	held   map[place]*refusal
	nonces int
	wake   chan struct{} // holds one element when something became due

	owns func(typeURL, name string) bool // those that an owner has: see Owner
}

// place is where a resource is: there is one of a name for each type.
type place struct{ typeURL, name string }

// latest is where a resource was sent last, and which version of it.
type latest struct{ nonce, version string }

// refusal is a resource that Envoy has refused.
type refusal struct {
	resource
	alone bool // it was refused by itself, not only among others
	tries int
	next  time.Time // to offer it
}

func newPacer(owns func(typeURL, name string) bool) *pacer {
	return &pacer{sent: map[string]response{}, last: map[place]latest{}, held: map[place]*refusal{}, wake: make(chan struct{}, 1), owns: owns}
}

// sends notes a response that Envoy gets. One of ours gets its nonce here.
func (p *pacer) sends(r response) response {
	if r.nonce == "" {
		p.nonces++
		r.nonce = fmt.Sprintf("%s%d", ownNonce, p.nonces)
	}
	p.sent[r.nonce] = r
	for _, one := range r.resources {
		p.last[place{r.typeURL, one.name}] = latest{r.nonce, one.version}
	}
	return r
}

// offer notes a response of ours, with what Envoy has not refused.
func (p *pacer) offer(r response) response {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sends(r)
}

// holds tells whether Envoy has refused the resource: its time comes.
func (p *pacer) holds(at place) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held[at] != nil
}

// forget drops what Envoy has no more.
func (p *pacer) forget(at place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(at)
}

func (p *pacer) drop(at place) {
	delete(p.held, at)
	delete(p.last, at)
}

func (p *pacer) awake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// pass is what Envoy gets of a response of Consul's: all but what it has refused just so. Where nothing is left, pass is
// false, and Consul is to be told that the response was taken.
func (p *pacer) pass(r response) (left response, pass bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	left = r
	left.resources = nil
	for _, one := range r.resources {
		at := place{r.typeURL, one.name}
		if old := p.held[at]; old != nil && old.version == one.version {
			continue
		}
		delete(p.held, at) // it is another now
		left.resources = append(left.resources, one)
	}
	for _, name := range r.removed {
		p.drop(place{r.typeURL, name})
	}
	if len(left.resources) == 0 && len(r.resources) > 0 && len(r.removed) == 0 {
		return left, false
	}
	return p.sends(left), true
}

// news is what an answer of Envoy's tells.
type news struct {
	ours  bool     // it answers an offer of ours, of which Consul knows nothing
	own   []string // resources of the owner's that it is about
	first []string // resources that were refused by themselves for the first time
	taken []string // resources that had been refused, and are not any more
	among bool     // it is a refusal of several at once
	whole bool     // no resource of the type but the owner's is refused any more
}

// answered notes Envoy's answer.
func (p *pacer) answered(r request, now time.Time) news {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := p.sent[r.nonce]
	delete(p.sent, r.nonce)
	n := news{ours: strings.HasPrefix(r.nonce, ownNonce), among: r.refused && len(asked.resources) > 1}
	for _, one := range asked.resources {
		at := place{asked.typeURL, one.name}
		if p.owns(asked.typeURL, one.name) {
			n.own = append(n.own, one.name)
		}
		switch last := p.last[at]; {
		case last.nonce == r.nonce:
			delete(p.last, at)
		case last.version != one.version:
			continue // Consul has sent another meanwhile, or removed it
		}
		old := p.held[at]
		switch {
		case !r.refused && old != nil:
			delete(p.held, at)
			if old.alone {
				n.taken = append(n.taken, one.name)
			}
		case r.refused:
			if old == nil {
				old = &refusal{resource: one}
				p.held[at] = old
			}
			if p.refused(old, len(asked.resources) == 1, now) {
				n.first = append(n.first, one.name)
			}
		}
	}
	if r.refused {
		p.awake()
	}
	n.whole = !p.refuses(r.typeURL)
	return n
}

// refused notes one more refusal, and reports whether the resource was refused by itself for the first time. Among others
// nobody knows which is to blame: it is offered by itself at once.
func (p *pacer) refused(f *refusal, alone bool, now time.Time) (first bool) {
	if !alone {
		f.next = now
		return false
	}
	first = !f.alone
	f.alone = true
	f.next = now.Add(min(firstAgain<<min(f.tries, 10), lastAgain))
	f.tries++
	return first
}

// due are the offers whose time has come, and how long it is until the next one; negative for never.
func (p *pacer) due(now time.Time) (offers []response, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait = -1
	for at, f := range p.held {
		switch left := f.next.Sub(now); {
		case p.last[at].nonce != "": // Envoy has not answered yet
		case left <= 0:
			offers = append(offers, p.sends(response{typeURL: at.typeURL, resources: []resource{f.resource}}))
		case wait < 0 || left < wait:
			wait = left
		}
	}
	return offers, wait
}

// refusing is how many resources of each type Envoy refuses.
func (p *pacer) refusing() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	count := map[string]int{}
	for at, f := range p.held {
		if f.alone {
			count[short(at.typeURL)]++
		}
	}
	return count
}

// refuses tells whether Envoy refuses any resource of the type, apart from the owner's: it serves without those.
func (p *pacer) refuses(typeURL string) bool {
	for at := range p.held {
		if at.typeURL == typeURL && !p.owns(typeURL, at.name) {
			return true
		}
	}
	return false
}
