package provider

import (
	"context"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

type meshTaskResource struct{ stack[meshTaskModel] }

var (
	_ resource.ResourceWithConfigure      = (*meshTaskResource)(nil)
	_ resource.ResourceWithValidateConfig = (*meshTaskResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*meshTaskResource)(nil)
	_ resource.ResourceWithImportState    = (*meshTaskResource)(nil)
)

const meshTaskType = "consulecs_mesh_task"

func newMeshTask() resource.Resource {
	return &meshTaskResource{stack[meshTaskModel]{kind: kind[meshTaskModel]{
		typeName: meshTaskType,
		title:    "Mesh task",
		content: []string{
			"family", "service", "outbound_only", "upstream", "proxy", "transparent_proxy", "consul_servers", "login", "task", "container", "sidecars", "iam",
			"agent_image", "iam_role_path", "log_configuration",
		},
		places:   meshTaskPlaces,
		problems: (*meshTaskModel).problems,
		design:   (*meshTaskModel).design,
		check:    checkMeshTask,
		parts:    (*meshTaskModel).parts,
		name:     (*meshTaskModel).computeNames,
		observe:  (*meshTaskModel).observe,
		adopt:    func(m, other *meshTaskModel) { m.ECSService = other.ECSService },
	}}}
}

func (m *meshTaskModel) parts() parts {
	family := value(m.Family)
	return parts{id: family, family: family, owner: family, outcome: &m.outcomeModel, service: m.ECSService.named(family), timeouts: m.Timeouts}
}

func (m *meshTaskModel) computeNames(home iamrole.Home, unknown []problem.Path) (names any, open map[string]bool) {
	m.meshNames = m.names(home)
	return m.meshNames, map[string]bool{
		"service_name":         affects(unknown, "family", "service"),
		"ecs_service_name":     affects(unknown, "family", "ecs_service"),
		"arn_without_revision": affects(unknown, "family"),
	}
}

func (m *meshTaskModel) observe(service *ecstypes.Service) {
	if service == nil {
		m.ECSService = nil
		return
	}
	m.ECSService.refresh(*service)
}

func checkMeshTask(ctx context.Context, c *client, m *meshTaskModel, want design, diags *diag.Diagnostics) {
	c.checkTaskRole(ctx, want.taskRole.given, m.spec(c.defaults), diags)
	c.checkExecutionRole(ctx, want.executionRole.given, diags)
	m.warnOfGuardedTargets(diags)
}
