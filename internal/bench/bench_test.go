package bench

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
)

func namesOf(parts []part) (all []string) {
	for _, p := range parts {
		all = append(all, p.name)
	}
	return all
}

func TestPartsAreChosenByNameAndRunInTheirOwnOrder(t *testing.T) {
	t.Parallel()
	all, err := choose(nil)
	if err != nil || len(all) != len(parts()) {
		t.Errorf("without a name: %v, %v, want all", namesOf(all), err)
	}
	some, err := choose([]string{"xds", "size", "xds"})
	if diff := cmp.Diff([]string{"size", "xds"}, namesOf(some)); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := choose([]string{"size", "sizes"}); err == nil || !strings.Contains(err.Error(), `"sizes"`) || !strings.Contains(err.Error(), "traffic") {
		t.Errorf("got %v, want the wrong name and the right ones", err)
	}
	if CheckParts([]string{"sizes"}) == nil || Run(t.Context(), Settings{Parts: []string{"sizes"}}) == nil {
		t.Error("a run of no part ended well")
	}
}

func TestChecksTellHowATaskIs(t *testing.T) {
	t.Parallel()
	check := func(service, status string) *api.HealthCheck {
		return &api.HealthCheck{ServiceID: service, Status: status}
	}
	for name, c := range map[string]struct {
		checks                   api.HealthChecks
		passing, critical, empty bool
	}{
		"not registered": {empty: true},
		"born":           {checks: api.HealthChecks{check("a", "critical"), check("a-proxy", "critical")}, critical: true},
		"service alone":  {checks: api.HealthChecks{check("a", "passing"), check("a", "passing")}},
		"half":           {checks: api.HealthChecks{check("a", "passing"), check("a-proxy", "critical")}, critical: true},
		"warned":         {checks: api.HealthChecks{check("a", "passing"), check("a-proxy", "warning")}},
		"whole":          {checks: api.HealthChecks{check("a", "passing"), check("a-proxy", "passing")}, passing: true},
	} {
		if allPass(c.checks) != c.passing || anyCritical(c.checks) != c.critical || none(c.checks) != c.empty {
			t.Errorf("%s: all pass %t, any critical %t, none %t", name, allPass(c.checks), anyCritical(c.checks), none(c.checks))
		}
	}
}

func TestProcessesOfAContainerAreToldApart(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"dataplane": {"/bin/consulecs-agent", "dataplane", "-config-file", "x"},
		"passing":   {"/bin/consulecs-agent", "passing"},
		"envoy":     {"/usr/local/bin/envoy", "--config-path", "/dev/fd/3"},
		"sh":        {"sh", "-c", "consulecs-agent dataplane"},
	} {
		if got := role(args); got != want {
			t.Errorf("%v: got %s, want %s", args, got, want)
		}
	}
}

func TestTheTokenGoesIntoTheBootstrapForConsulItself(t *testing.T) {
	t.Parallel()
	bootstrap, err := envoy.Bootstrap{ProxyID: "web-proxy"}.JSON()
	if err != nil {
		t.Fatal(err)
	}
	changed, err := withToken(bootstrap, "secret")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Node    struct{ ID string }
		Dynamic struct {
			ADS struct {
				Services []struct {
					Metadata []map[string]string `json:"initial_metadata"`
				} `json:"grpc_services"`
			} `json:"ads_config"`
		} `json:"dynamic_resources"`
	}
	if err := json.Unmarshal(changed, &got); err != nil {
		t.Fatal(err)
	}
	want := []map[string]string{{"key": "x-consul-token", "value": "secret"}}
	if got.Node.ID != "web-proxy" || len(got.Dynamic.ADS.Services) != 1 || cmp.Diff(want, got.Dynamic.ADS.Services[0].Metadata) != "" {
		t.Errorf("got %+v", got)
	}
	if _, err := withToken([]byte(`{"dynamic_resources":{}}`), "secret"); err == nil {
		t.Error("a bootstrap without ADS was taken")
	}
}

func TestUpstreamsWithAnEndpointAreCounted(t *testing.T) {
	t.Parallel()
	const page = `# TYPE envoy_cluster_membership_total gauge
envoy_cluster_membership_total{consul_destination_service="upstream-1",envoy_cluster_name="upstream-1"} 1
envoy_cluster_membership_total{consul_destination_service="upstream-2"} 0
envoy_cluster_membership_total{envoy_cluster_name="self_admin"} 1
envoy_cluster_membership_change{consul_destination_service="upstream-1"} 1
`
	if n := endpoints(page); n != 1 {
		t.Errorf("got %d, want 1", n)
	}
}

func TestWhatIsUsedAtRestIsReckonedPerMinute(t *testing.T) {
	t.Parallel()
	b := &bench{Settings: Settings{Out: new(strings.Builder)}}
	b.report(
		[]watched{{agent: "health-sync", pid: 7, process: time.Second, group: 2 * time.Second}, {agent: "controller", pid: 8}},
		[]watched{{agent: "health-sync", pid: 7, process: 2 * time.Second, group: 5 * time.Second, resident: 8 << 20}, {agent: "controller", pid: 9}},
		2*time.Minute)
	var want figures.Table
	want.Add(figures.Figure{Name: "processor time a minute at rest: health-sync", Unit: "s", Goal: "< 0.04 s", Incumbent: "0.05 s"}, 0.5)
	want.Add(figures.Figure{Name: "processor time a minute at rest: health-sync container with its health check", Unit: "s"}, 1.5)
	want.Add(figures.Figure{Name: "resident memory at rest: health-sync", Unit: "MiB", Goal: "< 16 MiB", Incumbent: "23.5 MiB"}, 8)
	if diff := cmp.Diff(text(t, &want), text(t, &b.table)); diff != "" {
		t.Error(diff)
	}
}

func text(t *testing.T, table *figures.Table) string {
	t.Helper()
	var out strings.Builder
	if err := table.Print(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// built builds a program that ships.
func built(t *testing.T, name, pkg string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "github.com/consulecs/terraform-provider-consulecs"+pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return program
}

func TestThePartsThatNeedNoWorldMeasureAndLeaveNothing(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	s := Settings{
		Dir: t.TempDir(), Agent: built(t, "consulecs-agent", "/agents"), Provider: built(t, "terraform-provider-consulecs", ""),
		Parts: []string{"size", "provider", "plan", "dns", "xds"}, Samples: 2, Round: 300 * time.Millisecond, Upstreams: 10, Tasks: 3, Out: &out,
	}
	if err := Run(t.Context(), s); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, figure := range []string{
		"consulecs-agent, program", "image of the agents", "provider started → its schema is there", "plan of 3 existing mesh tasks, AWS calls a task",
		"DNS proxy asked 5000 times a second, p99", "first configuration of 10 upstreams, xDS proxy's share",
	} {
		if !strings.Contains(out.String(), figure) {
			t.Errorf("the figure %q is missing", figure)
		}
	}
	left, err := os.ReadDir(s.Dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	t.Log(out.String())
}

func TestAnInterruptedRunPrintsWhatItHas(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := Settings{Dir: t.TempDir(), Agent: os.Args[0], Parts: []string{"size", "dns", "xds"}, Samples: 1, Round: time.Second, Upstreams: 1, Out: &out}
	if err := Run(ctx, s); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(out.String(), "consulecs-agent, program") || strings.Contains(out.String(), "── dns") {
		t.Errorf("want the size alone, got\n%s", out.String())
	}
}
