package controller

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
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

type model struct {
	ECSCluster               *string                 `tfsdk:"cluster"`
	Name                     *string                 `tfsdk:"name" at:"family"`
	TokenSecretARN           *string                 `tfsdk:"token_secret_arn"`
	ConsulServers            *block.ConsulServers    `tfsdk:"consul_servers" at:"servers"`
	Login                    *login                  `tfsdk:"login" at:"controller.authMethod"`
	IAMRolePath              *string                 `tfsdk:"iam_role_path" at:"controller.iamRolePath"`
	Image                    *string                 `tfsdk:"image"`
	LogLevel                 *string                 `tfsdk:"log_level"`
	LogJSON                  *bool                   `tfsdk:"log_json"`
	LogConfiguration         *block.LogConfiguration `tfsdk:"log_configuration" at:"container.logConfiguration"`
	PullCredentialsSecretARN *string                 `tfsdk:"pull_credentials_secret_arn"`
	Task                     *taskSize               `tfsdk:"task"`
	IAM                      *block.IAM              `tfsdk:"iam"`
	EnableExecuteCommand     *bool                   `tfsdk:"enable_execute_command"`
	WaitForSteadyState       *bool                   `tfsdk:"wait_for_steady_state"`
	AdoptExisting            *bool                   `tfsdk:"adopt_existing"`
	Tags                     map[string]string       `tfsdk:"tags"`
	Timeouts                 timeouts.Value          `tfsdk:"timeouts"`
	block.Network
	names          `at:"-"`
	deploy.Outcome `at:"-"`
}

// names is what only a controller computes.
type names struct {
	DesiredCount   *int32  `tfsdk:"desired_count"`
	ECSServiceRest *string `tfsdk:"rendered_ecs_service_json"`
}

// login is the part of a login that the auth method must know.
type login struct {
	AuthMethod     *string `tfsdk:"auth_method" at:"name"`
	STSEndpoint    *string `tfsdk:"sts_endpoint"`
	IAMEndpoint    *string `tfsdk:"iam_endpoint"`
	ServerIDHeader *string `tfsdk:"server_id_header" at:"serverIdHeaderValue"`
}

func (m *model) name() string {
	return cmp.Or(row.Value(m.Name), taskdef.DefaultControllerFamily)
}

// family also has the name of the ECS cluster: controllers of one name on two clusters share neither revisions nor roles.
func (m *model) family() string {
	return m.name() + "-" + block.EcsClusterName(row.Value(m.ECSCluster))
}

func (m *model) owner(region string) deploy.Owner {
	return deploy.Owner{Name: deploy.OwnerName(typeName, region, m.id()), ID: row.Value(m.OwnerID)}
}

func (m *model) id() string { return block.EcsClusterName(row.Value(m.ECSCluster)) + "/" + m.name() }

// spec is what the user asked for, with the provider's defaults, but for the ARNs of roles.
func (m *model) spec(d block.Defaults) taskdef.ControllerSpec {
	s := taskdef.ControllerSpec{
		Family: m.family(), Servers: row.Overlay(d.Servers, m.ConsulServers).Spec(), TokenSecretARN: row.Value(m.TokenSecretARN),
		Controller: agentconfig.Controller{IAMRolePath: row.Value(cmp.Or(m.IAMRolePath, &d.RolePath)), AuthMethod: m.authMethod(d)},
		LogLevel:   row.Value(m.LogLevel), LogJSON: row.Value(m.LogJSON), Image: row.Value(cmp.Or(m.Image, &d.Image)),
		Container:                taskdef.Sidecar{LogConfiguration: cmp.Or(m.LogConfiguration, d.LogConfiguration).Spec()},
		PullCredentialsSecretARN: row.Value(m.PullCredentialsSecretARN), Tags: d.TagsWith(m.Tags),
	}
	if m.Task != nil {
		row.ToSpec(&s.Task, m.Task)
	}
	return s
}

// suppliedLogin is what the provider says of the auth method; nil if it says nothing of logins.
func suppliedLogin(d block.Defaults) *login {
	if d.Login == nil {
		return nil
	}
	return &login{d.Login.AuthMethod, d.Login.STSEndpoint, d.Login.IAMEndpoint, d.Login.ServerIDHeader}
}

// authMethod is nil where the controller's own settings do.
func (m *model) authMethod(d block.Defaults) *agentconfig.AuthMethod {
	l := row.Value(row.Overlay(suppliedLogin(d), m.Login))
	method := agentconfig.AuthMethod{
		Name: row.Value(l.AuthMethod), STSEndpoint: row.Value(l.STSEndpoint), IAMEndpoint: row.Value(l.IAMEndpoint), ServerIDHeaderValue: row.Value(l.ServerIDHeader),
	}
	if method == (agentconfig.AuthMethod{}) {
		return nil
	}
	return &method
}

// problems is what is wrong with the controller, at places of the Spec.
func (m *model) problems(d block.Defaults) problem.List {
	spec := m.spec(d)
	spec.TaskRoleARN, spec.ExecutionRoleARN = row.Value(m.IAM.TaskRoleOrNone().ARN), row.Value(m.IAM.ExecutionRoleOrNone().ARN)
	found := taskdef.CheckController(spec)
	block.CheckECSCluster(row.Value(m.ECSCluster), problem.At("cluster"), &found)
	m.Network.Check(spec.Task.LaunchTypes, nil, &found)
	m.IAM.Check(spec.Family, spec.Tags, &found)
	m.checkPath(cmp.Or(spec.Controller.IAMRolePath, mesh.RolePath), &found)
	return found
}

// checkPath wants the controller's roles to lie outside the path whose roles may log in as services. Below the path of all roles
// there is no outside.
func (m *model) checkPath(services string, found *problem.List) {
	if m.IAM == nil || services == "/" || !strings.HasPrefix(row.Value(m.IAM.Path), services) {
		return
	}
	found.AddWith([]problem.Path{problem.At("controller", "iamRolePath")}, problem.At("iam", "path"),
		"is %q, below the path %q whose roles may log in to Consul as services: choose another", *m.IAM.Path, services)
}

// controllerRolePath is where a controller's roles lie: outside the path whose roles may log in as services.
const controllerRolePath = "/"

// design works out a controller.
func (m *model) design(d block.Defaults, home iamrole.Home, draft bool) (deploy.Design, error) {
	spec := m.spec(d)
	want := deploy.Design{
		Family: spec.Family, Owner: m.owner(home.Region), Adopt: row.Value(m.AdoptExisting),
		TaskRole:      deploy.RoleDesign{Given: row.Value(m.IAM.TaskRoleOrNone().ARN)},
		ExecutionRole: deploy.RoleDesign{Given: row.Value(m.IAM.ExecutionRoleOrNone().ARN)},
		Service:       m.service(),
	}
	if want.TaskRole.Given == "" {
		role, err := iamrole.Controller(iamrole.ControllerSpec{
			Home: home, Settings: m.IAM.Settings(m.IAM.TaskRoleOrNone(), controllerRolePath, spec.Tags), Family: spec.Family,
			ECSClusterARN: ecsClusterARN(row.Value(m.ECSCluster), home),
		})
		if err != nil {
			return deploy.Design{}, err
		}
		want.TaskRole.Role = role
	}
	spec.TaskRoleARN = want.TaskRole.ARN()
	build := taskdef.BuildController
	if draft {
		build = taskdef.DraftController
	}
	definition, err := build(spec)
	if err != nil {
		return deploy.Design{}, err
	}
	err = want.Finish(definition, m.IAM, controllerRolePath, spec.Tags, home, draft)
	return want, err
}

// service is the ECS service: one task, and none beside it while it is replaced, since a controller needs no rival.
func (m *model) service() *block.ECSService {
	wait := m.WaitForSteadyState == nil || *m.WaitForSteadyState
	return &block.ECSService{
		Cluster: m.ECSCluster, Name: aws.String(m.name()), DesiredCount: aws.Int32(1), Network: m.Network,
		EnableExecuteCommand: m.EnableExecuteCommand, WaitForSteadyState: &wait,
		Deployment: &block.Deployment{MinimumHealthyPercent: aws.Int32(0), MaximumPercent: aws.Int32(100)},
	}
}

func ecsClusterARN(nameOrARN string, home iamrole.Home) string {
	if strings.HasPrefix(nameOrARN, "arn:") {
		return nameOrARN
	}
	return fmt.Sprintf("arn:%s:ecs:%s:%s:cluster/%s", home.Partition, home.Region, home.Account, nameOrARN)
}

// taskSize is the part of a task's frame that a controller may choose.
type taskSize struct {
	CPU             *int32          `tfsdk:"cpu"`
	Memory          *int32          `tfsdk:"memory"`
	LaunchTypes     []string        `tfsdk:"launch_types"`
	RuntimePlatform *block.Platform `tfsdk:"runtime_platform"`
}
