package iamrole

import (
	"fmt"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// RunSpec asks for the rights of who runs tasks of a family by themselves, as a scheduler does.
type RunSpec struct {
	Home          Home
	Family        string
	ECSClusterARN string
	RoleARNs      []string // of the task: the task role and the execution role
}

// RunPolicy is the policy, as JSON, that lets somebody run tasks of the family in the ECS cluster, with the tags of the definition.
// The family is named without a revision, too: that is how the newest one is asked for.
func RunPolicy(s RunSpec) string {
	definition := fmt.Sprintf("arn:%s:ecs:%s:%s:task-definition/%s", s.Home.Partition, s.Home.Region, s.Home.Account, s.Family)
	run := allow("RunTasks", []string{"ecs:RunTask"}, []string{definition, definition + ":*"})
	run.Condition = map[string]map[string]texts{"ArnEquals": {"ecs:cluster": {s.ECSClusterARN}}}
	// ECS asks for this right where a task gets tags at its birth, those of its definition too.
	tag := allow("TagTasks", []string{"ecs:TagResource"}, []string{strings.Replace(s.ECSClusterARN, ":cluster/", ":task/", 1) + "/*"})
	tag.Condition = map[string]map[string]texts{"StringEquals": {"ecs:CreateAction": {"RunTask"}}}
	pass := allow("PassRoles", []string{"iam:PassRole"}, s.RoleARNs)
	pass.Condition = map[string]map[string]texts{"StringEquals": {"iam:PassedToService": {"ecs-tasks.amazonaws.com"}}}
	return document{version, []statement{run, tag, pass}}.json()
}

// TaskRoleARN is the ARN that the task role of a family has, made or not; "" where it cannot be made. ExecutionRoleARN is the other role's.
func TaskRoleARN(home Home, s Settings, family string) string { return s.arn(home, family, suffixTask) }

// ExecutionRoleARN is the ARN that the execution role of a family has, made or not; "" where it cannot be made.
func ExecutionRoleARN(home Home, s Settings, family string) string {
	return s.arn(home, family, suffixExecution)
}

func (s Settings) arn(home Home, family, suffix string) string {
	role, err := s.role(home, family, suffix, mesh.RolePath)
	if err != nil {
		return ""
	}
	return role.ARN
}
