package meshtask

import (
	"cmp"
	"context"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/meshcontroller"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/participation"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
	"github.com/consulecs/terraform-provider-consulecs/provider/secrets"
	"github.com/consulecs/terraform-provider-consulecs/provider/stack"
)

// importStopWithin sets proxy.stop_within where the dataplane is told something else than what follows from the stop
// timeouts. All else of the model has been imported.
func (m *model) importStopWithin(cfg agentconfig.Proxy, d block.Defaults) {
	within := row.Value(cfg.Dataplane).StopWithinSeconds
	if within == 0 || within == taskdef.AgentConfig(m.spec(d)).Proxy.Dataplane.StopWithinSeconds {
		return
	}
	if m.Proxy == nil {
		m.Proxy = &block.Proxy{}
	}
	row.FromSpec(&m.Proxy.StopWithin, within)
}

// read is what an import makes of what is there.
func read(ctx context.Context, c *deploy.Client, text string) (*model, error) {
	id, err := c.ReadImportID(ctx, text)
	if err != nil {
		return nil, err
	}
	ownerOf := func(family string) string { return ownership.Name(typeName, c.Region, family) }
	if id, err = c.ServiceOf(ctx, id, ownerOf); err != nil {
		return nil, err
	}
	m := &model{Timeouts: row.NoTimeouts()}
	var serviceTags map[string]string
	if id.ECSService != "" {
		service, found, err := c.ReadService(ctx, id)
		if err != nil {
			return nil, err
		}
		m.ECSService, id.Definition = service, cmp.Or(id.Definition, aws.ToString(found.TaskDefinition))
		serviceTags = awsapi.TagMap(found.Tags)
		if participation.IsParticipant(serviceTags) {
			m.Controller = &meshcontroller.Settings{}
		}
	}
	found, err := c.DescribeRevision(ctx, id.Definition)
	if err != nil {
		return nil, err
	}
	owner := ownerOf(aws.ToString(found.Definition.Family))
	m.OwnerID = cmp.Or(ownership.IDOf(owner, found.Tags), ownership.IDOf(owner, serviceTags))
	if err := importDefinition(ctx, c, m, found); err != nil {
		return nil, err
	}
	return m, importOutcome(ctx, c, m)
}

// importDefinition fills the model from a revision.
func importDefinition(ctx context.Context, c *deploy.Client, m *model, from *deploy.Revision) error {
	d := from.Definition
	cfg, err := block.ReadConfig(d.ContainerDefinitions)
	if err != nil {
		return err
	}
	family := aws.ToString(d.Family)
	m.Family = &family
	if m.Services, err = block.ReadServices(cfg, family); err != nil {
		return err
	}
	m.OutboundOnly = aws.Bool(row.Value(cfg.Service).Port == 0)
	proxy := row.Value(cfg.Proxy)
	if m.Upstreams, err = block.ReadUpstreams(cfg); err != nil {
		return err
	}
	if m.Proxy, err = block.ReadProxy(proxy); err != nil {
		return err
	}
	m.Transparent, m.CallsByName = block.ReadTransparentProxy(cfg), block.ReadNames(cfg)
	m.Locality = block.ReadLocality(cfg)
	m.ConsulServers = block.ReadServers(cfg.ConsulServers, d.ContainerDefinitions, c.Defaults)
	m.Login = block.ReadLogin(cfg.ConsulLogin, c.Defaults)
	m.Task = block.ReadTask(d)
	m.Containers = block.ReadContainers(d, cfg)
	m.Tags = c.Defaults.ImportTags(from.Tags)
	m.importSidecars(d, c.Defaults)
	m.importStopWithin(proxy, c.Defaults)
	if cfg.LogLevel != "" || cfg.LogJSON {
		if m.Sidecars == nil {
			m.Sidecars = &block.Sidecars{}
		}
		row.FromSpec(&m.Sidecars.LogLevel, cfg.LogLevel)
		row.FromSpec(&m.Sidecars.LogJSON, cfg.LogJSON)
	}
	m.IAM, err = c.ReadIAM(ctx, d, m.owner(c.Region), c.Defaults.DefaultRolePath(mesh.RolePath))
	return err
}

// importOutcome names what the resource keeps, so that the read that follows an import can look at it.
func importOutcome(ctx context.Context, c *deploy.Client, m *model) error {
	home, is, err := c.Imported(ctx, m.design, secrets.Outputs{})
	if err != nil {
		return err
	}
	m.names, m.Outcome = m.computedNames(c.Defaults, home), is.Outcome
	m.ID = m.Family
	return nil
}

// importSidecars reads the settings of the injected containers as what sets them apart from those that the model without
// them would get.
func (m *model) importSidecars(d *ecstypes.TaskDefinition, def block.Defaults) {
	s := block.Sidecars{}
	is := block.Injected(d.ContainerDefinitions)
	first := is[mesh.ContainerMeshInit]
	if image := aws.ToString(first.Image); image != def.Image {
		s.Image = &image
	}
	s.LogConfiguration = block.ReadOwnLog(first.LogConfiguration, def.LogConfiguration.Spec())
	if first.RepositoryCredentials != nil {
		s.PullCredentialsSecretARN = first.RepositoryCredentials.CredentialsParameter
	}
	m.Sidecars = &s
	wouldBe := m.wouldBe(def)
	if _, has := is[mesh.ContainerMeshReady]; wouldBe != nil && has != (wouldBe[mesh.ContainerMeshReady].Name != nil) {
		s.ReadyGate = aws.String(string(taskdef.ReadyGateOff))
		if has {
			s.ReadyGate = aws.String(string(taskdef.ReadyGateOn))
		}
		wouldBe = m.wouldBe(def)
	}
	s.MeshInit = block.ReadSidecar(is[mesh.ContainerMeshInit], wouldBe[mesh.ContainerMeshInit])
	s.MeshReady = block.ReadSidecar(is[mesh.ContainerMeshReady], wouldBe[mesh.ContainerMeshReady])
	s.Dataplane = block.ReadStaying(is[mesh.ContainerDataplane], wouldBe[mesh.ContainerDataplane])
	s.HealthSync = block.ReadStaying(is[mesh.ContainerHealthSync], wouldBe[mesh.ContainerHealthSync])
	if reflect.DeepEqual(s, block.Sidecars{}) {
		m.Sidecars = nil
	}
}

// wouldBe are the injected containers that the model gets; nil if nothing can be built of it.
func (m *model) wouldBe(def block.Defaults) map[string]ecstypes.ContainerDefinition {
	definition, err := taskdef.Build(m.spec(def))
	if err != nil {
		return nil
	}
	return block.Injected(definition.ContainerDefinitions)
}

// moving is how a mesh task goes on with the task definition that another type of resource registered.
func moving() *stack.Moving[model] {
	return &stack.Moving[model]{
		Begin: func(family string) *model {
			m := &model{Family: &family, Timeouts: row.NoTimeouts()}
			m.ID = &family
			return m
		},
		Continue: goOn,
	}
}

// goOn reads the newest revision of the family, as an import does, but for the ECS service: whoever leaves it to another resource would
// have it deleted, and whoever writes ecs_service adopts it by its name. A definition that is not in the mesh yet has no configuration of
// the agents: of it, the next plan shows the containers alone.
func goOn(ctx context.Context, c *deploy.Client, m *model) (found bool, err error) {
	newest, err := c.DescribeRevision(ctx, row.Value(m.Family))
	if awsapi.IsClientException(err) { // none that is ACTIVE
		return false, nil
	}
	if err != nil || newest.Definition.Status != ecstypes.TaskDefinitionStatusActive {
		return false, err
	}
	if block.AgentConfig(newest.Definition.ContainerDefinitions) == "" {
		return true, nil
	}
	if err := importDefinition(ctx, c, m, newest); err != nil {
		return false, err
	}
	return true, importOutcome(ctx, c, m)
}
