package fleet_test

import (
	"context"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	admin "github.com/consulecs/terraform-provider-consulecs/internal/localecs/api"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

// phase is a time in a container's life.
type phase string

const (
	starting phase = "starting" // it has just been started
	serving  phase = "serving"  // the task passes
	stopping phase = "stopping" // the task has been told to stop, and Consul knows
)

// ECS restarts nothing that has not run for a minute, so each of these deaths ends the task, and its service starts
// another; how a sidecar is restarted in place is a test of its own. mesh-ready has ended by the time that the task serves.
// mesh-init takes a tenth of a second, too little to be killed in: what comes of it where it has to wait for Consul is told
// by TestATaskThatIsKilledWhileItLooksForConsulIsGone.
func TestAContainerMayDieInAnyPhase(t *testing.T) {
	t.Parallel()
	for _, death := range []struct {
		container string
		phases    []phase
	}{
		{mesh.ContainerMeshReady, []phase{starting}},
		{mesh.ContainerDataplane, []phase{starting, serving, stopping}},
		{mesh.ContainerHealthSync, []phase{starting, serving, stopping}},
		{"app", []phase{starting, serving, stopping}},
	} {
		for _, phase := range death.phases {
			t.Run(death.container+"/"+string(phase), func(t *testing.T) {
				t.Parallel()
				quiet.dies(t, death.container, phase)
			})
		}
	}
}

// dies kills a container in a phase of a service's task and checks that the task ends, that its service replaces it, and
// that Consul forgets it.
func (s *stage) dies(t *testing.T, container string, when phase) {
	t.Helper()
	service := string(when) + "-" + container
	a := app{name: service, port: 9090, serveOn: patience}
	waits := container == mesh.ContainerMeshReady
	if waits {
		a.differ.Definition = neverReady
	}
	if err := s.Serve(t.Context(), service, s.register(t, a)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Retire(context.Background(), service); err != nil {
			t.Error(err)
		}
	})
	task := s.only(t, service)
	switch when {
	case starting:
		task = s.killAtOnce(t, service, container)
	case serving:
		s.passes(t, service, task)
		s.kill(t, task, container)
	case stopping:
		s.passes(t, service, task)
		if err := s.Stop(t.Context(), aws.ToString(task.TaskArn)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.catalog.TurnsCritical(t.Context(), service, fleet.TaskID(task), limit); err != nil {
			t.Fatal(err)
		}
		s.kill(t, task, container)
	}
	task = s.stopped(t, task)
	want := ecstypes.TaskStopCodeEssentialContainerExited
	if when == stopping {
		want = ecstypes.TaskStopCodeUserInitiated
	}
	if task.StopCode != want {
		t.Errorf("stop code %s (%s), want %s", task.StopCode, aws.ToString(task.StoppedReason), want)
	}
	exited(t, task, container, killed)
	if when != starting {
		task.Containers = slices.DeleteFunc(task.Containers, func(c ecstypes.Container) bool { return aws.ToString(c.Name) == container })
		s.ended(t, task)
	}
	s.gone(t, service, task)
	if next := s.only(t, service); !waits {
		s.passes(t, service, next)
	}
}

// neverReady has a task wait for its proxy for ever: in the place of the dataplane's runs an agent that waits for it, too.
func neverReady(d *taskdef.Definition) {
	for i := range d.ContainerDefinitions {
		if c := &d.ContainerDefinitions[i]; aws.ToString(c.Name) == mesh.ContainerDataplane {
			c.Command = []string{"mesh-ready"}
		}
	}
}

// killed is the exit code of a container that was killed.
const killed = 137

// killAtOnce kills a container as soon as it runs, and returns the task that it was of: where a container has done its work
// before the kill, the next task has to do.
func (s *stage) killAtOnce(t *testing.T, service, container string) (task ecstypes.Task) {
	t.Helper()
	const tries = 10
	for range tries {
		task = s.only(t, service)
		s.awaitStart(t, task, container)
		err := s.Kill(t.Context(), admin.KillRequest{Task: aws.ToString(task.TaskArn), Container: container})
		var code *int32
		waitFor(t, container+" has ended", func() (string, error) {
			if _, code = s.firstRun(t, task, container); code == nil && err == nil {
				return "not yet", nil
			}
			return "", nil
		})
		if code != nil && *code == killed {
			return task
		}
		s.stop(t, task) // too late for this one
	}
	t.Fatalf("%s has always ended before it could be killed", container)
	return task
}

// awaitStart waits until a container has been started.
func (s *stage) awaitStart(t *testing.T, task ecstypes.Task, container string) {
	t.Helper()
	waitFor(t, container+" has been started", func() (string, error) {
		if started, _ := s.firstRun(t, task, container); !started {
			return "not yet", nil
		}
		return "", nil
	})
}

// firstRun tells whether a container has been started, and with what exit code it ended then, if it has.
func (s *stage) firstRun(t *testing.T, task ecstypes.Task, container string) (started bool, code *int32) {
	t.Helper()
	runs, err := s.Timeline(t.Context(), aws.ToString(task.TaskArn))
	if err != nil {
		return false, nil // a task that has just been made is not there yet
	}
	for _, r := range runs {
		if r.Name == container && len(r.Runs) > 0 {
			return true, r.Runs[0].ExitCode
		}
	}
	return false, nil
}
