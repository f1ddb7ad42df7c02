package dataplanefile

import (
	"fmt"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
)

// Names has Envoy listen for calls to services by their names, on the loopback device alone. The proxy has to be registered in transparent
// mode, and the names are answered by dnsServer. With furtherProxies, the calls are those of the first.
type Names struct {
	Ports []int `json:"ports"` // at each of which every name is reached
}

func (f File) checkNames(p *problems) {
	if f.Names == nil {
		return
	}
	const path = "names.ports"
	if n := len(f.Names.Ports); n < 1 || n > agentconfig.MaxNamesPorts {
		p.add(path, "%d ports, want 1 to %d", n, agentconfig.MaxNamesPorts)
	}
	taken := map[int]string{f.Envoy.AdminBindPort: "envoy.adminBindPort", f.Envoy.ReadyBindPort: "envoy.readyBindPort",
		f.Envoy.GracefulPort: "envoy.gracefulPort", f.Telemetry.Prometheus.MergePort: "telemetry.prometheus.mergePort"}
	if addr, on := f.DNS(); on {
		taken[int(addr.Port())] = "dnsServer.bindPort"
	}
	for i, port := range f.Names.Ports {
		at := fmt.Sprintf("%s[%d]", path, i)
		if port < 1 || port > 65535 {
			p.add(at, "%d, want 1 to 65535", port)
		}
		if other, twice := taken[port]; twice {
			p.add(at, "%d, the port of %s", port, other)
		}
		taken[port] = at
	}
}
