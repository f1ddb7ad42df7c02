package block

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/devserver"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// AgentConfig is what the injected containers, the controller's or, where there is none of these, that of a Consul server for trials
// read; "" if there is none. A doctor that a user added may have another.
func AgentConfig(containers []ecstypes.ContainerDefinition) string {
	ours := append(mesh.InjectedContainers(), mesh.ContainerController)
	return cmp.Or(variableOf(containers, mesh.ConfigVariable, ours...), variableOf(containers, devserver.ConfigVariable, devserver.Container))
}

// variableOf is a variable of the first of the named containers that has it.
func variableOf(containers []ecstypes.ContainerDefinition, name string, of ...string) string {
	for _, c := range containers {
		if !slices.Contains(of, aws.ToString(c.Name)) {
			continue
		}
		for _, variable := range c.Environment {
			if aws.ToString(variable.Name) == name {
				return aws.ToString(variable.Value)
			}
		}
	}
	return ""
}

// What is imported is written as briefly as it can be: values that are the default, or the provider's, are left out.

// ReadConfig reads the agents' configuration off the containers.
func ReadConfig(containers []ecstypes.ContainerDefinition) (agentconfig.Config, error) {
	text := AgentConfig(containers)
	if text == "" {
		return agentconfig.Config{}, fmt.Errorf("no container has the environment variable %s: the task is not in the mesh", mesh.ConfigVariable)
	}
	return agentconfig.Parse([]byte(text))
}

// SecretOf is where a container's variable comes from, whichever container has it.
func SecretOf(containers []ecstypes.ContainerDefinition, variable string) string {
	for _, c := range containers {
		for _, s := range c.Secrets {
			if aws.ToString(s.Name) == variable {
				return aws.ToString(s.ValueFrom)
			}
		}
	}
	return ""
}

// importObject writes an opaque object as jsonencode does.
func importObject(object map[string]any) (*string, error) {
	if len(object) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("write config: %w", err)
	}
	return aws.String(string(b)), nil
}

func Injected(containers []ecstypes.ContainerDefinition) map[string]ecstypes.ContainerDefinition {
	found := map[string]ecstypes.ContainerDefinition{}
	for _, c := range containers {
		if slices.Contains(mesh.InjectedContainers(), aws.ToString(c.Name)) {
			found[aws.ToString(c.Name)] = c
		}
	}
	return found
}

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
	for i, r := range c.ResourceRequirements {
		m.ResourceRequirements[i].SharingStrategy = readSharing(r.SharingStrategy)
	}
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
	for _, flag := range []**bool{&m.Privileged, &m.ReadonlyRootFilesystem, &m.Interactive, &m.PseudoTerminal, &m.DisableNetworking} {
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
