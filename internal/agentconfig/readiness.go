package agentconfig

import (
	"slices"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// ReadinessProbe is how health-sync asks a container of the application itself, as long as ECS has no verdict on it: ECS's
// shortest health check takes 5 s. Once ECS has a verdict, that one counts.
type ReadinessProbe struct {
	Container string `json:"container" rule:"required"`               // one of healthSyncContainers
	Type      string `json:"type" rule:"required,enum=http|tcp|grpc"` // http wants an answer below 400, tcp a connection, grpc the answer SERVING of the health service
	Port      int    `json:"port" rule:"required,min=1,max=65535"`    // on loopback, or on proxy.localServiceAddress
	Path      string `json:"path,omitempty"`                          // of http, default /
	Service   string `json:"service,omitempty"`                       // of grpc; default: the server as a whole
}

// checkReadinessProbes checks what one field alone does not tell.
func (c Config) checkReadinessProbes(found *problem.List) {
	first := map[string]int{}
	for i, p := range c.ReadinessProbes {
		path := problem.At("readinessProbes", i)
		if j, twice := first[p.Container]; twice {
			found.AddWith([]problem.Path{problem.At("readinessProbes", j, "container")}, path.Child("container"), "%q has a probe in %s already", p.Container, problem.At("readinessProbes", j))
			continue
		}
		first[p.Container] = i
		if p.Container != "" && !slices.Contains(c.HealthSyncContainers, p.Container) {
			found.AddWith([]problem.Path{problem.At("healthSyncContainers")}, path.Child("container"), "is %q, whose health does not reach Consul", p.Container)
		}
		if p.Path != "" && p.Type != "http" {
			found.AddWith([]problem.Path{path.Child("type")}, path.Child("path"), "is for the type http alone")
		}
		if p.Path != "" && !strings.HasPrefix(p.Path, "/") {
			found.Add(path.Child("path"), "is %q, want a path that begins with '/'", p.Path)
		}
		if p.Service != "" && p.Type != "grpc" {
			found.AddWith([]problem.Path{path.Child("type")}, path.Child("service"), "is for the type grpc alone")
		}
	}
}
