package migrate

import (
	"cmp"
	"fmt"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// meshListener is a port of a virtual node.
type meshListener struct {
	service  string // in Consul
	port     int64
	protocol string
	outlier  map[string]any // what callers do with its instances that fail
	limits   map[string]any // how much callers send to it
}

// at is the listener at a port. Where a route names no port, or one that the node does not listen at, the first counts, as in App Mesh
// there is one then; a node without any only calls.
func (n *meshNode) at(port int64) meshListener {
	for _, l := range n.listeners {
		if l.port == port {
			return l
		}
	}
	if len(n.listeners) > 0 {
		return n.listeners[0]
	}
	return meshListener{service: n.task.service, protocol: "tcp"}
}

// readListener makes a service of a listener: the node's, of the first one, and one of its own of each further one.
func (m *appMesh) readListener(n *meshNode, l *value) {
	mapping := l.in(m.draft, "portMapping")
	port := mapping.port(m.draft, "port")
	for _, other := range n.listeners {
		if other.port == port {
			m.wrong.Add(mapping.at.Child("port"), "is %d, as another listener of the virtual node has: give each a port of its own", port)
		}
	}
	is := meshListener{service: n.task.service, port: port, protocol: cmp.Or(mapping.text(m.draft, "protocol"), "tcp")}
	if len(n.listeners) > 0 {
		is.service = m.serviceName(l, fmt.Sprintf("%s-%d", n.task.service, port))
	}
	if !n.task.provides(is.service, port, 0) {
		m.note(l, "is one more than the %d services that a task may be: nothing was made of it. Give it a task of its own, or leave it out", mesh.MaxServices)
		return
	}
	if o := l.in(m.draft, "outlierDetection"); o.object != nil {
		is.outlier = m.outlier(o)
	}
	is.limits = m.limits(l.in(m.draft, "connectionPool"))
	n.listeners = append(n.listeners, is)
	m.noteIf(l, "tls", "is about certificates: between proxies of Consul's mesh there is always mutual TLS, with certificates of Consul's CA. Nothing has to be set; a CA of your own is one of Consul's connect.ca_provider")
	m.noteIf(l, "healthCheck", "is App Mesh's own check: Consul knows a task by ECS's health checks. Give the container one (health_check, or healthCheck in container_definitions_json), if it has none")
	timeout := l.in(m.draft, "timeout")
	for _, kind := range []string{"http", "http2", "grpc"} {
		of := timeout.in(m.draft, kind)
		if d, ok := of.duration(m.draft, "perRequest"); ok && d > 0 {
			m.entry(kindDefaults, is.service)["LocalRequestTimeoutMs"] = int64(d / time.Millisecond)
		}
		m.noteIf(of, "idle", "has no equal for a service in Consul: idle time is set for each route, by IdleTimeout of a service-router")
	}
	m.noteIf(timeout, "tcp", "has no equal in Consul: its proxies close idle TCP connections after an hour, as Envoy does by default")
}

// outlier is App Mesh's detection as Consul's passive health check.
func (m *appMesh) outlier(v *value) map[string]any {
	check := map[string]any{}
	if n, ok := v.number(m.draft, "maxServerErrors"); ok {
		check["MaxFailures"] = n
	}
	if d, ok := v.duration(m.draft, "interval"); ok {
		check["Interval"] = d.String()
	}
	if d, ok := v.duration(m.draft, "baseEjectionDuration"); ok {
		check["BaseEjectionTime"] = d.String()
	}
	if n, ok := v.number(m.draft, "maxEjectionPercent"); ok {
		check["MaxEjectionPercent"] = n
	}
	return check
}

func (m *appMesh) limits(v *value) map[string]any {
	limits := map[string]any{}
	for kind, of := range map[string]map[string]string{
		"http":  {"maxConnections": "MaxConnections", "maxPendingRequests": "MaxPendingRequests"},
		"http2": {"maxRequests": "MaxConcurrentRequests"}, "grpc": {"maxRequests": "MaxConcurrentRequests"}, "tcp": {"maxConnections": "MaxConnections"},
	} {
		pool := v.in(m.draft, kind)
		for key, name := range of {
			if n, ok := pool.number(m.draft, key); ok {
				limits[name] = n
			}
		}
	}
	return limits
}
