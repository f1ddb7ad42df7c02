package envoy

import "net/netip"

// Names of the secrets of the Prometheus listener.
const (
	certSecret = "prometheus_cert"
	caSecret   = "prometheus_validation_context"
)

// listeners are the user's and ours. Each of ours passes on what it is for and nothing else, so that the rest of the admin
// interface stays private.
func (b Bootstrap) listeners() []any {
	var all []any
	for _, l := range b.Central.listeners {
		all = append(all, l)
	}
	if at := b.Central.Prometheus; at.IsValid() {
		l := httpListener("envoy_prometheus_metrics_listener", "envoy_prometheus_metrics", at,
			route{Match: routeMatch{Path: b.Prometheus.Path}, Route: &routeAction{prometheusCluster, MergedPath}})
		l.FilterChains[0].TransportSocket = b.Prometheus.TLS.transportSocket()
		all = append(all, l)
	}
	if at := b.Central.Stats; at.IsValid() {
		all = append(all, httpListener("envoy_metrics_listener", "envoy_metrics", at,
			route{Match: routeMatch{Prefix: "/stats"}, Route: &routeAction{selfCluster, "/stats"}}))
	}
	return append(all, httpListener("envoy_ready_listener", "envoy_ready", b.Ready,
		route{Match: routeMatch{Path: "/ready"}, Route: &routeAction{selfCluster, "/ready"}}))
}

// httpListener answers by r, and 404 to anything else.
func httpListener(name, statPrefix string, at netip.AddrPort, r route) listener {
	return listener{
		Name: name, Address: address(at), BeyondLimit: true, // who asks how Envoy is has to hear it above all then
		FilterChains: []filterChain{{Filters: []filter{{
			Name: "envoy.filters.network.http_connection_manager",
			TypedConfig: connectionManager{
				Type: typePrefix + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", StatPrefix: statPrefix, CodecType: "HTTP1",
				RouteConfig: routeConfig{Name: "self_admin_route", VirtualHosts: []virtualHost{{
					Name: "self_admin", Domains: []string{"*"}, Routes: []route{
						r,
						{Match: routeMatch{Prefix: "/"}, DirectResponse: &directResponse{Status: 404}},
					},
				}}},
				HTTPFilters: []httpFilter{{Name: "envoy.filters.http.router", TypedConfig: typeOnly{
					Type: typePrefix + "envoy.extensions.filters.http.router.v3.Router",
				}}},
			},
		}}}},
	}
}

func (t *ServerTLS) transportSocket() *transportSocket {
	if t == nil {
		return nil
	}
	ctx := downstreamTLS{Type: typePrefix + "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"}
	ctx.Common.Certificates = []secretName{{certSecret}}
	if t.CAPEM != "" {
		ctx.Common.Validation, ctx.RequireClientCertificate = &secretName{caSecret}, true
	}
	return &transportSocket{Name: "tls", TypedConfig: ctx}
}

// secrets are those of the Prometheus listener, the only one with TLS of our own.
func (b Bootstrap) secrets() []secret {
	t := b.Prometheus.TLS
	if t == nil || !b.Central.Prometheus.IsValid() {
		return nil
	}
	all := []secret{{Name: certSecret, Certificate: &tlsCertificate{Chain: dataSource{File: t.CertFile}, Key: dataSource{File: t.KeyFile}}}}
	if t.CAPEM != "" {
		all = append(all, secret{Name: caSecret, Validation: &validationContext{TrustedCA: dataSource{Inline: t.CAPEM}}})
	}
	return all
}
