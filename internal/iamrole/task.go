package iamrole

import (
	"maps"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Names of the inline policies.
const (
	policyTask       = "mesh-task"
	policyExecution  = "start-task"
	policyController = "watch-tasks"
)

// IsOwnPolicy reports whether an inline policy of that name is the mesh's.
func IsOwnPolicy(name string) bool {
	return name == policyTask || name == policyExecution || name == policyController
}

// Task is the task role of a mesh task. It may read itself, which Consul asks of a login, and what ECS Exec takes, where that is on.
func Task(s TaskSpec) (Role, error) {
	role, err := s.Settings.role(s.Home, s.Family, suffixTask, mesh.RolePath)
	if err != nil {
		return Role{}, err
	}
	maps.Copy(role.Tags, MeshTags(s.ServiceName, s.Namespace, s.Further...))
	var statements []statement
	if s.ACLs {
		statements = append(statements, allow("ReadItself", []string{"iam:GetRole"}, []string{role.ARN}))
	}
	if s.Exec {
		statements = append(statements, execStatement())
	}
	return role.inline(policyTask, statements)
}

// execStatement lets the agent that ECS puts into a container open the channels that ECS Exec speaks through. They have no resource.
func execStatement() statement {
	return allow("OpenChannels", []string{
		"ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
	}, []string{"*"})
}

// Controller is the task role of a controller: it sees the tasks of its ECS clusters, hears of their ends, and reads the secret that
// is for it alone. It lies outside the path whose roles may log in as services.
func Controller(s ControllerSpec) (Role, error) {
	role, err := s.Settings.role(s.Home, s.Family, suffixTask, "/")
	if err != nil {
		return Role{}, err
	}
	// ListTasks takes no ECS cluster as its resource; the condition covers both actions.
	look := allow("SeeTasks", []string{"ecs:DescribeTasks", "ecs:ListTasks"}, []string{"*"})
	look.Condition = map[string]map[string]texts{"ArnEquals": {"ecs:cluster": s.ECSClusterARNs}}
	statements := []statement{look}
	if s.EventQueueARN != "" {
		statements = append(statements, allow("HearOfTasks",
			[]string{"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"}, []string{s.EventQueueARN}))
	}
	if s.LogsIn {
		statements = append(statements, allow("ReadItself", []string{"iam:GetRole"}, []string{role.ARN}))
	}
	if s.FirstTokenSecretARN != "" {
		statements = append(statements, secretStatements(either([]string{s.FirstTokenSecretARN}), nil)...)
	}
	if s.KMSKeyARN != "" {
		statements = append(statements, keyStatements([]string{s.KMSKeyARN})...)
	}
	if s.Exec {
		statements = append(statements, execStatement())
	}
	return role.inline(policyController, statements)
}

// Server is the task role of a Consul server that runs as a task. A server asks nothing of AWS: it may do what its user adds.
func Server(s ServerSpec) (Role, error) {
	role, err := s.Settings.role(s.Home, s.Family, suffixTask, "/")
	if err != nil {
		return Role{}, err
	}
	return role.inline("", nil)
}
