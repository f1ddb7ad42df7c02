package healthsync

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// opinion is what is thought of one container, and why.
type opinion struct {
	status consul.CheckStatus
	reason string
}

// judge gives the checks the status that the containers deserve. A tracked container's own check mirrors that container.
// The dataplane's checks, on which traffic depends, pass only if the proxy is ready and every tracked container is well;
// their output names each one that is not. probed holds what the readiness probes of containers found, "" for nothing.
func judge(checks []consul.Check, task taskmeta.Task, proxyProblem string, probed map[string]string) []consul.Check {
	proxy := judgeProxy(task, proxyProblem)
	opinions := map[string]opinion{}
	var guilty []string
	if proxy.status != consul.Passing {
		guilty = append(guilty, proxy.reason)
	}
	for _, c := range checks {
		if _, known := opinions[c.Container]; known || c.Container == mesh.ContainerDataplane {
			continue
		}
		o := judgeContainer(task, c.Container, probed)
		opinions[c.Container] = o
		if o.status != consul.Passing {
			guilty = append(guilty, o.reason)
		}
	}
	guilty = append(guilty, notStarted(task, opinions)...)
	opinions[mesh.ContainerDataplane] = opinion{consul.Passing, "proxy is ready and every tracked container is well"}
	if len(guilty) > 0 {
		opinions[mesh.ContainerDataplane] = opinion{consul.Critical, strings.Join(guilty, "; ")}
	}
	judged := slices.Clone(checks)
	for i, c := range judged {
		judged[i].Status, judged[i].Output = opinions[c.Container].status, opinions[c.Container].reason
	}
	return judged
}

// notStarted tells of the application's containers that nobody tracks and that have not begun to run: a proxy that is ready
// before its application would be called in vain.
func notStarted(task taskmeta.Task, tracked map[string]opinion) []string {
	var reasons []string
	for _, c := range task.Containers {
		_, known := tracked[c.Name]
		begun := c.KnownStatus == taskmeta.StatusRunning || c.KnownStatus == taskmeta.StatusStopped
		if !known && !begun && c.Normal() && !slices.Contains(mesh.InjectedContainers(), c.Name) {
			reasons = append(reasons, fmt.Sprintf("container %q has not started", c.Name))
		}
	}
	return reasons
}

// judgeContainer mirrors ECS's verdict. As long as there is none, the container's readiness probe decides. A container
// without a health check and without a probe is well while it runs, as ECS itself sees it.
func judgeContainer(task taskmeta.Task, name string, probed map[string]string) opinion {
	c, found := task.Container(name)
	problem, asked := probed[name]
	switch {
	case !found:
		return opinion{consul.Critical, fmt.Sprintf("container %q is not in the task", name)}
	case !c.Running():
		return opinion{consul.Critical, notRunning(c)}
	case c.Health == taskmeta.Healthy:
		return opinion{consul.Passing, fmt.Sprintf("container %q is HEALTHY in ECS", name)}
	case asked && !hasVerdict(c) && problem != "":
		return opinion{consul.Critical, fmt.Sprintf("container %q is not ready: %s", name, problem)}
	case asked && !hasVerdict(c):
		return opinion{consul.Passing, fmt.Sprintf("container %q passes its readiness probe; ECS has no verdict yet", name)}
	case c.Health == taskmeta.HealthNone:
		return opinion{consul.Passing, fmt.Sprintf("container %q is RUNNING; it has no ECS health check", name)}
	case c.Health == taskmeta.HealthUnknown:
		return opinion{consul.Critical, fmt.Sprintf("container %q is UNKNOWN in ECS: its health check has not passed yet", name)}
	}
	return opinion{consul.Critical, fmt.Sprintf("container %q is %s in ECS", name, c.Health)}
}

// hasVerdict reports whether ECS has made up its mind about the container's health.
func hasVerdict(c taskmeta.Container) bool {
	return c.Health == taskmeta.Healthy || c.Health == taskmeta.Unhealthy
}

// judgeProxy asks the proxy before it asks ECS: ECS's shortest interval is five seconds. What ECS holds against the
// container still counts.
func judgeProxy(task taskmeta.Task, problem string) opinion {
	const name = mesh.ContainerDataplane
	c, found := task.Container(name)
	switch {
	case !found:
		return opinion{consul.Critical, fmt.Sprintf("container %q is not in the task", name)}
	case !c.Running():
		return opinion{consul.Critical, notRunning(c)}
	case c.Health == taskmeta.Unhealthy:
		return opinion{consul.Critical, fmt.Sprintf("container %q is UNHEALTHY in ECS", name)}
	case problem != "":
		return opinion{consul.Critical, problem}
	}
	return opinion{consul.Passing, ""}
}

func notRunning(c taskmeta.Container) string {
	status := c.KnownStatus
	if status == taskmeta.StatusRunning {
		status = "about to stop"
	}
	if c.ExitCode != nil {
		return fmt.Sprintf("container %q is %s with exit code %d", c.Name, status, *c.ExitCode)
	}
	return fmt.Sprintf("container %q is %s", c.Name, status)
}

// drained are the checks of a task that is stopping: critical, whatever its containers do.
func drained(checks []consul.Check) []consul.Check {
	out := slices.Clone(checks)
	for i := range out {
		out[i].Status, out[i].Output = consul.Critical, "task is stopping"
	}
	return out
}

// outputPause is how long a check keeps its output while its status stays: reasons come and go in moments while a task
// starts, and each would be a write in Consul's log.
const outputPause = 10 * time.Second

// outputPauseAtStart is the same until the checks have passed once. What they say until then is born with them, and a task
// whose containers wait for each other's ECS health checks takes longer to start than the other pause.
const outputPauseAtStart = 30 * time.Second

// ledger is what Consul holds, as far as we know.
type ledger struct {
	checks  map[string]consul.Check
	written map[string]time.Time // when a check was last seen or written
}

func newLedger() ledger {
	return ledger{map[string]consul.Check{}, map[string]time.Time{}}
}

// due lists the checks that have to be written: those of another status at once, those of another reason after a pause.
func (l ledger) due(want []consul.Check, now time.Time, pause time.Duration) []consul.Check {
	var due []consul.Check
	for _, w := range want {
		have, known := l.checks[w.ID]
		switch {
		case !known || have.Status != w.Status:
			due = append(due, w)
		case have.Output != w.Output && now.Sub(l.written[w.ID]) >= pause:
			due = append(due, w)
		}
	}
	return due
}

// note records that Consul holds the checks.
func (l ledger) note(checks []consul.Check, now time.Time) {
	for _, c := range checks {
		if l.checks[c.ID] != c {
			l.written[c.ID] = now
		}
		l.checks[c.ID] = c
	}
}

// passing reports whether Consul holds every check of want as passing.
func (l ledger) passing(want []consul.Check) bool {
	for _, w := range want {
		if l.checks[w.ID].Status != consul.Passing {
			return false
		}
	}
	return true
}
