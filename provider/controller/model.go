package controller

import (
	"cmp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/eventqueue"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/events"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

type model struct {
	ECSCluster               *string                 `tfsdk:"cluster"`
	Name                     *string                 `tfsdk:"name" at:"family"`
	TokenSecretARN           *string                 `tfsdk:"token_secret_arn"`
	FirstTokenKMSKeyARN      *string                 `tfsdk:"first_token_kms_key_arn"`
	ACLs                     *bool                   `tfsdk:"acls"`
	Events                   *eventSwitch            `tfsdk:"events"`
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
	ForceDestroy             *bool                   `tfsdk:"force_destroy"`
	Tags                     map[string]string       `tfsdk:"tags"`
	Timeouts                 timeouts.Value          `tfsdk:"timeouts"`
	settings
	block.Network
	names          `at:"-"`
	deploy.Outcome `at:"-"`
	events.Outputs `at:"-"`
}

// settings are those of the controller's own that go into its configuration as they are.
type settings struct {
	TrustAllRoles       *bool    `tfsdk:"trust_all_roles" at:"controller.trustAllRoles"`
	ManageACL           *bool    `tfsdk:"manage_acl" at:"controller.manageACL"`
	FirstTokenSecretARN *string  `tfsdk:"first_token_secret_arn" at:"controller.firstTokenSecretArn"`
	AnonymousReads      *bool    `tfsdk:"anonymous_reads" at:"controller.anonymousReads"`
	ECSClusters         []string `tfsdk:"ecs_clusters" at:"controller.ecsClusters"`
	SyncSeconds         *int32   `tfsdk:"sync_seconds" at:"controller.syncSeconds"`
	MaxWritesPerSecond  *int32   `tfsdk:"max_writes_per_second" at:"controller.maxWritesPerSecond"`
	Brake               *brake   `tfsdk:"brake" at:"controller.brake"`
	DryRun              *bool    `tfsdk:"dry_run" at:"controller.dryRun"`
	HTTPAddress         *string  `tfsdk:"http_address" at:"controller.httpAddress"`
	Partition           *string  `tfsdk:"partition" at:"controller.partition"`
}

type brake struct {
	Tasks   *int32 `tfsdk:"tasks"`
	Percent *int32 `tfsdk:"percent"`
}

// eventSwitch says whether ECS's events are brought to the controller.
type eventSwitch struct {
	Enabled *bool `tfsdk:"enabled"`
}

// names is what only a controller computes.
type names struct {
	DesiredCount   *int32  `tfsdk:"desired_count"`
	ECSServiceRest *string `tfsdk:"rendered_ecs_service_json"`
}

// login is the part of a login that the auth method must know, and whether the controller itself logs in.
type login struct {
	Enabled        *bool   `tfsdk:"enabled" at:"/logsIn"`
	AuthMethod     *string `tfsdk:"auth_method" at:"name"`
	STSEndpoint    *string `tfsdk:"sts_endpoint"`
	IAMEndpoint    *string `tfsdk:"iam_endpoint"`
	ServerIDHeader *string `tfsdk:"server_id_header" at:"serverIdHeaderValue"`
	TokenTTL       *int32  `tfsdk:"token_ttl_seconds" at:"tokenTTLSeconds"`
	MaxRetries     *int32  `tfsdk:"max_retries"`
}

func (m *model) name() string {
	return cmp.Or(row.Value(m.Name), taskdef.DefaultControllerFamily)
}

// family also has the name of the ECS cluster: controllers of one name on two clusters share neither revisions nor roles.
func (m *model) family() string {
	return m.name() + "-" + block.EcsClusterName(row.Value(m.ECSCluster))
}

func (m *model) owner(region string) ownership.Owner {
	return ownership.Owner{Name: ownership.Name(typeName, region, m.id()), ID: row.Value(m.OwnerID)}
}

func (m *model) id() string { return block.EcsClusterName(row.Value(m.ECSCluster)) + "/" + m.name() }

// spec is what the user asked for, with the provider's defaults, but for the ARNs of roles.
func (m *model) spec(d block.Defaults) taskdef.ControllerSpec {
	s := taskdef.ControllerSpec{
		Family: m.family(), Servers: row.Overlay(d.Servers, m.ConsulServers).Spec(), TokenSecretARN: row.Value(m.TokenSecretARN),
		Controller: m.controller(d), LogsIn: row.Value(row.Value(m.Login).Enabled), NoACLs: !row.Value(cmp.Or(m.ACLs, aws.Bool(true))),
		LogLevel: row.Value(m.LogLevel), LogJSON: row.Value(m.LogJSON), Image: row.Value(cmp.Or(m.Image, &d.Image)),
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
	return &login{AuthMethod: d.Login.AuthMethod, STSEndpoint: d.Login.STSEndpoint, IAMEndpoint: d.Login.IAMEndpoint, ServerIDHeader: d.Login.ServerIDHeader}
}

// controller is the section of the configuration that is the controller's alone, but for what is known of AWS.
func (m *model) controller(d block.Defaults) agentconfig.Controller {
	c := agentconfig.Controller{IAMRolePath: row.Value(cmp.Or(m.IAMRolePath, &d.RolePath)), AuthMethod: m.authMethod(d)}
	row.ToSpec(&c, m.settings)
	slices.Sort(c.ECSClusters)
	c.PartitionsEnabled = c.Partition != ""
	return c
}

// authMethod is nil where the controller's own settings do.
func (m *model) authMethod(d block.Defaults) *agentconfig.AuthMethod {
	l := row.Value(row.Overlay(suppliedLogin(d), m.Login))
	method := agentconfig.AuthMethod{
		Name: row.Value(l.AuthMethod), STSEndpoint: row.Value(l.STSEndpoint), IAMEndpoint: row.Value(l.IAMEndpoint), ServerIDHeaderValue: row.Value(l.ServerIDHeader),
	}
	row.ToSpec(&method.TokenTTLSeconds, l.TokenTTL)
	row.ToSpec(&method.MaxRetries, l.MaxRetries)
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
	own := ecsClusterARN(row.Value(m.ECSCluster), home)
	spec.Controller.ECSClusters = slices.DeleteFunc(spec.Controller.ECSClusters, func(arn string) bool { return arn == own })
	all := append([]string{own}, spec.Controller.ECSClusters...)
	want := deploy.Design{
		Family: spec.Family, Owner: m.owner(home.Region), Adopt: row.Value(m.AdoptExisting),
		TaskRole:      deploy.RoleDesign{Given: row.Value(m.IAM.TaskRoleOrNone().ARN)},
		ExecutionRole: deploy.RoleDesign{Given: row.Value(m.IAM.ExecutionRoleOrNone().ARN)},
		Service:       m.service(),
	}
	role := iamrole.ControllerSpec{
		Home: home, Settings: m.IAM.Settings(m.IAM.TaskRoleOrNone(), controllerRolePath, spec.Tags), Family: spec.Family, ECSClusterARNs: all,
		LogsIn: spec.LogsIn, FirstTokenSecretARN: spec.Controller.FirstTokenSecretARN, KMSKeyARN: row.Value(m.FirstTokenKMSKeyARN),
	}
	if row.Value(cmp.Or(row.Value(m.Events).Enabled, aws.Bool(true))) {
		design := eventqueue.Of(eventqueue.Spec{Home: home, Family: spec.Family, ECSClusterARNs: all, Tags: spec.Tags})
		want.Events, role.EventQueueARN = &design, design.Queue.ARN
		var err error
		if spec.Controller.EventQueueURL, err = awsapi.QueueURL(home.Region, home.Account, design.Queue.Name); err != nil {
			return deploy.Design{}, err
		}
	}
	if want.TaskRole.Given == "" {
		var err error
		if want.TaskRole.Role, err = iamrole.Controller(role); err != nil {
			return deploy.Design{}, err
		}
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

// defaultDesiredCount is how many controllers there are where nobody says so.
const defaultDesiredCount = 1

// service is the ECS service. A controller that is alone has none beside it while it is replaced, since it needs no rival; of several
// none goes before another one is there, so that there is always one to lead.
func (m *model) service() *block.ECSService {
	wait := m.WaitForSteadyState == nil || *m.WaitForSteadyState
	count := cmp.Or(m.DesiredCount, aws.Int32(defaultDesiredCount))
	least, most := int32(0), int32(100)
	if *count > 1 {
		least, most = 100, 200
	}
	return &block.ECSService{
		Cluster: m.ECSCluster, Name: aws.String(m.name()), DesiredCount: count, Network: m.Network,
		EnableExecuteCommand: m.EnableExecuteCommand, WaitForSteadyState: &wait,
		Deployment: &block.Deployment{MinimumHealthyPercent: &least, MaximumPercent: &most},
	}
}

func ecsClusterARN(nameOrARN string, home iamrole.Home) string {
	return block.ECSClusterARN(nameOrARN, home)
}

// taskSize is the part of a task's frame that a controller may choose.
type taskSize struct {
	CPU             *int32          `tfsdk:"cpu"`
	Memory          *int32          `tfsdk:"memory"`
	LaunchTypes     []string        `tfsdk:"launch_types"`
	RuntimePlatform *block.Platform `tfsdk:"runtime_platform"`
}
