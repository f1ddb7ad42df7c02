// Package agentconfig is the one contract between the provider, which writes it, and the agents, which read it: the JSON
// in CONSUL_ECS_CONFIG_JSON. The keys are those of the incumbent (consul-ecs 0.10), so that its module can run our
// image and ours can run its, plus our additions under names that it does not use; those say "ours" below. The package is pure.
package agentconfig

//go:generate go run ./cmd/schema -out ../../docs/agent-config.schema.json

// Config is the whole document. "ours" marks what the incumbent, consul-ecs 0.10, does not know and refuses.
type Config struct {
	BootstrapDir         string            `json:"bootstrapDir" rule:"required"`                               // where the shared volume is mounted
	LogLevel             string            `json:"logLevel,omitempty" rule:"enum=TRACE|DEBUG|INFO|WARN|ERROR"` // TRACE, DEBUG, INFO (default), WARN or ERROR
	LogJSON              bool              `json:"logJSON,omitempty"`                                          // ours: log lines as JSON objects
	ConsulServers        ConsulServers     `json:"consulServers" rule:"required"`
	ConsulLogin          *ConsulLogin      `json:"consulLogin,omitempty"`
	Controller           *Controller       `json:"controller,omitempty"`
	HealthSyncContainers []string          `json:"healthSyncContainers,omitempty" rule:"unique"` // containers whose ECS health reaches Consul
	ReadinessProbes      []ReadinessProbe  `json:"readinessProbes,omitempty"`                    // ours: ask the application itself until ECS has a verdict
	Service              *Service          `json:"service,omitempty"`
	Proxy                *Proxy            `json:"proxy,omitempty"`
	TransparentProxy     *TransparentProxy `json:"transparentProxy,omitempty"`
	ShareAgent           *bool             `json:"shareAgent,omitempty"` // ours: mesh-init puts the agents' program into the shared volume, for containers of other images; default: true without proxy.dataplane, as the incumbent's definitions run it from there
}

// SharesAgent reports whether mesh-init puts the agents' program into the shared volume.
func (c Config) SharesAgent() bool { return or(c.ShareAgent, deref(c.Proxy).Dataplane == nil) }

// ConsulServers says how to reach Consul's servers. Defaults apply to both ports; HTTP and GRPC override them field by field.
type ConsulServers struct {
	Hosts           string          `json:"hosts" rule:"required"` // an IP address, a DNS name, or exec= and a command that prints addresses; ours: several addresses and names with commas between, or provider=aws tag_key=... tag_value=... to find servers by a tag
	SkipServerWatch bool            `json:"skipServerWatch,omitempty"`
	Defaults        *ServerDefaults `json:"defaults,omitempty"`
	HTTP            *ServerHTTP     `json:"http,omitempty"`
	GRPC            *ServerGRPC     `json:"grpc,omitempty"`
}

// ServerDefaults are the TLS settings of both ports.
type ServerDefaults struct {
	CACertFile    string `json:"caCertFile,omitempty"`
	TLSServerName string `json:"tlsServerName,omitempty"`
	TLS           *bool  `json:"tls,omitempty"` // default true
}

// ServerHTTP overrides the defaults for the HTTP API.
type ServerHTTP struct {
	Port          int    `json:"port,omitempty" rule:"max=65535"` // default 8501, also when HTTPS is off
	HTTPS         *bool  `json:"https,omitempty"`                 // default true: this key, not TLS, switches HTTPS
	TLS           *bool  `json:"tls,omitempty"`                   // without effect in the incumbent; must agree with HTTPS when both are given
	CACertFile    string `json:"caCertFile,omitempty"`
	TLSServerName string `json:"tlsServerName,omitempty"`
}

// ServerGRPC overrides the defaults for the gRPC port.
type ServerGRPC struct {
	Port          int    `json:"port,omitempty" rule:"max=65535"` // default 8503
	TLS           *bool  `json:"tls,omitempty"`                   // default: Defaults.TLS
	CACertFile    string `json:"caCertFile,omitempty"`
	TLSServerName string `json:"tlsServerName,omitempty"`
}

// ConsulLogin says whether and how agents log in with the task's IAM role.
type ConsulLogin struct {
	Enabled             bool              `json:"enabled,omitempty"`
	Method              string            `json:"method,omitempty"` // default iam-ecs-service-token
	Datacenter          string            `json:"datacenter,omitempty"`
	IncludeEntity       *bool             `json:"includeEntity,omitempty"` // default true
	Meta                map[string]string `json:"meta,omitempty"`
	Region              string            `json:"region,omitempty"`      // default: the region of the task's ARN
	STSEndpoint         string            `json:"stsEndpoint,omitempty"` // default: the AWS SDK's
	IAMEndpoint         string            `json:"iamEndpoint,omitempty"` // ours; default: the AWS SDK's
	ServerIDHeaderValue string            `json:"serverIdHeaderValue,omitempty"`
	EmbedBearerToken    bool              `json:"embedBearerToken,omitempty"` // ours: the official dataplane image cannot mint its bearer token; mesh-init writes one, good for minutes, into the shared volume, readable by all of the task
}

// Controller configures the controller agent.
type Controller struct {
	IAMRolePath       string      `json:"iamRolePath,omitempty"` // default /consul-ecs/; roles below it may log in
	PartitionsEnabled bool        `json:"partitionsEnabled,omitempty"`
	Partition         string      `json:"partition,omitempty"`
	AuthMethod        *AuthMethod `json:"authMethod,omitempty"` // ours
}

// AuthMethod holds what the controller writes into Consul's auth method beyond the incumbent's fixed settings. Empty
// fields leave an operator's own values alone.
type AuthMethod struct {
	Name                string `json:"name,omitempty"`        // default iam-ecs-service-token
	STSEndpoint         string `json:"stsEndpoint,omitempty"` // where Consul's servers replay the login's STS request
	IAMEndpoint         string `json:"iamEndpoint,omitempty"`
	ServerIDHeaderValue string `json:"serverIdHeaderValue,omitempty"`
}

// Service is the Consul service that the task provides.
type Service struct {
	Name              string             `json:"name,omitempty"`                 // default: the task family in lower case
	Port              int                `json:"port" rule:"required,max=65535"` // 0 for a task that only calls others
	Tags              []string           `json:"tags,omitempty" rule:"unique"`
	EnableTagOverride bool               `json:"enableTagOverride,omitempty"`
	Meta              map[string]string  `json:"meta,omitempty"`
	Weights           *Weights           `json:"weights,omitempty"`
	Namespace         string             `json:"namespace,omitempty"`
	Partition         string             `json:"partition,omitempty"`
	NetworkResilience *NetworkResilience `json:"networkResilienceConfig,omitempty"`
}

// Weights are the service's DNS weights by state.
type Weights struct {
	Passing int `json:"passing" rule:"required,max=65535"`
	Warning int `json:"warning" rule:"required,max=65535"`
}

// NetworkResilience asks for outlier detection in the service's service-defaults.
type NetworkResilience struct {
	Enabled          bool              `json:"enabled,omitempty"`
	OutlierDetection *OutlierDetection `json:"outlierDetection,omitempty"`
}

// OutlierDetection is Consul's passive health check. Nil fields mean the defaults.
type OutlierDetection struct {
	Interval                           *int64 `json:"interval,omitempty" rule:"min=0"` // nanoseconds
	MaxFailures                        *int   `json:"maxFailures,omitempty" rule:"min=1"`
	EnforcingConsecutive5xx            *int   `json:"enforcingConsecutive5xx,omitempty" rule:"max=100"` // percent
	Consecutive5xx                     *int   `json:"consecutive5xx,omitempty" rule:"min=0"`
	EnforcingConsecutiveGatewayFailure *int   `json:"enforcingConsecutiveGatewayFailure,omitempty" rule:"max=100"` // percent
	ConsecutiveGatewayFailure          *int   `json:"consecutiveGatewayFailure,omitempty" rule:"min=0"`
	MaxEjectionPercent                 *int   `json:"maxEjectionPercent,omitempty" rule:"max=100"`
}

// Proxy is the sidecar proxy of the service.
type Proxy struct {
	Config              map[string]any `json:"config,omitempty"` // Consul's opaque proxy configuration
	LocalServiceAddress string         `json:"localServiceAddress,omitempty"`
	PublicListenerPort  int            `json:"publicListenerPort,omitempty" rule:"max=65535"` // default 20000
	HealthCheckPort     int            `json:"healthCheckPort,omitempty" rule:"max=65535"`    // Envoy's ready listener, default 22000
	Upstreams           []Upstream     `json:"upstreams,omitempty"`
	MeshGateway         *MeshGateway   `json:"meshGateway,omitempty"`
	Expose              *Expose        `json:"expose,omitempty"`
	Dataplane           *Dataplane     `json:"dataplane,omitempty"` // ours
}

// Upstream is a service that the task reaches through its proxy at a local port.
type Upstream struct {
	DestinationType      string         `json:"destinationType,omitempty" rule:"enum=service|prepared_query"` // service (default) or prepared_query
	DestinationNamespace string         `json:"destinationNamespace,omitempty"`
	DestinationPartition string         `json:"destinationPartition,omitempty"`
	DestinationPeer      string         `json:"destinationPeer,omitempty"`
	DestinationName      string         `json:"destinationName" rule:"required"`
	Datacenter           string         `json:"datacenter,omitempty"`
	LocalBindAddress     string         `json:"localBindAddress,omitempty"` // default 127.0.0.1
	LocalBindPort        int            `json:"localBindPort" rule:"required,min=1,max=65535"`
	Config               map[string]any `json:"config,omitempty"`
	MeshGateway          *MeshGateway   `json:"meshGateway,omitempty"`
}

// MeshGateway says through which mesh gateways traffic to other datacenters goes.
type MeshGateway struct {
	Mode string `json:"mode" rule:"required,enum=none|local|remote"` // none, local or remote
}

// Expose opens paths of the application past the proxy, for instance for health checks from outside the mesh.
type Expose struct {
	Checks bool         `json:"checks,omitempty"`
	Paths  []ExposePath `json:"paths,omitempty"`
}

// ExposePath is one path opened past the proxy.
type ExposePath struct {
	ListenerPort  int    `json:"listenerPort,omitempty" rule:"required,min=1,max=65535"`
	Path          string `json:"path,omitempty" rule:"required"`
	LocalPathPort int    `json:"localPathPort,omitempty" rule:"required,min=1,max=65535"`
	Protocol      string `json:"protocol,omitempty" rule:"enum=http|http2"` // http (default) or http2
}

// Dataplane tunes the dataplane agent. Zero fields mean its defaults.
type Dataplane struct {
	Concurrency       int `json:"concurrency,omitempty" rule:"max=256"`       // Envoy's worker threads
	DrainTimeSeconds  int `json:"drainTimeSeconds,omitempty" rule:"max=600"`  // how long Envoy's listeners drain
	StopWithinSeconds int `json:"stopWithinSeconds,omitempty" rule:"max=120"` // from SIGTERM to exit at the most; below the container's stop timeout
}

// TransparentProxy redirects the task's traffic through the proxy.
type TransparentProxy struct {
	Enabled              *bool      `json:"enabled,omitempty"`
	ExcludeInboundPorts  []int      `json:"excludeInboundPorts,omitempty" rule:"unique"`
	ExcludeOutboundPorts []int      `json:"excludeOutboundPorts,omitempty" rule:"unique"`
	ExcludeOutboundCIDRs []string   `json:"excludeOutboundCIDRs,omitempty" rule:"unique"`
	ExcludeUIDs          []string   `json:"excludeUIDs,omitempty" rule:"unique"`
	ConsulDNS            *ConsulDNS `json:"consulDNS,omitempty"`
}

// ConsulDNS lets the task resolve names in Consul.
type ConsulDNS struct {
	Enabled *bool `json:"enabled,omitempty"`
}
