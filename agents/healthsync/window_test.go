package healthsync

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// registeredAt is mesh-init's container, whose end is that of the registration.
func registeredAt(end time.Time) taskmeta.Container {
	return taskmeta.Container{Name: mesh.ContainerMeshInit, KnownStatus: taskmeta.StatusStopped, DesiredStatus: taskmeta.StatusStopped, FinishedAt: end}
}

func TestTheFirstPassingChecksWaitForCallersToHearOfTheTask(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSurroundings(append(well(), registeredAt(time.Now().Add(-300*time.Millisecond)))...)
		s.play(t, s.mirror(), func() {
			s.after(mergeWindow-400*time.Millisecond, func() {
				if n := s.count("set"); n != 0 {
					t.Errorf("%d writes before the window's end", n)
				}
			})
			s.after(100*time.Millisecond+time.Millisecond, func() {
				if _, critical := s.statuses(); critical != 0 || s.count("set") != 1 {
					t.Errorf("at the window's end %d checks are critical, %d writes were made", critical, s.count("set"))
				}
			})
		})
	})
}

func TestWhenCallersHaveHeardOfATask(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	cases := map[string]struct {
		containers []taskmeta.Container
		want       time.Duration // from now
	}{
		"just registered":                  {[]taskmeta.Container{registeredAt(now.Add(-200 * time.Millisecond))}, mergeWindow - 200*time.Millisecond},
		"registered long ago":              {[]taskmeta.Container{registeredAt(now.Add(-time.Hour))}, mergeWindow - time.Hour},
		"by a clock ahead of ours":         {[]taskmeta.Container{registeredAt(now.Add(10 * time.Minute))}, mergeWindow},
		"mesh-init not seen to have ended": {[]taskmeta.Container{registeredAt(time.Time{})}, 0},
		"no mesh-init":                     {nil, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := heardBy(taskmeta.Task{Containers: tc.containers}, now).Sub(now); got != tc.want {
				t.Errorf("%s from now, want %s", got, tc.want)
			}
		})
	}
}
