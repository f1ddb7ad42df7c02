// Package controller is the resource consulecs_controller.
package controller

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
	"github.com/consulecs/terraform-provider-consulecs/provider/meshcontroller"
	"github.com/consulecs/terraform-provider-consulecs/provider/occupancy"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
	"github.com/consulecs/terraform-provider-consulecs/provider/stack"
)

type controller struct{ stack.Stack[model] }

var (
	_ resource.ResourceWithConfigure      = (*controller)(nil)
	_ resource.ResourceWithValidateConfig = (*controller)(nil)
	_ resource.ResourceWithModifyPlan     = (*controller)(nil)
	_ resource.ResourceWithImportState    = (*controller)(nil)
	_ resource.ResourceWithIdentity       = (*controller)(nil)
	_ resource.ResourceWithMoveState      = (*controller)(nil)
	_ list.ListResourceWithConfigure      = (*controller)(nil)
)

const typeName = meshcontroller.ResourceType

var places = row.PlacesOf(model{})

// New is the resource as the provider lists it.
func New() resource.Resource { return newController() }

// NewList lists the resources that there are.
func NewList() list.ListResource { return newController() }

func newController() *controller {
	return &controller{stack.Stack[model]{Kind: stack.Kind[model]{
		TypeName: typeName,
		Title:    "Controller",
		NameKey:  "name",
		Cluster:  path.Root("cluster"),
		Owner:    (*model).owner,
		Content: []string{
			"cluster", "name", "token_secret_arn", "consul_servers", "login", "iam_role_path", "image", "log_level", "log_json",
			"log_configuration", "pull_credentials_secret_arn", "task", "iam",
			"trust_all_roles", "manage_acl", "first_token_secret_arn", "first_token_kms_key_arn", "anonymous_reads", "ecs_clusters", "sync_seconds",
			"max_writes_per_second", "brake", "dry_run", "http_address", "partition", "events",
		},
		Depends: map[string][]string{
			"task_role_arn":            {"cluster", "name", "iam.path", "iam.name_prefix", "iam.task_role"},
			"task_role_name":           {"cluster", "name", "iam.name_prefix", "iam.task_role"},
			"execution_role_arn":       {"cluster", "name", "iam.path", "iam.name_prefix", "iam.execution_role"},
			"execution_role_name":      {"cluster", "name", "iam.name_prefix", "iam.execution_role"},
			"tags_all":                 {"cluster", "name", "tags", "default_tags"}, // the owner's name is a tag
			"rendered_definition_json": {"cluster", "name", "task", "iam"},
			"rendered_roles_json":      {"enable_execute_command"},
			"ecs_service_arn":          {"cluster", "name", "launch_type"},

			"event_queue_url":             {"cluster", "name", "events"},
			"event_queue_arn":             {"cluster", "name", "events"},
			"event_dead_letter_queue_arn": {"cluster", "name", "events"},
			"event_rule_arn":              {"cluster", "name", "events"},
			"rendered_events_json":        {"cluster", "name", "events", "ecs_clusters", "tags", "default_tags"},
		},
		Places:   places,
		Own:      []problem.Path{problem.At("login", "enabled")}, // the provider's is that of the tasks
		Problems: (*model).problems,
		Design:   (*model).design,
		Check:    checkController,
		Parts:    (*model).parts,
		Name:     (*model).computeNames,
		Observe:  (*model).observe,
		Release:  release,
		Adopt:    func(m, other *model) { m.Network = other.Network },
		Import:   read,
		Identity: stack.ServiceIdentity("controller", func(m *model) (nameOrARN, name string) { return row.Value(m.ECSCluster), m.name() }),
	}}}
}

func (m *model) parts() stack.Parts {
	p := stack.Parts{ID: m.id(), Family: m.family(), Outcome: &m.Outcome, Events: &m.Outputs, Timeouts: m.Timeouts}
	if m.ECSCluster != nil { // else the model is that of no resource
		p.Service = m.service()
	}
	return p
}

// names is what only a controller computes.
type names struct {
	DesiredCount   *int32  `tfsdk:"desired_count"`
	ECSServiceRest *string `tfsdk:"rendered_ecs_service_json"`
}

func (m *model) computeNames(_ block.Defaults, _ iamrole.Home, unknown []problem.Path) (computed any, open map[string]bool) {
	service := m.service()
	m.DesiredCount, m.ECSServiceRest = service.DesiredCount, block.RenderECSService(block.Propagated, service)
	if row.Affects(unknown, "desired_count") {
		open = map[string]bool{"desired_count": true, "rendered_ecs_service_json": true}
	}
	return names{m.DesiredCount, m.ECSServiceRest}, open
}

// observe takes over what the service is. Without one, the outcome has no ARN of it, which the plan sets right.
func (m *model) observe(service *block.Seen) {
	if service == nil {
		return
	}
	is := m.service()
	is.Refresh(*service)
	m.Network, m.EnableExecuteCommand, m.DesiredCount = is.Network, is.EnableExecuteCommand, is.DesiredCount
	m.ECSServiceRest = block.RenderECSService(service.PropagateTags, is)
}

func checkController(ctx context.Context, c *deploy.Client, m *model, want deploy.Design, diags *diag.Diagnostics) {
	if home, ok := c.HomeOrReport(ctx, diags); ok {
		m.CheckECSClusters(home, path.Root("ecs_clusters"), diags)
	}
	c.GivenRole(ctx, want.TaskRole.Given, path.Root("iam").AtName("task_role").AtName("arn"), diags)
	c.CheckExecutionRole(ctx, want.ExecutionRole.Given, diags)
}

// release waits until nothing is left for the controller to do: tasks of the mesh that die without one stay in Consul for ever. One that
// does not run takes care of nobody.
func release(ctx context.Context, c *deploy.Client, m *model) error {
	if row.Value(m.ForceDestroy) {
		return nil
	}
	return c.AwaitNoMeshTasks(ctx, occupancy.Mesh{ECSClusters: append([]string{row.Value(m.ECSCluster)}, m.ECSClusters...), Partition: row.Value(m.Partition)})
}
