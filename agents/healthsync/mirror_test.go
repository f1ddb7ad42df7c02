package healthsync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// surroundings are those of a mirror on a clock of its own: what ECS says, and what a catalog holds.
type surroundings struct {
	mu      sync.Mutex
	task    taskmeta.Task
	taskErr error

	catalog map[string]consul.Check // nil: nothing is registered
	down    error                   // what every call of Consul answers
	calls   []string                // verbs, with the time since the start in seconds

	start time.Time
	again chan struct{} // closed at the second signal
}

func newSurroundings(containers ...taskmeta.Container) *surroundings {
	s := &surroundings{task: taskmeta.Task{ARN: "arn", Containers: containers}, start: time.Now(), again: make(chan struct{})}
	s.registered(born("app"))
	return s
}

func (s *surroundings) registered(checks []consul.Check) {
	s.catalog = map[string]consul.Check{}
	for _, c := range checks {
		s.catalog[c.ID] = c
	}
}

// after waits and then acts on the surroundings.
func (s *surroundings) after(d time.Duration, act func()) {
	time.Sleep(d)
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	act()
}

func (s *surroundings) called(verb string) {
	s.calls = append(s.calls, fmt.Sprintf("%s@%.1f", verb, time.Since(s.start).Seconds()))
}

func (s *surroundings) count(verb string) (n int) {
	for _, c := range s.calls {
		if strings.HasPrefix(c, verb+"@") {
			n++
		}
	}
	return n
}

func (s *surroundings) mirror() *mirror {
	return &mirror{
		log: hclog.NewNullLogger(), registration: consul.Registration{ServiceID: "web-1", Checks: born("app")}, held: newLedger(),
		suspected: make(chan struct{}, 1),
		task: func(context.Context) (taskmeta.Task, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.task, s.taskErr
		},
		proxyProblem: func(context.Context) string { return "" },
		lookup: func(context.Context, consul.Registration) (map[string]consul.Check, bool, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.called("lookup")
			return maps.Clone(s.catalog), s.catalog != nil, s.down
		},
		register: func(_ context.Context, r consul.Registration) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.called("register")
			if s.down == nil {
				s.registered(r.Checks)
			}
			return s.down
		},
		setChecks: func(_ context.Context, _ consul.Registration, checks []consul.Check) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.called("set")
			if s.down == nil && s.catalog == nil {
				return consul.ErrUnregistered
			}
			for _, c := range checks {
				if s.down == nil {
					s.catalog[c.ID] = c
				}
			}
			return s.down
		},
		passed: func() { s.called("passed") },
		deregister: func(context.Context, consul.Registration) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.called("deregister")
			if s.down == nil {
				s.catalog = nil
			}
			return s.down
		},
	}
}

func (s *surroundings) statuses() (passing, critical int) {
	for _, c := range s.catalog {
		if c.Status == consul.Passing {
			passing++
		} else {
			critical++
		}
	}
	return passing, critical
}

// play runs the mirror while script acts, then ends it.
func (s *surroundings) play(t *testing.T, m *mirror, script func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { m.run(ctx); close(done) }()
	script()
	cancel()
	<-done
}

func well() []taskmeta.Container {
	return []taskmeta.Container{running(mesh.ContainerDataplane, taskmeta.Healthy), running("app", taskmeta.Healthy)}
}

func TestAnIdleHourCostsNoWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings(well()...)
		s.play(t, s.mirror(), func() { time.Sleep(time.Hour) })
		if s.count("set") != 1 || s.count("register") != 0 {
			t.Errorf("%d check writes and %d registrations, want the first one only", s.count("set"), s.count("register"))
		}
		if n := s.count("lookup"); n < 90 || n > 160 {
			t.Errorf("%d looks at the registration in an hour, want one every half minute", n)
		}
	})
}

func TestARestartedHealthSyncGoesOnWithoutAWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings(well()...)
		s.registered(judge(born("app"), s.task, "", nil))
		s.play(t, s.mirror(), func() { time.Sleep(5 * time.Minute) })
		if n := s.count("set") + s.count("register"); n != 0 {
			t.Errorf("%d writes, want none: %v", n, s.calls)
		}
	})
}

func TestAChangeReachesConsulWithTheNextLookInOneWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings(well()...)
		s.play(t, s.mirror(), func() {
			s.after(10*time.Minute+10*time.Millisecond, func() {
				s.task.Containers = []taskmeta.Container{running(mesh.ContainerDataplane, taskmeta.Healthy), running("app", taskmeta.Unhealthy)}
			})
			s.after(slowPoll, func() {
				if passing, _ := s.statuses(); passing != 0 || s.count("set") != 2 {
					t.Errorf("%d checks pass and %d writes were made, want 0 and 2", passing, s.count("set"))
				}
				s.task.Containers = well()
			})
			s.after(fastPoll, func() {
				if _, critical := s.statuses(); critical != 0 || s.count("set") != 3 {
					t.Errorf("%d checks are critical after the app recovered, %d writes", critical, s.count("set"))
				}
			})
		})
	})
}

func TestALostRegistrationIsMadeAgainWithTheChecksAsTheyAre(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings(well()...)
		s.play(t, s.mirror(), func() {
			s.after(time.Minute, func() { s.catalog = nil })
			s.after(healEvery*3/2, func() {
				if passing, critical := s.statuses(); passing != 3 || critical != 0 || s.count("register") != 1 {
					t.Errorf("%d checks pass, %d are critical after %d registrations, want 3, 0, 1", passing, critical, s.count("register"))
				}
				s.catalog = nil
				s.task.Containers = []taskmeta.Container{running(mesh.ContainerDataplane, taskmeta.Unhealthy)} // the write finds out at once
			})
			s.after(time.Second, func() {
				if s.count("register") != 2 {
					t.Errorf("a write of an unregistered check led to no registration: %v", s.calls)
				}
			})
		})
	})
}

func TestAnUnreachableConsulIsAskedMoreAndMoreSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings(well()...)
		s.down = errors.New("no server")
		s.play(t, s.mirror(), func() {
			s.after(5*time.Minute, func() {
				if n := len(s.calls); n < 20 || n > 60 {
					t.Errorf("%d calls in five minutes, want some thirty", n)
				}
				s.down = nil
			})
			s.after(2*maxPause, func() {
				if passing, _ := s.statuses(); passing != 3 {
					t.Errorf("%d checks pass after Consul came back, want 3", passing)
				}
			})
		})
	})
}

func TestUnreadMetadataChangeNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings(well()...)
		s.play(t, s.mirror(), func() {
			s.after(time.Minute, func() { s.taskErr = errors.New("429") })
			s.after(10*time.Minute, func() {
				if passing, _ := s.statuses(); passing != 3 || s.count("set") != 1 {
					t.Errorf("%d checks pass, %d writes; want 3 and 1", passing, s.count("set"))
				}
			})
		})
	})
}

// drain runs the mirror's drain while script acts, and says how long it took.
func (s *surroundings) drain(t *testing.T, m *mirror, limit, wait time.Duration, script func()) (time.Duration, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	s.start = time.Now()
	done := make(chan error, 1)
	took := make(chan time.Duration, 1)
	go func() { done <- m.drain(ctx, wait, s.again); took <- time.Since(s.start) }()
	script()
	return <-took, <-done
}

func TestDrainingLatchesAtOnceAndDeregistersWhenTheProxyHasStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings(well()...)
		took, err := s.drain(t, s.mirror(), 30*time.Second, 26*time.Second, func() {
			s.after(0, func() {
				if passing, critical := s.statuses(); passing != 0 || critical != 3 {
					t.Errorf("%d checks pass and %d are critical at once, want 0 and 3", passing, critical)
				}
				s.task.Containers = []taskmeta.Container{running("app", taskmeta.Healthy)}
			})
			s.after(5*time.Second, func() {
				if s.catalog == nil {
					t.Error("an absent dataplane counted as stopped")
				}
				s.task.Containers = []taskmeta.Container{{Name: mesh.ContainerDataplane, KnownStatus: "STOPPED", DesiredStatus: "RUNNING"}}
			})
			s.after(5*time.Second, func() {
				if s.catalog == nil {
					t.Error("a dataplane that is about to be restarted counted as stopped")
				}
				s.task.Containers = []taskmeta.Container{stopped(mesh.ContainerDataplane, 0)}
			})
		})
		if err != nil || s.catalog != nil || took > 11*time.Second {
			t.Errorf("drained in %s with %v, catalog %v", took, err, s.catalog)
		}
	})
}

func TestASecondSignalEndsTheWaitForTheProxy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings(well()...)
		took, err := s.drain(t, s.mirror(), 30*time.Second, 26*time.Second, func() {
			s.after(5*time.Second, func() { close(s.again) })
		})
		if err != nil || s.catalog != nil || took != 5*time.Second {
			t.Errorf("%s, %v, catalog %v", took, err, s.catalog)
		}
	})
}

func TestDrainingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings(well()...)
		took, err := s.drain(t, s.mirror(), 30*time.Second, 26*time.Second, func() {})
		if err != nil || s.catalog != nil || took > 27*time.Second {
			t.Errorf("with a proxy that never stops: %s, %v, catalog %v", took, err, s.catalog)
		}
	})
}

func TestTheCriticalWriteIsRetriedUntilItLands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings(well()...)
		s.registered(judge(born("app"), s.task, "", nil))
		s.down = errors.New("no server")
		_, err := s.drain(t, s.mirror(), 30*time.Second, 26*time.Second, func() {
			s.after(10*time.Second, func() { s.down = nil })
			s.after(maxLatchPause*3/2, func() {
				if passing, critical := s.statuses(); passing != 0 || critical != 3 {
					t.Errorf("%d checks pass and %d are critical once Consul is back", passing, critical)
				}
				if n := s.count("set"); n > 15 {
					t.Errorf("%d tries in ten seconds", n)
				}
				s.task.Containers = []taskmeta.Container{stopped(mesh.ContainerDataplane, 0)}
			})
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// A silent server holds each write up for as long as a call may take.
func TestWhatEndsTheWaitIsSeenWhileAWriteHangs(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*surroundings){
		"the proxy stops": func(s *surroundings) {
			s.task.Containers = []taskmeta.Container{stopped(mesh.ContainerDataplane, 0)}
		},
		"a second signal": func(s *surroundings) { close(s.again) },
		"the deadline":    func(*surroundings) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSurroundings(well()...)
				m := s.mirror()
				m.setChecks = func(ctx context.Context, _ consul.Registration, _ []consul.Check) error {
					select {
					case <-ctx.Done():
						return ctx.Err()
					case <-time.After(10 * time.Second):
						return errors.New("no answer")
					}
				}
				took, err := s.drain(t, m, 30*time.Second, 3*time.Second, func() {
					s.after(time.Second, func() { end(s) })
				})
				if limit := 3*time.Second + fastPoll; err != nil || s.catalog != nil || took > limit || name != "the deadline" && took > time.Second+fastPoll {
					t.Errorf("deregistered after %s (%v)", took, err)
				}
			})
		})
	}
}

func TestACheckThatAnEarlierWriteTurnedBackIsTurnedCriticalAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings(well()...)
		_, err := s.drain(t, s.mirror(), 30*time.Second, 26*time.Second, func() {
			s.after(0, func() { s.registered(judge(born("app"), s.task, "", nil)) }) // the write that was on its way
			s.after(2*raced, func() {
				if passing, _ := s.statuses(); passing != 0 {
					t.Errorf("%d checks pass while the task drains", passing)
				}
				s.taskErr = taskmeta.ErrGone
			})
		})
		if err != nil || s.catalog != nil {
			t.Errorf("%v, catalog %v", err, s.catalog)
		}
	})
}

func TestAFailedDeregistrationIsRetriedAndThenReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings(stopped(mesh.ContainerDataplane, 0))
		s.down = errors.New("no server")
		took, err := s.drain(t, s.mirror(), 5*time.Second, 4*time.Second, func() {})
		if err == nil || !strings.Contains(err.Error(), "deregister the task: ") || !strings.Contains(err.Error(), "no server") {
			t.Errorf("got %v, want the deregistration and its cause", err)
		}
		if took != 5*time.Second || s.count("deregister") < 4 {
			t.Errorf("%d tries in %s, want several until the deadline", s.count("deregister"), took)
		}
	})
}
