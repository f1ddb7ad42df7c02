package healthsync

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// soon is when a suspicion has been acted on: at once, but for the other goroutine's turn.
const soon = time.Millisecond

func TestASuspicionIsLookedIntoAtOnce(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*surroundings){
		"lost": func(s *surroundings) { s.catalog = nil },
		"turned": func(s *surroundings) {
			c := s.catalog["web-1-app"]
			c.Status = consul.Critical
			s.catalog["web-1-app"] = c
		},
		"unfounded":  func(*surroundings) {},
		"check lost": func(s *surroundings) { delete(s.catalog, "web-1-app") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSurroundings(well()...)
				m := s.mirror()
				s.play(t, m, func() {
					s.after(time.Minute+10*time.Millisecond, func() { s.calls = nil; spoil(s); m.suspect() })
					s.after(soon, func() {
						if passing, _ := s.statuses(); passing != 3 || s.count("lookup") != 1 {
							t.Errorf("%d checks pass after the calls %v", passing, s.calls)
						}
						if writes := s.count("set") + s.count("register"); name == "unfounded" && writes != 0 {
							t.Errorf("%d writes for nothing", writes)
						}
					})
				})
			})
		})
	}
}

func TestASuspicionEndsThePauseAfterAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings(well()...)
		m := s.mirror()
		s.play(t, m, func() {
			s.after(time.Minute, func() { s.catalog, s.down = nil, errors.New("no node") })
			s.after(3*time.Minute, func() { s.down = nil; m.suspect() })
			s.after(soon, func() {
				if passing, _ := s.statuses(); passing != 3 {
					t.Errorf("%d checks pass once the node is back: %v", passing, s.calls)
				}
			})
		})
	})
}

func TestADrainingTaskIsNotRegisteredAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings(well()...)
		m := s.mirror()
		_, err := s.drain(t, m, 30*time.Second, 26*time.Second, func() {
			s.after(time.Second, func() { s.catalog = nil; m.suspect() })
			s.after(10*time.Second, func() {
				if s.count("register") != 0 {
					t.Errorf("registered again: %v", s.calls)
				}
				s.task.Containers = []taskmeta.Container{stopped(mesh.ContainerDataplane, 0)}
			})
		})
		if err != nil || s.catalog != nil {
			t.Errorf("%v, catalog %v", err, s.catalog)
		}
	})
}

// The incumbent's definitions have the application wait for ECS's verdict on the proxy, which takes longer than the pause after
// which a check's output is brought up to date.
func TestASlowStartCostsNoWriteBeforeTheFirstPassingOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings(running(mesh.ContainerDataplane, taskmeta.HealthUnknown), running("app", taskmeta.HealthUnknown))
		m := s.mirror()
		s.play(t, m, func() {
			s.after(25*time.Second, func() {
				if n := s.count("set"); n != 0 {
					t.Errorf("%d writes while nothing but the output of the checks changed", n)
				}
				s.task.Containers = well()
			})
			s.after(time.Second, func() {
				if passing, _ := s.statuses(); passing != 3 || s.count("set") != 1 {
					t.Errorf("%d checks pass after %d writes", passing, s.count("set"))
				}
			})
		})
	})
}
