// Package taskdef turns what a user asked for, a Spec, into what ECS registers: a task definition whose injected
// containers put the task into the mesh. The package is pure: same Spec, same bytes.
//
// Check names places in a Spec in camel case, abbreviations like words, as in service.port, taskRoleArn,
// proxy.upstreams[0].localBindPort, task.ephemeralStorageGib or sidecars.dataplane.memory. A container's definition adds no
// step: containers[1].healthCheck.interval. What is a map to its user is one here: containers[1].environment["PORT"].
//
// # Organization
//
// spec.go is what a user asks for, build.go what becomes of it. sidecars.go, agents.go, stop.go, delay.go and firelens.go each build a part.
// check.go gathers what the checks find; a file check_*.go has those of one subject. Each rule of ECS that is checked says so beside it.
package taskdef

import (
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
)

// Spec is a task in the mesh as its user asked for it. Zero fields mean the defaults.
type Spec struct {
	Family       string
	Service      agentconfig.Service // an empty name means the family in lower case
	OutboundOnly bool                // the application receives no traffic: Service.Port stays 0
	Proxy        agentconfig.Proxy
	Services     []agentconfig.FurtherService // besides the first
	Servers      Servers
	Login        agentconfig.ConsulLogin
	LogLevel     string // of the agents
	LogJSON      bool

	TransparentProxy agentconfig.TransparentProxy // off unless enabled
	Names            agentconfig.Names            // off unless enabled
	Locality         agentconfig.Locality         // no zone is preferred unless it says so

	Task            Task
	Containers      []Container
	MapsListener    bool                         // the proxy's public listener is a mapped port of its container, as a load balancer needs
	ReadinessProbes []agentconfig.ReadinessProbe // of containers, whose health is then copied to Consul
	Sidecars        Sidecars

	TaskRoleARN      string // may be empty at plan, when the role does not exist yet
	ExecutionRoleARN string
	Tags             map[string]string // of the task definition, hence of its tasks
	Module           Module
}

// Servers says how to reach Consul's servers and which secrets hold their certificate authority.
type Servers struct {
	agentconfig.ConsulServers
	CASecretARN      string // Secrets Manager ARN of PEM text for both ports
	GRPCCASecretARN  string // for the gRPC port alone
	HTTPSCASecretARN string // for the HTTPS port alone
}

// Module is the program that wrote the definition, for the tags of the task.
type Module struct{ Name, Version string }

// Task is the frame of the containers.
type Task struct {
	CPU                  int                      // CPU units, 1024 to a core; default 256
	Memory               int                      // MiB; default 512
	LaunchTypes          []ecstypes.Compatibility // default EC2 and FARGATE
	RuntimePlatform      *ecstypes.RuntimePlatform
	EphemeralStorageGiB  int // 0: ECS's own 20
	PIDMode              ecstypes.PidMode
	IPCMode              ecstypes.IpcMode
	EnableFaultInjection *bool             // faults that AWS's Fault Injection Service asks the task for
	Volumes              []ecstypes.Volume // the mesh adds its own
	PlacementConstraints []ecstypes.TaskDefinitionPlacementConstraint
}

// Container is one of the user's containers. Nothing of its definition is changed but dependsOn, unless its end is delayed.
type Container struct {
	Definition    ecstypes.ContainerDefinition
	HealthSync    *bool  // copy its ECS health to Consul; default: it is essential and has a health check, or it has a readiness probe
	WaitForProxy  *bool  // start it when the proxy serves; default true, but for a log router
	ShutdownDelay string // how long its command serves on after SIGTERM, as in 10s; "" or 0s: it is not delayed
}

// ReadyGate says whether the task has the container that lets the application start the moment the proxy serves. Without
// it the application waits for the dataplane's ECS health check, whose shortest interval is 5 s and which is not there else.
type ReadyGate string

// The ready gate's settings. The zero value is ReadyGateAuto.
const (
	ReadyGateAuto ReadyGate = "auto" // on, unless the user's containers need its place: ECS allows 10 in a task
	ReadyGateOn   ReadyGate = "on"
	ReadyGateOff  ReadyGate = "off"
)

// Sidecars tunes the injected containers.
type Sidecars struct {
	Image                    string                     // holds consulecs-agent; required
	LogConfiguration         *ecstypes.LogConfiguration // of all; empty: none
	PullCredentialsSecretARN string
	ReadyGate                ReadyGate
	MeshInit                 Sidecar
	Dataplane                Sidecar
	MeshReady                Sidecar
	HealthSync               Sidecar
}

// Sidecar overrides the settings of one injected container. Zero fields mean what Sidecars or the defaults say.
type Sidecar struct {
	Image             string
	CPU               int32 // CPU units
	Memory            int32 // MiB, hard limit
	MemoryReservation int32 // MiB
	Environment       map[string]string
	LogConfiguration  *ecstypes.LogConfiguration       // empty: none, whatever all have
	RestartPolicy     *ecstypes.ContainerRestartPolicy // of containers that stay: dataplane, health-sync, controller
	ReadonlyRoot      *bool                            // default true, but for mesh-init where it sets up Consul DNS or names
	StopTimeout       int32                            // seconds; default: longer than every container of the user
}

// ControllerSpec is the controller of an ECS cluster.
type ControllerSpec struct {
	Family         string // default consul-ecs-controller
	Controller     agentconfig.Controller
	Servers        Servers
	TokenSecretARN string // Secrets Manager ARN of the ACL token that the controller works with, if it does not log in
	LogsIn         bool   // the controller logs in to Consul with its task role
	NoACLs         bool   // Consul's ACL system is off: the controller needs no rights
	LogLevel       string
	LogJSON        bool

	Task                     Task
	Image                    string // holds consulecs-agent; required
	Container                Sidecar
	PullCredentialsSecretARN string

	TaskRoleARN      string
	ExecutionRoleARN string
	Tags             map[string]string
}
