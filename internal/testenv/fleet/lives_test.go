package fleet_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

func TestATaskIsBornCriticalAndServesBehindItsProxy(t *testing.T) {
	t.Parallel()
	task := quiet.start(t, app{name: "born", port: 9090, healthCheck: true})
	stop := quiet.watch(t, "born", task)
	quiet.passes(t, "born", task)
	for id, states := range stop() {
		if states[0] != "critical" || states[len(states)-1] != "passing" {
			t.Errorf("%s was %v, want critical at first and passing in the end", id, states)
		}
	}
	runs, err := quiet.Timeline(t.Context(), aws.ToString(task.TaskArn))
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]engine.ContainerRun{}
	for _, r := range runs {
		by[r.Name] = r
	}
	ready, started := by[mesh.ContainerMeshReady].Runs[0], by["app"].Started
	if ready.Finished == nil || ready.ExitCode == nil || *ready.ExitCode != 0 || started == nil || started.Before(*ready.Finished) {
		t.Errorf("mesh-ready %+v, application started %v: want it to start once the proxy serves", ready, started)
	}
}

// watch notes the states that the task's instances go through, each once in a row. stop ends it.
func (s *stage) watch(t *testing.T, service string, task ecstypes.Task) (stop func() map[string][]string) {
	t.Helper()
	states := map[string][]string{}
	look := func(ctx context.Context) {
		of, err := s.instances(ctx, service, task)
		if err != nil {
			return // no answer is no state
		}
		for _, i := range of {
			if seen := states[i.ID]; len(seen) == 0 || seen[len(seen)-1] != i.Status {
				states[i.ID] = append(seen, i.Status)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			look(ctx)
			time.Sleep(10 * time.Millisecond)
		}
	}()
	return func() map[string][]string {
		t.Helper()
		cancel()
		<-done
		look(t.Context())
		if len(states) != 2 {
			t.Errorf("of task %s of %s the catalog showed %v, want the service and its proxy", fleet.TaskID(task), service, states)
		}
		return states
	}
}

func TestAStopLosesNothingAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, order := range []engine.StopOrder{engine.StopByDependency, engine.StopAllAtOnce} {
		t.Run(string(order), func(t *testing.T) { // one after the other: the order is the world's
			if err := quiet.SetStopOrder(t.Context(), order); err != nil {
				t.Fatal(err)
			}
			service := "stop-" + string(order)
			task := quiet.service(t, app{name: service, port: 9090})
			stop := quiet.watch(t, service, task)
			task = quiet.stop(t, task)
			quiet.gone(t, service, task)
			for id, states := range stop() {
				if !slices.Equal(states, []string{"passing", "critical"}) {
					t.Errorf("%s was %v, want passing, critical, gone", id, states)
				}
			}
			quiet.ended(t, task)
			quiet.rolls(t, order)
		})
	}
}

// only waits until an ECS service means to run exactly one task, and returns it.
func (s *stage) only(t *testing.T, ecsService string) (task ecstypes.Task) {
	t.Helper()
	waitFor(t, "ECS service "+ecsService+" runs one task", func() (string, error) {
		tasks, err := s.Running(t.Context(), ecsService)
		if err != nil || len(tasks) != 1 {
			return fmt.Sprintf("%d tasks", len(tasks)), err
		}
		task = tasks[0]
		return "", nil
	})
	return task
}
