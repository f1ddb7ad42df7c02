package xds

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

const typeTest = "type.googleapis.com/test.Thing"

// shapedBy is a proxy that revises things, of which the shape says what it knows at the time.
func shapedBy(knows *string, forget func(string)) *Proxy {
	p := &Proxy{log: hclog.NewNullLogger()}
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
	p.Revise(typeTest, forget)
	return p
}

// thing is a resource with a value of its own.
func thing(name, value string) resource {
	one := new(wire.Message).SetText(fieldVersion, "v1").SetText(fieldResourceName, name).
		Set(fieldResource, wire.Any(typeTest, new(wire.Message).SetText(1, value)))
	return resource{name, "v1", one.Bytes()}
}

// hear has the proxy take in a response of Consul's, and returns it as Envoy gets it.
func hear(p *Proxy, removed []string, resources ...resource) response {
	r := response{typeURL: typeTest, nonce: "1", resources: resources, removed: removed}
	came := append([]resource(nil), resources...)
	defer p.reviser.hold(typeTest)()
	r, _ = p.reshape(r)
	p.reviser.keep(r, came)
	return r
}

func TestWhatHasAnotherShapeIsSentAgain(t *testing.T) {
	t.Parallel()
	knows := "little"
	var forgotten []string
	p := shapedBy(&knows, func(name string) { forgotten = append(forgotten, name) })
	hear(p, nil, thing("a", "free"), thing("b", "fixed"), thing("c", "free"), thing("d", "free"))
	if r := p.reviser.revise(p); len(r.resources) > 0 {
		t.Errorf("%d resources are sent again, and nothing has changed", len(r.resources))
	}
	knows = "more"
	hear(p, []string{"c"})
	p.reviser.heard([]string{"d"})
	r := p.reviser.revise(p)
	if len(r.resources) != 1 || r.resources[0].name != "a" || !strings.HasPrefix(r.nonce, ownNonce) || r.typeURL != typeTest {
		t.Errorf("sent is %+v, want a with a nonce of ours", r)
	}
	if diff := cmp.Diff([]string{"c", "d"}, forgotten); diff != "" {
		t.Errorf("forgotten (-want +got):\n%s", diff)
	}
	parsed, err := parseResponse(r.marshal())
	if err != nil || parsed.resources[0].version != "v1" {
		t.Errorf("the version is not Consul's: %+v, %v", parsed, err)
	}
	if again := p.reviser.revise(p); len(again.resources) > 0 || again.nonce == r.nonce {
		t.Errorf("sent twice, or with the same nonce: %+v", again)
	}
	want := hear(shapedBy(&knows, nil), nil, thing("a", "free"))
	if diff := cmp.Diff(want.resources[0].data, r.resources[0].data); diff != "" {
		t.Errorf("shaped later it is another than shaped at once (-want +got):\n%s", diff)
	}
}

func TestOtherTypesAreNotRevised(t *testing.T) {
	t.Parallel()
	knows := ""
	p := shapedBy(&knows, func(string) { t.Error("something is forgotten") })
	p.reviser.hold(TypeListener)()
	p.reviser.keep(response{typeURL: TypeListener, removed: []string{"a"}}, []resource{{name: "b"}})
	if len(p.reviser.kept) > 0 {
		t.Errorf("%d are kept", len(p.reviser.kept))
	}
	var none *reviser
	none.hold(typeTest)()
	none.keep(response{typeURL: typeTest, removed: []string{"a"}}, []resource{{name: "b"}})
}
