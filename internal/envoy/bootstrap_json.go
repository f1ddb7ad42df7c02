package envoy

import (
	"encoding/json"
	"net/netip"
)

// The parts of Envoy's bootstrap that we use, in Envoy's own words. Envoy's --mode validate judges them in the tests.

const (
	v3                  = "V3"
	typePrefix          = "type.googleapis.com/"
	httpProtocolOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
)

type bootstrapConfig struct {
	Admin              adminConfig      `json:"admin"`
	Node               node             `json:"node"`
	LayeredRuntime     layeredRuntime   `json:"layered_runtime"`
	Watchdogs          watchdogs        `json:"watchdogs"`
	OverloadManager    *overloadManager `json:"overload_manager,omitempty"`
	StaticResources    staticResources  `json:"static_resources"`
	StatsSinks         []any            `json:"stats_sinks,omitempty"`
	StatsConfig        any              `json:"stats_config"`
	StatsFlushInterval string           `json:"stats_flush_interval,omitempty"`
	Tracing            json.RawMessage  `json:"tracing,omitempty"`
	DynamicResources   dynamicResources `json:"dynamic_resources"`
}

type adminConfig struct {
	AccessLog   []json.RawMessage `json:"access_log,omitempty"`
	Address     anAddress         `json:"address"`
	BeyondLimit bool              `json:"ignore_global_conn_limit"`
}

type overloadManager struct {
	RefreshInterval string            `json:"refresh_interval"`
	Monitors        []resourceMonitor `json:"resource_monitors"`
}

type resourceMonitor struct {
	Name        string            `json:"name"`
	TypedConfig connectionMonitor `json:"typed_config"`
}

type connectionMonitor struct {
	Type string `json:"@type"`
	Max  int64  `json:"max_active_downstream_connections"`
}

type node struct {
	ID       string       `json:"id"`
	Cluster  string       `json:"cluster"`
	Metadata nodeMetadata `json:"metadata"`
	Locality *locality    `json:"locality,omitempty"`
}

type locality struct {
	Region string `json:"region,omitempty"`
	Zone   string `json:"zone"`
}

type nodeMetadata struct {
	NodeName  string `json:"node_name,omitempty"`
	Namespace string `json:"namespace"`
	Partition string `json:"partition"`
}

type layeredRuntime struct {
	Layers []runtimeLayer `json:"layers"`
}

type runtimeLayer struct {
	Name   string         `json:"name"`
	Static map[string]any `json:"static_layer"`
}

type watchdogs struct {
	Main   watchdog `json:"main_thread_watchdog"`
	Worker watchdog `json:"worker_watchdog"`
}

type watchdog struct {
	Miss     string `json:"miss_timeout"`
	MegaMiss string `json:"megamiss_timeout"`
}

type staticResources struct {
	Clusters  []any    `json:"clusters"`  // ours and the user's
	Listeners []any    `json:"listeners"` // ours and the user's
	Secrets   []secret `json:"secrets,omitempty"`
}

type dynamicResources struct {
	LDS configSource `json:"lds_config"`
	CDS configSource `json:"cds_config"`
	ADS adsConfig    `json:"ads_config"`
}

type configSource struct {
	ADS                 struct{} `json:"ads"`
	InitialFetchTimeout string   `json:"initial_fetch_timeout"`
	ResourceAPIVersion  string   `json:"resource_api_version"`
}

type adsConfig struct {
	APIType             string        `json:"api_type"`
	TransportAPIVersion string        `json:"transport_api_version"`
	GRPCServices        []grpcService `json:"grpc_services"`
}

type grpcService struct {
	EnvoyGRPC envoyGRPC `json:"envoy_grpc"`
}

type envoyGRPC struct {
	ClusterName string       `json:"cluster_name"`
	RetryPolicy *retryPolicy `json:"retry_policy,omitempty"`
}

type retryPolicy struct {
	BackOff backOff `json:"retry_back_off"`
}

type backOff struct {
	Base string `json:"base_interval"`
	Max  string `json:"max_interval"`
}

type cluster struct {
	Name            string         `json:"name"`
	Type            string         `json:"type"`
	ConnectTimeout  string         `json:"connect_timeout"`
	LoadAssignment  loadAssignment `json:"load_assignment"`
	ProtocolOptions map[string]any `json:"typed_extension_protocol_options,omitempty"`
}

type loadAssignment struct {
	ClusterName string              `json:"cluster_name"`
	Endpoints   []localityEndpoints `json:"endpoints"`
}

type localityEndpoints struct {
	Endpoints []lbEndpoint `json:"lb_endpoints"`
}

type lbEndpoint struct {
	Endpoint endpoint `json:"endpoint"`
}

type endpoint struct {
	Address anAddress `json:"address"`
}

// anAddress is one of the two.
type anAddress struct {
	Socket *addressPort `json:"socket_address,omitempty"`
	Pipe   *pipePath    `json:"pipe,omitempty"`
}

type pipePath struct {
	Path string `json:"path"`
}

func pipe(path string) anAddress { return anAddress{Pipe: &pipePath{path}} }

type addressPort struct {
	Address string `json:"address"`
	Port    uint16 `json:"port_value"`
}

func address(a netip.AddrPort) anAddress {
	return anAddress{Socket: &addressPort{a.Addr().String(), a.Port()}}
}

type listener struct {
	Name         string        `json:"name"`
	Address      anAddress     `json:"address"`
	FilterChains []filterChain `json:"filter_chains"`
	BeyondLimit  bool          `json:"ignore_global_conn_limit"`
}

type filterChain struct {
	Filters         []filter         `json:"filters"`
	TransportSocket *transportSocket `json:"transport_socket,omitempty"`
}

type transportSocket struct {
	Name        string        `json:"name"`
	TypedConfig downstreamTLS `json:"typed_config"`
}

type downstreamTLS struct {
	Type   string `json:"@type"`
	Common struct {
		Certificates []secretName `json:"tls_certificate_sds_secret_configs"`
		Validation   *secretName  `json:"validation_context_sds_secret_config,omitempty"`
	} `json:"common_tls_context"`
	RequireClientCertificate bool `json:"require_client_certificate,omitempty"`
}

type secretName struct {
	Name string `json:"name"`
}

type secret struct {
	Name        string             `json:"name"`
	Certificate *tlsCertificate    `json:"tls_certificate,omitempty"`
	Validation  *validationContext `json:"validation_context,omitempty"`
}

type tlsCertificate struct {
	Chain dataSource `json:"certificate_chain"`
	Key   dataSource `json:"private_key"`
}

type validationContext struct {
	TrustedCA dataSource `json:"trusted_ca"`
}

// dataSource is a file or the text itself.
type dataSource struct {
	File   string `json:"filename,omitempty"`
	Inline string `json:"inline_string,omitempty"`
}

type filter struct {
	Name        string            `json:"name"`
	TypedConfig connectionManager `json:"typed_config"`
}

type connectionManager struct {
	Type        string       `json:"@type"`
	StatPrefix  string       `json:"stat_prefix"`
	CodecType   string       `json:"codec_type"`
	RouteConfig routeConfig  `json:"route_config"`
	HTTPFilters []httpFilter `json:"http_filters"`
}

type routeConfig struct {
	Name         string        `json:"name"`
	VirtualHosts []virtualHost `json:"virtual_hosts"`
}

type virtualHost struct {
	Name    string   `json:"name"`
	Domains []string `json:"domains"`
	Routes  []route  `json:"routes"`
}

type route struct {
	Match          routeMatch      `json:"match"`
	Route          *routeAction    `json:"route,omitempty"`
	DirectResponse *directResponse `json:"direct_response,omitempty"`
}

type routeMatch struct {
	Path   string `json:"path,omitempty"`
	Prefix string `json:"prefix,omitempty"`
}

type routeAction struct {
	Cluster       string `json:"cluster"`
	PrefixRewrite string `json:"prefix_rewrite"`
}

type directResponse struct {
	Status int `json:"status"`
}

type httpFilter struct {
	Name        string   `json:"name"`
	TypedConfig typeOnly `json:"typed_config"`
}

type typeOnly struct {
	Type string `json:"@type"`
}
