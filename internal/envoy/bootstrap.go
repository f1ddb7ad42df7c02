// Package envoy runs an Envoy proxy for one Consul proxy service: its bootstrap configuration, its process, its admin
// interface and the probe of its readiness.
//
// The bootstrap holds static parts only: everything that Consul decides later reaches Envoy by xDS. It uses Envoy's current
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
	Datacenter string // a tag of every metric; "" for none
	Region     string // of Zone; "" for none
	Zone       string // where it runs, if its calls prefer that: Envoy then counts requests from zone to zone; "" for none
	AccessLogs []string
	XDS        netip.AddrPort // where the ADS stream goes
	Admin      netip.AddrPort
	Ready      netip.AddrPort // answers GET /ready
	Central    Central        // what operators set in Consul
	Prometheus Prometheus     // counts where Central has a Prometheus listener
	MaxInbound int64          // connections that may be open to Envoy's listeners; 0 for any number, of which Envoy warns
}

// Prometheus is what a dataplane sets of the listener that Prometheus scrapes.
type Prometheus struct {
	Path    string         // that is scraped; anything else is not found
	Backend netip.AddrPort // where the merged metrics are served, at MergedPath
	TLS     *ServerTLS     // nil: plain text
}

// MergedPath is where the Prometheus listener asks its backend, whatever path Prometheus itself asks.
const MergedPath = "/stats/prometheus"

// ServerTLS is the TLS of a listener. Envoy reads the files.
type ServerTLS struct {
	CertFile, KeyFile string
	CAPEM             string // of the clients; "" means that they need no certificate
}

// Names in the bootstrap that other programs know.
const (
	xdsCluster        = "consul-dataplane"
	selfCluster       = "self_admin"
	prometheusCluster = "prometheus_backend"
)

// JSON renders the bootstrap. AccessLogs are JSON objects of Envoy's own; one that is not valid is an error.
func (b Bootstrap) JSON() ([]byte, error) {
	admin := adminConfig{Address: address(b.Admin), BeyondLimit: true}
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
		}, Locality: b.locality()},
		LayeredRuntime:     runtimeLayers(),
		Watchdogs:          watchdogs{Main: calmWatchdog(), Worker: calmWatchdog()},
		OverloadManager:    b.overload(),
		StaticResources:    staticResources{Clusters: b.clusters(), Listeners: b.listeners(), Secrets: b.secrets()},
		StatsSinks:         b.sinks(),
		StatsConfig:        b.statsConfig(),
		StatsFlushInterval: b.Central.flushInterval,
		Tracing:            b.Central.tracing,
		DynamicResources: dynamicResources{
			LDS: overADS(), CDS: overADS(),
			ADS: adsConfig{APIType: "DELTA_GRPC", TransportAPIVersion: v3, GRPCServices: []grpcService{{EnvoyGRPC: envoyGRPC{
				ClusterName: xdsCluster, RetryPolicy: &retryPolicy{BackOff: backOff{Base: "0.2s", Max: "5s"}},
			}}}},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("render bootstrap: %w", err)
	}
	return data, nil
}

func (b Bootstrap) locality() *locality {
	if b.Zone == "" {
		return nil
	}
	return &locality{Region: b.Region, Zone: b.Zone}
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

// overload bounds the connections that are let in. Nothing is measured now and then for it: the interval only says how often
// Envoy would do so.
func (b Bootstrap) overload() *overloadManager {
	if b.MaxInbound == 0 {
		return nil
	}
	return &overloadManager{RefreshInterval: "60s", Monitors: []resourceMonitor{{
		Name: "envoy.resource_monitors.global_downstream_max_connections",
		TypedConfig: connectionMonitor{
			Type: typePrefix + "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig", Max: b.MaxInbound,
		},
	}}}
}

// calmWatchdog looks less often whether Envoy's threads are stuck. Envoy's defaults, 200 ms and 1 s, wake each thread ten times
// a second, which is most of what a proxy at rest costs; and all that comes of a stuck thread is a counter.
func calmWatchdog() watchdog { return watchdog{Miss: "2s", MegaMiss: "5s"} }

// overADS never gives up on the first answer: Envoy stays in initialization, and so is not ready, until it has come.
func overADS() configSource {
	return configSource{InitialFetchTimeout: "0s", ResourceAPIVersion: v3}
}

// clusters are the one of xDS, the user's, and ours. A cluster of the user's takes the place of ours of the same name.
func (b Bootstrap) clusters() []any {
	all := []any{overHTTP2(staticCluster(xdsCluster, "1s", address(b.XDS)))}
	for _, c := range b.Central.clusters {
		all = append(all, c)
	}
	add := func(c cluster) {
		if !contains(b.Central.clusters, c.Name) {
			all = append(all, c)
		}
	}
	add(staticCluster(selfCluster, "5s", address(b.Admin)))
	if b.Central.Prometheus.IsValid() {
		add(staticCluster(prometheusCluster, "5s", address(b.Prometheus.Backend)))
	}
	if dir := b.Central.collectorSocketDir; dir != "" {
		add(overHTTP2(staticCluster(collectorCluster, "1s", pipe(collectorSocket(dir, orDefault(b.Namespace), b.ProxyID)))))
	}
	return all
}

func staticCluster(name, timeout string, to anAddress) cluster {
	return cluster{
		Name: name, Type: "STATIC", ConnectTimeout: timeout,
		LoadAssignment: loadAssignment{ClusterName: name, Endpoints: []localityEndpoints{{
			Endpoints: []lbEndpoint{{Endpoint: endpoint{Address: to}}},
		}}},
	}
}

func overHTTP2(c cluster) cluster {
	c.ProtocolOptions = map[string]any{httpProtocolOptions: map[string]any{
		"@type":                typePrefix + httpProtocolOptions,
		"explicit_http_config": map[string]any{"http2_protocol_options": map[string]any{}},
	}}
	return c
}

func (b Bootstrap) sinks() []any {
	if b.Central.collectorSocketDir == "" {
		return b.Central.sinks
	}
	return append(b.Central.sinks[:len(b.Central.sinks):len(b.Central.sinks)], collectorSink())
}

func (b Bootstrap) statsConfig() any {
	if b.Central.statsConfig != nil {
		return b.Central.statsConfig
	}
	return statsConfig{Tags: b.statsTags(), DefaultTags: true}
}
