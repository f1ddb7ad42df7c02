package awsfault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// How long an act may take that meets a fault, and one that meets a call which never ends.
const (
	actLimit     = 3 * time.Minute // seconds, but on a busy machine
	hangingLimit = 3 * time.Second
)

// Act is something that calls AWS and is to get over faults.
type Act struct {
	Name string
	Most int // calls that it may take; 0: as many as it likes

	// Begin brings a world, of a name of its own, to where the act begins.
	Begin func(t *testing.T, name string) (Trial, error)
}

// Trial is an act in its world.
type Trial struct {
	Proxy *Proxy                                                  // that the act calls
	Do    func(ctx context.Context, limit time.Duration) error    // the act, as it is done within a limit
	Check func(ctx context.Context) error                         // what is wrong with the world after the act
	Again func(ctx context.Context, failed error) (checked error) // makes good, without faults, for an act that failed
}

// injected is a fault, and what it may lead to.
type injected struct {
	name  string
	fault func(cancel func()) Fault
	fits  func(action string) bool
	limit time.Duration
	hint  string // that the act's error has; "": the act succeeds
}

// sweeping are the faults of a sweep.
func sweeping() []injected {
	always := func(f Fault) func(func()) Fault { return func(func()) Fault { return f } }
	all := func(string) bool { return true }
	whole := []string{"ListTagsForResource", "ListQueueTags"}                   // lists that AWS answers in one piece
	otherwise := []string{"DescribeServices", "GetAccountAuthorizationDetails"} // lists by other names
	lists := func(action string) bool {
		return strings.HasPrefix(action, "List") && !slices.Contains(whole, action) || slices.Contains(otherwise, action)
	}
	return []injected{
		{"throttled", always(Throttle), all, actLimit, ""},
		{"lost", always(Lose), all, actLimit, ""},
		{"500", always(OutOfOrder), all, actLimit, ""},
		{"empty-page", always(EmptyPage), lists, actLimit, ""},
		{"expired", always(Expired), all, actLimit, "hint: the AWS credentials have expired: renew them"},
		{"hanging", always(Hang), all, hangingLimit, "not done within"},
		{"cancelled", func(cancel func()) Fault { return Do(cancel) }, all, actLimit, "canceled"},
	}
}

// Sweep has every call of every act meet every fault once. The act has to succeed and the world to be right; or the error says what
// to do, and the act repeated makes the world right.
func Sweep(t *testing.T, acts ...Act) {
	t.Helper()
	const atOnce = 24 // most of the time is waiting
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for _, a := range acts {
		calls := a.calls(t)
		t.Logf("%s: %d calls: %v", a.Name, len(calls), calls)
		if a.Most > 0 && len(calls) > a.Most {
			t.Errorf("%s takes %d calls, more than %d", a.Name, len(calls), a.Most)
		}
		for i, call := range calls {
			for _, f := range sweeping() {
				if !f.fits(call.Action) {
					continue
				}
				slots <- struct{}{}
				all.Go(func() {
					defer func() { <-slots }()
					if err := a.meets(t, f, i); err != nil {
						t.Errorf("%s, call %d (%s), %s: %v", a.Name, i, call.Action, f.name, err)
					}
				})
			}
		}
	}
	all.Wait()
}

// calls are those of the act when nothing goes wrong.
func (a Act) calls(t *testing.T) []Call {
	t.Helper()
	trial, err := a.Begin(t, a.Name)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(trial.Do(t.Context(), actLimit), trial.Check(t.Context())); err != nil {
		t.Fatalf("%s: %v", a.Name, err)
	}
	return trial.Proxy.Calls()
}

// meets has the call of the number meet the fault.
func (a Act) meets(t *testing.T, f injected, call int) error {
	trial, err := a.Begin(t, fmt.Sprintf("%s-%d-%s", a.Name, call, f.name))
	if err != nil {
		return fmt.Errorf("before: %w", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	trial.Proxy.Inject(Rule{Skip: call, Times: 1, Fault: f.fault(cancel)})
	err = trial.Do(ctx, f.limit)
	if err == nil {
		return trial.Check(t.Context()) // a cancel during the last call comes too late
	}
	if f.hint == "" || !strings.Contains(err.Error(), f.hint) {
		return fmt.Errorf("got %w, want an error with %q", err, f.hint)
	}
	return trial.Again(t.Context(), err)
}
