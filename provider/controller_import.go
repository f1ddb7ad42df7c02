package provider

import (
	"context"
	"fmt"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

// ImportState implements resource.ResourceWithImportState, by cluster/service or the ARN of the service.
func (r *controllerResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	m, err := r.client.importController(ctx, req.ID)
	if err != nil {
		resp.Diagnostics.AddError("Controller was not imported", fmt.Sprintf("import %s: %v", req.ID, err))
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (c *client) importController(ctx context.Context, text string) (*controllerModel, error) {
	id, err := parseImportID(text)
	if err != nil {
		return nil, err
	}
	if id.service == "" {
		return nil, fmt.Errorf("the ID is %q, want cluster/service or the ARN of the ECS service", text)
	}
	service, found, err := c.importService(ctx, id)
	if err != nil {
		return nil, err
	}
	m := &controllerModel{
		ECSCluster: service.Cluster, networkModel: service.networkModel, EnableExecuteCommand: service.EnableExecuteCommand, Timeouts: noTimeouts(),
	}
	if id.service != taskdef.DefaultControllerFamily {
		m.Name = &id.service
	}
	revision, err := c.describeRevision(ctx, aws.ToString(found.TaskDefinition))
	if err != nil {
		return nil, err
	}
	if err := c.importControllerDefinition(ctx, m, revision); err != nil {
		return nil, err
	}
	return m, c.importControllerOutcome(ctx, m)
}

func (c *client) importControllerDefinition(ctx context.Context, m *controllerModel, from *revision) error {
	d := from.definition
	cfg, err := importConfig(d.ContainerDefinitions)
	if err != nil {
		return err
	}
	controller := cfg.ControllerSettings()
	m.TokenSecretARN = aws.String(secretOf(d.ContainerDefinitions, mesh.VariableToken))
	m.ConsulServers = importServers(cfg.ConsulServers, d.ContainerDefinitions, c.defaults)
	if controller.IAMRolePath != c.defaults.defaultRolePath(mesh.RolePath) {
		m.IAMRolePath = &controller.IAMRolePath
	}
	if cfg.Controller != nil && !reflect.DeepEqual(value(cfg.Controller.AuthMethod), value(m.authMethod(c.defaults))) {
		m.Login = importAuthMethod(cfg.Controller.AuthMethod)
	}
	fromSpec(&m.LogLevel, cfg.LogLevel)
	fromSpec(&m.LogJSON, cfg.LogJSON)
	m.Task = &controllerTaskModel{}
	m.Task.CPU, m.Task.Memory, m.Task.LaunchTypes = importSize(d)
	fromSpec(&m.Task.RuntimePlatform, d.RuntimePlatform)
	m.importContainer(d.ContainerDefinitions, c.defaults)
	m.Tags = c.defaults.importTags(from.tags)
	m.IAM, err = c.importIAM(ctx, d, owner(controllerType, c.region, m.id()), controllerRolePath)
	return err
}

func importAuthMethod(cfg *agentconfig.AuthMethod) *controllerLoginModel {
	var m controllerLoginModel
	method := value(cfg)
	fromSpec(&m.AuthMethod, method.Name)
	fromSpec(&m.STSEndpoint, method.STSEndpoint)
	fromSpec(&m.IAMEndpoint, method.IAMEndpoint)
	fromSpec(&m.ServerIDHeader, method.ServerIDHeaderValue)
	return &m
}

func (m *controllerModel) importContainer(containers []ecstypes.ContainerDefinition, d defaults) {
	for _, is := range containers {
		if aws.ToString(is.Name) != mesh.ContainerController {
			continue
		}
		if image := aws.ToString(is.Image); image != d.image {
			m.Image = &image
		}
		if log := importLog(is.LogConfiguration); !reflect.DeepEqual(log, importLog(d.logConfiguration.spec())) {
			m.LogConfiguration = log
		}
		if is.RepositoryCredentials != nil {
			m.PullCredentialsSecretARN = is.RepositoryCredentials.CredentialsParameter
		}
	}
}

func (c *client) importControllerOutcome(ctx context.Context, m *controllerModel) error {
	home, err := c.home(ctx)
	if err != nil {
		return err
	}
	want, err := m.design(c.defaults, home)
	if err != nil {
		return err
	}
	decided, err := want.decided()
	if err != nil {
		return err
	}
	m.computeNames(home, nil)
	m.outcomeModel = decided
	id := m.id()
	m.ID = &id
	return nil
}
