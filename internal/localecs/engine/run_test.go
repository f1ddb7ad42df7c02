package engine

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

func TestTaskGoesThroughItsLife(t *testing.T) {
	s := onStage(t)
	task := s.task(actor("app", "exit=0"))
	began := time.Now()
	arn := s.play(t, task)
	last := s.heard.awaitWord(t, arn, StatusStopped)
	if diff := cmp.Diff(lifeline, s.heard.words(arn)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if last.StoppedReason != essentialExit || last.StopCode != "EssentialContainerExited" || exitCode(last.container("app")) != "0" {
		t.Errorf("stopped with %s %q, exit code %s", last.StopCode, last.StoppedReason, exitCode(last.container("app")))
	}
	started := *s.timelineOf(t, arn, "app").Started
	t.Logf("Run to first container started: %s", started.Sub(began).Round(time.Millisecond))
}

func TestTaskHasAnAddressOnTheWorldsNetwork(t *testing.T) {
	s := onStage(t)
	arn := s.play(t, s.task(actor("app", "hold")))
	now := s.heard.awaitWord(t, arn, StatusRunning)
	if len(now.Attachments) != 1 || len(now.Containers[0].NetworkInterfaces) != 1 {
		t.Fatalf("attachments %v, interfaces %v", now.Attachments, now.Containers[0].NetworkInterfaces)
	}
	address := *now.Containers[0].NetworkInterfaces[0].PrivateIpv4Address
	prefix, _, _ := strings.Cut(s.Subnet().String(), ".0/")
	if !strings.HasPrefix(address, prefix+".") {
		t.Errorf("address %s is not in %s", address, s.Subnet())
	}
}

func TestDependenciesAreWaitedFor(t *testing.T) {
	s := onStage(t)
	slow := checked(extra("healthy", "sleep=300ms", "healthy", "hold"))
	task := s.task(
		after(actor("app", "hold"), "started:START", "done:COMPLETE", "well:SUCCESS", "healthy:HEALTHY"),
		extra("started", "hold"), extra("done", "sleep=200ms", "exit=4"), extra("well", "sleep=200ms", "exit=0"), slow,
	)
	arn := s.play(t, task)
	s.heard.awaitWord(t, arn, StatusRunning)
	app := *s.timelineOf(t, arn, "app").Started
	for _, name := range []string{"done", "well"} {
		if end := s.timelineOf(t, arn, name).Runs[0].Finished; end == nil || app.Before(*end) {
			t.Errorf("app started at %s, before %s ended at %v", app, name, end)
		}
	}
	if first := *s.timelineOf(t, arn, "started").Started; app.Before(first) {
		t.Errorf("app started at %s, before its START dependency at %s", app, first)
	}
	if got := s.timelineOf(t, arn, "healthy").Health; got != "HEALTHY" {
		t.Errorf("app started while its HEALTHY dependency was %s", got)
	}
}

func TestUnmetDependencyStopsTheTask(t *testing.T) {
	timed := checked(extra("init", "hold"))
	timed.StartTimeout = aws.Int32(2)
	cases := map[string]struct {
		init            ecstypes.ContainerDefinition
		condition, want string
	}{
		"SUCCESS, exit 3":       {extra("init", "exit=3"), "SUCCESS", "did not exit successfully: exit code 3"},
		"HEALTHY, exits":        {checked(extra("init", "exit=0")), "HEALTHY", "has stopped before it was healthy"},
		"HEALTHY, startTimeout": {timed, "HEALTHY", "has timed out after 2 s"},
		"never started":         {ecstypes.ContainerDefinition{Name: aws.String("init"), EntryPoint: []string{"/none"}, Essential: aws.Bool(false)}, "START", "could not be started"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := onStage(t)
			arn := s.play(t, s.task(c.init, after(actor("app", "hold"), "init:"+c.condition)))
			last := s.heard.awaitWord(t, arn, StatusStopped)
			app := last.container("app")
			want := "CannotStartContainerError: dependency graph: container ordering dependency [init] for target [app] " + c.want
			if aws.ToString(app.Reason) != want || exitCode(app) != "143" {
				t.Errorf("app: exit code %s, reason %q, want %q", exitCode(app), aws.ToString(app.Reason), want)
			}
			if last.StopCode != ecstypes.TaskStopCodeEssentialContainerExited || last.StoppedReason != essentialExit {
				t.Errorf("task: %s %q", last.StopCode, last.StoppedReason)
			}
			if runs := s.timelineOf(t, arn, "app").Runs; len(runs) > 0 {
				t.Errorf("app ran: %v", runs)
			}
		})
	}
}

func TestHealthFollowsTheCheck(t *testing.T) {
	s := onStage(t)
	arn := s.play(t, s.task(checked(actor("app", "healthy", "hold")), actor("unchecked", "hold")))
	s.heard.awaitHealth(t, arn, ecstypes.HealthStatusHealthy)
	if err := s.Kill(t.Context(), arn, "app", "SIGUSR1"); err != nil { // turns its health over
		t.Fatal(err)
	}
	now := s.heard.awaitHealth(t, arn, ecstypes.HealthStatusUnhealthy)
	if now.LastStatus != StatusRunning || now.container("unchecked").HealthStatus != ecstypes.HealthStatusUnknown {
		t.Errorf("task is %s, unchecked container is %s", now.LastStatus, now.container("unchecked").HealthStatus)
	}
}

func TestTaskGoesOnWithoutAnUnessentialContainer(t *testing.T) {
	s := onStage(t)
	arn := s.play(t, s.task(actor("app", "hold"), extra("side", "exit=5")))
	now := s.heard.await(t, arn, "side has stopped", func(st Status) bool { return aws.ToString(st.container("side").LastStatus) == StatusStopped })
	if exitCode(now.container("side")) != "5" || now.DesiredStatus != StatusRunning {
		t.Errorf("exit code %s, desired status %s", exitCode(now.container("side")), now.DesiredStatus)
	}
	s.heard.awaitWord(t, arn, StatusRunning)
}

func TestFirstEssentialContainerToExitStopsTheTask(t *testing.T) {
	s := onStage(t)
	arn := s.play(t, s.task(actor("app", "sleep=100ms", "exit=9"), actor("other", "term=0", "hold")))
	last := s.heard.awaitWord(t, arn, StatusStopped)
	if last.StopCode != ecstypes.TaskStopCodeEssentialContainerExited || last.StoppedReason != essentialExit {
		t.Errorf("task: %s %q", last.StopCode, last.StoppedReason)
	}
	if got := exitCode(last.container("app")) + " " + exitCode(last.container("other")); got != "9 0" {
		t.Errorf("exit codes %s, want 9 0", got)
	}
}

func TestRestartPolicyRestartsInPlace(t *testing.T) {
	s := onStage(t)
	app := checked(actor("app", "healthy", "sleep=1200ms", "exit=1"))
	app.RestartPolicy = &ecstypes.ContainerRestartPolicy{Enabled: aws.Bool(true), RestartAttemptPeriod: aws.Int32(1)}
	hasty := extra("hasty", "exit=1")
	hasty.RestartPolicy = app.RestartPolicy
	ignored := extra("ignored", "sleep=1200ms", "exit=7")
	ignored.RestartPolicy = &ecstypes.ContainerRestartPolicy{Enabled: aws.Bool(true), RestartAttemptPeriod: aws.Int32(1), IgnoredExitCodes: []int32{7}}
	arn := s.play(t, s.task(app, hasty, ignored))
	eventually.True(t, "app runs a third time", eventually.Soon, func() bool { return s.timelineOf(t, arn, "app").Restarts >= 2 })
	for _, st := range s.heard.of(arn) {
		if st.DesiredStatus == StatusStopped || aws.ToString(st.container("app").LastStatus) == StatusStopped {
			t.Errorf("task %s, app %s while app restarted", st.DesiredStatus, aws.ToString(st.container("app").LastStatus))
		}
	}
	for _, name := range []string{"hasty", "ignored"} {
		if c := s.timelineOf(t, arn, name); c.Restarts != 0 || c.Status != StatusStopped {
			t.Errorf("%s: %d restarts, %s", name, c.Restarts, c.Status)
		}
	}
}

func TestStopSendsSIGTERMThenSIGKILL(t *testing.T) {
	s := onStage(t)
	deaf := actor("deaf", "deaf", "healthy", "hold")
	deaf.StopTimeout = aws.Int32(1)
	arn := s.play(t, s.task(checked(actor("polite", "healthy", "hold")), checked(deaf)))
	s.heard.awaitHealth(t, arn, ecstypes.HealthStatusHealthy) // both listen to signals by now
	s.Stop(arn, ecstypes.TaskStopCodeUserInitiated, "had enough")
	s.Stop(arn, ecstypes.TaskStopCodeServiceSchedulerInitiated, "too late")
	last := s.heard.awaitWord(t, arn, StatusStopped)
	if got := exitCode(last.container("polite")) + " " + exitCode(last.container("deaf")); got != "143 137" {
		t.Errorf("exit codes %s, want 143 137", got)
	}
	run := s.timelineOf(t, arn, "deaf").Runs[0]
	if took := run.Finished.Sub(*run.Stopped); took < 900*time.Millisecond || took > 20*time.Second {
		t.Errorf("deaf was killed after %s, want its stopTimeout of 1 s", took)
	}
	if last.StopCode != ecstypes.TaskStopCodeUserInitiated || last.StoppedReason != "had enough" {
		t.Errorf("task: %s %q", last.StopCode, last.StoppedReason)
	}
	if last.StoppingAt == nil || last.ExecutionStoppedAt == nil || last.StoppedAt == nil {
		t.Errorf("times: %v %v %v", last.StoppingAt, last.ExecutionStoppedAt, last.StoppedAt)
	}
}

func TestStopOrder(t *testing.T) {
	for order, apart := range map[StopOrder]bool{StopByDependency: true, StopAllAtOnce: false} {
		t.Run(string(order), func(t *testing.T) {
			t.Parallel()
			h := newHeard()
			cfg := shared.config("stoporder-"+string(order)+"-"+strconv.Itoa(os.Getpid()), h)
			s := stage{image: shared.image, heard: h, Engine: newEngine(t, cfg)}
			s.SetStopOrder(order)
			task := s.task(checked(actor("base", "healthy", "hold")), after(checked(actor("app", "term=0,500ms", "healthy", "hold")), "base:START"))
			arn := s.play(t, task)
			h.awaitHealth(t, arn, ecstypes.HealthStatusHealthy)
			s.Stop(arn, ecstypes.TaskStopCodeUserInitiated, "")
			h.awaitWord(t, arn, StatusStopped)
			asked := *s.timelineOf(t, arn, "base").Runs[0].Stopped
			ended := *s.timelineOf(t, arn, "app").Runs[0].Finished
			if asked.After(ended) != apart {
				t.Errorf("base was asked to stop at %s, app ended at %s", asked, ended)
			}
		})
	}
}

func TestMissingImage(t *testing.T) {
	s := onStage(t)
	app := actor("app")
	app.Image = aws.String("nobody/has:this")
	arn := s.play(t, s.task(app))
	last := s.heard.awaitWord(t, arn, StatusStopped)
	if last.StopCode != ecstypes.TaskStopCodeTaskFailedToStart || !strings.HasPrefix(last.StoppedReason, "CannotPullContainerError: image nobody/has:this is not on this machine") {
		t.Errorf("task: %s %q", last.StopCode, last.StoppedReason)
	}
	if diff := cmp.Diff([]string{StatusProvisioning, StatusStopping, StatusDeprovisioning, StatusStopped}, slices.DeleteFunc(s.heard.words(arn), func(w string) bool { return w == StatusPending })); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

func TestContainerThatCannotStart(t *testing.T) {
	s := onStage(t)
	app := actor("app")
	app.EntryPoint = []string{"/none"}
	arn := s.play(t, s.task(app))
	last := s.heard.awaitWord(t, arn, StatusStopped)
	if last.StopCode != ecstypes.TaskStopCodeTaskFailedToStart || !strings.HasPrefix(last.StoppedReason, "CannotStartContainerError: ") {
		t.Errorf("task: %s %q", last.StopCode, last.StoppedReason)
	}
}

func TestManyTasksAtOnce(t *testing.T) {
	s := onStage(t)
	var arns []string
	began := time.Now()
	for range 8 {
		arns = append(arns, s.play(t, s.task(actor("app", "hold"))))
	}
	addresses := map[string]bool{}
	for _, arn := range arns {
		st := s.heard.awaitWord(t, arn, StatusRunning)
		addresses[*st.Containers[0].NetworkInterfaces[0].PrivateIpv4Address] = true
	}
	t.Logf("8 tasks running after %s", time.Since(began).Round(time.Millisecond))
	if len(addresses) != 8 {
		t.Errorf("%d addresses for 8 tasks", len(addresses))
	}
}
