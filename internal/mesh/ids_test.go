package mesh_test

import (
	"strings"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

func TestServiceNamesAreCheckedAsTheAgentsDo(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]bool{
		"a": true, "1a": true, "a--b": true, "a_b": true, strings.Repeat("a", 200): true,
		"": false, "UPPER": false, "a_": false, "-a": false, "a.b": false, "my.app!": false, "a\n": false,
	} {
		if err := mesh.CheckServiceName(name); (err == nil) != good {
			t.Errorf("CheckServiceName(%q) = %v, want ok %v", name, err, good)
		}
	}
}

func TestServiceNameFallsBackToTheFamily(t *testing.T) {
	t.Parallel()
	if got := mesh.ServiceName("", "My-App"); got != "my-app" {
		t.Errorf("ServiceName of family My-App = %q, want my-app", got)
	}
	if got := mesh.ServiceName("web", "My-App"); got != "web" {
		t.Errorf("ServiceName with a name = %q, want web", got)
	}
}

func TestIDsAreTheIncumbents(t *testing.T) {
	t.Parallel()
	id := mesh.ServiceID("web", "1f3a")
	for got, want := range map[string]string{
		id:                                   "web-1f3a",
		mesh.ProxyID(id):                     "web-1f3a-sidecar-proxy",
		mesh.ProxyName("web"):                "web-sidecar-proxy",
		mesh.CheckID(id, "consul-dataplane"): "web-1f3a-consul-dataplane",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
