package engine

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// stateOf is a task whose network is up and whose containers are created.
func stateOf(defs ...ecstypes.ContainerDefinition) *state {
	t := Task{ARN: "arn:aws:ecs:us-east-1:1:task/blue/1", Definition: ecstypes.TaskDefinition{ContainerDefinitions: defs}}
	s := &state{task: t, members: newMembers(t, "w"), progress: up, prepared: true, pauseID: "pause", stopOrder: StopByDependency}
	for _, m := range s.members {
		m.phase, m.id = created, m.name()
	}
	return s
}

func (s *state) started(name string) *member {
	m := s.find(name)
	m.phase, m.runs = running, append(m.runs, OneRun{Started: noon})
	return m
}

func (s *state) ended(name string, code int32) {
	s.exited(s.started(name), code, noon.Add(time.Second), false)
}

func names(steps []step) []string {
	list := []string{}
	for _, st := range steps {
		word := map[verb]string{create: "create", start: "start", stop: "stop", teardown: "teardown"}[st.verb]
		if st.member != nil {
			word += " " + st.member.name()
		}
		list = append(list, word)
	}
	return list
}

func TestWhatIsBeingStartedCanBeKilled(t *testing.T) {
	t.Parallel()
	r := &taskRun{state: *stateOf(extra("waits"), extra("starts"), extra("runs"), extra("ended"))}
	r.state.find("starts").phase = starting
	r.state.started("runs")
	r.state.ended("ended", 0)
	for container, want := range map[string][]string{
		"waits": nil, "starts": {"starts"}, "runs": {"runs"}, "ended": nil,
		"": {"pause", "starts", "runs"},
	} {
		if diff := cmp.Diff(want, r.victims(container)); diff != "" {
			t.Errorf("victims of %q (-want +got):\n%s", container, diff)
		}
	}
}

func TestNextStep(t *testing.T) {
	t.Parallel()
	pair := func(condition string) *state { return stateOf(extra("a"), after(actor("b"), "a:"+condition)) }
	timed := func() *state {
		a := checked(extra("a"))
		a.StartTimeout = aws.Int32(10)
		s := stateOf(a, after(actor("b"), "a:HEALTHY"))
		s.started("a")
		return s
	}
	cases := map[string]struct {
		given func() *state
		now   time.Time
		want  []string
		wake  time.Time
		why   string // the task's reason to stop
	}{
		"independent containers start together": {given: func() *state { return stateOf(actor("a"), actor("b")) }, want: []string{"start a", "start b"}},
		"nothing starts before the network is up": {given: func() *state {
			s := stateOf(actor("a"))
			s.progress = provisioning
			return s
		}, want: []string{}},
		"containers are created one at a time": {given: func() *state {
			s := stateOf(actor("a"), actor("b"))
			s.members[0].phase, s.members[1].phase = pulled, pulled
			return s
		}, want: []string{"create a"}},
		"START waits": {given: func() *state { return pair("START") }, want: []string{"start a"}},
		"START met": {given: func() *state {
			s := pair("START")
			s.started("a")
			return s
		}, want: []string{"start b"}},
		"COMPLETE waits for the end": {given: func() *state {
			s := pair("COMPLETE")
			s.started("a")
			return s
		}, want: []string{}},
		"COMPLETE met by any exit code": {given: func() *state {
			s := pair("COMPLETE")
			s.ended("a", 3)
			return s
		}, want: []string{"start b"}},
		"SUCCESS met": {given: func() *state {
			s := pair("SUCCESS")
			s.ended("a", 0)
			return s
		}, want: []string{"start b"}},
		"SUCCESS missed": {given: func() *state {
			s := pair("SUCCESS")
			s.ended("a", 3)
			return s
		}, want: []string{"teardown"}, why: essentialExit},
		"HEALTHY missed": {given: func() *state {
			s := pair("HEALTHY")
			s.ended("a", 0)
			return s
		}, want: []string{"teardown"}, why: essentialExit},
		"a start timeout wakes":       {given: timed, now: noon.Add(9 * time.Second), want: []string{}, wake: noon.Add(10 * time.Second)},
		"a start timeout that is due": {given: timed, now: noon.Add(10 * time.Second), want: []string{"stop a"}, why: essentialExit},
		"a container that cannot be had only by some": {given: func() *state {
			s := stateOf(actor("a"), extra("x"), after(extra("y"), "x:SUCCESS"))
			s.started("a")
			s.ended("x", 1)
			return s
		}, want: []string{"stop a"}, why: "CannotStartContainerError: dependency graph: container ordering dependency [x] for target [y] did not exit successfully: exit code 1"},
		"nothing is begun in a task that comes to its end": {given: func() *state {
			s := stateOf(extra("x"), extra("free"), after(actor("y"), "x:SUCCESS"), after(extra("late"), "x:SUCCESS"))
			s.ended("x", 1)
			s.find("late").phase = pulled // its turn to be created
			return s
		}, want: []string{"teardown"}, why: essentialExit},
		"the end of an essential container": {given: func() *state {
			s := stateOf(actor("a"), extra("b"))
			s.ended("a", 0)
			s.started("b")
			return s
		}, want: []string{"stop b"}, why: essentialExit},
		"the end of another": {given: func() *state {
			s := stateOf(actor("a"), extra("b"))
			s.started("a")
			s.ended("b", 1)
			return s
		}, want: []string{}},
		"stop by dependency": {given: func() *state {
			s := pair("START")
			s.started("a")
			s.started("b")
			s.stop("UserInitiated", "why", noon)
			return s
		}, want: []string{"stop b"}, why: "why"},
		"stop all at once": {given: func() *state {
			s := pair("START")
			s.stopOrder = StopAllAtOnce
			s.started("a")
			s.started("b")
			s.stop("UserInitiated", "why", noon)
			return s
		}, want: []string{"stop a", "stop b"}, why: "why"},
		"a container being started is waited for": {given: func() *state {
			s := stateOf(actor("a"))
			s.find("a").phase = starting
			s.stop("UserInitiated", "why", noon)
			return s
		}, want: []string{}, why: "why"},
		"a restart asks for no dependencies": {given: func() *state {
			s := pair("HEALTHY")
			s.started("a")
			b := s.started("b")
			b.def.RestartPolicy = &ecstypes.ContainerRestartPolicy{Enabled: aws.Bool(true), RestartAttemptPeriod: aws.Int32(1)}
			s.exited(b, 1, noon.Add(time.Second), false)
			return s
		}, want: []string{"start b"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, now := c.given(), c.now
			if now.IsZero() {
				now = noon
			}
			steps, wake := s.next(now)
			if diff := cmp.Diff(c.want, names(steps)); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if !wake.Equal(c.wake) || s.reason != c.why {
				t.Errorf("wake %s, reason %q; want %s, %q", wake, s.reason, c.wake, c.why)
			}
		})
	}
}

func TestAnotherImagesVolumeWaitsItsTurn(t *testing.T) {
	t.Parallel()
	mount := []ecstypes.MountPoint{{SourceVolume: aws.String("v"), ContainerPath: aws.String("/v")}}
	first, same, other := extra("first"), after(actor("same"), "first:SUCCESS"), after(actor("other"), "first:SUCCESS")
	first.MountPoints, same.MountPoints, other.MountPoints = mount, mount, mount
	first.Image, same.Image, other.Image = aws.String("x"), aws.String("x"), aws.String("y")
	s := stateOf(other, first, same)
	for _, m := range s.members {
		m.phase = pulled
	}
	s.find("first").phase = created
	if got := s.creatable(); got != s.find("same") {
		t.Errorf("creatable: %v, want the one of the same image", got)
	}
	s.find("same").phase = created
	if got := s.creatable(); got != nil {
		t.Errorf("creatable: %s, want none", got.name())
	}
	s.ended("first", 0)
	if got := s.creatable(); got != s.find("other") {
		t.Errorf("creatable: %v, want the one of the other image", got)
	}
}

func TestRestartPolicyDecides(t *testing.T) {
	t.Parallel()
	policy := func(enabled bool, ignored ...int32) *ecstypes.ContainerRestartPolicy {
		return &ecstypes.ContainerRestartPolicy{Enabled: &enabled, IgnoredExitCodes: ignored, RestartAttemptPeriod: aws.Int32(60)}
	}
	cases := map[string]struct {
		policy *ecstypes.ContainerRestartPolicy
		code   int32
		ran    time.Duration
		want   bool
	}{
		"no policy":              {nil, 1, time.Hour, false},
		"not enabled":            {policy(false), 1, time.Hour, false},
		"ran long enough":        {policy(true), 1, time.Minute, true},
		"exit code 0 counts too": {policy(true), 0, time.Minute, true},
		"ran too short":          {policy(true), 1, time.Minute - 1, false},
		"ignored exit code":      {policy(true, 0, 3), 3, time.Hour, false},
		"five minutes otherwise": {&ecstypes.ContainerRestartPolicy{Enabled: aws.Bool(true)}, 1, 299 * time.Second, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := restarts(c.policy, c.code, c.ran); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}

func TestStatusPath(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		from, to string
		ran      bool
		want     []string
	}{
		"begin":            {"", StatusProvisioning, false, []string{StatusProvisioning}},
		"run":              {StatusPending, StatusRunning, true, []string{StatusActivating, StatusRunning}},
		"stop":             {StatusRunning, StatusStopping, true, []string{StatusDeactivating, StatusStopping}},
		"stop in pending":  {StatusPending, StatusDeprovisioning, false, []string{StatusStopping, StatusDeprovisioning}},
		"a life too short": {StatusPending, StatusStopping, true, []string{StatusActivating, StatusRunning, StatusDeactivating, StatusStopping}},
		"no change":        {StatusRunning, StatusRunning, true, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, statusPath(c.from, c.to, c.ran)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTaskHealth(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		health []ecstypes.HealthStatus // of the checked essential containers
		want   ecstypes.HealthStatus
	}{
		"no checks":     {nil, "UNKNOWN"},
		"all healthy":   {[]ecstypes.HealthStatus{"HEALTHY", "HEALTHY"}, "HEALTHY"},
		"one unknown":   {[]ecstypes.HealthStatus{"HEALTHY", "UNKNOWN"}, "UNKNOWN"},
		"one unhealthy": {[]ecstypes.HealthStatus{"UNKNOWN", "UNHEALTHY", "HEALTHY"}, "UNHEALTHY"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defs := []ecstypes.ContainerDefinition{checked(extra("sick")), actor("unchecked")}
			for i := range c.health {
				defs = append(defs, checked(actor(string(rune('a'+i)))))
			}
			s := stateOf(defs...)
			s.find("sick").health = ecstypes.HealthStatusUnhealthy
			for i, h := range c.health {
				s.find(string(rune('a' + i))).health = h
			}
			if got := s.health(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// An inspection that was overtaken must not bring a container back to life.
func TestAnOldInspectionChangesNothing(t *testing.T) {
	t.Parallel()
	s := stateOf(actor("a"))
	at, later := noon.Format(time.RFC3339Nano), noon.Add(time.Second).Format(time.RFC3339Nano)
	s.observe(s.members[0], container.State{StartedAt: at, FinishedAt: later, ExitCode: 3})
	s.observe(s.members[0], container.State{StartedAt: at, Running: true})
	if m := s.members[0]; m.phase != stopped || *m.exitCode != 3 || len(m.runs) != 1 {
		t.Errorf("phase %d, exit code %d, %d runs", m.phase, *m.exitCode, len(m.runs))
	}
}

func TestPollFindsWhatDiffers(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		member  func(*member)
		listed  container.Summary
		missing bool
		want    bool
	}{
		"as believed":  {nil, container.Summary{State: "running", Status: "Up 5 seconds"}, false, false},
		"exited":       {nil, container.Summary{State: "exited", Status: "Exited (1)"}, false, true},
		"gone":         {nil, container.Summary{}, true, true},
		"turned well":  {nil, container.Summary{State: "running", Status: "Up 5 seconds (healthy)"}, false, true},
		"known well":   {func(m *member) { m.health = "HEALTHY" }, container.Summary{State: "running", Status: "Up 5 seconds (healthy)"}, false, false},
		"turned ill":   {func(m *member) { m.health = "HEALTHY" }, container.Summary{State: "running", Status: "Up 1 minute (unhealthy)"}, false, true},
		"stopped, too": {func(m *member) { m.phase = stopped }, container.Summary{State: "exited"}, false, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &taskRun{state: *stateOf(actor("a"))}
			r.state.started("a")
			if c.member != nil {
				c.member(r.state.members[0])
			}
			seen := map[string]container.Summary{"pause": {State: "running"}}
			if !c.missing {
				seen["a"] = c.listed
			}
			if got := len(r.differing(seen)) > 0; got != c.want {
				t.Errorf("differs: %t, want %t", got, c.want)
			}
		})
	}
}

func TestMemoryMayBeToldAfterTheEnd(t *testing.T) {
	t.Parallel()
	const want = "OutOfMemoryError: Container killed due to memory usage"
	early, late := stateOf(actor("a")), stateOf(actor("a"))
	early.started("a").outOfMemory()
	early.observe(early.find("a"), container.State{StartedAt: noon.Format(time.RFC3339Nano), FinishedAt: noon.Add(time.Second).Format(time.RFC3339Nano), ExitCode: 137})
	late.ended("a", 137)
	late.find("a").outOfMemory()
	for name, s := range map[string]*state{"before": early, "after": late} {
		if got := s.find("a").reason; got != want {
			t.Errorf("told %s the end: %q, want %q", name, got, want)
		}
	}
}
