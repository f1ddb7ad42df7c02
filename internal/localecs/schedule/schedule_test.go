package schedule_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/schedule"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// tasks reads "n1+ o2. o3-": the deployment (n = newest, o = older), an age rank, and + healthy, . pending, - unhealthy.
func tasks(text string) []schedule.Task {
	conditions := map[byte]schedule.Condition{'.': schedule.Pending, '+': schedule.Healthy, '-': schedule.Unhealthy}
	var out []schedule.Task
	for _, word := range strings.Fields(text) {
		out = append(out, schedule.Task{
			ARN: word, Deployment: word[:1], Condition: conditions[word[2]], CreatedAt: noon.Add(time.Duration(word[1]-'0') * time.Second),
		})
	}
	return out
}

func TestDecide(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		desired, low, high int
		tasks, want        string
	}{
		"first start":                          {2, 100, 200, "", "start 2"},
		"starting":                             {2, 100, 200, "n1. n2.", ""},
		"settled":                              {2, 100, 200, "n1+ n2+", ""},
		"one died":                             {2, 100, 200, "n1+", "start 1"},
		"scale out":                            {4, 100, 200, "n1+ n2+", "start 2"},
		"scale in takes the newest":            {1, 100, 200, "n1+ n2+ n3+", "stop n3+ n2+"},
		"scale in takes what does not serve":   {1, 100, 200, "n1. n2+", "stop n1."},
		"scale to nothing":                     {0, 100, 200, "n1+ n2. o3+ n4-", "stop n2. n1+ n4-! o3+"},
		"new deployment starts beside the old": {2, 100, 200, "o1+ o2+", "start 2"},
		"old ones stay until the new are healthy":        {2, 100, 200, "o1+ o2+ n3. n4.", ""},
		"one healthy new frees one old":                  {2, 100, 200, "o1+ o2+ n3+ n4.", "stop o1+"},
		"all new healthy":                                {2, 100, 200, "o1+ o2+ n3+ n4+", "stop o1+ o2+"},
		"in place: stop first where there is no room":    {2, 50, 100, "o1+ o2+", "stop o1+"},
		"in place: then start":                           {2, 50, 100, "o2+", "start 1"},
		"in place: and wait":                             {2, 50, 100, "o2+ n3.", ""},
		"one task, no room above":                        {1, 0, 100, "o1+", "stop o1+"},
		"one task, room above":                           {1, 100, 200, "o1+", "start 1"},
		"minimum rounds up":                              {3, 50, 200, "o1+ o2+ o3+ n4. n5. n6.", "stop o1+"},
		"maximum rounds down":                            {3, 100, 150, "o1+ o2+ o3+", "start 1"},
		"old ones that never served go at once":          {1, 100, 200, "o1.", "start 1 stop o1."},
		"unhealthy: replacement first":                   {1, 100, 200, "n1-", "start 1"},
		"unhealthy: kept while it is replaced":           {1, 100, 200, "n1- n2.", ""},
		"unhealthy: gone once replaced":                  {1, 100, 200, "n1- n2+", "stop n1-!"},
		"unhealthy: stopped first where there's no room": {2, 50, 100, "n1- n2+", "stop n1-!"},
		"unhealthy old":                                  {1, 100, 200, "o1- n2.", "stop o1-!"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := schedule.Decide(schedule.Service{Desired: c.desired, MinimumHealthyPercent: c.low, MaximumPercent: c.high, Primary: "n"}, tasks(c.tasks), noon)
			if diff := cmp.Diff(c.want, show(plan)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// show writes a plan as "start 1 stop n1+ n2-!", where ! marks failed health checks.
func show(p schedule.Plan) string {
	var words []string
	if p.Start > 0 {
		words = append(words, fmt.Sprint("start ", p.Start))
	}
	for i, s := range p.Stop {
		if i == 0 {
			words = append(words, "stop")
		}
		words = append(words, s.ARN+strings.Repeat("!", int(s.Why)))
	}
	return strings.Join(words, " ")
}

func TestDecideWaitsWhileThrottled(t *testing.T) {
	t.Parallel()
	s := schedule.Service{Desired: 1, MinimumHealthyPercent: 100, MaximumPercent: 200, Primary: "n", NoStartBefore: noon.Add(time.Second)}
	if diff := cmp.Diff(schedule.Plan{Wake: noon.Add(time.Second)}, schedule.Decide(s, nil, noon)); diff != "" {
		t.Errorf("plan before the time (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(schedule.Plan{Start: 1}, schedule.Decide(s, nil, noon.Add(time.Second))); diff != "" {
		t.Errorf("plan at the time (-want +got):\n%s", diff)
	}
}

func TestDecideKeepsTheOldTasksOfAHaltedDeployment(t *testing.T) {
	t.Parallel()
	s := schedule.Service{Desired: 2, MinimumHealthyPercent: 50, MaximumPercent: 200, Primary: "n", Halted: true}
	if diff := cmp.Diff(schedule.Plan{}, schedule.Decide(s, tasks("o1+ o2+"), noon)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

// TestRollingKeepsItsBounds plays whole rollings and looks at every step: never fewer healthy tasks than the minimum,
// never more tasks than the maximum, and an end.
func TestRollingKeepsItsBounds(t *testing.T) {
	t.Parallel()
	for desired := 1; desired <= 7; desired++ {
		for _, c := range [][2]int{{100, 200}, {50, 200}, {50, 100}, {0, 100}, {100, 150}, {66, 134}} {
			s := schedule.Service{Desired: desired, MinimumHealthyPercent: c[0], MaximumPercent: c[1], Primary: "n"}
			if desired*c[1]/100 == desired && (desired*c[0]+99)/100 == desired {
				continue // neither a task more nor one less is allowed: ECS hangs here too
			}
			world := tasks(strings.Repeat("o0+ ", desired))
			for i := range world {
				world[i].ARN = fmt.Sprint("o", i)
			}
			for step := 0; !schedule.Settled(s, world); step++ {
				if step > 50 {
					t.Fatalf("desired %d at %d..%d%%: no end: %v", desired, c[0], c[1], world)
				}
				world = play(t, s, world, step)
			}
		}
	}
}

// play carries out one plan at once; what pends becomes healthy in the next step.
func play(t *testing.T, s schedule.Service, world []schedule.Task, step int) []schedule.Task {
	t.Helper()
	plan := schedule.Decide(s, world, noon)
	var next []schedule.Task
	healthy := 0
	for _, task := range world {
		gone := false
		for _, stop := range plan.Stop {
			gone = gone || stop.ARN == task.ARN
		}
		if gone {
			continue
		}
		if task.Condition == schedule.Healthy {
			healthy++
		}
		task.Condition = schedule.Healthy
		next = append(next, task)
	}
	for i := range plan.Start {
		next = append(next, schedule.Task{ARN: fmt.Sprint("n", step, "-", i), Deployment: "n"})
	}
	if low := (s.Desired*s.MinimumHealthyPercent + 99) / 100; healthy < low {
		t.Fatalf("%+v: %d healthy, want at least %d", s, healthy, low)
	}
	if high := s.Desired * s.MaximumPercent / 100; len(world)+plan.Start > max(high, len(world)) {
		t.Fatalf("%+v: %d tasks, want at most %d", s, len(world)+plan.Start, high)
	}
	return next
}

func TestThrottleGrowsAndEnds(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]time.Duration{
		0: 0, 1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 11: 1024 * time.Second, 12: 27 * time.Minute, 99: 27 * time.Minute,
	} {
		if got := schedule.Delay(failures); got != want {
			t.Errorf("after %d failures: got %s, want %s", failures, got, want)
		}
	}
	for desired, want := range map[int]int{0: 3, 1: 3, 6: 3, 7: 4, 25: 13, 400: 200, 800: 200} {
		if got := schedule.Threshold(desired, 50); got != want {
			t.Errorf("circuit breaker at %d tasks: got %d, want %d", desired, got, want)
		}
	}
}
