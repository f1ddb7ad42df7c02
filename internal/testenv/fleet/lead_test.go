package fleet_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

// leadVariable makes a long run of the changes of the leader, of a duration such as 10m. Then they come every 20 s.
const leadVariable = "FLEET_LEAD"

// TestTheLeadChangesWhileTasksComeAndGo rolls services under requests, kills tasks and scales an ECS service, while the lead is
// taken from its holder every few seconds, and the holder itself is killed now and then.
func TestTheLeadChangesWhileTasksComeAndGo(t *testing.T) {
	t.Parallel()
	every, long := 4*time.Second, time.Duration(0) // one run of rollings, which is a minute at the least
	if asked := os.Getenv(leadVariable); asked != "" {
		var err error
		if long, err = time.ParseDuration(asked); err != nil {
			t.Fatal(err)
		}
		every = 20 * time.Second
	}
	s := quiet
	r := s.newRolling(t, "lead")
	unwatch := s.watch(t, "web-lead", r.web)
	stop := s.changes(t, every)
	endScaling := s.scales(t, "scaled-lead")
	began := time.Now()
	for again := true; again; again = time.Since(began) < long {
		loads, stood := r.run(t)
		if failed := lost(t, loads); failed > 0 && stood <= starved {
			t.Errorf("%d requests were lost", failed)
		}
	}
	killed := endScaling()
	took, deposed := stop()
	for _, task := range killed {
		s.gone(t, "scaled-lead", task)
	}
	for id, states := range unwatch() {
		if !slices.Equal(states, []string{api.HealthPassing}) {
			t.Errorf("%s was %v, want passing all the time", id, states)
		}
	}
	t.Logf("the lead was taken away %d times and changed hands %d times within %v, %d tasks were killed", took, deposed, time.Since(began).Round(time.Second), len(killed))
	if took < 5 || len(killed) == 0 {
		t.Error("too little has happened for it to prove anything")
	}
	for service, task := range r.running {
		if missing, err := s.whole(t.Context(), service, task); missing != "" || err != nil {
			t.Errorf("task %s of %s: %s (%v)", fleet.TaskID(task), service, missing, err)
		}
	}
}

// changes takes the lead from its holder again and again until stop, which says how often, and how often another one got it.
func (s *stage) changes(t *testing.T, every time.Duration) (stop func() (taken, changed int)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	taken, changed := 0, 0
	var group sync.WaitGroup
	group.Go(func() {
		before := ""
		for ctx.Err() == nil {
			pair, _, err := s.catalog.KV().Get(mesh.ControllerKey(s.Cluster), (&api.QueryOptions{}).WithContext(ctx))
			if err != nil || pair == nil || pair.Session == "" {
				time.Sleep(100 * time.Millisecond) // nobody leads yet
				continue
			}
			if pair.Session != before {
				changed++
			}
			before = pair.Session
			s.depose(ctx, pair, taken)
			taken++
			select {
			case <-ctx.Done():
			case <-time.After(every):
			}
		}
	})
	return func() (int, int) {
		cancel()
		group.Wait()
		return taken, changed
	}
}

// depose takes the lead from who has it: every fifth time by killing that controller, which ECS replaces.
func (s *stage) depose(ctx context.Context, lead *api.KVPair, turn int) {
	if turn%5 == 4 {
		tasks, err := s.Running(ctx, controllerService)
		for _, task := range tasks {
			if err == nil && strings.Contains(string(lead.Value), aws.ToString(task.TaskArn)) {
				_ = s.KillTask(ctx, aws.ToString(task.TaskArn)) // it may have ended meanwhile
			}
		}
		return
	}
	_, _ = s.catalog.KV().Delete(lead.Key, (&api.WriteOptions{}).WithContext(ctx)) // the next turn tries again
	_, _ = s.catalog.Session().Destroy(lead.Session, (&api.WriteOptions{}).WithContext(ctx))
}

// scales has an ECS service of two tasks, of which one dies without a goodbye now and then, and which grows and shrinks. end
// returns the tasks that were killed.
func (s *stage) scales(t *testing.T, name string) (end func() []ecstypes.Task) {
	t.Helper()
	if err := s.Serve(t.Context(), name, s.register(t, app{name: name, port: 9090})); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Retire(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	var killed []ecstypes.Task
	var group sync.WaitGroup
	group.Go(func() {
		for size := 2; ctx.Err() == nil; size = 3 - size {
			if err := s.Scale(ctx, name, size); err != nil {
				continue
			}
			task, err := s.oneThatPasses(ctx, name)
			if err != nil || s.KillTask(ctx, aws.ToString(task.TaskArn)) != nil {
				continue
			}
			killed = append(killed, task)
		}
	})
	return func() []ecstypes.Task {
		cancel()
		group.Wait()
		return killed
	}
}

// oneThatPasses waits for a task of a service that is registered and passes.
func (s *stage) oneThatPasses(ctx context.Context, name string) (found ecstypes.Task, err error) {
	_, err = eventually.Seen(ctx, "a task of "+name+" passes", limit, func() (string, error) {
		tasks, err := s.Running(ctx, name)
		for _, task := range tasks {
			if missing, err := s.whole(ctx, name, task); missing == "" && err == nil {
				found = task
				return "", nil
			}
		}
		return fmt.Sprintf("none of %d", len(tasks)), err
	})
	return found, err
}
