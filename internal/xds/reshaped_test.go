package xds

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

const typeTest = "type.googleapis.com/test.Thing"

// shapedBy is a stream of a proxy with an owner of things, of which the shape says what it knows at the time.
func shapedBy(knows *string, gone func(string)) *exchange {
	p := &Proxy{log: hclog.NewNullLogger(), kept: map[place]*kept{}}
	p.Shape(func(typeURL string) func(*wire.Message) error {
		if typeURL != typeTest {
			return nil
		}
		return func(m *wire.Message) error {
			if m.Text(1) == "free" {
				m.SetText(2, *knows)
			}
			return nil
		}
	})
	p.Own(typeTest, Owner{Gone: gone})
	return p.begin(nil, nil)
}

// thing is a resource with a value of its own.
func thing(name, value string) resource {
	one := new(wire.Message).SetText(fieldVersion, "v1").SetText(fieldResourceName, name).
		Set(fieldResource, wire.Any(typeTest, new(wire.Message).SetText(1, value)))
	return resource{name, "v1", one.Bytes()}
}

// hear has the stream take in a response of Consul's, and returns it as Envoy gets it.
func hear(e *exchange, removed []string, resources ...resource) response {
	r, _, _ := e.take(response{typeURL: typeTest, nonce: "1", resources: resources, removed: removed})
	return r
}

func TestWhatHasAnotherShapeIsSentAgain(t *testing.T) {
	t.Parallel()
	knows := "little"
	var forgotten []string
	e := shapedBy(&knows, func(name string) { forgotten = append(forgotten, name) })
	hear(e, nil, thing("a", "free"), thing("b", "fixed"), thing("c", "free"), thing("d", "free"), thing("e", "free"))
	if r := e.reshaped(typeTest); len(r.resources) > 0 {
		t.Errorf("%d resources are sent again, and nothing has changed", len(r.resources))
	}
	knows = "more"
	hear(e, []string{"c"})
	e.heardOfOwned(request{typeURL: typeTest, unsubscribed: []string{"d"}, has: map[string]bool{"a": true, "b": true, "d": true, "e": true}})
	r := e.reshaped(typeTest)
	sent := names(r.resources)
	slices.Sort(sent)
	if !slices.Equal(sent, []string{"a", "e"}) || !strings.HasPrefix(r.nonce, ownNonce) || r.typeURL != typeTest {
		t.Fatalf("sent is %+v, want a and e with a nonce of ours", r)
	}
	if diff := cmp.Diff([]string{"c", "d"}, forgotten); diff != "" {
		t.Errorf("forgotten (-want +got):\n%s", diff)
	}
	parsed, err := parseResponse(r.marshal())
	if err != nil || parsed.resources[0].version != "v1" {
		t.Errorf("the version is not Consul's: %+v, %v", parsed, err)
	}
	if again := e.reshaped(typeTest); len(again.resources) > 0 {
		t.Errorf("sent twice: %+v", again)
	}
	want := hear(shapedBy(&knows, nil), nil, thing("a", "free"))
	got := r.resources[slices.IndexFunc(r.resources, func(one resource) bool { return one.name == "a" })]
	if diff := cmp.Diff(want.resources[0].data, got.data); diff != "" {
		t.Errorf("shaped later it is another than shaped at once (-want +got):\n%s", diff)
	}
	knows = "most"
	most := e.reshaped(typeTest)
	if len(most.resources) != 2 || most.nonce == r.nonce {
		t.Errorf("sent with the same nonce, or not at all: %+v", most)
	}
	e.taken(request{typeURL: typeTest, nonce: "1"}, []string{"b"})
	e.taken(request{typeURL: typeTest, nonce: r.nonce}, []string{"a", "e"}) // which is not the last that it was sent
	e.taken(request{typeURL: typeTest, nonce: most.nonce}, []string{"a"})
	if next := e.proxy.begin(nil, nil).reshaped(typeTest); !slices.Equal(names(next.resources), []string{"e"}) {
		t.Errorf("on the next stream Envoy is sent %v, want what it had not taken", names(next.resources))
	}
}

func TestARefusalOfAnotherShapeIsPaced(t *testing.T) {
	t.Parallel()
	knows := "little"
	e := shapedBy(&knows, nil)
	hear(e, nil, thing("a", "free"))
	knows = "more"
	r := e.reshaped(typeTest)
	now := time.Now()
	if n := e.pacer.answered(request{typeURL: typeTest, nonce: "1"}, now); n.ours || !cmp.Equal(n.own, []string{"a"}) {
		t.Errorf("the answer to Consul's response is %+v", n)
	}
	if n := e.pacer.answered(request{typeURL: typeTest, nonce: r.nonce, refused: true}, now); !n.ours || !cmp.Equal(n.first, []string{"a"}) {
		t.Errorf("the refusal is %+v", n)
	}
	knows = "most"
	if again := e.reshaped(typeTest); len(again.resources) > 0 {
		t.Error("what is refused does not wait for its time")
	}
	due, _ := e.pacer.due(now.Add(time.Hour))
	want := hear(shapedBy(&knows, nil), nil, thing("a", "free"))
	if got := e.remade(due[0]); !cmp.Equal(want.resources[0].data, got.resources[0].data) {
		t.Errorf("offered is %+v, want the shape of now", got)
	}
}

func TestWhatNobodyOwnsIsNotKept(t *testing.T) {
	t.Parallel()
	knows := ""
	e := shapedBy(&knows, func(string) { t.Error("something is forgotten") })
	e.take(response{typeURL: TypeListener, nonce: "1", removed: []string{"a"}, resources: []resource{aResource("b", "v1")}})
	e.heardOfOwned(request{typeURL: TypeListener, unsubscribed: []string{"b"}})
	if len(e.proxy.kept) > 0 {
		t.Errorf("%d are kept", len(e.proxy.kept))
	}
}
