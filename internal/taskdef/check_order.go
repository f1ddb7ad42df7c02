package taskdef

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// checkOrder checks that the containers can start in some order, with the dependencies that the mesh adds.
func (s Spec) checkOrder(path problem.Path, found *problem.List) {
	for i, c := range s.Containers {
		first := map[string]problem.Path{}
		for j, dependency := range c.Definition.DependsOn {
			at := path.Child(i, "dependsOn", j)
			name := aws.ToString(dependency.ContainerName)
			if other, twice := first[name]; twice {
				found.AddWith([]problem.Path{other}, at.Child("containerName"), "%q is in %s already", name, other)
				continue
			}
			first[name] = at.Child("containerName")
			s.checkDependency(dependency, at, path, found)
		}
	}
	if cycle := findCycle(s.dependencies()); cycle != nil {
		var with []problem.Path
		for i := range s.Containers {
			with = append(with, path.Child(i, "name"), path.Child(i, "dependsOn"), path.Child(i, "waitForProxy"))
		}
		found.AddWith(with, path, "has a circle of containers that wait for each other: %s", strings.Join(cycle, " → "))
	}
}

func (s Spec) checkDependency(dependency ecstypes.ContainerDependency, at, containers problem.Path, found *problem.List) {
	name := aws.ToString(dependency.ContainerName)
	if !slices.Contains(dependency.Condition.Values(), dependency.Condition) {
		found.Add(at.Child("condition"), "is %q, want START, COMPLETE, SUCCESS or HEALTHY", dependency.Condition)
		return
	}
	if slices.Contains(mesh.InjectedContainers(), name) {
		s.checkMeshDependency(name, dependency.Condition, at, found)
		return
	}
	index := slices.IndexFunc(s.Containers, func(c Container) bool { return aws.ToString(c.Definition.Name) == name })
	if index < 0 {
		found.AddWith(append(s.namePaths(), containers), at.Child("containerName"), "is %q, which is no container of the task", name)
		return
	}
	target := s.Containers[index]
	checkCondition(dependency.Condition, name, target.essential(), target.Definition.HealthCheck != nil, at.Child("condition"),
		append(s.namePaths(), at.Child("containerName"), containers.Child(index, "essential"), containers.Child(index, "healthCheck")), found)
}

// checkMeshDependency checks a dependency of the user's own on an injected container.
func (s Spec) checkMeshDependency(name string, condition ecstypes.ContainerCondition, at problem.Path, found *problem.List) {
	if name == mesh.ContainerMeshReady && !s.hasReadyGate() {
		found.AddWith([]problem.Path{problem.At("sidecars", "readyGate")}, at.Child("containerName"), "is %q, but the ready gate is off", name)
		return
	}
	if name == mesh.ContainerHealthSync && condition == ecstypes.ContainerConditionHealthy {
		found.Add(at.Child("condition"), "is HEALTHY, but %s is so only when every container of the application runs: they would wait for each other", name)
		return
	}
	stays := name == mesh.ContainerDataplane || name == mesh.ContainerHealthSync
	checkCondition(condition, name, stays, name == mesh.ContainerDataplane, at.Child("condition"), []problem.Path{at.Child("containerName")}, found)
}

func checkCondition(condition ecstypes.ContainerCondition, name string, essential, hasHealth bool, path problem.Path, with []problem.Path, found *problem.List) {
	ends := condition == ecstypes.ContainerConditionSuccess || condition == ecstypes.ContainerConditionComplete
	switch {
	case ends && essential:
		found.AddWith(with, path, "is %s, but %s is essential: its end would be the task's", condition, name)
	case condition == ecstypes.ContainerConditionHealthy && !hasHealth:
		found.AddWith(with, path, "is HEALTHY, but %s has no health check", name)
	}
}

// dependencies maps each container to those it waits for.
func (s Spec) dependencies() map[string][]string {
	graph := map[string][]string{}
	containers := s.injected("")
	for _, c := range s.Containers {
		if !slices.Contains(mesh.InjectedContainers(), aws.ToString(c.Definition.Name)) { // that clash is reported as such
			containers = append(containers, s.userContainer(c))
		}
	}
	for _, c := range containers {
		for _, dependency := range c.DependsOn {
			graph[aws.ToString(c.Name)] = append(graph[aws.ToString(c.Name)], aws.ToString(dependency.ContainerName))
		}
	}
	return graph
}

// findCycle returns the names along one cycle, its first name again at its end; nil if there is none.
func findCycle(graph map[string][]string) []string {
	done := map[string]bool{}
	var trail []string
	var visit func(name string) []string
	visit = func(name string) []string {
		if i := slices.Index(trail, name); i >= 0 {
			return append(slices.Clone(trail[i:]), name)
		}
		if done[name] {
			return nil
		}
		trail = append(trail, name)
		for _, next := range graph[name] {
			if cycle := visit(next); cycle != nil {
				return cycle
			}
		}
		trail = trail[:len(trail)-1]
		done[name] = true
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(graph)) {
		if cycle := visit(name); cycle != nil {
			return cycle
		}
	}
	return nil
}
