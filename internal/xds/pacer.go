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
// new, and every other resource, passes at once.
type pacer struct {
	mu     sync.Mutex
	sent   map[string]response // by nonce: what Envoy has not answered yet
	held   map[place]*refusal
	nonces int
	wake   chan struct{} // holds one element when something became due
}

// place is where a resource is: there is one of a name for each type.
type place struct{ typeURL, name string }

// refusal is a resource that Envoy has refused.
type refusal struct {
	resource
	reason string
	alone  bool // it was refused by itself, not only among others
	tries  int
	next   time.Time // to offer it
	asked  string    // nonce of the offer that Envoy has not answered; "" for none
}

func newPacer() *pacer {
	return &pacer{sent: map[string]response{}, held: map[place]*refusal{}, wake: make(chan struct{}, 1)}
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
		delete(p.held, place{r.typeURL, name})
	}
	if len(left.resources) == 0 && len(r.resources) > 0 && len(r.removed) == 0 {
		return left, false
	}
	p.sent[left.nonce] = left
	return left, true
}

// news is what an answer of Envoy's tells.
type news struct {
	ours  bool     // it answers an offer of ours, of which Consul knows nothing
	first []string // resources that were refused by themselves for the first time
	taken []string // resources that had been refused, and are not any more
	among bool     // it is a refusal of several at once
	whole bool     // no resource of the type is refused any more
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
		old := p.held[at]
		current := old != nil && old.version == one.version
		switch {
		case n.ours && (!current || old.asked != r.nonce): // Consul has sent another meanwhile
		case !r.refused && current:
			delete(p.held, at)
			if old.alone {
				n.taken = append(n.taken, one.name)
			}
		case r.refused:
			if !current {
				old = &refusal{resource: one}
				p.held[at] = old
			}
			if p.refused(old, r.complain, len(asked.resources) == 1, now) {
				n.first = append(n.first, one.name)
			}
		}
	}
	if r.refused {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	n.whole = !p.refuses(r.typeURL)
	return n
}

// refused notes one more refusal, and reports whether the resource was refused by itself for the first time. Among others
// nobody knows which is to blame: it is offered by itself at once.
func (p *pacer) refused(f *refusal, reason string, alone bool, now time.Time) (first bool) {
	f.reason, f.asked = reason, ""
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
		case f.asked != "":
		case left <= 0:
			p.nonces++
			f.asked = fmt.Sprintf("%s%d", ownNonce, p.nonces)
			offer := response{typeURL: at.typeURL, nonce: f.asked, resources: []resource{f.resource}}
			p.sent[f.asked] = offer
			offers = append(offers, offer)
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

func (p *pacer) refuses(typeURL string) bool {
	for at := range p.held {
		if at.typeURL == typeURL {
			return true
		}
	}
	return false
}
