package meshtask

import (
	"slices"

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
	containersOwnAndRoles = []string{"environment_file", "image", "repository_credentials", "secrets"}
)

// local tells whose a place below container is; not ok if what it says may be seen elsewhere.
func (m *model) local(place problem.Path) (stack.Local, bool) {
	if len(place) < 3 || place[0] != "container" {
		return stack.Local{}, false
	}
	index, _ := place[1].(int)
	name, _ := place[2].(string)
	if index >= len(m.Containers) || m.Containers[index].Name == nil {
		return stack.Local{}, false
	}
	l := stack.Local{Container: row.Value(m.Containers[index].Name), ForRoles: slices.Contains(containersOwnAndRoles, name)}
	return l, l.ForRoles || slices.Contains(containersOwn, name)
}
