package xds

import (
	"errors"
	"slices"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// TestWhatDoesHarmAsItCameIsLeftOut has a shape fail that comes before the one of the owner.
func TestWhatDoesHarmAsItCameIsLeftOut(t *testing.T) {
	t.Parallel()
	fails := func(string) func(*wire.Message) error {
		return func(*wire.Message) error { return errors.New("not understood") }
	}
	unreadable := resource{name: "mine", version: "v1", data: []byte{0xff}}
	for name, tc := range map[string]struct {
		owner   Owner
		one     resource
		removed []string
	}{
		"closed":             {Owner{Closed: true}, listenerNamed("mine", "v1"), []string{"mine"}},
		"closed, unreadable": {Owner{Closed: true}, unreadable, []string{"mine"}},
		"open":               {Owner{}, listenerNamed("mine", "v1"), nil},
		"of another":         {Owner{Closed: true, Owns: func(name string) bool { return name != "mine" }}, listenerNamed("mine", "v1"), nil},
	} {
		p := &Proxy{log: hclog.NewNullLogger()}
		p.Shape(Shapes(fails, func(string) func(*wire.Message) error { return func(*wire.Message) error { return nil } }))
		p.Own(TypeListener, tc.owner)
		got, changed := p.reshape(response{typeURL: TypeListener, resources: []resource{tc.one}})
		if !slices.Equal(got.removed, tc.removed) || len(got.resources) != 1-len(tc.removed) || changed != (len(tc.removed) > 0) {
			t.Errorf("%s: %v are left out and %d are passed on, changed %v", name, got.removed, len(got.resources), changed)
		}
	}
}
