// Package iamrole decides what the IAM roles of mesh tasks and of the controller look like: names, trust, statements and
// tags. It grants what is known to be needed and nothing besides. The package is pure; documents are deterministic.
package iamrole

import ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

// Home is where roles live: their AWS partition (aws, aws-cn, aws-us-gov), Region and account.
type Home struct{ Partition, Region, Account string }

// Settings is what a user may choose of any role. Zero fields mean the defaults.
type Settings struct {
	Name                string            // default: the family and -task or -execution; beyond 64 characters cut, with a hash
	NamePrefix          string            // begins the default name
	Path                string            // default mesh.RolePath for mesh tasks
	PermissionsBoundary string            // ARN of a policy
	PolicyARNs          []string          // managed policies to attach besides
	InlinePolicies      map[string]string // JSON of policies in the role, by their names, besides the mesh's own
	Tags                map[string]string // the mesh's own win
	AnySource           bool              // trust ECS on behalf of any account and Region: no conditions in the trust policy
}

// TaskSpec asks for the task role of a mesh task.
type TaskSpec struct {
	Home        Home
	Settings    Settings
	Family      string
	ServiceName string   // as registered in Consul
	Further     []string // names of further services that the task is
	Namespace   string
	ACLs        bool // the agents log in to Consul with the role
	Exec        bool // people may run commands in the containers (ECS Exec)
}

// ExecutionSpec asks for an execution role.
type ExecutionSpec struct {
	Home       Home
	Settings   Settings
	Family     string
	Containers []ecstypes.ContainerDefinition // all of the task's, as registered: secrets, images and logs are read off them
	KMSKeyARNs []string                       // keys of the secrets, where they are not AWS's own
}

// ControllerSpec asks for the task role of a controller.
type ControllerSpec struct {
	Home                Home
	Settings            Settings
	Family              string
	ECSClusterARNs      []string // that it looks after
	EventQueueARN       string   // SQS queue of task state events; empty: none
	LogsIn              bool     // to Consul, with the role
	Exec                bool     // people may run commands in the container (ECS Exec)
	FirstTokenSecretARN string   // secret with an ACL token that it may read; empty: none
	KMSKeyARN           string   // of that secret, where the key is not AWS's own
}

// ServerSpec asks for the task role of a Consul server.
type ServerSpec struct {
	Home     Home
	Settings Settings
	Family   string
}

// Role is a role ready to be made.
type Role struct {
	Name                string
	Path                string
	ARN                 string
	TrustPolicy         string            // JSON
	PolicyName          string            // of the mesh's inline policy
	Policy              string            // JSON; empty: no inline policy of the mesh
	InlinePolicies      map[string]string // JSON of the user's, by their names
	PolicyARNs          []string
	PermissionsBoundary string
	Tags                map[string]string
}
