package healthsync

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// born are the checks of a task that tracks the containers.
func born(containers ...string) []consul.Check {
	var checks []consul.Check
	for _, c := range containers {
		checks = append(checks, consul.Check{ID: "web-1-" + c, ServiceID: "web-1", Container: c, Status: consul.Critical})
	}
	for _, id := range []string{"web-1", "web-1-sidecar-proxy"} {
		checks = append(checks, consul.Check{ID: id + "-" + mesh.ContainerDataplane, ServiceID: id, Container: mesh.ContainerDataplane, Status: consul.Critical})
	}
	return checks
}

func running(name string, health taskmeta.Health) taskmeta.Container {
	return taskmeta.Container{Name: name, KnownStatus: "RUNNING", DesiredStatus: "RUNNING", Health: health}
}

func stopped(name string, code int) taskmeta.Container {
	return taskmeta.Container{Name: name, KnownStatus: "STOPPED", DesiredStatus: "STOPPED", ExitCode: &code}
}

func TestTheProxysChecksAreTheMinimumOfAll(t *testing.T) {
	t.Parallel()
	dataplane := running(mesh.ContainerDataplane, taskmeta.Healthy)
	for name, tc := range map[string]struct {
		containers     []taskmeta.Container
		proxy          string
		app, dataplane consul.CheckStatus
		output         string // of the dataplane's checks
	}{
		"all well":                       {[]taskmeta.Container{dataplane, running("app", taskmeta.Healthy)}, "", consul.Passing, consul.Passing, "every tracked container is well"},
		"no health check":                {[]taskmeta.Container{dataplane, running("app", taskmeta.HealthNone)}, "", consul.Passing, consul.Passing, "every tracked container is well"},
		"app without verdict yet":        {[]taskmeta.Container{dataplane, running("app", taskmeta.HealthUnknown)}, "", consul.Critical, consul.Critical, `container "app" is UNKNOWN in ECS`},
		"app unhealthy":                  {[]taskmeta.Container{dataplane, running("app", taskmeta.Unhealthy)}, "", consul.Critical, consul.Critical, `container "app" is UNHEALTHY in ECS`},
		"app missing":                    {[]taskmeta.Container{dataplane}, "", consul.Critical, consul.Critical, `container "app" is not in the task`},
		"app ended":                      {[]taskmeta.Container{dataplane, stopped("app", 3)}, "", consul.Critical, consul.Critical, `container "app" is STOPPED with exit code 3`},
		"app about to stop":              {[]taskmeta.Container{dataplane, {Name: "app", KnownStatus: "RUNNING", DesiredStatus: "STOPPED"}}, "", consul.Critical, consul.Critical, `container "app" is about to stop`},
		"proxy not ready":                {[]taskmeta.Container{dataplane, running("app", taskmeta.Healthy)}, "the proxy is not ready", consul.Passing, consul.Critical, "the proxy is not ready"},
		"proxy ready before ECS says so": {[]taskmeta.Container{running(mesh.ContainerDataplane, taskmeta.HealthUnknown), running("app", taskmeta.Healthy)}, "", consul.Passing, consul.Passing, "proxy is ready"},
		"proxy ready, ECS disagrees":     {[]taskmeta.Container{running(mesh.ContainerDataplane, taskmeta.Unhealthy), running("app", taskmeta.Healthy)}, "", consul.Passing, consul.Critical, `container "consul-dataplane" is UNHEALTHY`},
		"dataplane missing":              {[]taskmeta.Container{running("app", taskmeta.Healthy)}, "", consul.Passing, consul.Critical, `container "consul-dataplane" is not in the task`},
		"dataplane crashed":              {[]taskmeta.Container{stopped(mesh.ContainerDataplane, 1), running("app", taskmeta.Healthy)}, "", consul.Passing, consul.Critical, `container "consul-dataplane" is STOPPED with exit code 1`},
		"another has not started":        {append(well(), taskmeta.Container{Name: "log", KnownStatus: "CREATED"}), "", consul.Passing, consul.Critical, `container "log" has not started`},
		"another has ended":              {append(well(), stopped("migrate", 0)), "", consul.Passing, consul.Passing, "proxy is ready"},
		"mesh-ready has not started":     {append(well(), taskmeta.Container{Name: mesh.ContainerMeshReady, KnownStatus: "CREATED"}), "", consul.Passing, consul.Passing, "proxy is ready"},
		"AWS's own has not started":      {append(well(), taskmeta.Container{Name: "aws-guard", Type: "MANAGED", KnownStatus: "CREATED"}), "", consul.Passing, consul.Passing, "proxy is ready"},
		"both to blame":                  {[]taskmeta.Container{stopped(mesh.ContainerDataplane, 1), running("app", taskmeta.Unhealthy)}, "", consul.Critical, consul.Critical, `exit code 1; container "app" is UNHEALTHY`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := judge(born("app"), taskmeta.Task{Containers: tc.containers}, tc.proxy, nil)
			if diff := cmp.Diff([]consul.CheckStatus{tc.app, tc.dataplane, tc.dataplane}, []consul.CheckStatus{got[0].Status, got[1].Status, got[2].Status}); diff != "" {
				t.Errorf("app, service and proxy (-want +got):\n%s", diff)
			}
			if !strings.Contains(got[1].Output, tc.output) || got[1].Output != got[2].Output {
				t.Errorf("outputs %q and %q, want both to say %q", got[1].Output, got[2].Output, tc.output)
			}
			if !strings.Contains(got[0].Output, `"app"`) {
				t.Errorf("the app's output %q does not name it", got[0].Output)
			}
		})
	}
}

func TestOneSickContainerLeavesTheOthersCheckAlone(t *testing.T) {
	t.Parallel()
	got := judge(born("app", "log"), taskmeta.Task{Containers: []taskmeta.Container{
		running(mesh.ContainerDataplane, taskmeta.Healthy), running("app", taskmeta.Healthy), running("log", taskmeta.Unhealthy),
	}}, "", nil)
	if got[0].Status != consul.Passing || got[1].Status != consul.Critical || got[2].Status != consul.Critical {
		t.Errorf("app %s, log %s, service %s; want passing, critical, critical", got[0].Status, got[1].Status, got[2].Status)
	}
	if strings.Contains(got[2].Output, "app") {
		t.Errorf("the output blames app: %q", got[2].Output)
	}
}

func TestDrainingTurnsEveryCheckCritical(t *testing.T) {
	t.Parallel()
	for _, c := range drained(judge(born("app"), taskmeta.Task{}, "", nil)) {
		if c.Status != consul.Critical || c.Output != "task is stopping" {
			t.Errorf("%s is %s (%s)", c.ID, c.Status, c.Output)
		}
	}
}

func TestOnlyWhatChangedIsWritten(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	check := consul.Check{ID: "a", Status: consul.Critical, Output: "one"}
	with := func(status consul.CheckStatus, output string) []consul.Check {
		return []consul.Check{{ID: "a", Status: status, Output: output}}
	}
	for name, tc := range map[string]struct {
		want []consul.Check
		at   time.Duration
		due  int
	}{
		"same":                      {with(consul.Critical, "one"), time.Hour, 0},
		"other status":              {with(consul.Passing, "one"), 0, 1},
		"other reason soon after":   {with(consul.Critical, "two"), outputPause - 1, 0},
		"other reason after a time": {with(consul.Critical, "two"), outputPause, 1},
		"unknown check":             {[]consul.Check{{ID: "b"}}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger()
			l.note([]consul.Check{check}, now)
			l.note([]consul.Check{check}, now.Add(time.Minute)) // seeing it again is not a change
			if due := l.due(tc.want, now.Add(tc.at), outputPause); len(due) != tc.due {
				t.Errorf("due: %v, want %d", due, tc.due)
			}
		})
	}
}
