// Package envoy runs an Envoy proxy for one Consul proxy service: its bootstrap configuration, its process, its admin
// interface and the probe of its readiness.
//
// The bootstrap holds static parts only: everything that Consul decides reaches Envoy by xDS. It uses Envoy's current
// fields, none of the deprecated ones, and goes to Envoy by an inherited file descriptor, so that it is neither on disk
// nor among the arguments.
package envoy

import (
	"encoding/json"
	"fmt"
	"net/netip"
)

// Bootstrap is what the bootstrap configuration is made of.
type Bootstrap struct {
	ProxyID    string // Consul tells proxies apart by it
	Service    string // the service that the proxy stands for, Envoy's --service-cluster
	NodeName   string // of the proxy's catalog entry
	Namespace  string // "" means default
	Partition  string // "" means default
	AccessLogs []string
	XDS        netip.AddrPort // where the ADS stream goes
	Admin      netip.AddrPort
	Ready      netip.AddrPort // answers GET /ready
}

// Names in the bootstrap that other programs know.
const (
	xdsCluster  = "consul-dataplane"
	selfCluster = "self_admin"
	readyName   = "envoy_ready"
)

// JSON renders the bootstrap. AccessLogs are JSON objects of Envoy's own; one that is not valid is an error.
func (b Bootstrap) JSON() ([]byte, error) {
	admin := adminConfig{Address: address(b.Admin)}
	for i, log := range b.AccessLogs {
		if !json.Valid([]byte(log)) {
			return nil, fmt.Errorf("render bootstrap: access log %d is not JSON", i)
		}
		admin.AccessLog = append(admin.AccessLog, json.RawMessage(log))
	}
	data, err := json.Marshal(bootstrapConfig{
		Admin: admin,
		Node: node{ID: b.ProxyID, Cluster: b.Service, Metadata: nodeMetadata{
			NodeName: b.NodeName, Namespace: orDefault(b.Namespace), Partition: orDefault(b.Partition),
		}},
		LayeredRuntime:  runtimeLayers(),
		StaticResources: staticResources{Clusters: []cluster{b.xdsCluster(), b.selfCluster()}, Listeners: []listener{b.readyListener()}},
		DynamicResources: dynamicResources{
			LDS: overADS(), CDS: overADS(),
			ADS: adsConfig{APIType: "DELTA_GRPC", TransportAPIVersion: v3, GRPCServices: []grpcService{{EnvoyGRPC: envoyGRPC{
				ClusterName: xdsCluster, RetryPolicy: retryPolicy{BackOff: backOff{Base: "0.2s", Max: "5s"}},
			}}}},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("render bootstrap: %w", err)
	}
	return data, nil
}

func orDefault(scope string) string {
	if scope == "" {
		return "default"
	}
	return scope
}

// runtimeLayers lifts Envoy's limit on the size of regular expressions, which Consul's own configuration exceeds.
func runtimeLayers() layeredRuntime {
	return layeredRuntime{Layers: []runtimeLayer{{Name: "base", Static: map[string]any{"re2.max_program_size.error_level": 1 << 20}}}}
}

// overADS never gives up on the first answer: Envoy stays in initialization, and so is not ready, until it has come.
func overADS() configSource {
	return configSource{InitialFetchTimeout: "0s", ResourceAPIVersion: v3}
}

func (b Bootstrap) xdsCluster() cluster {
	c := staticCluster(xdsCluster, "1s", b.XDS)
	c.ProtocolOptions = map[string]any{httpProtocolOptions: map[string]any{
		"@type":                typePrefix + httpProtocolOptions,
		"explicit_http_config": map[string]any{"http2_protocol_options": map[string]any{}},
	}}
	return c
}

func (b Bootstrap) selfCluster() cluster { return staticCluster(selfCluster, "5s", b.Admin) }

func staticCluster(name, timeout string, to netip.AddrPort) cluster {
	return cluster{
		Name: name, Type: "STATIC", ConnectTimeout: timeout,
		LoadAssignment: loadAssignment{ClusterName: name, Endpoints: []localityEndpoints{{
			Endpoints: []lbEndpoint{{Endpoint: endpoint{Address: address(to)}}},
		}}},
	}
}

// readyListener passes GET /ready on to the admin interface and nothing else, so that the rest of that stays private.
func (b Bootstrap) readyListener() listener {
	return listener{
		Name: readyName + "_listener", Address: address(b.Ready),
		FilterChains: []filterChain{{Filters: []filter{{
			Name: "envoy.filters.network.http_connection_manager",
			TypedConfig: connectionManager{
				Type: typePrefix + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", StatPrefix: readyName, CodecType: "HTTP1",
				RouteConfig: routeConfig{Name: "self_admin_route", VirtualHosts: []virtualHost{{
					Name: selfCluster, Domains: []string{"*"}, Routes: []route{
						{Match: routeMatch{Path: "/ready"}, Route: &routeAction{Cluster: selfCluster, PrefixRewrite: "/ready"}},
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
