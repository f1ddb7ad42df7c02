package block

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// ReadContainers are the user's containers, without what the mesh added to them.
func ReadContainers(d *ecstypes.TaskDefinition, cfg agentconfig.Config) []Container {
	var all []Container
	for _, c := range d.ContainerDefinitions {
		if !slices.Contains(mesh.InjectedContainers(), aws.ToString(c.Name)) {
			all = append(all, importContainer(taskdef.WithoutRouter(c, d.ContainerDefinitions), cfg))
		}
	}
	return all
}

func importContainer(c ecstypes.ContainerDefinition, cfg agentconfig.Config) Container {
	var inMesh ContainerMesh
	c, delay := taskdef.WithoutDelay(c)
	row.FromSpec(&inMesh.ShutdownDelay, delay)
	waits := false
	c.DependsOn = slices.DeleteFunc(slices.Clone(c.DependsOn), func(d ecstypes.ContainerDependency) bool {
		injected := slices.Contains(mesh.InjectedContainers(), aws.ToString(d.ContainerName))
		waits = waits || injected
		return injected
	})
	for _, p := range cfg.ReadinessProbes {
		if p.Container == aws.ToString(c.Name) {
			inMesh.ReadinessProbe = &Probe{}
			row.FromSpec(inMesh.ReadinessProbe, p)
		}
	}
	if waits != (c.FirelensConfiguration == nil) { // log routers wait only if told to
		inMesh.WaitForProxy = &waits
	}
	synced := slices.Contains(cfg.HealthSyncContainers, aws.ToString(c.Name))
	if synced != ((c.Essential == nil || *c.Essential) && c.HealthCheck != nil || inMesh.ReadinessProbe != nil) {
		inMesh.HealthSync = &synced
	}
	var m Container
	row.FromSpec(&m, c)
	if delay != "" && len(c.EntryPoint) == 0 {
		m.EntryPoint = []string{} // a delayed command says that the image has none
	}
	m.Essential = aws.Bool(c.Essential == nil || *c.Essential)
	m.spellDefaults()
	if inMesh != (ContainerMesh{}) {
		m.Mesh = &inMesh
	}
	return m
}

// spellDefaults says what is left out and has a default.
func (m *Container) spellDefaults() {
	for _, flag := range []**bool{&m.Privileged, &m.ReadonlyRootFilesystem, &m.Interactive, &m.PseudoTerminal} {
		row.Spell(flag, false)
	}
	if h := m.HealthCheck; h != nil {
		row.Spell(&h.Interval, 30)
		row.Spell(&h.Timeout, 5)
		row.Spell(&h.Retries, 3)
		row.Spell(&h.StartPeriod, 0)
	}
	for i := range m.PortMappings {
		mapping := &m.PortMappings[i]
		row.Spell(&mapping.Protocol, string(ecstypes.TransportProtocolTcp))
		if mapping.HostPort = nil; mapping.ContainerPort != nil {
			mapping.HostPort = aws.Int32(*mapping.ContainerPort) // awsvpc has no other
		}
	}
	for i := range m.MountPoints {
		row.Spell(&m.MountPoints[i].ReadOnly, false)
	}
	for i := range m.VolumesFrom {
		row.Spell(&m.VolumesFrom[i].ReadOnly, false)
	}
}
