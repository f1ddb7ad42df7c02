// Package meshtask is the resource consulecs_mesh_task.
package meshtask

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
	"github.com/consulecs/terraform-provider-consulecs/provider/stack"
	"github.com/consulecs/terraform-provider-consulecs/provider/standalone"
)

type meshTask struct{ stack.Stack[model] }

var (
	_ resource.ResourceWithConfigure      = (*meshTask)(nil)
	_ resource.ResourceWithValidateConfig = (*meshTask)(nil)
	_ resource.ResourceWithModifyPlan     = (*meshTask)(nil)
	_ resource.ResourceWithImportState    = (*meshTask)(nil)
	_ resource.ResourceWithIdentity       = (*meshTask)(nil)
	_ resource.ResourceWithMoveState      = (*meshTask)(nil)
	_ resource.ResourceWithUpgradeState   = (*meshTask)(nil)
	_ list.ListResourceWithConfigure      = (*meshTask)(nil)
)

const typeName = "consulecs_mesh_task"

var places = row.PlacesOf(model{})

// New is the resource as the provider lists it.
func New() resource.Resource { return newMeshTask() }

// NewList lists the resources that there are.
func NewList() list.ListResource { return newMeshTask() }

func newMeshTask() *meshTask {
	return &meshTask{stack.Stack[model]{Kind: stack.Kind[model]{
		TypeName: typeName,
		Title:    "Mesh task",
		NameKey:  "family",
		Cluster:  path.Root("ecs_service").AtName("cluster"),
		Owner:    (*model).owner,
		Content: []string{
			"family", "service", "outbound_only", "upstream", "proxy", "transparent_proxy", "names", "locality", "consul_servers", "login", "task", "container", attributeJSON, "sidecars", "iam",
			"iam_role_path", "log_configuration", // the provider's
			balancedContainer, registeredContainer, // may be the proxy's, which then maps its port
		},
		Depends: map[string][]string{
			"task_role_arn":            {"family", "iam.path", "iam.name_prefix", "iam.task_role", "iam_role_path"},
			"task_role_name":           {"family", "iam.name_prefix", "iam.task_role"},
			"execution_role_arn":       {"family", "iam.path", "iam.name_prefix", "iam.execution_role", "iam_role_path"},
			"execution_role_name":      {"family", "iam.name_prefix", "iam.execution_role"},
			"tags_all":                 {"family", "service.*.name", "service.*.namespace", "service.*.partition", "tags", "default_tags", controllerThere},
			"rendered_definition_json": {"family", "task", "iam", "iam_role_path"},
			"rendered_roles_json":      {"ecs_service.enable_execute_command", standalone.Block + ".enable_execute_command"},
			"ecs_service_arn":          {"family", "ecs_service.cluster", "ecs_service.name", "ecs_service.launch_type", "ecs_service.scheduling_strategy"},
			"ecs_service_running_arn":  {"ecs_service.cluster"}, // is it there at all?
		},
		Local:    (*model).local,
		Places:   places,
		Own:      []problem.Path{problem.At("controller", "login", "enabled")}, // the provider's is that of the tasks
		Problems: (*model).problems,
		Design:   (*model).design,
		Check:    checkMeshTask,
		Parts:    (*model).parts,
		Name:     (*model).computeNames,
		Observe:  (*model).observe,
		Adopt:    func(m, other *model) { m.ECSService = other.ECSService },

		Companion: sharedController(),
		Following: following(),
		Moving:    moving(),
		Import:    read,
		Identity: stack.Identity[model]{
			Attributes: map[string]string{"family": "Family of the task definition."},
			Of:         func(m *model) map[string]string { return map[string]string{"family": row.Value(m.Family)} },
			Values:     func(id string) map[string]string { return map[string]string{"family": id} },
			ImportID:   func(values map[string]string) string { return values["family"] },
		},
	}}}
}

func (m *model) parts() stack.Parts {
	family := row.Value(m.Family)
	return stack.Parts{ID: family, Family: family, Outcome: &m.Outcome, Service: m.ECSService.Named(family), Timeouts: m.Timeouts}
}

func (m *model) computeNames(d block.Defaults, home iamrole.Home, unknown []problem.Path) (names any, open map[string]bool) {
	m.names = m.computedNames(d, home)
	return m.names, map[string]bool{
		"service_name":         row.Affects(unknown, "family", "service.*.name"),
		"ecs_service_name":     row.Affects(unknown, "family", "ecs_service.name"),
		"arn_without_revision": row.Affects(unknown, "family"),
		"followed_images":      m.followedOpen(unknown),

		"controller_service_arn":  m.asksForController(unknown) && m.ControllerServiceARN == nil,
		"controller_content_hash": m.asksForController(unknown) && m.ControllerHash == nil,

		"rendered_ecs_service_json": row.Affects(unknown, "ecs_service.cluster"), // is it there at all?

		"run_task_json":        row.Affects(unknown, "family", standalone.Block),
		"run_task_policy_json": row.Affects(unknown, "family", standalone.Block+".cluster", "iam.path", "iam.name_prefix", "iam.task_role", "iam.execution_role", "iam_role_path"),
	}
}

func (m *model) observe(service *block.Seen) {
	if service == nil {
		m.ECSService, m.ECSServiceRest = nil, nil
		return
	}
	m.ECSService.Refresh(*service)
	m.ECSServiceRest = block.RenderECSService(service.PropagateTags, nil)
}

func checkMeshTask(ctx context.Context, c *deploy.Client, m *model, want deploy.Design, diags *diag.Diagnostics) {
	c.CheckTaskRole(ctx, want.TaskRole.Given, m.spec(c.Defaults), diags)
	c.CheckExecutionRole(ctx, want.ExecutionRole.Given, diags)
	m.warnOfGuardedTargets(diags)
}
