package iamrole

import (
	"maps"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Names of the inline policies.
const (
	policyLogin      = "consul-login"
	policyExecution  = "start-task"
	policyController = "watch-tasks"
)

// Task is the task role of a mesh task. It may read itself, which Consul asks of a login, and nothing besides.
func Task(s TaskSpec) (Role, error) {
	role, err := s.Settings.role(s.Home, s.Family, suffixTask, mesh.RolePath)
	if err != nil {
		return Role{}, err
	}
	maps.Copy(role.Tags, MeshTags(s.ServiceName, s.Namespace))
	var statements []statement
	if s.ACLs {
		statements = append(statements, allow("ReadItself", []string{"iam:GetRole"}, []string{role.ARN}))
	}
	return role.inline(policyLogin, statements)
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
	return role.inline(policyController, statements)
}
