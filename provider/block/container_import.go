package block

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/canonical"
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

// ParseContainers reads container definitions in ECS's JSON. What the block has no attribute for is an error: left out, it would be
// missed at run time alone.
func ParseContainers(text string) ([]Container, error) {
	var definitions []ecstypes.ContainerDefinition
	if err := awsjson.UnmarshalStrict([]byte(text), &definitions); err != nil {
		return nil, fmt.Errorf("read container definitions: %w", err)
	}
	if definitions == nil {
		return nil, errors.New("read container definitions: got null, want a list")
	}
	all := []Container{}
	var lost problem.List
	for i, d := range definitions {
		var c Container
		row.FromWritten(&c, d)
		was, err := plainContainer(d)
		if err != nil {
			return nil, err
		}
		is, err := plainContainer(c.Spec().Definition)
		if err != nil {
			return nil, err
		}
		missing(was, is, problem.At(i), &lost)
		all = append(all, c)
	}
	if err := lost.Err(); err != nil {
		return nil, fmt.Errorf("read container definitions: %w", err)
	}
	return all, nil
}

func plainContainer(d ecstypes.ContainerDefinition) (plain map[string]any, err error) {
	encoded, err := awsjson.Marshal(d)
	if err == nil {
		err = json.Unmarshal(encoded, &plain)
	}
	if err != nil {
		return nil, fmt.Errorf("read container definitions: %w", err)
	}
	return plain, nil
}

// missing tells what says something in was and is not in is. Lists may be in another order: of what lies in them, the number counts
// and the keys.
func missing(was, is any, at problem.Path, found *problem.List) {
	switch was := was.(type) {
	case map[string]any:
		other, _ := is.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(was)) {
			if other[key] == nil && !canonical.SaysNothing(key, was[key]) {
				found.Add(at.Child(key), "has no counterpart in the block container of consulecs_mesh_task: leave it out")
				continue
			}
			missing(was[key], other[key], at.Child(key), found)
		}
	case []any:
		other, _ := is.([]any)
		if len(was) != len(other) {
			found.Add(at, "has %d elements, of which %d have names of their own: give each another name", len(was), len(other))
			return
		}
		for i := range was {
			missing(was[i], other[i], at.Child(i), found)
		}
	}
}
