package actions

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/reap"
)

// books are what Consul holds and what ECS says, as two lists.
type books struct {
	held     map[string]reap.Holding
	verdicts map[string]reap.Verdict
}

func (b *books) All(context.Context) (map[string]reap.Holding, error) { return maps.Clone(b.held), nil }

func (b *books) Of(ctx context.Context, _ []string) (map[string]reap.Holding, error) {
	return b.All(ctx)
}

func (b *books) Remove(_ context.Context, removals []reap.Removal) ([]reap.Removal, error) {
	for _, r := range removals {
		delete(b.held, r.TaskID)
	}
	return removals, nil
}

func (b *books) Running(context.Context) (map[string]bool, error) {
	running := map[string]bool{}
	for id, v := range b.verdicts {
		running[id] = v == reap.Alive
	}
	maps.DeleteFunc(running, func(_ string, is bool) bool { return !is })
	return running, nil
}

func (b *books) Describe(_ context.Context, ids []string) (map[string]reap.Verdict, error) {
	said := map[string]reap.Verdict{}
	for _, id := range ids {
		said[id] = b.verdicts[id]
	}
	return said, nil
}

func taskNumber(n int) string { return fmt.Sprintf("%032x", n) }

// someBooks hold so many tasks of each kind.
func someBooks(of map[reap.Verdict]int) *books {
	b := &books{map[string]reap.Holding{}, map[string]reap.Verdict{}}
	for verdict, n := range of {
		for i := range n {
			id := taskNumber(int(verdict)*1000 + i)
			b.held[id] = reap.Holding{Services: []reap.Service{{ID: "web-" + id}}, Tokens: []reap.Token{{AccessorID: id}}}
			b.verdicts[id] = verdict
		}
	}
	return b
}

func (b *books) left() (of map[reap.Verdict]int) {
	of = map[reap.Verdict]int{}
	for id := range b.held {
		of[b.verdicts[id]]++
	}
	return of
}

func TestARunLooksAgainWhereTasksAreMissing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		books  map[reap.Verdict]int
		dryRun bool
		brake  int
		left   map[reap.Verdict]int
		seen   [3]int // held back, waiting, unknown
		took   time.Duration
	}{
		"nothing":            {took: 0, left: map[reap.Verdict]int{}},
		"stopped ones alone": {books: map[reap.Verdict]int{reap.Alive: 2, reap.Stopped: 3}, left: map[reap.Verdict]int{reap.Alive: 2}},
		"missing ones": {
			books: map[reap.Verdict]int{reap.Alive: 1, reap.Stopped: 1, reap.Missing: 4}, brake: 10, left: map[reap.Verdict]int{reap.Alive: 1}, took: secondLook,
		},
		"more than the brake lets through": {
			books: map[reap.Verdict]int{reap.Alive: 1, reap.Missing: 4}, brake: 3, left: map[reap.Verdict]int{reap.Alive: 1, reap.Missing: 1}, seen: [3]int{1, 0, 0}, took: secondLook,
		},
		"unknown ones": {books: map[reap.Verdict]int{reap.Alive: 1, reap.Unknown: 2}, left: map[reap.Verdict]int{reap.Alive: 1, reap.Unknown: 2}, seen: [3]int{0, 0, 2}},
		"a dry run": {
			books: map[reap.Verdict]int{reap.Alive: 1, reap.Stopped: 1, reap.Missing: 1}, brake: 10, dryRun: true,
			left: map[reap.Verdict]int{reap.Alive: 1, reap.Stopped: 1, reap.Missing: 1}, seen: [3]int{0, 1, 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := someBooks(c.books)
				began := time.Now()
				engine := &reap.Engine{
					Catalog: b, ECS: b, DryRun: c.dryRun, Limits: reap.Limits{BrakeTasks: c.brake},
					Now: func() time.Duration { return time.Since(began) },
				}
				var lines []string
				got, err := reaping{func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }, engine}.run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.left, b.left()); diff != "" {
					t.Errorf("left: want -, got +:\n%s", diff)
				}
				if seen := [3]int{len(got.heldBack), len(got.waiting), got.unknown}; seen != c.seen {
					t.Errorf("%d tasks are held back, waiting and unknown, want %d", seen, c.seen)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("it took %s, want %s", took, c.took)
				}
				before, after := len(someBooks(c.books).held), len(b.held)
				if last := lines[len(lines)-1]; !c.dryRun && !strings.HasPrefix(last, "Removed what "+tasks(before-after)+" left") {
					t.Errorf("%d of %d tasks are left: %s", after, before, last)
				}
				if waits := slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "waiting 1m5s") }); waits != (c.took > 0) {
					t.Errorf("it says %q", lines)
				}
			})
		})
	}
}

func TestARunThatIsCutOffSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := someBooks(map[reap.Verdict]int{reap.Alive: 1, reap.Missing: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got, err := reaping{func(string, ...any) {}, &reap.Engine{Catalog: b, ECS: b}}.run(ctx)
		if err == nil || !strings.HasPrefix(err.Error(), "wait for the second look: ") || len(got.waiting) != 1 || len(b.held) != 2 {
			t.Errorf("%+v, %v, %v", got, err, b.left())
		}
	})
}
