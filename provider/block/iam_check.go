package block

import (
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// Check holds the roles that are made for the family against IAM's rules, and against each other.
func (m *IAM) Check(family string, tags map[string]string, found *problem.List) {
	pair := iamrole.Pair{Family: family, KMSKeyARNs: m.ExecutionRoleOrNone().KMSKeyARNs}
	made := func(role TaskRole) *iamrole.Settings {
		if role.ARN != nil {
			return nil
		}
		settings := m.Settings(role, "", tags)
		return &settings
	}
	pair.Task, pair.Execution = made(m.TaskRoleOrNone()), made(m.ExecutionRoleOrNone().TaskRole)
	*found = append(*found, pair.Check()...)
}
