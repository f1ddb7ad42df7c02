// Package agentconfig is the one contract between the provider, which writes it, and the agents, which read it: the JSON
// in CONSUL_ECS_CONFIG_JSON. The keys are those of the incumbent (consul-ecs 0.10), so that its module can run our
// image and ours can run its, plus our additions under names that it does not use; those say "ours" below. The package is pure.
package agentconfig

//go:generate go run ./cmd/schema -out ../../docs/agent-config.schema.json -guide ../../docs/templates/guides/settings.md.tmpl

// Config is the whole document. "ours" marks what the incumbent, consul-ecs 0.10, does not know and refuses.
type Config struct {
	BootstrapDir         string            `json:"bootstrapDir" rule:"required"`                               // where the shared volume is mounted
	LogLevel             string            `json:"logLevel,omitempty" rule:"enum=TRACE|DEBUG|INFO|WARN|ERROR"` // default INFO
	LogJSON              bool              `json:"logJSON,omitempty"`                                          // ours: log lines as JSON objects; default false
	ConsulServers        ConsulServers     `json:"consulServers" rule:"required"`                              // how to reach Consul's servers; what defaults says counts for both ports, http and grpc override it key by key
	ConsulLogin          *ConsulLogin      `json:"consulLogin,omitempty"`                                      // whether and how the agents log in with the task role; absent: they do not
	Controller           *Controller       `json:"controller,omitempty"`                                       // of the controller alone
	HealthSyncContainers []string          `json:"healthSyncContainers,omitempty" rule:"unique"`               // containers whose ECS health reaches Consul; default: none
	ReadinessProbes      []ReadinessProbe  `json:"readinessProbes,omitempty"`                                  // ours: ask the application itself until ECS has a verdict
	Service              *Service          `json:"service,omitempty"`                                          // the Consul service that the task provides; absent: one named after the task family, without a port
	Proxy                *Proxy            `json:"proxy,omitempty"`                                            // the service's sidecar proxy; absent: its defaults
	Services             []FurtherService  `json:"services,omitempty"`                                         // ours: further services that the task provides, each with a sidecar proxy of its own; default: none
	TransparentProxy     *TransparentProxy `json:"transparentProxy,omitempty"`                                 // redirects the task's traffic through its proxy; absent: nothing is redirected
	Names                *Names            `json:"names,omitempty"`                                            // ours: the application calls services by their names, without a list of them and without redirection; absent: it does not
	Locality             *Locality         `json:"locality,omitempty"`                                         // ours: calls stay in the task's availability zone; absent: they do not
	ShareAgent           *bool             `json:"shareAgent,omitempty"`                                       // ours: mesh-init puts the agents' program into the shared volume, for containers of other images; default: true without proxy.dataplane, as the incumbent's definitions run it from there
}

// SharesAgent reports whether mesh-init puts the agents' program into the shared volume.
func (c Config) SharesAgent() bool { return or(c.ShareAgent, deref(c.Proxy).Dataplane == nil) }

// ConsulServers says how to reach Consul's servers. Defaults apply to both ports; HTTP and GRPC override them field by field.
type ConsulServers struct {
	Hosts           string          `json:"hosts" rule:"required"`     // an IP address, a DNS name, or exec= and a command that prints addresses; ours: several addresses and names with commas between, or provider=aws tag_key=... tag_value=... to find servers by a tag
	SkipServerWatch bool            `json:"skipServerWatch,omitempty"` // do not follow the servers that a server tells of, for servers behind a load balancer; default false
	Defaults        *ServerDefaults `json:"defaults,omitempty"`        // TLS of both ports
	HTTP            *ServerHTTP     `json:"http,omitempty"`            // the HTTP API
	GRPC            *ServerGRPC     `json:"grpc,omitempty"`            // the gRPC port: discovery, login, xDS, DNS
}

// ServerDefaults are the TLS settings of both ports.
type ServerDefaults struct {
	CACertFile    string `json:"caCertFile,omitempty"`    // PEM file, or folder of them, in the container; the environment's PEM text beats it; default: the system's roots
	TLSServerName string `json:"tlsServerName,omitempty"` // name to verify the certificates by; default: hosts, where that is one name or address
	TLS           *bool  `json:"tls,omitempty"`           // default true; of the gRPC port alone: http.https decides for the HTTP API
}

// ServerHTTP overrides the defaults for the HTTP API.
type ServerHTTP struct {
	Port          int    `json:"port,omitempty" rule:"max=65535"` // default 8501, also when HTTPS is off
	HTTPS         *bool  `json:"https,omitempty"`                 // default true: this key, not TLS, switches HTTPS
	TLS           *bool  `json:"tls,omitempty"`                   // without effect in the incumbent; must agree with HTTPS when both are given
	CACertFile    string `json:"caCertFile,omitempty"`            // default: defaults.caCertFile
	TLSServerName string `json:"tlsServerName,omitempty"`         // default: defaults.tlsServerName
}

// ServerGRPC overrides the defaults for the gRPC port.
type ServerGRPC struct {
	Port          int    `json:"port,omitempty" rule:"max=65535"` // default 8503
	TLS           *bool  `json:"tls,omitempty"`                   // default: defaults.tls
	CACertFile    string `json:"caCertFile,omitempty"`            // default: defaults.caCertFile
	TLSServerName string `json:"tlsServerName,omitempty"`         // default: defaults.tlsServerName
}

// ConsulLogin says whether and how agents log in with the task's IAM role.
type ConsulLogin struct {
	Enabled             bool              `json:"enabled,omitempty"`             // default false
	Method              string            `json:"method,omitempty"`              // default iam-ecs-service-token, for a controller consulecs-controller
	Datacenter          string            `json:"datacenter,omitempty"`          // datacenter to log in to; default: the servers' own
	IncludeEntity       *bool             `json:"includeEntity,omitempty"`       // lets Consul read the role and its tags, on which the service identity depends; default true, for a controller false
	Meta                map[string]string `json:"meta,omitempty"`                // kept in the token's description; the two keys of the mesh's own cannot be changed; default: none
	Region              string            `json:"region,omitempty"`              // region that the login is signed for; default: that of the task's ARN
	STSEndpoint         string            `json:"stsEndpoint,omitempty"`         // default: the AWS SDK's for the region
	IAMEndpoint         string            `json:"iamEndpoint,omitempty"`         // ours; default: the AWS SDK's
	ServerIDHeaderValue string            `json:"serverIdHeaderValue,omitempty"` // what the auth method wants in the header X-Consul-IAM-ServerID; default: no header
	EmbedBearerToken    bool              `json:"embedBearerToken,omitempty"`    // ours: the official dataplane image cannot mint its bearer token; mesh-init writes one, good for minutes, into the shared volume, readable by all of the task; default false
}

// Controller configures the controller agent.
type Controller struct {
	IAMRolePath         string      `json:"iamRolePath,omitempty"`                               // default /consul-ecs/; roles below it may log in
	TrustAllRoles       bool        `json:"trustAllRoles,omitempty"`                             // ours: says yes to the iamRolePath /, below which every role of the account may log in; default false
	PartitionsEnabled   bool        `json:"partitionsEnabled,omitempty"`                         // Enterprise: admin partitions and namespaces are looked after; default false
	Partition           string      `json:"partition,omitempty"`                                 // admin partition, with partitionsEnabled; default: default
	AuthMethod          *AuthMethod `json:"authMethod,omitempty"`                                // ours: what the controller writes into the auth method beyond the fixed settings; empty keys leave an operator's values alone
	ManageACL           *bool       `json:"manageACL,omitempty"`                                 // ours: false where consulecs-agent bootstrap has prepared Consul: the controller then writes no ACL object and deletes no token, since tokens end by themselves; default true
	FirstTokenSecretARN string      `json:"firstTokenSecretArn,omitempty"`                       // ours: Secrets Manager secret with an ACL token that is read where a login is refused alone, as at the first start; default: none
	AnonymousReads      *bool       `json:"anonymousReads,omitempty"`                            // ours: anonymous requests may read nodes and services, as Consul DNS needs; false leaves the anonymous token alone; default true
	ECSClusters         []string    `json:"ecsClusters,omitempty" rule:"unique"`                 // ours: ARNs of further ECS clusters of its account and Region that it looks after; default: its own alone
	EventQueueURL       string      `json:"eventQueueUrl,omitempty"`                             // ours: SQS queue that gets the task state changes of ECS; default: none, and ECS is asked more often
	SyncSeconds         *int        `json:"syncSeconds,omitempty" rule:"min=5,max=3600"`         // ours: between two comparisons of all that Consul and ECS have; default 300 with a queue, without one as often as two calls of ECS a second allow, 5 at the least
	MaxWritesPerSecond  *int        `json:"maxWritesPerSecond,omitempty" rule:"min=1,max=10000"` // ours: the most writes a second that Consul's servers get; default 800
	Brake               *Brake      `json:"brake,omitempty"`                                     // ours: how many tasks may be removed of which ECS does not say that they stopped; absent: the defaults
	DryRun              bool        `json:"dryRun,omitempty"`                                    // ours: says in the log what it would remove, and removes nothing; default false
	HTTPAddress         string      `json:"httpAddress,omitempty"`                               // ours: IP address and port of /healthz, /readyz and /metrics; default 127.0.0.1:9102
}

// Brake bounds the removal of tasks that ECS does not know, within an hour: whichever of the two is more. What is beyond it waits.
type Brake struct {
	Tasks   *int `json:"tasks,omitempty" rule:"min=0"`           // default 50
	Percent *int `json:"percent,omitempty" rule:"min=0,max=100"` // of the tasks that Consul knows; default 25
}

// AuthMethod holds what the controller writes into Consul's auth method beyond the incumbent's fixed settings. Empty
// fields leave an operator's own values alone.
type AuthMethod struct {
	Name                string `json:"name,omitempty"`                                    // default iam-ecs-service-token
	STSEndpoint         string `json:"stsEndpoint,omitempty"`                             // where Consul's servers replay a login's STS request; default: AWS's own, which Consul knows, and in China the controller names
	IAMEndpoint         string `json:"iamEndpoint,omitempty"`                             // where they replay its IAM request; default: as above
	ServerIDHeaderValue string `json:"serverIdHeaderValue,omitempty"`                     // what each login must have in the header X-Consul-IAM-ServerID; default: nothing
	TokenTTLSeconds     *int   `json:"tokenTTLSeconds,omitempty" rule:"min=60,max=86400"` // how long a token lives; agents of ours log in again, the incumbent's do not; default: as long as its task
	MaxRetries          *int   `json:"maxRetries,omitempty" rule:"min=0,max=100"`         // how often Consul's servers repeat a request to STS or IAM that fails; default: Consul's own
}

// Service is the Consul service that the task provides.
type Service struct {
	Name              string             `json:"name,omitempty"`                    // default: the task family in lower case
	Port              int                `json:"port" rule:"required,max=65535"`    // 0 for a task that only calls others
	Tags              []string           `json:"tags,omitempty" rule:"unique"`      // in the catalog; default: none
	EnableTagOverride bool               `json:"enableTagOverride,omitempty"`       // lets others change the tags in the catalog; default false
	Meta              map[string]string  `json:"meta,omitempty"`                    // in the catalog; the mesh's own keys cannot be changed; default: none
	Weights           *Weights           `json:"weights,omitempty"`                 // in DNS answers; default 1 and 1
	Namespace         string             `json:"namespace,omitempty"`               // Enterprise; default: the token's
	Partition         string             `json:"partition,omitempty"`               // Enterprise; default: the token's
	NetworkResilience *NetworkResilience `json:"networkResilienceConfig,omitempty"` // outlier detection for the service's upstreams, in its service-defaults; absent: none is written
}

// Weights are the service's DNS weights by state.
type Weights struct {
	Passing int `json:"passing" rule:"required,max=65535"` // while all checks pass
	Warning int `json:"warning" rule:"required,max=65535"` // while a check warns
}

// NetworkResilience asks for outlier detection in the service's service-defaults.
type NetworkResilience struct {
	Enabled          bool              `json:"enabled,omitempty"`          // default false
	OutlierDetection *OutlierDetection `json:"outlierDetection,omitempty"` // passive health checks of the services that are called; absent keys have their defaults
}

// OutlierDetection is Consul's passive health check. Nil fields mean the defaults.
type OutlierDetection struct {
	Interval                           *int64 `json:"interval,omitempty" rule:"min=0"`                             // nanoseconds between two looks; default 10000000000, which is 10 s
	MaxFailures                        *int   `json:"maxFailures,omitempty" rule:"min=1"`                          // consecutive failures that eject an instance; default 5
	EnforcingConsecutive5xx            *int   `json:"enforcingConsecutive5xx,omitempty" rule:"max=100"`            // chance in percent that consecutive 5xx answers eject an instance; default: Envoy's, 100
	Consecutive5xx                     *int   `json:"consecutive5xx,omitempty" rule:"min=0"`                       // consecutive 5xx answers that eject an instance; default: Envoy's
	EnforcingConsecutiveGatewayFailure *int   `json:"enforcingConsecutiveGatewayFailure,omitempty" rule:"max=100"` // chance of that ejection in percent; default 100
	ConsecutiveGatewayFailure          *int   `json:"consecutiveGatewayFailure,omitempty" rule:"min=0"`            // consecutive answers 502, 503 or 504 that eject an instance; default: Envoy's
	MaxEjectionPercent                 *int   `json:"maxEjectionPercent,omitempty" rule:"max=100"`                 // share of the instances that may be ejected at once, in percent; default 50
}

// Proxy is the sidecar proxy of the service.
type Proxy struct {
	Config              map[string]any `json:"config,omitempty"`                              // Consul's opaque configuration of the proxy; default: none
	LocalServiceAddress string         `json:"localServiceAddress,omitempty"`                 // where the proxy reaches the application; default 127.0.0.1
	PublicListenerPort  int            `json:"publicListenerPort,omitempty" rule:"max=65535"` // default 20000
	HealthCheckPort     int            `json:"healthCheckPort,omitempty" rule:"max=65535"`    // Envoy's ready listener, default 22000
	Upstreams           []Upstream     `json:"upstreams,omitempty"`                           // services that the application calls at local ports; default: none
	MeshGateway         *MeshGateway   `json:"meshGateway,omitempty"`                         // how the traffic of all upstreams leaves the datacenter; absent: as proxy-defaults say
	Expose              *Expose        `json:"expose,omitempty"`                              // paths of the application that are open past the proxy; absent: none
	Dataplane           *Dataplane     `json:"dataplane,omitempty"`                           // ours: how the dataplane runs Envoy
}

// Upstream is a service that the task reaches through its proxy at a local port.
type Upstream struct {
	DestinationType      string         `json:"destinationType,omitempty" rule:"enum=service|prepared_query"` // default service
	DestinationNamespace string         `json:"destinationNamespace,omitempty"`                               // Enterprise; default: the service's own
	DestinationPartition string         `json:"destinationPartition,omitempty"`                               // Enterprise; default: the service's own
	DestinationPeer      string         `json:"destinationPeer,omitempty"`                                    // cluster peering that the service is imported through; default: none
	DestinationName      string         `json:"destinationName" rule:"required"`                              // name of the service or prepared query
	Datacenter           string         `json:"datacenter,omitempty"`                                         // of the service; default: the task's
	LocalBindAddress     string         `json:"localBindAddress,omitempty"`                                   // default 127.0.0.1
	LocalBindPort        int            `json:"localBindPort" rule:"required,min=1,max=65535"`                // where the proxy listens for the application
	Config               map[string]any `json:"config,omitempty"`                                             // Consul's opaque configuration of the upstream; default: none
	MeshGateway          *MeshGateway   `json:"meshGateway,omitempty"`                                        // how this traffic leaves the datacenter; absent: as for all upstreams
}

// MeshGateway says through which mesh gateways traffic to other datacenters goes.
type MeshGateway struct {
	Mode string `json:"mode" rule:"required,enum=none|local|remote"` // none: directly; local: through gateways here; remote: through gateways there
}

// Expose opens paths of the application past the proxy, for instance for health checks from outside the mesh.
type Expose struct {
	Checks bool         `json:"checks,omitempty"` // opens the paths of the service's HTTP and gRPC checks; default false
	Paths  []ExposePath `json:"paths,omitempty"`  // default: none
}

// ExposePath is one path opened past the proxy.
type ExposePath struct {
	ListenerPort  int    `json:"listenerPort,omitempty" rule:"required,min=1,max=65535"`  // where the path is open
	Path          string `json:"path,omitempty" rule:"required"`                          // such as /health
	LocalPathPort int    `json:"localPathPort,omitempty" rule:"required,min=1,max=65535"` // of the application that serves the path
	Protocol      string `json:"protocol,omitempty" rule:"enum=http|http2"`               // default http
}

// Dataplane tunes the dataplane agent. Fields that are nil or zero mean its defaults.
type Dataplane struct {
	Concurrency       int  `json:"concurrency,omitempty" rule:"max=256"`       // Envoy's worker threads; default: the task's CPUs, at most 2
	DrainTimeSeconds  *int `json:"drainTimeSeconds,omitempty" rule:"max=600"`  // how long Envoy's listeners drain, 0 for at once; default 30
	StopWithinSeconds int  `json:"stopWithinSeconds,omitempty" rule:"max=120"` // from SIGTERM to exit at the most, below the container's stop timeout; default 25

	RetryUndelivered *bool `json:"retryUndelivered,omitempty"` // Envoy tries elsewhere what no application has got, and says of its own what it could not deliver; default true
}

// Names lets the application call services by their names in Consul, NAME.virtual.consul, without a list of upstreams. The names lead to
// addresses on loopback, where Envoy listens: nothing is redirected, so the task needs no right to do that.
type Names struct {
	Enabled *bool `json:"enabled,omitempty"`             // default false; not together with transparentProxy.enabled
	Ports   []int `json:"ports,omitempty" rule:"unique"` // 1 to 16 ports at which Envoy listens for all names alike: each of them leads to any service; default 80
}

// TransparentProxy redirects the task's traffic through the proxy.
type TransparentProxy struct {
	Enabled              *bool      `json:"enabled,omitempty"`                            // default false (the incumbent's default is true)
	ExcludeInboundPorts  []int      `json:"excludeInboundPorts,omitempty" rule:"unique"`  // TCP that arrives at these stays as it is; default: none
	ExcludeOutboundPorts []int      `json:"excludeOutboundPorts,omitempty" rule:"unique"` // TCP to these elsewhere stays as it is; default: none
	ExcludeOutboundCIDRs []string   `json:"excludeOutboundCIDRs,omitempty" rule:"unique"` // TCP to these networks or addresses stays as it is; default: none
	ExcludeUIDs          []string   `json:"excludeUIDs,omitempty" rule:"unique"`          // TCP that these users send stays as it is; default: none
	ConsulDNS            *ConsulDNS `json:"consulDNS,omitempty"`                          // lets the task resolve names in Consul; absent: it does not
}

// ConsulDNS lets the task resolve names in Consul.
type ConsulDNS struct {
	Enabled *bool `json:"enabled,omitempty"` // default false; needs transparentProxy.enabled
}

// Locality has calls stay in the task's availability zone.
type Locality struct {
	PreferZone *bool             `json:"preferZone,omitempty"`                     // Envoy calls the instances in the task's own zone while they are healthy; default false
	Spill      string            `json:"spill,omitempty" rule:"enum=gradual|full"` // when calls leave the zone. gradual: a part of them, as soon as fewer than five of seven instances in it are healthy. full: all of them, when none is; default: gradual
	Zones      map[string]string `json:"zones,omitempty"`                          // zones of networks, by their CIDR blocks; they beat what Consul's catalog says. Default: none, the catalog alone tells
}

// The values of Spill.
const (
	SpillGradual = "gradual"
	SpillFull    = "full"
)
