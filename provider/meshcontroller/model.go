// Package meshcontroller is what a controller is made of, for every resource that may make one: the settings as a user writes them, what
// they mean, and how they are read back. It calls nobody.
package meshcontroller

import (
	"cmp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// ResourceType is the resource that is a controller.
const ResourceType = "consulecs_controller"

// Settings are what a user says of a controller, whichever resource makes it.
type Settings struct {
	TokenSecretARN           *string                 `tfsdk:"token_secret_arn"`
	FirstTokenKMSKeyARN      *string                 `tfsdk:"first_token_kms_key_arn"`
	ACLs                     *bool                   `tfsdk:"acls"`
	Events                   *Events                 `tfsdk:"events"`
	ConsulServers            *block.ConsulServers    `tfsdk:"consul_servers" at:"servers"`
	Login                    *Login                  `tfsdk:"login" at:"controller.authMethod"`
	IAMRolePath              *string                 `tfsdk:"iam_role_path" at:"controller.iamRolePath"`
	Image                    *string                 `tfsdk:"image"`
	LogLevel                 *string                 `tfsdk:"log_level"`
	LogJSON                  *bool                   `tfsdk:"log_json"`
	LogConfiguration         *block.LogConfiguration `tfsdk:"log_configuration" at:"container.logConfiguration"`
	PullCredentialsSecretARN *string                 `tfsdk:"pull_credentials_secret_arn"`
	Task                     *TaskSize               `tfsdk:"task"`
	IAM                      *block.IAM              `tfsdk:"iam"`
	EnableExecuteCommand     *bool                   `tfsdk:"enable_execute_command"`
	DesiredCount             *int32                  `tfsdk:"desired_count"`
	Tags                     map[string]string       `tfsdk:"tags"`
	Own
	block.Network
}

// Own are the settings that go into the controller's configuration as they are.
type Own struct {
	TrustAllRoles       *bool    `tfsdk:"trust_all_roles" at:"controller.trustAllRoles"`
	ManageACL           *bool    `tfsdk:"manage_acl" at:"controller.manageACL"`
	FirstTokenSecretARN *string  `tfsdk:"first_token_secret_arn" at:"controller.firstTokenSecretArn"`
	AnonymousReads      *bool    `tfsdk:"anonymous_reads" at:"controller.anonymousReads"`
	ECSClusters         []string `tfsdk:"ecs_clusters" at:"controller.ecsClusters"`
	SyncSeconds         *int32   `tfsdk:"sync_seconds" at:"controller.syncSeconds"`
	MaxWritesPerSecond  *int32   `tfsdk:"max_writes_per_second" at:"controller.maxWritesPerSecond"`
	Brake               *Brake   `tfsdk:"brake" at:"controller.brake"`
	DryRun              *bool    `tfsdk:"dry_run" at:"controller.dryRun"`
	HTTPAddress         *string  `tfsdk:"http_address" at:"controller.httpAddress"`
	Partition           *string  `tfsdk:"partition" at:"controller.partition"`
}

// Brake bounds what is removed without a word from ECS.
type Brake struct {
	Tasks   *int32 `tfsdk:"tasks"`
	Percent *int32 `tfsdk:"percent"`
}

// Events says whether ECS's events are brought to the controller.
type Events struct {
	Enabled *bool `tfsdk:"enabled"`
}

// Login is the part of a login that the auth method must know, and whether the controller itself logs in.
type Login struct {
	Enabled        *bool   `tfsdk:"enabled" at:"/logsIn"`
	AuthMethod     *string `tfsdk:"auth_method" at:"name"`
	STSEndpoint    *string `tfsdk:"sts_endpoint"`
	IAMEndpoint    *string `tfsdk:"iam_endpoint"`
	ServerIDHeader *string `tfsdk:"server_id_header" at:"serverIdHeaderValue"`
	TokenTTL       *int32  `tfsdk:"token_ttl_seconds" at:"tokenTTLSeconds"`
	MaxRetries     *int32  `tfsdk:"max_retries"`
}

// TaskSize is the part of a task's frame that a controller may choose.
type TaskSize struct {
	CPU             *int32          `tfsdk:"cpu"`
	Memory          *int32          `tfsdk:"memory"`
	LaunchTypes     []string        `tfsdk:"launch_types"`
	RuntimePlatform *block.Platform `tfsdk:"runtime_platform"`
}

// spec is what the user asked for, with the provider's defaults, but for the ARNs of roles.
func (s *Settings) spec(family string, d block.Defaults) taskdef.ControllerSpec {
	spec := taskdef.ControllerSpec{
		Family: family, Servers: row.Overlay(d.Servers, s.ConsulServers).Spec(), TokenSecretARN: row.Value(s.TokenSecretARN),
		Controller: s.section(d), LogsIn: row.Value(row.Value(s.Login).Enabled), NoACLs: !row.Value(cmp.Or(s.ACLs, aws.Bool(true))),
		LogLevel: row.Value(s.LogLevel), LogJSON: row.Value(s.LogJSON), Image: row.Value(cmp.Or(s.Image, &d.Image)),
		Container:                taskdef.Sidecar{LogConfiguration: cmp.Or(s.LogConfiguration, d.LogConfiguration).Spec()},
		PullCredentialsSecretARN: row.Value(s.PullCredentialsSecretARN), Tags: d.TagsWith(s.Tags),
	}
	if s.Task != nil {
		row.ToSpec(&spec.Task, s.Task)
	}
	return spec
}

// suppliedLogin is what the provider says of the auth method; nil if it says nothing of logins.
func suppliedLogin(d block.Defaults) *Login {
	if d.Login == nil {
		return nil
	}
	return &Login{AuthMethod: d.Login.AuthMethod, STSEndpoint: d.Login.STSEndpoint, IAMEndpoint: d.Login.IAMEndpoint, ServerIDHeader: d.Login.ServerIDHeader}
}

// section is the one of the configuration that is the controller's alone, but for what is known of AWS.
func (s *Settings) section(d block.Defaults) agentconfig.Controller {
	c := agentconfig.Controller{IAMRolePath: row.Value(cmp.Or(s.IAMRolePath, &d.RolePath)), AuthMethod: s.authMethod(d)}
	row.ToSpec(&c, s.Own)
	slices.Sort(c.ECSClusters)
	c.PartitionsEnabled = c.Partition != ""
	return c
}

// authMethod is nil where the controller's own settings do.
func (s *Settings) authMethod(d block.Defaults) *agentconfig.AuthMethod {
	l := row.Value(row.Overlay(suppliedLogin(d), s.Login))
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

// Problems is what is wrong with the settings of a controller of the family, at places of the Spec.
func (s *Settings) Problems(family string, d block.Defaults) problem.List {
	spec := s.spec(family, d)
	spec.TaskRoleARN, spec.ExecutionRoleARN = row.Value(s.IAM.TaskRoleOrNone().ARN), row.Value(s.IAM.ExecutionRoleOrNone().ARN)
	found := taskdef.CheckController(spec)
	s.Network.Check(spec.Task.LaunchTypes, nil, &found)
	s.IAM.Check(spec.Family, spec.Tags, &found)
	d.CheckTags(s.Tags, &found)
	s.checkPath(cmp.Or(spec.Controller.IAMRolePath, mesh.RolePath), &found)
	return found
}

// checkPath wants the controller's roles to lie outside the path whose roles may log in as services. Below the path of all roles
// there is no outside.
func (s *Settings) checkPath(services string, found *problem.List) {
	if s.IAM == nil || services == "/" || !strings.HasPrefix(row.Value(s.IAM.Path), services) {
		return
	}
	found.AddWith([]problem.Path{problem.At("controller", "iamRolePath")}, problem.At("iam", "path"),
		"is %q, below the path %q whose roles may log in to Consul as services: choose another", *s.IAM.Path, services)
}
