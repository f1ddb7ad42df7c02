package agentconfig

import (
	"cmp"
	"net/netip"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

var everywhere, loopback = netip.IPv4Unspecified(), netip.AddrFrom4([4]byte{127, 0, 0, 1})

// listener is a port that something in the task's network namespace listens on.
type listener struct {
	what    any          // its name, or the place that asks for it
	path    problem.Path // nil for a port that no setting decides
	with    []problem.Path
	port    int
	address netip.Addr // unspecified: every address
}

// checkPorts reports two listeners on one port of one address: the second to start would fail in the task.
func (c Config) checkPorts(found *problem.List) {
	var seen []listener
	for _, l := range c.listeners() {
		if l.port == 0 {
			continue
		}
		for _, other := range seen {
			if l.clashes(other) {
				found.AddWith(append(l.with, other.places()...), l.path, "is %d, the port of %v", l.port, other.what)
				break
			}
		}
		seen = append(seen, l)
	}
}

func (l listener) clashes(other listener) bool {
	return l.port == other.port && (l.address == other.address || l.address.IsUnspecified() || other.address.IsUnspecified())
}

func (l listener) places() []problem.Path {
	if l.path == nil {
		return l.with
	}
	return append([]problem.Path{l.path}, l.with...)
}

// listeners is every port that the configuration decides, those whose defaults others build on first. The application
// counts as bound to every address: most are, and the proxy's own ports are reached there.
func (c Config) listeners() []listener {
	var all []listener
	pairs := c.Pairs("")
	for _, pair := range pairs {
		all = append(all, listener{what: "Envoy's admin interface", port: pair.AdminPort, address: loopback})
	}
	for _, pair := range pairs {
		all = append(all, pair.listeners()...)
	}
	redirected := []problem.Path{problem.At("transparentProxy", "enabled")}
	if c.RedirectsTraffic() {
		all = append(all, listener{what: "Envoy's listener for redirected traffic", port: mesh.PortOutboundListener, address: loopback, with: redirected})
	}
	if c.ResolvesNames() {
		all = append(all, listener{what: "the DNS proxy", port: mesh.PortDNS, address: loopback, with: redirected})
	}
	if c.CallsByName() {
		all = append(all, c.namesListeners(pairs)...)
	}
	for _, pair := range pairs {
		path := pair.at.proxy
		for i, u := range pair.Proxy.Upstreams {
			at := path.Child("upstreams", i)
			all = append(all, listener{what: at, path: at.Child("localBindPort"), port: u.LocalBindPort,
				address: address(u.LocalBindAddress, loopback), with: []problem.Path{at.Child("localBindAddress")}})
		}
		for i, p := range deref(pair.Proxy.Expose).Paths {
			at := path.Child("expose", "paths", i)
			all = append(all, listener{what: at, path: at.Child("listenerPort"), port: p.ListenerPort, address: everywhere})
		}
	}
	return all
}

// listeners are those of the service and its proxy.
func (p Pair) listeners() []listener {
	path := p.at.proxy
	all := []listener{
		{what: "the public listener", path: path.Child("publicListenerPort"), port: p.Proxy.PublicListenerPort, address: everywhere},
		{what: "the readiness listener", path: path.Child("healthCheckPort"), port: p.Proxy.HealthCheckPort, address: everywhere},
		{what: "the service", path: p.at.service.Child("port"), port: p.Service.Port, address: address(p.Proxy.LocalServiceAddress, everywhere),
			with: []problem.Path{path.Child("localServiceAddress")}},
	}
	if p.Further() { // there are several of each
		for i, l := range all {
			all[i].what = l.path
		}
	}
	return all
}

// namesListeners are Envoy's for names, after the ports of the agents that no setting decides. Envoy binds those for names to every address
// of the loopback device, and so collides with a program at any address.
func (c Config) namesListeners(pairs []Pair) []listener {
	path := problem.At("names")
	switchedOn := []problem.Path{path.Child("enabled")}
	all := []listener{{what: "the DNS proxy", port: mesh.PortResolver, address: loopback, with: switchedOn}}
	for n := range pairs {
		all = append(all, listener{what: "the dataplane's endpoints for start and stop", port: mesh.PortLifeCycle + n, address: loopback, with: switchedOn},
			listener{what: "the dataplane's metrics", port: mesh.PortMetrics + n, address: loopback, with: switchedOn})
	}
	for i, port := range c.NamesSettings().Ports {
		at := path.Child("ports")
		if len(c.Names.Ports) > 0 {
			at = path.Child("ports", i)
		}
		all = append(all, listener{what: "Envoy's listener for names", path: at, port: port, address: everywhere, with: append(switchedOn, path.Child("ports"))})
	}
	return all
}

// MaxNamesPorts is how many ports may be chosen for names: each is a socket for each of Envoy's threads.
const MaxNamesPorts = 16

func (c Config) checkNames(found *problem.List) {
	if c.Names == nil {
		return
	}
	path := problem.At("names")
	checkPortList(c.Names.Ports, path.Child("ports"), found)
	if n := len(c.Names.Ports); c.Names.Ports != nil && (n == 0 || n > MaxNamesPorts) {
		found.Add(path.Child("ports"), "has %d ports, want 1 to %d", n, MaxNamesPorts)
	}
	if c.CallsByName() && c.RedirectsTraffic() {
		other := problem.At("transparentProxy", "enabled")
		found.AddWith([]problem.Path{other}, path.Child("enabled"), "is true, but %s is true as well, and with that the application calls by name anyway: choose one of the two", other)
	}
	if login := problem.At("consulLogin", "embedBearerToken"); c.CallsByName() && deref(c.ConsulLogin).EmbedBearerToken {
		found.AddWith([]problem.Path{login}, path.Child("enabled"), "is true, but %s is for the official dataplane, which knows no names: leave one of the two out", login)
	}
}

// address parses text; what is no address is reported elsewhere and counts as otherwise here.
func address(text string, otherwise netip.Addr) netip.Addr {
	parsed, err := netip.ParseAddr(text)
	if err != nil {
		return otherwise
	}
	return cmp.Or(parsed.Unmap(), otherwise)
}
