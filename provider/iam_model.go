package provider

import (
	"cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
)

type iamModel struct {
	Path                *string             `tfsdk:"path"`
	PermissionsBoundary *string             `tfsdk:"permissions_boundary"`
	AnySource           *bool               `tfsdk:"any_source"`
	TaskRole            *taskRoleModel      `tfsdk:"task_role"`
	ExecutionRole       *executionRoleModel `tfsdk:"execution_role"`
}

type taskRoleModel struct {
	ARN        *string  `tfsdk:"arn"`
	Name       *string  `tfsdk:"name"`
	PolicyARNs []string `tfsdk:"policy_arns"`
}

type executionRoleModel struct {
	taskRoleModel
	KMSKeyARNs []string `tfsdk:"kms_key_arns"`
}

// taskRole and executionRole are never nil.
func (m *iamModel) taskRole() taskRoleModel {
	if m == nil || m.TaskRole == nil {
		return taskRoleModel{}
	}
	return *m.TaskRole
}

func (m *iamModel) executionRole() executionRoleModel {
	if m == nil || m.ExecutionRole == nil {
		return executionRoleModel{}
	}
	return *m.ExecutionRole
}

// settings are those of a created role that the two roles share.
func (m *iamModel) settings(role taskRoleModel, defaultPath string, tags map[string]string) iamrole.Settings {
	s := iamrole.Settings{Name: value(role.Name), Path: defaultPath, PolicyARNs: role.PolicyARNs, Tags: tags}
	if m != nil {
		s.Path = cmp.Or(value(m.Path), defaultPath)
		s.PermissionsBoundary = value(m.PermissionsBoundary)
		s.AnySource = value(m.AnySource)
	}
	return s
}
