package provider

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

type controllerModel struct {
	ECSCluster               *string                `tfsdk:"cluster"`
	Name                     *string                `tfsdk:"name"`
	TokenSecretARN           *string                `tfsdk:"token_secret_arn"`
	ConsulServers            *consulServersModel    `tfsdk:"consul_servers"`
	Login                    *controllerLoginModel  `tfsdk:"login"`
	IAMRolePath              *string                `tfsdk:"iam_role_path"`
	Image                    *string                `tfsdk:"image"`
	LogLevel                 *string                `tfsdk:"log_level"`
	LogJSON                  *bool                  `tfsdk:"log_json"`
	LogConfiguration         *logConfigurationModel `tfsdk:"log_configuration"`
	PullCredentialsSecretARN *string                `tfsdk:"pull_credentials_secret_arn"`
	Task                     *controllerTaskModel   `tfsdk:"task"`
	IAM                      *iamModel              `tfsdk:"iam"`
	EnableExecuteCommand     *bool                  `tfsdk:"enable_execute_command"`
	WaitForSteadyState       *bool                  `tfsdk:"wait_for_steady_state"`
	Tags                     map[string]string      `tfsdk:"tags"`
	Timeouts                 timeouts.Value         `tfsdk:"timeouts"`
	networkModel
	controllerNames
	outcomeModel
}

// controllerNames is what only a controller computes.
type controllerNames struct {
	DesiredCount *int32 `tfsdk:"desired_count"`
}

// controllerLoginModel is the part of a login that the auth method must know.
type controllerLoginModel struct {
	AuthMethod     *string `tfsdk:"auth_method"`
	STSEndpoint    *string `tfsdk:"sts_endpoint"`
	IAMEndpoint    *string `tfsdk:"iam_endpoint"`
	ServerIDHeader *string `tfsdk:"server_id_header"`
}

func (m *controllerModel) name() string {
	return cmp.Or(value(m.Name), taskdef.DefaultControllerFamily)
}

func (m *controllerModel) id() string { return ecsClusterName(value(m.ECSCluster)) + "/" + m.name() }

// spec is what the user asked for, with the provider's defaults, but for the ARNs of roles.
func (m *controllerModel) spec(d defaults) taskdef.ControllerSpec {
	s := taskdef.ControllerSpec{
		Family: m.name(), Servers: overlay(d.servers, m.ConsulServers).spec(), TokenSecretARN: value(m.TokenSecretARN),
		Controller: agentconfig.Controller{IAMRolePath: cmp.Or(value(m.IAMRolePath), d.rolePath), AuthMethod: m.authMethod(d)},
		LogLevel:   value(m.LogLevel), LogJSON: value(m.LogJSON), Image: cmp.Or(value(m.Image), d.image),
		Container:                taskdef.Sidecar{LogConfiguration: cmp.Or(m.LogConfiguration, d.logConfiguration).spec()},
		PullCredentialsSecretARN: value(m.PullCredentialsSecretARN), Tags: d.tagsWith(m.Tags),
	}
	if m.Task != nil {
		toSpec(&s.Task, m.Task)
	}
	return s
}

// authMethod is nil where the controller's own settings do.
func (m *controllerModel) authMethod(d defaults) *agentconfig.AuthMethod {
	var method agentconfig.AuthMethod
	if l := d.login; l != nil {
		method = agentconfig.AuthMethod{
			Name: value(l.AuthMethod), STSEndpoint: value(l.STSEndpoint), IAMEndpoint: value(l.IAMEndpoint), ServerIDHeaderValue: value(l.ServerIDHeader),
		}
	}
	if l := m.Login; l != nil {
		method = agentconfig.AuthMethod{
			Name:                cmp.Or(value(l.AuthMethod), method.Name),
			STSEndpoint:         cmp.Or(value(l.STSEndpoint), method.STSEndpoint),
			IAMEndpoint:         cmp.Or(value(l.IAMEndpoint), method.IAMEndpoint),
			ServerIDHeaderValue: cmp.Or(value(l.ServerIDHeader), method.ServerIDHeaderValue),
		}
	}
	if method == (agentconfig.AuthMethod{}) {
		return nil
	}
	return &method
}

// problems is what is wrong with the controller, at places of the Spec.
func (m *controllerModel) problems(d defaults) problem.List {
	spec := m.spec(d)
	spec.TaskRoleARN, spec.ExecutionRoleARN = value(m.IAM.taskRole().ARN), value(m.IAM.executionRole().ARN)
	found := taskdef.CheckController(spec)
	m.networkModel.check(spec.Task.LaunchTypes, nil, &found)
	m.checkPath(cmp.Or(spec.Controller.IAMRolePath, mesh.RolePath), &found)
	return found
}

// checkPath wants the controller's roles to lie outside the path whose roles may log in as services. Below the path of all roles
// there is no outside.
func (m *controllerModel) checkPath(services string, found *problem.List) {
	if m.IAM == nil || services == "/" || !strings.HasPrefix(value(m.IAM.Path), services) {
		return
	}
	found.AddWith([]problem.Path{problem.At("controller", "iamRolePath")}, problem.At("iam", "path"),
		"is %q, below the path %q whose roles may log in to Consul as services: choose another", *m.IAM.Path, services)
}

// controllerRolePath is where a controller's roles lie: outside the path whose roles may log in as services.
const controllerRolePath = "/"

// design works out a controller.
func (m *controllerModel) design(d defaults, home iamrole.Home) (design, error) {
	spec := m.spec(d)
	want := design{
		family: spec.Family, owner: owner(controllerType, home.Region, m.id()),
		taskRole:      roleDesign{given: value(m.IAM.taskRole().ARN)},
		executionRole: roleDesign{given: value(m.IAM.executionRole().ARN)},
		service:       m.service(),
	}
	if want.taskRole.given == "" {
		role, err := iamrole.Controller(iamrole.ControllerSpec{
			Home: home, Settings: m.IAM.settings(m.IAM.taskRole(), controllerRolePath, spec.Tags), Family: spec.Family,
			ECSClusterARN: ecsClusterARN(value(m.ECSCluster), home),
		})
		if err != nil {
			return design{}, err
		}
		want.taskRole.role = role
	}
	spec.TaskRoleARN = want.taskRole.arn()
	definition, err := taskdef.BuildController(spec)
	if err != nil {
		return design{}, err
	}
	err = want.finish(definition, m.IAM, controllerRolePath, spec.Tags, home)
	return want, err
}

// service is the ECS service: one task, and none beside it while it is replaced, since a controller needs no rival.
func (m *controllerModel) service() *ecsServiceModel {
	wait := m.WaitForSteadyState == nil || *m.WaitForSteadyState
	return &ecsServiceModel{
		Cluster: m.ECSCluster, Name: aws.String(m.name()), DesiredCount: aws.Int32(1), networkModel: m.networkModel,
		EnableExecuteCommand: m.EnableExecuteCommand, WaitForSteadyState: &wait,
		Deployment: &deploymentModel{MinimumHealthyPercent: aws.Int32(0), MaximumPercent: aws.Int32(100)},
	}
}

func ecsClusterARN(nameOrARN string, home iamrole.Home) string {
	if strings.HasPrefix(nameOrARN, "arn:") {
		return nameOrARN
	}
	return fmt.Sprintf("arn:%s:ecs:%s:%s:cluster/%s", home.Partition, home.Region, home.Account, nameOrARN)
}
