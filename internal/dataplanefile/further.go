package dataplanefile

import (
	"cmp"
	"strconv"
)

// FurtherProxy is a proxy that the dataplane runs beside the first. Its Envoy runs as the first one's, at the same addresses and ports
// of its own: by default those of the first and its place in the list added, so 1 for the first of them.
type FurtherProxy struct {
	ID            string `json:"id"`                      // catalog ID of the proxy, on the node of the first
	ReadyBindPort int    `json:"readyBindPort,omitempty"` // of its Envoy's ready listener
	AdminBindPort int    `json:"adminBindPort,omitempty"` // of its Envoy's admin interface
	GracefulPort  int    `json:"gracefulPort,omitempty"`  // of its life-cycle endpoints
	MergePort     int    `json:"mergePort,omitempty"`     // where its metrics are merged
}

// Each is a file for each of the proxies, the first of them for the proxy that the file names itself. Names in Consul are resolved
// and called, and the application's metrics are shown by the first alone.
func (f File) Each() []File {
	first := f
	first.FurtherProxies = nil
	all := []File{first}
	for i, further := range f.FurtherProxies {
		n, one := i+1, first
		one.Remarks, one.DNSServer, one.Names = nil, nil, nil
		one.Proxy.ID, one.Proxy.IDPath = further.ID, ""
		one.Envoy.ReadyBindPort = cmp.Or(further.ReadyBindPort, first.Envoy.ReadyBindPort+n)
		one.Envoy.AdminBindPort = cmp.Or(further.AdminBindPort, first.Envoy.AdminBindPort+n)
		one.Envoy.GracefulPort = cmp.Or(further.GracefulPort, first.Envoy.GracefulPort+n)
		one.Telemetry.Prometheus.MergePort = cmp.Or(further.MergePort, first.Telemetry.Prometheus.MergePort+n)
		one.Telemetry.Prometheus.ServiceMetricsURL = ""
		if one.XDSServer.BindPort != 0 {
			one.XDSServer.BindPort += n
		}
		all = append(all, one)
	}
	return all
}

func (f File) checkFurther(p *problems) {
	for i, further := range f.FurtherProxies {
		path := "furtherProxies[" + strconv.Itoa(i) + "]"
		if further.ID == "" {
			p.add(path+".id", "missing")
		}
		for _, n := range []struct {
			key  string
			port int
		}{
			{"readyBindPort", further.ReadyBindPort}, {"adminBindPort", further.AdminBindPort}, {"gracefulPort", further.GracefulPort}, {"mergePort", further.MergePort},
		} {
			if n.port < 0 || n.port > 65535 {
				p.add(path+"."+n.key, "%d, want 0 to 65535", n.port)
			}
		}
	}
}
