package meshtask

import (
	"slices"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
	"github.com/consulecs/terraform-provider-consulecs/provider/stack"
)

// What of a container follows into its own definition alone. All else may move other containers: when they start, how long they
// stop, what health-sync watches. From the second list follow rights of the execution role, too.
var (
	containersOwn = []string{
		"command", "docker_labels", "docker_security_options", "entry_point", "environment", "interactive", "pseudo_terminal",
		"readonly_root_filesystem", "start_timeout", "system_control", "ulimit", "user", "version_consistency", "working_directory",
	}
	containersOwnAndRoles = []string{"credential_specs", "environment_file", "image", "repository_credentials", "secrets"}
)

// The injected containers by the blocks of their settings, and what below sidecars is of all of them and of the execution role.
var (
	sidecarContainers = map[string]string{
		"mesh_init": mesh.ContainerMeshInit, "dataplane": mesh.ContainerDataplane, "mesh_ready": mesh.ContainerMeshReady, "health_sync": mesh.ContainerHealthSync,
	}
	sidecarsInCommon = []string{"image", "log_configuration", "pull_credentials_secret_arn"}
)

// What of the ECS service the proxy's container follows from.
const (
	balancedContainer   = "ecs_service.load_balancer.*.container_name"
	registeredContainer = "ecs_service.service_registry.*.container_name"
)

// local tells whose a place is; not ok if what it says may be seen elsewhere.
func (m *model) local(place problem.Path) (stack.Local, bool) {
	switch {
	case len(place) > 0 && place[0] == "log_configuration": // the provider's, which supplies that of the sidecars
		return stack.Local{Containers: mesh.InjectedContainers(), ForRoles: true}, true
	case len(place) > 1 && place[0] == "sidecars":
		return ofSidecars(place[1:])
	case row.Affects([]problem.Path{place}, balancedContainer, registeredContainer):
		return stack.Local{Containers: []string{mesh.ContainerDataplane}}, true
	case len(place) > 2 && place[0] == "container":
		return m.ofContainer(place[1:])
	}
	return stack.Local{}, false
}

func (m *model) ofContainer(place problem.Path) (stack.Local, bool) {
	index, _ := place[0].(int)
	name, _ := place[1].(string)
	if index >= len(m.Containers) || m.Containers[index].Name == nil {
		return stack.Local{}, false
	}
	l := stack.Local{Containers: []string{*m.Containers[index].Name}, ForRoles: slices.Contains(containersOwnAndRoles, name)}
	return l, l.ForRoles || slices.Contains(containersOwn, name)
}

// ofSidecars is for a place below sidecars. The time that the dataplane has to stop is also in the agents' configuration, and
// health-sync waits for it.
func ofSidecars(place problem.Path) (stack.Local, bool) {
	name, _ := place[0].(string)
	container, one := sidecarContainers[name]
	switch {
	case slices.Contains(sidecarsInCommon, name):
		return stack.Local{Containers: mesh.InjectedContainers(), ForRoles: true}, true
	case !one || row.Affects([]problem.Path{place}, "dataplane.stop_timeout"):
		return stack.Local{}, false
	default:
		return stack.Local{Containers: []string{container}, ForRoles: row.Affects([]problem.Path{place}, name+".image", name+".log_configuration")}, true
	}
}
