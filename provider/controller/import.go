package controller

import (
	"cmp"
	"context"
	"fmt"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/events"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// read is what an import makes of what is there, by cluster/service or the ARN of the service.
func read(ctx context.Context, c *deploy.Client, text string) (*model, error) {
	id, err := c.ReadImportID(ctx, text)
	if err != nil {
		return nil, err
	}
	if id.ECSService == "" {
		return nil, fmt.Errorf("the ID is %q, want cluster/service or the ARN of the ECS service", text)
	}
	service, found, err := c.ReadService(ctx, id)
	if err != nil {
		return nil, err
	}
	m := &model{
		ECSCluster: service.Cluster, Network: service.Network, EnableExecuteCommand: service.EnableExecuteCommand, Timeouts: row.NoTimeouts(),
	}
	m.Name, m.WaitForSteadyState, m.DesiredCount = &id.ECSService, aws.Bool(true), service.DesiredCount
	revision, err := c.DescribeRevision(ctx, aws.ToString(found.TaskDefinition))
	if err != nil {
		return nil, err
	}
	owner := m.owner(c.Region).Name
	m.OwnerID = cmp.Or(ownership.IDOf(owner, revision.Tags), ownership.IDOf(owner, block.TagMap(found.Tags)))
	if err := importControllerDefinition(ctx, c, m, revision); err != nil {
		return nil, err
	}
	return m, importControllerOutcome(ctx, c, m)
}

func importControllerDefinition(ctx context.Context, c *deploy.Client, m *model, from *deploy.Revision) error {
	d := from.Definition
	cfg, err := block.ReadConfig(d.ContainerDefinitions)
	if err != nil {
		return err
	}
	controller := cfg.ControllerSettings()
	row.FromSpec(&m.TokenSecretARN, block.SecretOf(d.ContainerDefinitions, mesh.VariableToken))
	m.ConsulServers = block.ReadServers(cfg.ConsulServers, d.ContainerDefinitions, c.Defaults)
	if controller.IAMRolePath != c.Defaults.DefaultRolePath(mesh.RolePath) {
		m.IAMRolePath = &controller.IAMRolePath
	}
	m.importLogin(cfg, c.Defaults)
	m.importSettings(cfg)
	row.FromSpec(&m.LogLevel, cfg.LogLevel)
	m.LogJSON = &cfg.LogJSON
	m.Task = &taskSize{}
	m.Task.CPU, m.Task.Memory, m.Task.LaunchTypes = block.ReadSize(d)
	row.FromSpec(&m.Task.RuntimePlatform, d.RuntimePlatform)
	if block.ReadTask(d) == nil {
		m.Task = nil
	}
	m.importContainer(d.ContainerDefinitions, c.Defaults)
	m.Tags = c.Defaults.ImportTags(from.Tags)
	if m.IAM, err = c.ReadIAM(ctx, d, m.owner(c.Region), controllerRolePath); err != nil || m.FirstTokenSecretARN == nil || m.IAM.TaskRoleOrNone().ARN != nil {
		return err
	}
	keys, err := c.ReadKeys(ctx, aws.ToString(d.TaskRoleArn))
	if len(keys) > 0 {
		m.FirstTokenKMSKeyARN = &keys[0]
	}
	return err
}

// importLogin reads the way to the controller's rights, too: where it has neither a token nor a login, ACLs are off.
func (m *model) importLogin(cfg agentconfig.Config, d block.Defaults) {
	if cfg.Controller != nil && !reflect.DeepEqual(row.Value(cfg.Controller.AuthMethod), row.Value(m.authMethod(d))) {
		m.Login = importAuthMethod(cfg.Controller.AuthMethod)
		row.Unset(m.Login, suppliedLogin(d))
	}
	logsIn := row.Value(cfg.ConsulLogin).Enabled
	if logsIn && m.Login == nil {
		m.Login = &login{}
	}
	if m.Login != nil {
		m.Login.Enabled = &logsIn
	}
	m.ACLs = aws.Bool(logsIn || m.TokenSecretARN != nil)
}

// importSettings spells out what has a default, but for blocks.
func (m *model) importSettings(cfg agentconfig.Config) {
	section := row.Value(cfg.Controller).Brief()
	row.FromSpec(&m.settings, section)
	m.ManageACL, m.AnonymousReads = section.ManageACL, section.AnonymousReads // also where they are false
	if b := section.Brake; b != nil {
		m.Brake = &brake{number(b.Tasks), number(b.Percent)}
	}
	row.Spell(&m.TrustAllRoles, false)
	row.Spell(&m.ManageACL, true)
	row.Spell(&m.AnonymousReads, true)
	row.Spell(&m.DryRun, false)
	row.Spell(&m.MaxWritesPerSecond, defaultMaxWrites)
	row.Spell(&m.HTTPAddress, defaultHTTPAddress)
	if m.Brake != nil {
		row.Spell(&m.Brake.Tasks, defaultBrakeTasks)
		row.Spell(&m.Brake.Percent, defaultBrakePercent)
	}
	if section.EventQueueURL == "" {
		m.Events = &eventSwitch{Enabled: aws.Bool(false)}
	}
}

// number is what is said, also where that is 0.
func number(is *int) *int32 {
	if is == nil {
		return nil
	}
	return aws.Int32(int32(*is))
}

func importAuthMethod(cfg *agentconfig.AuthMethod) *login {
	var m login
	method := row.Value(cfg)
	row.FromSpec(&m.AuthMethod, method.Name)
	row.FromSpec(&m.STSEndpoint, method.STSEndpoint)
	row.FromSpec(&m.IAMEndpoint, method.IAMEndpoint)
	row.FromSpec(&m.ServerIDHeader, method.ServerIDHeaderValue)
	row.FromSpec(&m.TokenTTL, method.TokenTTLSeconds)
	m.MaxRetries = number(method.MaxRetries)
	return &m
}

func (m *model) importContainer(containers []ecstypes.ContainerDefinition, d block.Defaults) {
	for _, is := range containers {
		if aws.ToString(is.Name) != mesh.ContainerController {
			continue
		}
		if image := aws.ToString(is.Image); image != d.Image {
			m.Image = &image
		}
		m.LogConfiguration = block.ReadOwnLog(is.LogConfiguration, d.LogConfiguration.Spec())
		if is.RepositoryCredentials != nil {
			m.PullCredentialsSecretARN = is.RepositoryCredentials.CredentialsParameter
		}
	}
}

func importControllerOutcome(ctx context.Context, c *deploy.Client, m *model) error {
	home, err := c.Home(ctx)
	if err != nil {
		return err
	}
	want, err := m.design(c.Defaults, home, false)
	if err != nil {
		return err
	}
	decided, err := want.Decided()
	if err != nil {
		return err
	}
	if m.Outputs, err = events.Decided(want.Events, want.Owner); err != nil {
		return err
	}
	m.computeNames(home, nil)
	m.Outcome = decided
	id := m.id()
	m.ID = &id
	return nil
}
