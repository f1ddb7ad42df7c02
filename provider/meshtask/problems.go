package meshtask

import (
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// problems is what is wrong with the task, at places of the Spec.
func (m *model) problems(d block.Defaults) problem.List {
	spec := m.spec(d)
	spec.TaskRoleARN, spec.ExecutionRoleARN = row.Value(m.IAM.TaskRoleOrNone().ARN), row.Value(m.IAM.ExecutionRoleOrNone().ARN)
	found := m.atContainers(taskdef.Check(spec))
	m.IAM.Check(spec.Family, spec.Tags, &found)
	d.CheckTags(m.Tags, &found)
	row.Overlay(d.Login, m.Login).Check(&found)
	if m.ECSService != nil {
		m.ECSService.Check(spec, &found)
	}
	return found
}

// atContainers moves what is said of readiness probes to their containers, where the resource has them.
func (m *model) atContainers(found problem.List) problem.List {
	var probed []int
	for i, c := range m.Containers {
		if c.Probe() != nil {
			probed = append(probed, i)
		}
	}
	moved := func(at, of problem.Path) problem.Path {
		switch {
		case len(at) == 0 || at[0] != "readinessProbes":
			return at
		case len(at) == 1: // all of them, as far as one container is concerned
			return of[:2].Child("readinessProbe")
		case len(at) > 2 && at[2] == "container":
			return problem.At("containers", probed[at[1].(int)], "name")
		default:
			return problem.At("containers", probed[at[1].(int)], "readinessProbe").Child(at[2:]...)
		}
	}
	for i, p := range found {
		found[i] = p.In(func(at problem.Path) problem.Path { return moved(at, p.Path) })
	}
	return found
}
