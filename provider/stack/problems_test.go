package stack

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// The framework goes on with the configuration after its problems were reported.
func TestNamingAProblemsPlaceLeavesTheConfigurationAsItIs(t *testing.T) {
	t.Parallel()
	container := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"name": tftypes.String}}
	named := func(name string) tftypes.Value {
		return tftypes.NewValue(container, map[string]tftypes.Value{"name": tftypes.NewValue(tftypes.String, name)})
	}
	list := tftypes.List{ElementType: container}
	config := func() tftypes.Value {
		return tftypes.NewValue(tftypes.Object{AttributeTypes: map[string]tftypes.Type{"container": list}},
			map[string]tftypes.Value{"container": tftypes.NewValue(list, []tftypes.Value{named("a"), named("b"), named("c")})})
	}
	raw := config()
	if got, want := withNames(raw, problem.At("container", 1, "image")).String(), `container["b"].image`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !raw.Equal(config()) {
		t.Errorf("the configuration is now %s", raw)
	}
}
