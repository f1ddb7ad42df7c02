package healthsync

import (
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// mergeWindow is for how long a caller's Envoy, once it has applied a change of a cluster's instances, gathers what comes
// next: a change of health within that second is applied another second later (update_merge_window, 1 s by default), one
// that comes after it at once. A new task whose first passing checks wait for the end of the window so gets its first
// request earlier. The fifth of a second more is for news that take longer to the Envoy when they are of the registration
// than when they are of the checks.
const mergeWindow = 1200 * time.Millisecond

// heardBy is when callers will have taken in that the task is registered, which mesh-init does at its end. It is never more
// than a window away, whatever the clocks say.
func heardBy(task taskmeta.Task, now time.Time) time.Time {
	registrar, _ := task.Container(mesh.ContainerMeshInit)
	if registrar.FinishedAt.IsZero() {
		return now
	}
	heard, latest := registrar.FinishedAt.Add(mergeWindow), now.Add(mergeWindow)
	if heard.After(latest) {
		return latest
	}
	return heard
}

func allPass(checks []consul.Check) bool {
	for _, c := range checks {
		if c.Status != consul.Passing {
			return false
		}
	}
	return true
}
