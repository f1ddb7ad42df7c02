package meshcontroller

import (
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Read fills the settings from a revision, all but the roles, and what is the ECS service's.
func (s *Settings) Read(d *ecstypes.TaskDefinition, tags map[string]string, defaults block.Defaults) error {
	cfg, err := block.ReadConfig(d.ContainerDefinitions)
	if err != nil {
		return err
	}
	section := cfg.ControllerSettings()
	row.FromSpec(&s.TokenSecretARN, block.SecretOf(d.ContainerDefinitions, mesh.VariableToken))
	s.ConsulServers = block.ReadServers(cfg.ConsulServers, d.ContainerDefinitions, defaults)
	if section.IAMRolePath != defaults.DefaultRolePath(mesh.RolePath) {
		s.IAMRolePath = &section.IAMRolePath
	}
	s.readLogin(cfg, defaults)
	s.readOwn(cfg)
	row.FromSpec(&s.LogLevel, cfg.LogLevel)
	s.LogJSON = &cfg.LogJSON
	s.Task = &TaskSize{}
	s.Task.CPU, s.Task.Memory, s.Task.LaunchTypes = block.ReadSize(d)
	row.FromSpec(&s.Task.RuntimePlatform, d.RuntimePlatform)
	if block.ReadTask(d) == nil {
		s.Task = nil
	}
	s.readContainer(d.ContainerDefinitions, defaults)
	s.Tags = defaults.ImportTags(tags)
	return nil
}

// readLogin reads the way to the controller's rights, too: where it has neither a token nor a login, ACLs are off.
func (s *Settings) readLogin(cfg agentconfig.Config, d block.Defaults) {
	if cfg.Controller != nil && !reflect.DeepEqual(row.Value(cfg.Controller.AuthMethod), row.Value(s.authMethod(d))) {
		s.Login = readAuthMethod(cfg.Controller.AuthMethod)
		row.Unset(s.Login, suppliedLogin(d))
	}
	logsIn := row.Value(cfg.ConsulLogin).Enabled
	if logsIn && s.Login == nil {
		s.Login = &Login{}
	}
	if s.Login != nil {
		s.Login.Enabled = &logsIn
	}
	s.ACLs = aws.Bool(logsIn || s.TokenSecretARN != nil)
}

// readOwn spells out what has a default, but for blocks.
func (s *Settings) readOwn(cfg agentconfig.Config) {
	section := row.Value(cfg.Controller).Brief()
	row.FromSpec(&s.Own, section)
	s.ManageACL, s.AnonymousReads = section.ManageACL, section.AnonymousReads // also where they are false
	if b := section.Brake; b != nil {
		s.Brake = &Brake{number(b.Tasks), number(b.Percent)}
	}
	row.Spell(&s.TrustAllRoles, false)
	row.Spell(&s.ManageACL, true)
	row.Spell(&s.AnonymousReads, true)
	row.Spell(&s.DryRun, false)
	row.Spell(&s.MaxWritesPerSecond, defaultMaxWrites)
	row.Spell(&s.HTTPAddress, defaultHTTPAddress)
	if s.Brake != nil {
		row.Spell(&s.Brake.Tasks, defaultBrakeTasks)
		row.Spell(&s.Brake.Percent, defaultBrakePercent)
	}
	if section.EventQueueURL == "" {
		s.Events = &Events{Enabled: aws.Bool(false)}
	}
}

// number is what is said, also where that is 0.
func number(is *int) *int32 {
	if is == nil {
		return nil
	}
	return aws.Int32(int32(*is))
}

func readAuthMethod(cfg *agentconfig.AuthMethod) *Login {
	var l Login
	method := row.Value(cfg)
	row.FromSpec(&l.AuthMethod, method.Name)
	row.FromSpec(&l.STSEndpoint, method.STSEndpoint)
	row.FromSpec(&l.IAMEndpoint, method.IAMEndpoint)
	row.FromSpec(&l.ServerIDHeader, method.ServerIDHeaderValue)
	row.FromSpec(&l.TokenTTL, method.TokenTTLSeconds)
	l.MaxRetries = number(method.MaxRetries)
	return &l
}

func (s *Settings) readContainer(containers []ecstypes.ContainerDefinition, d block.Defaults) {
	for _, is := range containers {
		if aws.ToString(is.Name) != mesh.ContainerController {
			continue
		}
		if image := aws.ToString(is.Image); image != d.Image {
			s.Image = &image
		}
		s.LogConfiguration = block.ReadOwnLog(is.LogConfiguration, d.LogConfiguration.Spec())
		if is.RepositoryCredentials != nil {
			s.PullCredentialsSecretARN = is.RepositoryCredentials.CredentialsParameter
		}
	}
}
