package deploy

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

// CheckTaskRole looks at a task role that the user gives: what would keep its tasks out of Consul is said now rather than by
// the first task. The role is never changed. arn "" means that none was given.
func (c *Client) CheckTaskRole(ctx context.Context, arn string, spec taskdef.Spec, diags *diag.Diagnostics) {
	at := path.Root("iam").AtName("task_role").AtName("arn")
	role := c.GivenRole(ctx, arn, at, diags)
	if role == nil || !spec.Login.Enabled {
		return
	}
	type tag struct{ key, want, where string }
	var tags []tag
	for n, name := range spec.ServiceNames() {
		tags = append(tags, tag{mesh.RoleTagOfService(n), name, "as service"})
	}
	for _, tag := range append(tags, tag{mesh.RoleTagNamespace, spec.Service.Namespace, "to the namespace"}) {
		if got := role.Tags[tag.key]; tag.want != "" && got != tag.want {
			diags.AddAttributeError(at, "Task role cannot log in to Consul",
				fmt.Sprintf("Role %s has the tag %s=%q, but its tasks are to log in %s %q. Set the tag to %[5]q, or leave arn out to have a role made.",
					arn, tag.key, got, tag.where, tag.want))
		}
	}
	path := c.Defaults.RolePath
	if path == "" {
		path = mesh.RolePath
	}
	if !strings.HasPrefix(role.Path, path) {
		diags.AddAttributeWarning(at, "Task role outside the role path",
			fmt.Sprintf("Role %s lies in path %s. A controller with the role path %s admits only roles below that: move the role, or set iam_role_path of the controller.", arn, role.Path, path))
	}
}

// CheckExecutionRole looks whether an execution role that the user gives is there.
func (c *Client) CheckExecutionRole(ctx context.Context, arn string, diags *diag.Diagnostics) {
	c.GivenRole(ctx, arn, path.Root("iam").AtName("execution_role").AtName("arn"), diags)
}

// GivenRole reads a role that the user gives, without its policies, and reports if it is not there.
func (c *Client) GivenRole(ctx context.Context, arn string, at path.Path, diags *diag.Diagnostics) *RoleView {
	if arn == "" {
		return nil
	}
	role, err := c.getRole(ctx, RoleDesign{Given: arn}.Name())
	switch {
	case awsapi.IsAccessDenied(err):
		diags.AddAttributeWarning(at, "Role not checked", fmt.Sprintf("Role %s could not be read, so its tags and path are not checked: %v.", arn, err))
	case err != nil:
		diags.AddAttributeError(at, "Role not readable", err.Error())
	case role == nil:
		diags.AddAttributeError(at, "Role does not exist", fmt.Sprintf("There is no role %s. Create it first, or leave arn out to have a role made.", arn))
	}
	return role
}

// RefuseMovedRoles reports roles that would keep their name in another path: IAM cannot move a role, and tasks run with it.
func RefuseMovedRoles(want Design, had Outcome, diags *diag.Diagnostics) {
	kept, err := decodeRoles(had.Roles)
	if err != nil {
		diags.AddError("State not readable", err.Error())
		return
	}
	for _, is := range kept {
		for _, role := range want.roles() {
			if role.Name == is.Name && role.Path != is.Path {
				diags.AddAttributeError(path.Root("iam"), "Role cannot be moved",
					fmt.Sprintf("Role %s lies in path %s and is asked for in %s. IAM cannot move a role: give it a new name beside the new path, in iam.task_role.name or iam.execution_role.name.",
						role.Name, is.Path, role.Path))
			}
		}
	}
}
