package provider

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

type controllerResource struct{ stack[controllerModel] }

var (
	_ resource.ResourceWithConfigure      = (*controllerResource)(nil)
	_ resource.ResourceWithValidateConfig = (*controllerResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*controllerResource)(nil)
	_ resource.ResourceWithImportState    = (*controllerResource)(nil)
)

const controllerType = "consulecs_controller"

func newController() resource.Resource {
	return &controllerResource{stack[controllerModel]{kind: kind[controllerModel]{
		typeName: controllerType,
		title:    "Controller",
		content: []string{
			"cluster", "name", "token_secret_arn", "consul_servers", "login", "iam_role_path", "image", "log_level", "log_json",
			"log_configuration", "pull_credentials_secret_arn", "task", "iam", "agent_image",
		},
		places:   controllerPlaces,
		problems: (*controllerModel).problems,
		design:   (*controllerModel).design,
		check:    checkController,
		parts:    (*controllerModel).parts,
		name:     (*controllerModel).computeNames,
		observe:  (*controllerModel).observe,
		adopt:    func(m, other *controllerModel) { m.networkModel = other.networkModel },
	}}}
}

func (m *controllerModel) parts() parts {
	p := parts{id: m.id(), family: m.name(), owner: m.id(), outcome: &m.outcomeModel, timeouts: m.Timeouts}
	if m.ECSCluster != nil { // else the model is that of no resource
		p.service = m.service()
	}
	return p
}

func (m *controllerModel) computeNames(iamrole.Home, []problem.Path) (names any, open map[string]bool) {
	m.DesiredCount = aws.Int32(1)
	return m.controllerNames, nil
}

// observe takes over what the service is. Without one, the outcome has no ARN of it, which the plan sets right.
func (m *controllerModel) observe(service *ecstypes.Service) {
	if service == nil {
		return
	}
	is := m.service()
	is.refresh(*service)
	m.networkModel, m.EnableExecuteCommand, m.DesiredCount = is.networkModel, is.EnableExecuteCommand, is.DesiredCount
}

func checkController(ctx context.Context, c *client, _ *controllerModel, want design, diags *diag.Diagnostics) {
	c.givenRole(ctx, want.taskRole.given, path.Root("iam").AtName("task_role").AtName("arn"), diags)
	c.checkExecutionRole(ctx, want.executionRole.given, diags)
}
