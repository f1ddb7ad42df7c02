package metrics_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/metrics"
)

func newController() *metrics.Controller {
	return metrics.NewController(metrics.About{ECSCluster: "mesh", Version: "1.2.3"})
}

var ofCluster = strings.NewReplacer(`{ecs_cluster="mesh"}`, "", `ecs_cluster="mesh",`, "", `,ecs_cluster="mesh"`, "")

// lines are the samples of a controller's own metrics, without their help and without the program's.
func lines(t *testing.T, c *metrics.Controller) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for line := range strings.Lines(page(t, metrics.Page(c, hclog.NewNullLogger()))) {
		rest, ours := strings.CutPrefix(strings.TrimSpace(line), metrics.ControllerPrefix)
		if ours && !strings.HasPrefix(rest, "go_") && !strings.HasPrefix(rest, "process_") {
			found[ofCluster.Replace(rest)] = true
		}
	}
	return found
}

func TestWhatAControllerDoesIsCounted(t *testing.T) {
	t.Parallel()
	c := newController()
	queue := metrics.Queue{}
	c.WatchQueue(func() metrics.Queue { return queue })
	before := lines(t, c)
	queue = metrics.Queue{Received: 10, Ignored: 1, Poison: 2, Exhausted: 3, Duplicates: 4, Undeleted: 5, Waiting: 7, Lag: 90 * time.Second}
	c.Lag(1500 * time.Millisecond)
	c.Removed(metrics.KindToken, metrics.EvidenceEvent, 2)
	c.HeldBack(3)
	c.GuardTripped("held back", 4)
	c.GuardTripped("a text that somebody else chose", 1)
	c.AWSRequest("ecs", "DescribeTasks", "")
	c.AWSRequest("ecs", "DescribeTasks", "throttled")
	for _, status := range []int{200, 404, 429, 503, 403, 0} {
		c.ConsulRequest("GET", status)
	}
	c.ConsulRequest("PUT", 200)
	c.Looked(2*time.Second, false)
	c.Handled(3*time.Second, true)
	c.LooksEvery(5 * time.Minute)
	c.Knows(metrics.Holdings{Tasks: 1, Services: 2, Tokens: 3, ForeignServices: 4, ForeignTokens: 5})
	c.ACLPrepared(2, 1)
	c.DryRun(true)
	after := lines(t, c)
	maps.DeleteFunc(after, func(line string, _ bool) bool { return before[line] || strings.Contains(line, "_bucket") })
	want := []string{
		"acl_objects_kept 1", "acl_objects_written_total 2",
		`aws_request_errors_total{operation="DescribeTasks",reason="throttled",service="ecs"} 1`,
		`aws_requests_total{operation="DescribeTasks",service="ecs"} 2`,
		`consul_request_errors_total{access="read",reason="refused"} 1`, `consul_request_errors_total{access="read",reason="server"} 1`,
		`consul_request_errors_total{access="read",reason="throttled"} 1`, `consul_request_errors_total{access="read",reason="unreachable"} 1`,
		`consul_requests_total{access="read"} 6`, `consul_requests_total{access="write"} 1`,
		"dry_run 1", `event_batch_duration_seconds_count{result="good"} 1`, `event_batch_duration_seconds_sum{result="good"} 3`, "events_received_total 10",
		`events_set_aside_total{reason="duplicate"} 4`, `events_set_aside_total{reason="exhausted"} 3`, `events_set_aside_total{reason="ignored"} 1`,
		`events_set_aside_total{reason="poison"} 2`, `events_set_aside_total{reason="undeleted"} 5`, "foreign_services 4", "foreign_tokens 5",
		`full_look_duration_seconds_count{result="failed"} 1`, `full_look_duration_seconds_sum{result="failed"} 2`, "full_look_interval_seconds 300",
		`guard_trips_total{reason="held_back"} 4`, `guard_trips_total{reason="other"} 1`, "held_back_tasks 3",
		"known_services 2", "known_tasks 1", "known_tokens 3", "queue_messages 7", "queue_oldest_message_age_seconds 90",
		"removal_lag_seconds_count 1", "removal_lag_seconds_sum 1.5", `removals_total{evidence="event",kind="token"} 2`,
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(after))); diff != "" {
		t.Errorf("changed samples (-want +got):\n%s", diff)
	}
}

// value is that of the one sample of a name.
func value(t *testing.T, c *metrics.Controller, name string) float64 {
	t.Helper()
	for line := range lines(t, c) {
		if text, found := strings.CutPrefix(line, name+" "); found {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("there is no sample of %s", name)
	return 0
}

func TestTheAgeOfAFullLookBeginsWithTheLead(t *testing.T) {
	t.Parallel()
	c := newController()
	const last = "last_full_look_timestamp_seconds"
	c.Looked(time.Second, false)
	if at := value(t, c, last); at != 0 {
		t.Errorf("a look that failed counts as one: %v", at)
	}
	c.Leads(true)
	if at := value(t, c, last); time.Since(time.Unix(int64(at), 0)) > time.Minute {
		t.Errorf("a new leader's last look was at %v", at)
	}
	c.Leads(false)
	if leads, changes := value(t, c, "leader"), value(t, c, "leader_changes_total"); leads != 0 || changes != 2 {
		t.Errorf("after a lead, leader is %v and changed %v times", leads, changes)
	}
}

func TestTheNumberOfSamplesIsBoundedFromTheStart(t *testing.T) {
	t.Parallel()
	c := newController()
	before := len(lines(t, c))
	for _, reason := range []string{"one", "two", "three"} {
		c.GuardTripped(reason, 1)
	}
	for status := range 600 {
		c.ConsulRequest("GET", status)
		c.ConsulRequest("DELETE", status)
	}
	for _, kind := range []string{metrics.KindService, metrics.KindToken} {
		for _, evidence := range []string{metrics.EvidenceEvent, metrics.EvidenceLook, metrics.EvidenceAbsence} {
			c.Removed(kind, evidence, 1)
		}
	}
	c.Looked(time.Second, true)
	if after := len(lines(t, c)); after != before || after > 150 {
		t.Errorf("%d samples at the start, %d later", before, after)
	}
}
