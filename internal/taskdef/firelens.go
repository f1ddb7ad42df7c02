package taskdef

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// A log router (FireLens) takes the output of the containers whose log driver is awsfirelens, so it has to be there before
// them: before the mesh's own, too, which the application waits for. ECS would see to that by itself, but not where a
// container names the router in an order of its own, and what is registered shows the order to people.

// isLogRouter reports whether other containers may log through this one.
func isLogRouter(c ecstypes.ContainerDefinition) bool { return c.FirelensConfiguration != nil }

func logsThroughRouter(c ecstypes.ContainerDefinition) bool {
	return c.LogConfiguration != nil && c.LogConfiguration.LogDriver == ecstypes.LogDriverAwsfirelens
}

// afterRouter has a container start after the log router, if it logs through it and says nothing of it itself.
func (s Spec) afterRouter(d ecstypes.ContainerDefinition) ecstypes.ContainerDefinition {
	if !logsThroughRouter(d) || isLogRouter(d) {
		return d
	}
	i := slices.IndexFunc(s.Containers, func(c Container) bool { return isLogRouter(c.Definition) })
	if i < 0 {
		return d
	}
	return afterAll(d, after(aws.ToString(s.Containers[i].Definition.Name), ecstypes.ContainerConditionStart))
}

// afterAll adds dependencies on containers that d does not depend on already. It shares no memory with d's own.
func afterAll(d ecstypes.ContainerDefinition, dependencies ...ecstypes.ContainerDependency) ecstypes.ContainerDefinition {
	d.DependsOn = slices.Clone(d.DependsOn)
	for _, dependency := range dependencies {
		already := func(own ecstypes.ContainerDependency) bool {
			return aws.ToString(own.ContainerName) == *dependency.ContainerName
		}
		if !slices.ContainsFunc(d.DependsOn, already) {
			d.DependsOn = append(d.DependsOn, dependency)
		}
	}
	return d
}

// WithoutRouter is the way back: the container as its user wrote it, without the wait for the log router among all.
func WithoutRouter(d ecstypes.ContainerDefinition, all []ecstypes.ContainerDefinition) ecstypes.ContainerDefinition {
	if !logsThroughRouter(d) || isLogRouter(d) {
		return d
	}
	d.DependsOn = slices.DeleteFunc(slices.Clone(d.DependsOn), func(dependency ecstypes.ContainerDependency) bool {
		return dependency.Condition == ecstypes.ContainerConditionStart && slices.ContainsFunc(all, func(c ecstypes.ContainerDefinition) bool {
			return isLogRouter(c) && aws.ToString(c.Name) == aws.ToString(dependency.ContainerName)
		})
	})
	return d
}

// checkRouters wants a log router where containers log through one, and nowhere else: ECS refuses either without the other.
func (s Spec) checkRouters(found *problem.List) {
	with := []problem.Path{problem.At("containers")} // where a router may be that is not known yet
	router := -1
	for i, c := range s.Containers {
		with = append(with, problem.At("containers", i, "firelensConfiguration"))
		if isLogRouter(c.Definition) && router < 0 {
			router = i
		}
	}
	switch users := s.routed(); {
	case router < 0 && len(users) > 0:
		found.AddWith(with, users[0], "is awsfirelens, but no container of the task is a log router (FireLens): add one")
	case router >= 0 && len(users) == 0:
		found.AddWith(append(with, s.logPaths()...), problem.At("containers", router, "firelensConfiguration"), "makes the container a log router, but no container logs through it: set a log driver to awsfirelens, or leave this out")
	}
}

// routed are the places that have containers log through a router.
func (s Spec) routed() []problem.Path {
	var places []problem.Path
	for i, c := range s.Containers {
		if logsThroughRouter(c.Definition) && !isLogRouter(c.Definition) {
			places = append(places, problem.At("containers", i, "logConfiguration", "logDriver"))
		}
	}
	for _, c := range s.injected("") {
		if key := sidecarKeys[aws.ToString(c.Name)]; logsThroughRouter(c) && s.sidecarSettings()[key].LogConfiguration != nil {
			places = append(places, problem.At("sidecars", key, "logConfiguration", "logDriver"))
		} else if logsThroughRouter(c) {
			places = append(places, problem.At("sidecars", "logConfiguration", "logDriver"))
		}
	}
	return places
}

// logPaths are the places that say where containers log to.
func (s Spec) logPaths() []problem.Path {
	paths := []problem.Path{problem.At("sidecars", "logConfiguration", "logDriver")}
	for i := range s.Containers {
		paths = append(paths, problem.At("containers", i, "logConfiguration", "logDriver"))
	}
	for _, key := range sidecarKeys {
		paths = append(paths, problem.At("sidecars", key, "logConfiguration", "logDriver"))
	}
	return paths
}

// sidecarKeys are the places of the settings of the injected containers, below sidecars.
var sidecarKeys = map[string]string{
	mesh.ContainerMeshInit: "meshInit", mesh.ContainerDataplane: "dataplane", mesh.ContainerMeshReady: "meshReady", mesh.ContainerHealthSync: "healthSync",
}

func (s Spec) sidecarSettings() map[string]Sidecar {
	return map[string]Sidecar{
		"meshInit": s.Sidecars.MeshInit, "dataplane": s.Sidecars.Dataplane, "meshReady": s.Sidecars.MeshReady, "healthSync": s.Sidecars.HealthSync,
	}
}
