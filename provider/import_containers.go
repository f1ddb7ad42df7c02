package provider

import (
	"reflect"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

// volumeLeftover is a volume of the incumbent's definitions that nothing writes to.
const volumeLeftover = "consul_binary"

func importTask(d *ecstypes.TaskDefinition) *taskModel {
	var m taskModel
	fromSpec(&m.RuntimePlatform, d.RuntimePlatform)
	fromSpec(&m.PIDMode, d.PidMode)
	fromSpec(&m.PlacementConstraints, d.PlacementConstraints)
	if d.EphemeralStorage != nil {
		m.EphemeralStorageGiB = &d.EphemeralStorage.SizeInGiB
	}
	for _, v := range d.Volumes {
		if name := aws.ToString(v.Name); name == mesh.VolumeName || name == volumeLeftover {
			continue
		}
		var volume volumeModel
		fromSpec(&volume, v)
		m.Volumes = append(m.Volumes, volume)
	}
	m.CPU, m.Memory, m.LaunchTypes = importSize(d)
	return &m
}

func importSize(d *ecstypes.TaskDefinition) (cpu, memory *int32, launchTypes []string) {
	number := func(text *string) *int32 {
		n, err := strconv.ParseInt(aws.ToString(text), 10, 32)
		if err != nil {
			return nil
		}
		return aws.Int32(int32(n))
	}
	fromSpec(&launchTypes, d.RequiresCompatibilities)
	slices.Sort(launchTypes)
	return number(d.Cpu), number(d.Memory), launchTypes
}

// importContainers are the user's containers, without what the mesh added to them.
func importContainers(d *ecstypes.TaskDefinition, cfg agentconfig.Config) []containerModel {
	var all []containerModel
	for _, c := range d.ContainerDefinitions {
		if !slices.Contains(mesh.InjectedContainers(), aws.ToString(c.Name)) {
			all = append(all, importContainer(c, cfg))
		}
	}
	return all
}

func importContainer(c ecstypes.ContainerDefinition, cfg agentconfig.Config) containerModel {
	var inMesh containerMeshModel
	c, delay := taskdef.WithoutDelay(c)
	fromSpec(&inMesh.ShutdownDelay, delay)
	waits := false
	c.DependsOn = slices.DeleteFunc(slices.Clone(c.DependsOn), func(d ecstypes.ContainerDependency) bool {
		injected := slices.Contains(mesh.InjectedContainers(), aws.ToString(d.ContainerName))
		waits = waits || injected
		return injected
	})
	for i := range c.PortMappings { // awsvpc fills it in
		c.PortMappings[i].HostPort = nil
	}
	for _, p := range cfg.ReadinessProbes {
		if p.Container == aws.ToString(c.Name) {
			inMesh.ReadinessProbe = &probeModel{}
			fromSpec(inMesh.ReadinessProbe, p)
		}
	}
	if !waits {
		inMesh.WaitForProxy = aws.Bool(false)
	}
	synced := slices.Contains(cfg.HealthSyncContainers, aws.ToString(c.Name))
	if synced != ((c.Essential == nil || *c.Essential) && c.HealthCheck != nil || inMesh.ReadinessProbe != nil) {
		inMesh.HealthSync = &synced
	}
	var m containerModel
	fromSpec(&m, c)
	m.Essential = aws.Bool(c.Essential == nil || *c.Essential)
	m.Environment, m.Secrets = importPairs(c)
	if inMesh != (containerMeshModel{}) {
		m.Mesh = &inMesh
	}
	return m
}

func importPairs(c ecstypes.ContainerDefinition) (environment, secrets map[string]string) {
	for _, e := range c.Environment {
		if environment == nil {
			environment = map[string]string{}
		}
		environment[aws.ToString(e.Name)] = aws.ToString(e.Value)
	}
	for _, s := range c.Secrets {
		if secrets == nil {
			secrets = map[string]string{}
		}
		secrets[aws.ToString(s.Name)] = aws.ToString(s.ValueFrom)
	}
	return environment, secrets
}

// importSidecars reads the settings of the injected containers as what sets them apart from those that the model without
// them would get.
func (m *meshTaskModel) importSidecars(d *ecstypes.TaskDefinition, def defaults) {
	s := sidecarsModel{}
	is := injected(d.ContainerDefinitions)
	first := is[mesh.ContainerMeshInit]
	if image := aws.ToString(first.Image); image != def.image {
		s.Image = &image
	}
	if log := importLog(first.LogConfiguration); !reflect.DeepEqual(log, importLog(def.logConfiguration.spec())) {
		s.LogConfiguration = log
	}
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
	s.MeshInit = importSidecar(is[mesh.ContainerMeshInit], wouldBe[mesh.ContainerMeshInit])
	s.MeshReady = importSidecar(is[mesh.ContainerMeshReady], wouldBe[mesh.ContainerMeshReady])
	s.Dataplane = importStaying(is[mesh.ContainerDataplane], wouldBe[mesh.ContainerDataplane])
	s.HealthSync = importStaying(is[mesh.ContainerHealthSync], wouldBe[mesh.ContainerHealthSync])
	if reflect.DeepEqual(s, sidecarsModel{}) {
		m.Sidecars = nil
	}
}

// importLog says the same as log without what is empty.
func importLog(log *ecstypes.LogConfiguration) *logConfigurationModel {
	var m *logConfigurationModel
	fromSpec(&m, log)
	return m
}

// wouldBe are the injected containers that the model gets; nil if nothing can be built of it.
func (m *meshTaskModel) wouldBe(def defaults) map[string]ecstypes.ContainerDefinition {
	definition, err := taskdef.Build(m.spec(def))
	if err != nil {
		return nil
	}
	return injected(definition.ContainerDefinitions)
}

func injected(containers []ecstypes.ContainerDefinition) map[string]ecstypes.ContainerDefinition {
	found := map[string]ecstypes.ContainerDefinition{}
	for _, c := range containers {
		if slices.Contains(mesh.InjectedContainers(), aws.ToString(c.Name)) {
			found[aws.ToString(c.Name)] = c
		}
	}
	return found
}

// importSidecar is nil where the container is as it would be.
func importSidecar(is, wouldBe ecstypes.ContainerDefinition) *sidecarModel {
	if is.Name == nil || wouldBe.Name == nil {
		return nil
	}
	var m sidecarModel
	if aws.ToString(is.Image) != aws.ToString(wouldBe.Image) {
		m.Image = is.Image
	}
	if is.Cpu != wouldBe.Cpu {
		m.CPU = &is.Cpu
	}
	m.Memory = differing(is.Memory, wouldBe.Memory)
	m.MemoryReservation = differing(is.MemoryReservation, wouldBe.MemoryReservation)
	m.StopTimeout = differing(is.StopTimeout, wouldBe.StopTimeout)
	if aws.ToBool(is.ReadonlyRootFilesystem) != aws.ToBool(wouldBe.ReadonlyRootFilesystem) {
		m.ReadonlyRoot = aws.Bool(aws.ToBool(is.ReadonlyRootFilesystem))
	}
	if log := importLog(is.LogConfiguration); !reflect.DeepEqual(log, importLog(wouldBe.LogConfiguration)) {
		m.LogConfiguration = log
	}
	m.Environment, _ = importPairs(is)
	delete(m.Environment, mesh.ConfigVariable)
	if len(m.Environment) == 0 {
		m.Environment = nil
	}
	if reflect.DeepEqual(m, sidecarModel{}) {
		return nil
	}
	return &m
}

func importStaying(is, wouldBe ecstypes.ContainerDefinition) *stayingSidecarModel {
	var m stayingSidecarModel
	if settings := importSidecar(is, wouldBe); settings != nil {
		m.sidecarModel = *settings
	}
	if wouldBe.Name != nil && !sameRestarts(is.RestartPolicy, wouldBe.RestartPolicy) {
		fromSpec(&m.RestartPolicy, is.RestartPolicy)
	}
	if reflect.DeepEqual(m, stayingSidecarModel{}) {
		return nil
	}
	return &m
}

func sameRestarts(a, b *ecstypes.ContainerRestartPolicy) bool {
	if a == nil || b == nil {
		return a == b
	}
	return aws.ToBool(a.Enabled) == aws.ToBool(b.Enabled) && aws.ToInt32(a.RestartAttemptPeriod) == aws.ToInt32(b.RestartAttemptPeriod) &&
		slices.Equal(a.IgnoredExitCodes, b.IgnoredExitCodes)
}

func differing(is, wouldBe *int32) *int32 {
	if aws.ToInt32(is) == aws.ToInt32(wouldBe) {
		return nil
	}
	return is
}
