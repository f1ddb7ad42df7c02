package agentconfig

import (
	"cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// FurtherService is a service that the task provides besides the first, and its sidecar proxy.
type FurtherService struct {
	Service *Service `json:"service" rule:"required"` // with the keys of service: name and port are required, namespace and partition are the first one's
	Proxy   *Proxy   `json:"proxy,omitempty"`         // with the keys of proxy, but for dataplane; default ports: 20001 and 22001 for the first in the list, 20002 and 22002 for the next, and so on
}

// Pair is a service of the task and its sidecar proxy, with their defaults.
type Pair struct {
	Service   Service
	Proxy     Proxy
	AdminPort int // of the proxy's Envoy

	at place
}

// place is where in the configuration a pair is.
type place struct{ service, proxy problem.Path }

// Further reports whether the pair is in the list of further services.
func (p Pair) Further() bool { return p.AdminPort != mesh.PortEnvoyAdmin }

// placeOf is the place of the n-th pair, counted from 0.
func placeOf(n int) place {
	if n == 0 {
		return place{problem.At("service"), problem.At("proxy")}
	}
	return place{problem.At("services", n-1, "service"), problem.At("services", n-1, "proxy")}
}

// Pairs are the services of a task of the family, in order, the first of them that of the keys service and proxy.
func (c Config) Pairs(family string) []Pair {
	first := Pair{c.ServiceSettings(family), c.ProxySettings(), mesh.PortEnvoyAdmin, placeOf(0)}
	all := []Pair{first}
	for i, further := range c.Services {
		n := i + 1
		service, proxy := deref(further.Service), deref(further.Proxy)
		service.Namespace, service.Partition = first.Service.Namespace, first.Service.Partition
		proxy.PublicListenerPort = cmp.Or(proxy.PublicListenerPort, mesh.PortPublicListener+n)
		proxy.HealthCheckPort = cmp.Or(proxy.HealthCheckPort, mesh.PortReadiness+n)
		all = append(all, Pair{service, proxy, mesh.PortEnvoyAdmin + n, placeOf(n)})
	}
	return all
}

// checkServices checks what is peculiar to further services.
func (c Config) checkServices(found *problem.List) {
	path := problem.At("services")
	if n := len(c.Services); n >= mesh.MaxServices {
		found.Add(path, "has %d services besides the first one, want at most %d", n, mesh.MaxServices-1)
	}
	if len(c.Services) > 0 && c.RedirectsTraffic() {
		found.AddWith([]problem.Path{path}, problem.At("transparentProxy", "enabled"), "is true, but the task is several services: callers with a transparent proxy tell services by their addresses, "+
			"which here are one. Leave it out, or make a task of each service")
	}
	if len(c.Services) > 0 && deref(c.ConsulLogin).EmbedBearerToken {
		found.AddWith([]problem.Path{path}, problem.At("consulLogin", "embedBearerToken"), "is true, as for the official dataplane, but that runs one proxy, and the task is several services")
	}
	first := map[string]problem.Path{}
	for n, pair := range c.Pairs("") {
		name := pair.at.service.Child("name")
		switch other, twice := first[pair.Service.Name]; {
		case n > 0 && pair.Service.Name == "":
			found.Add(name, "is missing: only the first service of a task has a name by default")
		case twice:
			found.AddWith([]problem.Path{other}, name, "is %q, the name of another service of the task: give each a name of its own", pair.Service.Name)
		case pair.Service.Name != "":
			first[pair.Service.Name] = name
		}
		if n > 0 {
			c.Services[n-1].check(placeOf(n), found)
		}
	}
}

func (s FurtherService) check(at place, found *problem.List) {
	service, proxy := deref(s.Service), deref(s.Proxy)
	if service.Port == 0 {
		found.Add(at.service.Child("port"), "is missing: set the port that the application listens on for this service")
	}
	for _, scope := range []struct{ key, value string }{{"namespace", service.Namespace}, {"partition", service.Partition}} {
		if scope.value != "" {
			found.Add(at.service.Child(scope.key), "is %q, but all services of a task lie where the first one does: leave it out", scope.value)
		}
	}
	if proxy.Dataplane != nil {
		found.Add(at.proxy.Child("dataplane"), "is set, but all proxies of a task run as %s says: leave it out", problem.At("proxy", "dataplane"))
	}
}
