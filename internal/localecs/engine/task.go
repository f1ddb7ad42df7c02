// Package engine runs ECS tasks on Docker as the ECS agent runs them on an instance: a pause container holds each
// task's network namespace, the task's containers join it, and one goroutine per task walks them through dependsOn,
// health checks, restarts, the stop order and the clean-up. It knows nothing of services or of the ECS API: tasks come
// in through Run and Stop, and every change goes out, whole, through Config.Changed.
//
// What differs from AWS, on purpose: images must be on the machine (nothing is pulled), every task is wired as awsvpc,
// every log driver becomes json-file, CPU is a relative weight and never a hard cap, memory is limited per container and
// not per task, and what only AWS has (EFS, environment files) stops the task with a reason.
//
// Volumes are Docker's: as a container is created, an empty one takes the owner, the mode and the content of the
// directory that the image has at the mount path; without such a directory it is root's. An image whose volume is
// written by several users gives that directory mode 1777.
//
// # Organization
//
// engine.go is the way in, task.go a task's life, state.go what it has come to. run.go, spec.go, network.go and resources.go make its
// containers; watch.go and memory.go hear of them; report.go and answers.go say how they are.
package engine

import (
	"time"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/go-hclog"
)

// Config is what an engine has to know of its world.
type Config struct {
	World       string        // label value, and prefix of container, network and volume names
	DockerHost  string        // "" = DOCKER_HOST of the environment
	Subnet      string        // of the tasks' network; "" = the first free /24 of 10.213.0.0/16
	Region      string        // given to the containers, used to sign calls to the emulator
	EmulatorURL string        // STS and Secrets Manager
	APIURL      func() string // AWS_ENDPOINT_URL of the containers, read when a task starts; nil or "" = not set
	StopOrder   StopOrder     // "" = StopByDependency
	Changed     func(Status)  // called once per change, in order per task, from many goroutines; must not block for long
	Logger      hclog.Logger
}

// StopOrder is the order in which the containers of a stopping task get their SIGTERM. Both occur in the field.
type StopOrder string

// The two stop orders.
const (
	StopByDependency StopOrder = "dependency"  // a container stops once all that depend on it have stopped
	StopAllAtOnce    StopOrder = "all-at-once" // every container at the same moment
)

// Task is one placed task with every reference resolved except secrets.
type Task struct {
	ARN, ClusterARN               string                  // the task's ID follows the last slash of ARN
	Definition                    ecstypes.TaskDefinition // as registered, defaults filled in
	Overrides                     *ecstypes.TaskOverride  // container command, environment, cpu and memory
	LaunchType                    ecstypes.LaunchType
	AvailabilityZone, ServiceName string
	SubnetID                      string // as asked for; reported back in the attachment
	TaskRoleARN, ExecutionRoleARN string
	Tags                          []ecstypes.Tag
	CreatedAt                     time.Time
}

// The words of ECS for a task's and a container's status.
const (
	StatusProvisioning   = "PROVISIONING"
	StatusPending        = "PENDING"
	StatusActivating     = "ACTIVATING"
	StatusRunning        = "RUNNING"
	StatusDeactivating   = "DEACTIVATING"
	StatusStopping       = "STOPPING"
	StatusDeprovisioning = "DEPROVISIONING"
	StatusStopped        = "STOPPED"
)

// Status is everything the engine knows about a task. It is sent whole on every change. A receiver that has an earlier
// time for a field (after a restart of its own) keeps the earlier one.
type Status struct {
	TaskARN                   string
	LastStatus, DesiredStatus string
	HealthStatus              ecstypes.HealthStatus
	Containers                []ecstypes.Container
	Attachments               []ecstypes.Attachment // the task's network interface
	StopCode                  ecstypes.TaskStopCode
	StoppedReason             string

	PullStartedAt, PullStoppedAt, StartedAt, StoppingAt, ExecutionStoppedAt, StoppedAt *time.Time
}

// ContainerRun is the timeline of one container of a task.
type ContainerRun struct {
	Name     string     `json:"name"`
	DockerID string     `json:"dockerId"`
	Created  *time.Time `json:"created,omitempty"`
	Started  *time.Time `json:"started,omitempty"` // of the first run
	Runs     []OneRun   `json:"runs,omitempty"`    // the last entry is the current or final run
	Restarts int        `json:"restarts"`
	Status   string     `json:"status"`
	Health   string     `json:"health"`
	Reason   string     `json:"reason,omitempty"`
}

// OneRun is one start of a container and its end.
type OneRun struct {
	Started  time.Time  `json:"started"`
	Stopped  *time.Time `json:"stopped,omitempty"` // SIGTERM sent by the engine
	Finished *time.Time `json:"finished,omitempty"`
	ExitCode *int32     `json:"exitCode,omitempty"`
}
