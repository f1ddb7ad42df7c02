package xds

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
)

// aResource is one as Consul writes it, with a field that we do not know.
func aResource(name, version string) resource {
	data := appendBytes(appendBytes(nil, fieldVersion, []byte(version)), fieldResourceName, []byte(name))
	data = protowire.AppendVarint(protowire.AppendTag(data, 99, protowire.VarintType), 7)
	return resource{name, version, data}
}

func aResponse(nonce string, resources ...resource) response {
	return response{typeURL: TypeListener, nonce: nonce, resources: resources}
}

func names(all []resource) (names []string) {
	for _, r := range all {
		names = append(names, r.name)
	}
	return names
}

func refuse(nonce string) request {
	return request{typeURL: TypeListener, nonce: nonce, refused: true, complain: "no"}
}

func TestWhatIsRefusedTwiceIsOfferedEverMoreSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(func(string, string) bool { return false })
		if _, pass := p.pass(aResponse("1", aResource("a", "v1"))); !pass {
			t.Fatal("the first response does not pass")
		}
		if n := p.answered(refuse("1"), time.Now()); n.ours || !cmp.Equal(n.first, []string{"a"}) {
			t.Errorf("the refusal is %+v", n)
		}
		if _, pass := p.pass(aResponse("2", aResource("a", "v1"))); pass {
			t.Error("the same passes again")
		}
		began, offers := time.Now(), 0
		for time.Since(began) < 10*time.Minute {
			due, wait := p.due(time.Now())
			for _, offer := range due {
				offers++
				if n := p.answered(refuse(offer.nonce), time.Now()); !n.ours || len(n.first) > 0 {
					t.Errorf("the refusal of an offer is %+v", n)
				}
			}
			if len(due) == 0 {
				time.Sleep(wait)
			}
		}
		if offers < 10 || offers > 16 {
			t.Errorf("%d offers in ten minutes", offers)
		}
		due, _ := p.due(time.Now().Add(lastAgain))
		n := p.answered(request{typeURL: TypeListener, nonce: due[0].nonce}, time.Now())
		if !cmp.Equal(n.taken, []string{"a"}) || !n.whole || len(p.held) > 0 || len(p.sent) > 0 {
			t.Errorf("the acceptance is %+v, and %v is left", n, p.held)
		}
	})
}

func TestWhatIsNewPassesAtOnce(t *testing.T) {
	t.Parallel()
	now := time.Now()
	p := newPacer(func(string, string) bool { return false })
	p.pass(aResponse("1", aResource("a", "v1")))
	p.answered(refuse("1"), now)
	left, pass := p.pass(aResponse("2", aResource("a", "v1"), aResource("b", "v1")))
	if !pass || !cmp.Equal(names(left.resources), []string{"b"}) {
		t.Errorf("of the refused and a new one passes %v", names(left.resources))
	}
	if left, pass = p.pass(aResponse("3", aResource("a", "v2"))); !pass || len(left.resources) != 1 {
		t.Error("another version does not pass")
	}
	offer, _ := p.due(now.Add(time.Hour))
	if len(offer) > 0 {
		t.Errorf("the old version is offered still: %v", offer)
	}
	p.answered(refuse("3"), now)
	removal := aResponse("4", aResource("a", "v2"))
	removal.removed = []string{"c"}
	if left, pass = p.pass(removal); !pass || len(left.resources) > 0 || len(left.removed) != 1 {
		t.Errorf("a removal beside what is refused is %+v", left)
	}
	p.pass(response{typeURL: TypeListener, nonce: "5", removed: []string{"a"}})
	if len(p.refusing()) > 0 {
		t.Error("what is removed is refused still")
	}
}

func TestOfSeveralThatAreRefusedEachIsOfferedByItselfAtOnce(t *testing.T) {
	t.Parallel()
	now := time.Now()
	p := newPacer(func(string, string) bool { return false })
	p.pass(aResponse("1", aResource("good", "v1"), aResource("bad", "v1")))
	if n := p.answered(refuse("1"), now); !n.among || len(n.first) > 0 {
		t.Errorf("the refusal is %+v", n)
	}
	offers, _ := p.due(now)
	if len(offers) != 2 {
		t.Fatalf("%d offers", len(offers))
	}
	for _, offer := range offers {
		if offer.resources[0].name == "bad" {
			if n := p.answered(refuse(offer.nonce), now); !cmp.Equal(n.first, []string{"bad"}) {
				t.Errorf("the refusal of the bad one is %+v", n)
			}
			continue
		}
		if n := p.answered(request{typeURL: TypeListener, nonce: offer.nonce}, now); len(n.taken) > 0 {
			t.Errorf("the good one is told: %+v", n)
		}
	}
	if diff := cmp.Diff(map[string]int{"Listener": 1}, p.refusing()); diff != "" {
		t.Error(diff)
	}
}

// Envoy answers in the order in which it got what it answers.
func TestARefusalOfWhatIsSupersededHoldsNothing(t *testing.T) {
	t.Parallel()
	now := time.Now()
	p := newPacer(func(string, string) bool { return false })
	p.pass(aResponse("1", aResource("a", "v1")))
	p.pass(aResponse("2", aResource("a", "v2")))
	p.answered(refuse("1"), now)
	if offers, _ := p.due(now.Add(time.Hour)); len(offers) > 0 {
		t.Errorf("an older version is offered after a newer one: %v", offers)
	}
	if n := p.answered(refuse("2"), now); !cmp.Equal(n.first, []string{"a"}) {
		t.Errorf("the refusal of the newer one is %+v", n)
	}
	offers, _ := p.due(now.Add(time.Hour))
	if len(offers) != 1 || offers[0].resources[0].version != "v2" {
		t.Fatalf("offered is %v, want the newer one", offers)
	}
	p.pass(aResponse("3", aResource("a", "v3"))) // before Envoy has answered the offer
	if p.answered(refuse(offers[0].nonce), now); len(p.held) > 0 {
		t.Error("an offer's refusal holds what Consul has sent after it")
	}
	if again, wait := p.due(now.Add(time.Hour)); len(again) > 0 || wait >= 0 {
		t.Errorf("offered is %v", again)
	}
}

// Were it not held at once, Consul could go on sending it before each refusal arrives.
func TestARefusalHoldsWhatWasSentTwice(t *testing.T) {
	t.Parallel()
	p := newPacer(func(string, string) bool { return false })
	p.pass(aResponse("1", aResource("a", "v1")))
	p.pass(aResponse("2", aResource("a", "v1")))
	p.answered(refuse("1"), time.Now())
	if _, pass := p.pass(aResponse("3", aResource("a", "v1"))); pass {
		t.Error("the same passes again")
	}
	if offers, _ := p.due(time.Now().Add(time.Hour)); len(offers) > 0 {
		t.Errorf("%v is offered while Envoy has the same before it", offers)
	}
	p.answered(refuse("2"), time.Now())
	if offers, _ := p.due(time.Now().Add(time.Hour)); len(offers) != 1 {
		t.Errorf("%d offers", len(offers))
	}
}

func TestAResponseIsWrittenAsItWasRead(t *testing.T) {
	t.Parallel()
	in := aResponse("n", aResource("a", "v1"), aResource("b", "v2"))
	in.removed = []string{"c"}
	in.rest = appendBytes(nil, 7, []byte("control plane"))
	got, err := parseResponse(in.marshal())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, got, cmp.AllowUnexported(response{}, resource{})); diff != "" {
		t.Error(diff)
	}
}

func TestAnAnswerIsTakenOutOfARequestThatSubscribes(t *testing.T) {
	t.Parallel()
	answer := acceptance(aResponse("again-1"))
	if got := withoutAnswer(answer); got != nil {
		t.Errorf("of a mere answer %q is left", got)
	}
	got, err := parseRequest(withoutAnswer(appendBytes(answer, fieldSubscribe, []byte("route"))))
	if err != nil || got.typeURL != TypeListener || got.nonce != "" {
		t.Errorf("left is %+v (%v)", got, err)
	}
}

func FuzzResponsesOfAnyBytes(f *testing.F) {
	f.Add(aResponse("1", aResource("a", "v1")).marshal())
	f.Add([]byte{0x12, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseResponse(data)
		if err != nil {
			return
		}
		again, err := parseResponse(r.marshal())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, again, cmp.AllowUnexported(response{}, resource{})); diff != "" {
			t.Error(diff)
		}
		withoutAnswer(data)
	})
}
