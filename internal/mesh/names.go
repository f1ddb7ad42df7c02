// Package mesh is the vocabulary that the provider, the agents and Consul share: container names, IDs, tag keys,
// ports and users. A fleet may mix our agents with the incumbent's (consul-ecs 0.10), so every value that another
// program matches on is that one's, byte for byte. The package imports nothing of ours and touches nothing.
package mesh

// Names of the injected containers. Other programs find the containers in the task metadata by these names.
const (
	ContainerMeshInit   = "consul-ecs-mesh-init"
	ContainerDataplane  = "consul-dataplane"
	ContainerMeshReady  = "consul-ecs-mesh-ready" // ours alone: the incumbent has no ready gate
	ContainerHealthSync = "consul-ecs-health-sync"
	ContainerController = "consul-ecs-controller"
)

// InjectedContainers lists the containers that belong to the mesh in a mesh task, in start order.
func InjectedContainers() []string {
	return []string{ContainerMeshInit, ContainerDataplane, ContainerMeshReady, ContainerHealthSync}
}

// Users of the injected containers. Traffic redirection recognises the mesh's own traffic by them.
const (
	UIDDataplane  = 5995
	UIDHealthSync = 5996 // also mesh-ready
	UIDMeshInit   = 5997 // without transparent proxy; with it the user is 0 and this is the group
)

// The volume that mesh-init and the dataplane share, where it is mounted, and the name of the agents' program in it, which
// containers of other images can run.
const (
	VolumeName   = "consul_data"
	BootstrapDir = "/consul"
	SharedAgent  = "consul-ecs"
)

// SocketPassing is the abstract Unix socket on which health-sync tells its container's health check that the task is in the
// mesh. The name lies in the task's network namespace: no port is taken and nobody outside the task can reach it.
const SocketPassing = "@" + ContainerHealthSync

// What health-sync says there, in one byte: that the task is in the mesh and nobody has heard of it yet, or that somebody has.
const (
	PassingNews  = 1
	PassingKnown = 2
)

// ConfigVariable names the environment variable that carries the agents' whole configuration.
const ConfigVariable = "CONSUL_ECS_CONFIG_JSON"

// Environment variables that carry what must not stand in the configuration; ECS fills them from Secrets Manager.
const (
	VariableToken       = "CONSUL_HTTP_TOKEN"
	VariableGRPCCACert  = "CONSUL_GRPC_CACERT_PEM"  // PEM text, for the gRPC port
	VariableHTTPSCACert = "CONSUL_HTTPS_CACERT_PEM" // PEM text, for the HTTPS port
)

// Tags of an IAM task role. They have dots because a binding rule's selector cannot name a key with a slash.
const (
	RoleTagServiceName = "consul.hashicorp.com.service-name"
	RoleTagNamespace   = "consul.hashicorp.com.namespace"
	RoleTagGatewayKind = "consul.hashicorp.com.gateway-kind"
)

// Tags of an ECS task. They reach the task from its definition through the ECS service's propagateTags.
const (
	TaskTagMesh          = "consul.hashicorp.com/mesh" // "true" on every task in the mesh
	TaskTagServiceName   = "consul.hashicorp.com/service-name"
	TaskTagPartition     = "consul.hashicorp.com/partition"
	TaskTagNamespace     = "consul.hashicorp.com/namespace"
	TaskTagModule        = "consul.hashicorp.com/module"
	TaskTagModuleVersion = "consul.hashicorp.com/module-version"
	TaskTagController    = "consul.hashicorp.com/controller" // ECS service of the controller that the task's ECS service shares with others
)

// TagPrefixes are the beginnings of tag keys that users may not set: the mesh's own keys lie under them.
func TagPrefixes() []string { return []string{"consul.hashicorp.com/", "consul.hashicorp.com."} }

// Meta keys of a service in Consul's catalog.
const (
	MetaTaskID  = "task-id"
	MetaTaskARN = "task-arn"
	MetaSource  = "source"
	Source      = "consul-ecs" // the value of MetaSource
)

// ServiceMeta lists the keys that the mesh sets in the metadata of every service.
func ServiceMeta() []string { return []string{MetaTaskID, MetaTaskARN, MetaSource} }

// Meta keys of a login. Consul keeps them in the token's description, where the controller finds the token's task.
const (
	LoginMetaTaskID  = "consul.hashicorp.com/task-id"
	LoginMetaCluster = "consul.hashicorp.com/cluster"
)

// The synthetic node: its name is the ARN of the ECS cluster, and this meta pair marks it.
const (
	NodeMetaSynthetic      = "synthetic-node"
	NodeMetaSyntheticValue = "true"
)

// Commands of the agents' program that task definitions name: its first argument says which agent it is.
const (
	CommandMeshInit   = "mesh-init"
	CommandDataplane  = "dataplane"
	CommandMeshReady  = "mesh-ready"
	CommandHealthSync = "health-sync"
	CommandReady      = "ready"   // health check of the dataplane's container
	CommandPassing    = "passing" // health check of health-sync's container
	CommandController = "controller"
	CommandApp        = "app"            // before the application's own command
	CommandAppAlias   = "app-entrypoint" // the incumbent's name for it
)

// EventBridge's words for an event of an ECS task, in its envelope and in the patterns of rules.
const (
	EventSource          = "aws.ecs"
	EventTaskStateChange = "ECS Task State Change" // the detail-type
)

// AuthMethod is the default name of Consul's aws-iam auth method for task roles.
const AuthMethod = "iam-ecs-service-token"

// RolePath is the default IAM path of task roles: the auth method admits the roles below it.
const RolePath = "/consul-ecs/"

// Ports inside a task and of Consul's servers.
const (
	PortPublicListener   = 20000 // Envoy's mTLS listener for other proxies
	PortOutboundListener = 15001 // where Envoy takes redirected traffic, loopback; central configuration may say another
	PortReadiness        = 22000 // Envoy's ready listener, loopback
	PortEnvoyAdmin       = 19000 // loopback
	PortDNS              = 8600  // Consul DNS in the task, loopback
	PortResolver         = 53    // the same in a task that calls by name: nothing redirects a resolver's queries there
	PortNames            = 80    // where Envoy listens for names, unless other ports are chosen
	PortLifeCycle        = 20300 // the dataplane's endpoints for start and stop, loopback
	PortMetrics          = 20100 // where the dataplane merges metrics, loopback

	PortConsulHTTP    = 8500
	PortConsulHTTPS   = 8501
	PortConsulGRPC    = 8502
	PortConsulGRPCTLS = 8503
)

// UnprivilegedPortStart is the kernel's parameter for the first port that users other than root may listen at.
const UnprivilegedPortStart = "net.ipv4.ip_unprivileged_port_start"

// CheckType is the Type of every check that the agents keep in Consul's catalog.
const CheckType = "consul-ecs-health-check"

// Names of the checks.
const (
	CheckNameContainer = "Consul ECS health check synced"
	CheckNameDataplane = "Consul dataplane readiness"
)
