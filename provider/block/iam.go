package block

import (
	"cmp"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// ControllerIAMRow is the block at a place of the schema.
func ControllerIAMRow(at path.Expression) schema.SingleNestedBlock {
	return row.Object("IAM roles. By default both are created.", row.Fields{
		"path":                 row.Text("IAM path of the roles that are created. It must not lie below `iam_role_path`: the controller is no task of the mesh. Default `/`.", row.RolePath()),
		"name_prefix":          rolePrefix(),
		"permissions_boundary": row.Text("ARN of the policy that bounds the roles that are created. `task_role` and `execution_role` may each have another.", row.PolicyARN()),
		"any_source":           row.Flag("Leave the conditions on account and region out of the trust policies. Default `false`."),
		"task_role": row.Object("What the controller may do: list and describe the cluster's tasks.", row.Fields{
			"arn":         row.Text("ARN of an existing role: it is checked, never changed.", givenRoleRules(at, "task_role", "name", "policy_arns", "inline_policies", "permissions_boundary")...),
			"name":        row.Text("Name of the role that is created. Default: `name_prefix`, the family and `-task`.", row.RoleName()),
			"policy_arns": row.TextSet("ARNs of managed policies to attach."),

			"inline_policies": inlinePolicies(), "permissions_boundary": roleBoundary(),
		}),
		"execution_role": row.Object("What ECS may do to start the container.", row.Fields{
			"arn":          row.Text("ARN of an existing role: it is checked, never changed.", givenRoleRules(at, "execution_role", "name", "policy_arns", "inline_policies", "permissions_boundary", "kms_key_arns")...),
			"name":         row.Text("Name of the role that is created. Default: `name_prefix`, the family and `-execution`.", row.RoleName()),
			"policy_arns":  row.TextSet("ARNs of managed policies to attach."),
			"kms_key_arns": row.TextSet("ARNs of the KMS keys that encrypt the secrets, where they are not AWS's own."),

			"inline_policies": inlinePolicies(), "permissions_boundary": roleBoundary(),
		}),
	})
}

type IAM struct {
	Path                *string        `tfsdk:"path"`
	NamePrefix          *string        `tfsdk:"name_prefix"`
	PermissionsBoundary *string        `tfsdk:"permissions_boundary"`
	AnySource           *bool          `tfsdk:"any_source"`
	TaskRole            *TaskRole      `tfsdk:"task_role" at:"/taskRoleArn"`
	ExecutionRole       *ExecutionRole `tfsdk:"execution_role" at:"/executionRoleArn"`
}

type TaskRole struct {
	ARN                 *string           `tfsdk:"arn" at:"."`
	Name                *string           `tfsdk:"name"`
	PolicyARNs          []string          `tfsdk:"policy_arns"`
	InlinePolicies      map[string]string `tfsdk:"inline_policies"`
	PermissionsBoundary *string           `tfsdk:"permissions_boundary"`
}

type ExecutionRole struct {
	TaskRole
	KMSKeyARNs []string `tfsdk:"kms_key_arns"`
}

// TaskRoleOrNone is never nil, nor is ExecutionRoleOrNone.
func (m *IAM) TaskRoleOrNone() TaskRole {
	if m == nil || m.TaskRole == nil {
		return TaskRole{}
	}
	return *m.TaskRole
}

func (m *IAM) ExecutionRoleOrNone() ExecutionRole {
	if m == nil || m.ExecutionRole == nil {
		return ExecutionRole{}
	}
	return *m.ExecutionRole
}

// Settings are those of a created role that the two roles share.
func (m *IAM) Settings(role TaskRole, defaultPath string, tags map[string]string) iamrole.Settings {
	s := iamrole.Settings{Name: row.Value(role.Name), Path: defaultPath, PolicyARNs: role.PolicyARNs, InlinePolicies: role.InlinePolicies, Tags: tags}
	s.PermissionsBoundary = row.Value(role.PermissionsBoundary)
	if m != nil {
		s.Path = row.Value(cmp.Or(m.Path, &defaultPath))
		s.NamePrefix = row.Value(m.NamePrefix)
		s.PermissionsBoundary = row.Value(cmp.Or(role.PermissionsBoundary, m.PermissionsBoundary)) // "" of the role: none
		s.AnySource = row.Value(m.AnySource)
	}
	return s
}

func IAMRow() schema.SingleNestedBlock {
	return row.Object("IAM roles. By default both are created for the family.", row.Fields{
		"path":                 row.Text("IAM path of the roles that are created. The controller's auth method admits roles below its own path. Default: the provider's `iam_role_path`, else `/consul-ecs/`, which an empty text means, too.", row.OrNone(row.RolePath())),
		"name_prefix":          rolePrefix(),
		"permissions_boundary": row.Text("ARN of the policy that bounds the roles that are created. `task_role` and `execution_role` may each have another.", row.PolicyARN()),
		"any_source":           row.Flag("Leave the conditions on account and region out of the trust policies. Default `false`."),
		"task_role": row.Object("What the containers may do.", row.Fields{
			"arn": row.Text("ARN of an existing role: it is checked, never changed. It must carry the tag `consul.hashicorp.com.service-name`, lie below the role path and be allowed `iam:GetRole` on itself.",
				givenRoleRules(path.MatchRoot("iam"), "task_role", "name", "policy_arns", "inline_policies", "permissions_boundary")...),
			"name":        row.Text("Name of the role that is created. Default: `name_prefix`, the family and `-task`.", row.RoleName()),
			"policy_arns": row.TextSet("ARNs of managed policies to attach: the application's rights."),

			"inline_policies": inlinePolicies(), "permissions_boundary": roleBoundary(),
		}),
		"execution_role": row.Object("What ECS may do to start the containers: pull images, read secrets, write logs.", row.Fields{
			"arn": row.Text("ARN of an existing role: it is checked, never changed.",
				givenRoleRules(path.MatchRoot("iam"), "execution_role", "name", "policy_arns", "inline_policies", "permissions_boundary", "kms_key_arns")...),
			"name":         row.Text("Name of the role that is created. Default: `name_prefix`, the family and `-execution`.", row.RoleName()),
			"policy_arns":  row.TextSet("ARNs of managed policies to attach."),
			"kms_key_arns": row.TextSet("ARNs of the KMS keys that encrypt the containers' secrets, where they are not AWS's own."),

			"inline_policies": inlinePolicies(), "permissions_boundary": roleBoundary(),
		}),
	})
}

// inlinePolicies is the attribute of the policies that live in a role.
func inlinePolicies() schema.MapAttribute {
	return row.TextMap("Policies in the role that is created: from a name to the policy as JSON. A change made in IAM is planned away. IAM takes 10,240 characters of them in a role, the mesh's own policy included.")
}

// roleBoundary is the attribute of the boundary of one of the two roles.
func roleBoundary() schema.StringAttribute {
	return row.Text("ARN of the policy that bounds this role. Default: `iam.permissions_boundary`; an empty text means none.", row.OrNone(row.PolicyARN()))
}

// rolePrefix is the attribute that tells the roles of one family in two Regions apart.
func rolePrefix() schema.StringAttribute {
	return row.Text("Begins the names of the roles that are created, for the same family in several Regions: roles belong to the whole account. Up to 32 characters. Default: none.", row.RoleNamePrefix())
}

// givenRoleRules admit the ARN of a role, but beside no setting of a role that is made. "" is no ARN and does not ask for a role to
// be made either.
func givenRoleRules(iam path.Expression, role string, fields ...string) []validator.String {
	validators := []validator.String{stringvalidator.LengthAtLeast(1)}
	for _, f := range fields {
		validators = append(validators, stringvalidator.ConflictsWith(iam.AtName(role).AtName(f)))
	}
	return validators
}
