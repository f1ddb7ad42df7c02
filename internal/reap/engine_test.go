package reap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"
)

// still is a world that does not move: what Consul holds and what ECS says, and what was asked of them.
type still struct {
	held     map[string]Holding
	listed   []string
	verdicts map[string]Verdict
	stuck    []string // tasks that Consul fails to remove

	allErr, ofErr, listErr error
	describeErr            func(ids []string) error
	beforeRemove           func()

	mu      sync.Mutex
	calls   []string
	removed []string
}

func (s *still) called(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, fmt.Sprintf(format, args...))
}

func (s *still) All(context.Context) (map[string]Holding, error) {
	s.called("all")
	return s.held, s.allErr
}

func (s *still) Of(_ context.Context, ids []string) (map[string]Holding, error) {
	s.called("of %d", len(ids))
	held := map[string]Holding{}
	for _, id := range ids {
		if h, ok := s.held[id]; ok {
			held[id] = h
		}
	}
	return held, s.ofErr
}

func (s *still) Remove(_ context.Context, removals []Removal) (removed []Removal, err error) {
	s.called("remove %d", len(removals))
	if s.beforeRemove != nil {
		s.beforeRemove()
	}
	for _, r := range removals {
		if slices.Contains(s.stuck, r.TaskID) {
			err = errors.Join(err, errors.New("stuck"))
			continue
		}
		removed = append(removed, r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = append(s.removed, strings.Fields(tasksOf(removed))...)
	return removed, err
}

func (s *still) Running(context.Context) (map[string]bool, error) {
	s.called("list")
	running := map[string]bool{}
	for _, id := range s.listed {
		running[id] = true
	}
	return running, s.listErr
}

func (s *still) Describe(_ context.Context, ids []string) (map[string]Verdict, error) {
	s.called("describe %d", len(ids))
	if s.describeErr != nil {
		if err := s.describeErr(ids); err != nil {
			return nil, err
		}
	}
	verdicts := map[string]Verdict{}
	for _, id := range ids {
		verdicts[id] = s.verdicts[id]
	}
	return verdicts, nil
}

// engineOf is an engine in the world, and what it told of its last pass and of removals.
func engineOf(s *still) (e *Engine, last *Pass, told *[]Removal) {
	last, told = &Pass{}, &[]Removal{}
	return &Engine{Own: idOwn, Catalog: s, ECS: s, Limits: wideOpen, Observer: Observer{
		Removed:  func(r Removal) { *told = append(*told, r) },
		Finished: func(p Pass) { *last = p },
	}}, last, told
}

func alive(more map[string]Verdict) map[string]Verdict {
	verdicts := map[string]Verdict{idOwn: Alive}
	maps.Copy(verdicts, more)
	return verdicts
}

func TestAnEventCountsOnceECSConfirmsIt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		world       *still
		ids         []string
		wantDone    []string
		wantRemoved []string
		wantTrips   map[Guard]int
		wantErr     string
	}{
		"stopped":              {world: &still{verdicts: alive(map[string]Verdict{idA: Stopped})}, ids: []string{idA}, wantDone: []string{idA}, wantRemoved: []string{idA}},
		"stopped, named twice": {world: &still{verdicts: alive(map[string]Verdict{idA: Stopped})}, ids: []string{idA, idA}, wantDone: []string{idA}, wantRemoved: []string{idA}},
		"stopped, and nothing held": {
			world: &still{held: holdings(idB), verdicts: alive(map[string]Verdict{idA: Stopped})}, ids: []string{idA}, wantDone: []string{idA},
		},
		"alive": {
			world: &still{verdicts: alive(map[string]Verdict{idA: Alive})}, ids: []string{idA}, wantTrips: map[Guard]int{GuardNotConfirmed: 1},
		},
		"missing": {world: &still{verdicts: alive(map[string]Verdict{idA: Missing})}, ids: []string{idA}, wantDone: []string{idA}},
		"no answer": {
			world: &still{verdicts: alive(nil)}, ids: []string{idA}, wantTrips: map[Guard]int{GuardUnknown: 1},
		},
		"all of them at once": {
			world: &still{verdicts: alive(map[string]Verdict{idA: Stopped, idB: Alive, idC: Missing})}, ids: []string{idC, idB, idA},
			wantDone: []string{idA, idC}, wantRemoved: []string{idA}, wantTrips: map[Guard]int{GuardNotConfirmed: 1},
		},
		"the own task, and no task at all": {
			world: &still{verdicts: map[string]Verdict{idOwn: Stopped}}, ids: []string{idOwn, "arn:aws:ecs:x", ""},
			wantDone: []string{"", idOwn, "arn:aws:ecs:x"}, wantTrips: map[Guard]int{GuardForeign: 3},
		},
		"the own task is missing": {
			world: &still{verdicts: map[string]Verdict{idA: Stopped, idOwn: Missing}}, ids: []string{idA},
			wantTrips: map[Guard]int{GuardOwnTask: 1, GuardUnknown: 1}, wantErr: "does not show the controller's own task " + idOwn,
		},
		"the own task has stopped": {
			world: &still{verdicts: map[string]Verdict{idA: Stopped, idOwn: Stopped}}, ids: []string{idA},
			wantTrips: map[Guard]int{GuardOwnTask: 1, GuardUnknown: 1}, wantErr: "does not show the controller's own task " + idOwn + " alive",
		},
		"ECS fails": {
			world: &still{describeErr: func([]string) error { return errors.New("ThrottlingException") }}, ids: []string{idA, "x"},
			wantDone: []string{"x"}, wantTrips: map[Guard]int{GuardForeign: 1, GuardUnknown: 1}, wantErr: "ThrottlingException",
		},
		"Consul cannot be read": {
			world: &still{verdicts: alive(map[string]Verdict{idA: Stopped, idC: Missing}), ofErr: errors.New("500")}, ids: []string{idA, idC},
			wantDone: []string{idC}, wantErr: "500",
		},
		"Consul removes one of two": {
			world: &still{verdicts: alive(map[string]Verdict{idA: Stopped, idB: Stopped}), stuck: []string{idA}}, ids: []string{idA, idB},
			wantDone: []string{idB}, wantRemoved: []string{idB}, wantErr: "stuck",
		},
	} {
		s := tc.world
		if s.held == nil {
			s.held = holdings(idA, idB, idC, idOwn)
		}
		e, last, told := engineOf(s)
		done, err := e.Handle(t.Context(), tc.ids)
		slices.Sort(done)
		if diff := cmp.Diff(tc.wantDone, done); diff != "" {
			t.Errorf("%s: done (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(tc.wantRemoved, s.removed); diff != "" {
			t.Errorf("%s: removed (-want +got):\n%s", name, diff)
		}
		if len(*told) != len(tc.wantRemoved) || last.Removed != len(tc.wantRemoved) {
			t.Errorf("%s: %d removals were told one by one, %d in sum", name, len(*told), last.Removed)
		}
		if tc.wantTrips == nil {
			tc.wantTrips = map[Guard]int{}
		}
		if diff := cmp.Diff(tc.wantTrips, last.Trips); diff != "" {
			t.Errorf("%s: guards (-want +got):\n%s", name, diff)
		}
		if (err != nil) != (tc.wantErr != "") || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
			t.Errorf("%s: %v, want %q", name, err, tc.wantErr)
		}
	}
}

func TestAnEventOfAMissingTaskIsAFirstLook(t *testing.T) {
	t.Parallel()
	s := &still{held: holdings(idA), verdicts: alive(map[string]Verdict{idA: Missing})}
	e, _, _ := engineOf(s)
	now := time.Duration(0)
	e.Now = func() time.Duration { return now }
	if done, err := e.Handle(t.Context(), []string{idA}); len(done) != 1 || err != nil || len(s.removed) > 0 {
		t.Fatalf("done %v, removed %v, %v", done, s.removed, err)
	}
	now = time.Minute
	if err := e.Sync(t.Context()); err != nil || !slices.Equal(s.removed, []string{idA}) {
		t.Errorf("a full look a minute later removed %v, %v", s.removed, err)
	}
}

func TestTheCallsForAnEventDoNotDependOnHowManyTasksThereAre(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 10_000} {
		held, _ := many(n)
		one := slices.Min(slices.Collect(maps.Keys(held)))
		s := &still{held: held, verdicts: alive(map[string]Verdict{one: Stopped})}
		e, _, _ := engineOf(s)
		if _, err := e.Handle(t.Context(), []string{one}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"describe 2", "of 1", "remove 1"}, s.calls); diff != "" {
			t.Errorf("with %d tasks, calls (-want +got):\n%s", n, diff)
		}
	}
}

func TestAFullLookDescribesOnlyWhatIsNotListed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		world    *still
		want     []string // calls
		wantErr  string
		wantGone int
	}{
		"Consul holds nothing":         {&still{}, []string{"all"}, "", 0},
		"Consul holds nobody's things": {&still{held: holdings("", "x", idOwn)}, []string{"all"}, "", 0},
		"all are listed":               {&still{held: holdings(idA, idB), listed: []string{idA, idB}}, []string{"all", "list"}, "", 0},
		"one is not": {
			&still{held: holdings(idA, idB), listed: []string{idB}, verdicts: alive(map[string]Verdict{idA: Stopped, idB: Stopped})},
			[]string{"all", "list", "describe 2", "remove 1"}, "", 1,
		},
		"Consul fails":    {&still{held: holdings(idA), allErr: errors.New("500")}, []string{"all"}, "500", 0},
		"ListTasks fails": {&still{held: holdings(idA), listErr: errors.New("denied")}, []string{"all", "list"}, "denied", 0},
		"nothing is listed, and the own task is missing": {
			&still{held: holdings(idA), verdicts: map[string]Verdict{idA: Stopped, idOwn: Missing}},
			[]string{"all", "list", "describe 2"}, "describe 1 tasks: ECS's answer does not show the controller's own task", 0,
		},
	} {
		s := tc.world
		e, last, _ := engineOf(s)
		err := e.Sync(t.Context())
		if diff := cmp.Diff(tc.want, s.calls); diff != "" {
			t.Errorf("%s: calls (-want +got):\n%s", name, diff)
		}
		if (err != nil) != (tc.wantErr != "") || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
			t.Errorf("%s: %v, want %q", name, err, tc.wantErr)
		}
		if last.Removed != tc.wantGone || last.Err != err || last.Via != ViaFullLook {
			t.Errorf("%s: told of %+v, want %d removed", name, last, tc.wantGone)
		}
	}
}

func TestEachAnswerHasToShowTheOwnTask(t *testing.T) {
	t.Parallel()
	held, verdicts := many(250)
	for id := range verdicts {
		verdicts[id] = Stopped
	}
	batches := 0
	s := &still{held: held, verdicts: alive(verdicts)}
	s.describeErr = func(ids []string) error {
		switch batches++; batches {
		case 2:
			return errors.New("ThrottlingException")
		case 3:
			delete(s.verdicts, idOwn)
		}
		return nil
	}
	e, last, _ := engineOf(s)
	err := e.Sync(t.Context())
	if err == nil || !strings.Contains(err.Error(), "ThrottlingException") || !strings.Contains(err.Error(), "own task") {
		t.Errorf("Sync = %v, want both failures", err)
	}
	if diff := cmp.Diff([]string{"all", "list", "describe 100", "remove 99", "describe 100", "describe 53"}, s.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[Guard]int{GuardOwnTask: 52, GuardUnknown: 151}, last.Trips); diff != "" {
		t.Errorf("guards (-want +got):\n%s", diff)
	}
}

func TestWhatHasStoppedGoesBeforeTheLastAnswerAndTheRestIsDecidedOnWhenAllAreThere(t *testing.T) {
	t.Parallel()
	held, verdicts := many(250)
	ids := slices.Sorted(maps.Keys(held))
	for _, id := range ids {
		verdicts[id] = Stopped
	}
	lost := []string{ids[10], ids[120], ids[240]} // one in each answer
	for _, id := range lost {
		verdicts[id] = Missing
	}
	s := &still{held: held, verdicts: alive(verdicts)}
	e, last, _ := engineOf(s)
	e.Limits = Limits{BrakePercent: 1} // two of 250, and none of 99
	now := time.Duration(0)
	e.Now = func() time.Duration { return now }
	if err := e.Sync(t.Context()); err != nil || last.Removed != 247 {
		t.Errorf("removed %d, %v", last.Removed, err)
	}
	want := []string{"all", "list", "describe 100", "remove 98", "describe 100", "remove 98", "describe 53", "remove 51"}
	if diff := cmp.Diff(want, s.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	s.held, s.removed, now = holdings(lost...), nil, time.Minute
	for range 247 {
		s.held[fmt.Sprintf("f%031x", len(s.held))] = Holding{}
	}
	s.listed = slices.Collect(maps.Keys(s.held))
	s.listed = slices.DeleteFunc(s.listed, func(id string) bool { return slices.Contains(lost, id) })
	if err := e.Sync(t.Context()); err != nil || !slices.Equal(s.removed, lost[:2]) || len(last.Plan.HeldBack) != 1 {
		t.Errorf("a minute later: removed %v, held back %d, %v", s.removed, len(last.Plan.HeldBack), err)
	}
}

// paced is an ECS and a Consul that take as long as the controller's own ceilings have them take.
type paced struct {
	*still
	describes, writes *rate.Limiter
}

func (p paced) Describe(ctx context.Context, ids []string) (map[string]Verdict, error) {
	_ = p.describes.Wait(ctx)
	return p.still.Describe(ctx, ids)
}

func (p paced) Remove(ctx context.Context, removals []Removal) ([]Removal, error) {
	for range removals {
		_ = p.writes.Wait(ctx)
	}
	return p.still.Remove(ctx, removals)
}

func TestWhatEventsNameIsAskedOfTheECSForThat(t *testing.T) {
	t.Parallel()
	dead := alive(map[string]Verdict{idA: Stopped})
	looks, urgent := &still{held: holdings(idA), verdicts: dead}, &still{verdicts: dead}
	e, last, _ := engineOf(looks)
	e.Urgent = urgent
	if _, err := e.Handle(t.Context(), []string{idA}); err != nil || last.Removed != 1 {
		t.Fatalf("%d removed, %v", last.Removed, err)
	}
	if err := e.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"describe 2"}, urgent.calls); diff != "" {
		t.Errorf("asked for an event (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"of 1", "remove 1", "all", "list", "describe 2", "remove 1"}, looks.calls); diff != "" {
		t.Errorf("the rest (-want +got):\n%s", diff)
	}
}

func TestTenThousandDeathsThatNoEventToldOfTakeTheLongerOfTwoTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held, verdicts := many(10_000)
		for id := range verdicts {
			verdicts[id] = Stopped
		}
		s := &still{held: held, verdicts: alive(verdicts)}
		e, last, _ := engineOf(s)
		p := paced{s, rate.NewLimiter(2, 1), rate.NewLimiter(250, 1)} // of tasks a second: 50 s and 40 s
		e.ECS, e.Catalog = p, p
		if err := e.Sync(t.Context()); err != nil || last.Removed != 10_000 || last.Took < 40*time.Second || last.Took > 55*time.Second {
			t.Errorf("%d removed within %v, %v; want all within 50 s", last.Removed, last.Took, err)
		}
		if n := len(slices.DeleteFunc(s.calls, func(call string) bool { return strings.HasPrefix(call, "remove") || call == "all" })); n > 2*10_000/MaxDescribed {
			t.Errorf("%d calls of ECS", n)
		}
	})
}

func TestTheListOfAFullLookIsHeardOfBeforeAnythingIsRemoved(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		world *still
		want  []string // calls
	}{
		"one has stopped":      {&still{held: holdings(idA), listed: []string{idB}, verdicts: alive(map[string]Verdict{idA: Stopped})}, []string{"all", "list", "heard", "describe 2", "remove 1"}},
		"Consul holds nothing": {&still{listed: []string{idB}}, []string{"all", "list", "heard"}},
	} {
		s := tc.world
		e, _, _ := engineOf(s)
		e.Listed = func(_ context.Context, running map[string]bool) error {
			s.called("heard")
			if !maps.Equal(running, map[string]bool{idB: true}) {
				t.Errorf("%s: heard of %v", name, running)
			}
			return errors.New("deaf")
		}
		if err := e.Sync(t.Context()); err == nil || err.Error() != "deaf" {
			t.Errorf("%s: Sync = %v, want the hearer's error", name, err)
		}
		if diff := cmp.Diff(tc.want, s.calls); diff != "" {
			t.Errorf("%s: calls (-want +got):\n%s", name, diff)
		}
		s.calls = nil
		if _, err := e.Look(t.Context()); err != nil || slices.Contains(s.calls, "heard") {
			t.Errorf("%s: Look tells of its list too: %v, %v", name, s.calls, err)
		}
	}
}

func TestElsewhereAListedTaskIsTheWitness(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		listed      []string
		verdicts    map[string]Verdict
		wantRemoved []string
		wantTrips   map[Guard]int
		wantErr     string
	}{
		"what has stopped needs none": {nil, map[string]Verdict{idA: Stopped, idB: Alive}, []string{idA}, map[Guard]int{}, ""},
		"a living one":                {[]string{idC}, map[string]Verdict{idA: Stopped, idB: Missing, idC: Alive}, []string{idA, idB}, map[Guard]int{}, ""},
		"one that has stopped since":  {[]string{idC}, map[string]Verdict{idA: Alive, idB: Missing, idC: Stopped}, []string{idB}, map[Guard]int{}, ""},
		"one that is missing": {
			[]string{idC}, map[string]Verdict{idA: Stopped, idB: Missing, idC: Missing}, []string{idA},
			map[Guard]int{GuardOwnTask: 1, GuardUnknown: 1}, "does not show the task " + idC,
		},
		"none is listed": {
			nil, map[string]Verdict{idA: Stopped, idB: Missing}, []string{idA}, map[Guard]int{GuardOwnTask: 1, GuardUnknown: 1}, "ECS has listed none",
		},
	} {
		s := &still{held: holdings(idA, idB), listed: tc.listed, verdicts: tc.verdicts}
		e, last, _ := engineOf(s)
		now := time.Duration(0)
		e.Own, e.Now = "", func() time.Duration { return now }
		_ = e.Sync(t.Context())
		s.removed, now = nil, time.Minute
		err := e.Sync(t.Context())
		slices.Sort(s.removed)
		if diff := cmp.Diff(tc.wantRemoved, s.removed); diff != "" {
			t.Errorf("%s: removed (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(tc.wantTrips, last.Trips); diff != "" {
			t.Errorf("%s: guards (-want +got):\n%s", name, diff)
		}
		if (err != nil) != (tc.wantErr != "") || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
			t.Errorf("%s: %v, want %q", name, err, tc.wantErr)
		}
		done, _ := e.Handle(t.Context(), []string{idB})
		if want := tc.verdicts[idB] == Missing && tc.wantErr == ""; (len(done) == 1) != want {
			t.Errorf("%s: events done: %v", name, done)
		}
	}
}

func TestFailuresOfManyBatchesAreToldInAFewLines(t *testing.T) {
	t.Parallel()
	held, verdicts := many(990)
	s := &still{held: held, verdicts: verdicts, describeErr: func([]string) error { return errors.New("ThrottlingException") }}
	e, _, _ := engineOf(s)
	err := e.Sync(t.Context())
	if err == nil || strings.Count(err.Error(), "ThrottlingException") != 3 || !strings.Contains(err.Error(), "and 7 more such failures") {
		t.Errorf("Sync = %v", err)
	}
}

func TestADryRunDoesEverythingButRemove(t *testing.T) {
	t.Parallel()
	s := &still{held: holdings(idA), verdicts: alive(map[string]Verdict{idA: Stopped})}
	e, last, told := engineOf(s)
	e.DryRun = true
	for range 2 {
		if err := e.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	done, err := e.Handle(t.Context(), []string{idA})
	if err != nil || !slices.Equal(done, []string{idA}) {
		t.Errorf("Handle = %v, %v; the event has nothing more to give", done, err)
	}
	if len(s.removed) > 0 || tasksOf(*told) != idA+" "+idA+" "+idA || last.Removed != 1 {
		t.Errorf("removed %v, told of %v", s.removed, *told)
	}
}

func TestNothingIsRemovedOnceTheContextHasEnded(t *testing.T) {
	t.Parallel()
	held, verdicts := many(500)
	for id := range verdicts {
		verdicts[id] = Stopped
	}
	ids := slices.Sorted(maps.Keys(held))
	for name, endAt := range map[string]string{"while ECS is asked": "describe", "while Consul removes": "remove"} {
		ctx, lose := context.WithCancel(t.Context())
		s := &still{held: held, verdicts: alive(verdicts)}
		want := 0
		if endAt == "remove" {
			s.beforeRemove = lose
			want = MaxDescribed - 1 // those that were under way
		} else {
			s.describeErr = func([]string) error { lose(); return nil }
		}
		e, last, _ := engineOf(s)
		if err := e.Sync(ctx); !errors.Is(err, context.Canceled) || len(s.removed) != want {
			t.Errorf("%s: Sync = %v, removed %d, want %d", name, err, len(s.removed), want)
		}
		if endAt == "describe" && last.Plan != nil {
			t.Errorf("%s: Sync decided, which spends the brake's room for nothing", name)
		}
		s.removed = nil
		if done, err := e.Handle(ctx, ids); !errors.Is(err, context.Canceled) || len(done)+len(s.removed) > 0 {
			t.Errorf("%s: Handle = %d done, %v, removed %d", name, len(done), err, len(s.removed))
		}
	}
}

func TestALookIsWhatSyncWouldSee(t *testing.T) {
	t.Parallel()
	s := &still{held: holdings(idA, idB, "x"), listed: []string{idB}, verdicts: alive(map[string]Verdict{idA: Stopped})}
	e, _, told := engineOf(s)
	e.Now = func() time.Duration { return time.Duration(len(s.calls)) }
	look, err := e.Look(t.Context())
	want := Look{ // at 1, when Consul has been read and ECS not yet asked
		At: 1, Full: true, Own: idOwn, Held: s.held, Verdicts: map[string]Verdict{idA: Stopped, idB: Alive},
	}
	if diff := cmp.Diff(want, look); diff != "" || err != nil || len(*told) > 0 {
		t.Errorf("look (-want +got):\n%s%v, removed %v", diff, err, *told)
	}
}

func TestFullLooksEventsAndReleasesMayComeAtOnce(t *testing.T) {
	t.Parallel()
	held, verdicts := many(300)
	for i, id := range slices.Sorted(maps.Keys(held)) {
		verdicts[id] = Verdict(i % 4)
	}
	s := &still{held: held, verdicts: alive(verdicts)}
	e := &Engine{Own: idOwn, Catalog: s, ECS: s}
	ids := slices.Sorted(maps.Keys(held))
	var calls sync.WaitGroup
	for i := range 8 {
		calls.Go(func() {
			for range 5 {
				if i%2 == 0 {
					_ = e.Sync(t.Context())
				} else {
					_, _ = e.Handle(t.Context(), ids)
				}
				e.Release()
			}
		})
	}
	calls.Wait()
	for _, id := range s.removed {
		if verdicts[id] != Stopped {
			t.Fatalf("task %s is removed, and ECS says %v", id, verdicts[id])
		}
	}
	if len(s.removed) != 8*5*75 {
		t.Errorf("%d removals, want 75 in each of 40 calls", len(s.removed))
	}
}
