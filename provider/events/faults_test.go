package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/eventqueue"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// mostReads is how many calls a refresh may take.
const mostReads = 7

// act is what a resource has the keeper do: from the world as before leaves it to the one that check wants.
type act struct {
	name   string
	before []string // ECS clusters of what there is; none: nothing
	do     func(ctx context.Context, k *Keeper, d eventqueue.Design, by Claim, had Outputs) (Outputs, error)
	gone   bool // afterwards
}

func acts() []act {
	ensure := func(ctx context.Context, k *Keeper, d eventqueue.Design, by Claim, had Outputs) (Outputs, error) {
		out, _, err := k.ensure(ctx, d, by, had)
		return out, err
	}
	return []act{
		{"create", nil, ensure, false},
		{"change", []string{"other"}, ensure, false},
		{"read", []string{"a", "b"}, func(ctx context.Context, k *Keeper, _ eventqueue.Design, by Claim, had Outputs) (Outputs, error) {
			_, err := k.Look(ctx, by, &had)
			return had, err
		}, false},
		{"remove", []string{"a", "b"}, func(ctx context.Context, k *Keeper, _ eventqueue.Design, by Claim, had Outputs) (Outputs, error) {
			return had, k.Remove(ctx, by, had)
		}, true},
	}
}

// faults are what calls may meet, and the hint that an error of it then has; "": there is none.
func faults(cancel func()) map[string]struct {
	fault awsfault.Fault
	hint  string
} {
	return map[string]struct {
		fault awsfault.Fault
		hint  string
	}{
		"throttled": {awsfault.Throttle, ""},
		"lost":      {awsfault.Lose, ""},
		"500":       {awsfault.OutOfOrder, ""},
		"expired":   {awsfault.Expired, "hint: the AWS credentials have expired: renew them"},
		"hanging":   {awsfault.Hang, "not done within"},
		"cancelled": {awsfault.Do(cancel), "canceled"},
	}
}

// Every call of every act meets every fault once. The act succeeds and the world is right; or the error says what to do, and the act
// repeated makes the world right.
func TestEveryCallMeetsEveryFault(t *testing.T) {
	t.Parallel()
	const atOnce = 24 // most of the time is waiting
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for _, a := range acts() {
		calls := callsOf(t, a)
		t.Logf("%s: %d calls: %v", a.name, len(calls), calls)
		if a.name == "read" && len(calls) > mostReads {
			t.Errorf("a read takes %d calls, more than %d", len(calls), mostReads)
		}
		for i, call := range calls {
			for name := range faults(nil) {
				slots <- struct{}{}
				all.Go(func() {
					defer func() { <-slots }()
					if err := meet(t, a, name, i); err != nil {
						t.Errorf("%s, call %d (%s), %s: %v", a.name, i, call.Action, name, err)
					}
				})
			}
		}
	}
	all.Wait()
}

// stage brings the world to where the act begins.
func (a act) stage(t *testing.T, family string) (c cloud, d eventqueue.Design, by Claim, had Outputs, err error) {
	c, d, by = startCloud(t), wanted(family, "a", "b"), claimOf(family)
	if a.before != nil {
		had, _, err = c.sure.ensure(t.Context(), wanted(family, a.before...), by, Outputs{})
	}
	return c, d, by, had, err
}

func (a act) check(ctx context.Context, c cloud, d eventqueue.Design, by Claim, out Outputs) error {
	if a.gone {
		return c.isGone(ctx, d)
	}
	return c.is(ctx, d, by, out)
}

// callsOf is what an act calls when nothing goes wrong.
func callsOf(t *testing.T, a act) []awsfault.Call {
	t.Helper()
	c, d, by, had, err := a.stage(t, a.name)
	if err != nil {
		t.Fatal(err)
	}
	out, err := a.do(t.Context(), c.Keeper, d, by, had)
	if err := errors.Join(err, a.check(t.Context(), c, d, by, out)); err != nil {
		t.Fatalf("%s: %v", a.name, err)
	}
	return c.proxy.Calls()
}

// meet has the call of the number meet the fault.
func meet(t *testing.T, a act, name string, call int) error {
	c, d, by, had, err := a.stage(t, fmt.Sprintf("%s-%d-%s", a.name, call, name))
	if err != nil {
		return fmt.Errorf("before: %w", err)
	}
	limit := time.Minute
	if name == "hanging" {
		limit = 3 * time.Second
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	met := faults(cancel)[name]
	c.proxy.Inject(awsfault.Rule{Skip: call, Times: 1, Fault: met.fault})
	out := had
	err = row.WithTimeout(ctx, limit, func(ctx context.Context) error {
		var err error
		out, err = a.do(ctx, c.Keeper, d, by, had)
		if err != nil && context.Cause(ctx) != nil {
			err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		return err
	})
	if err == nil {
		return a.check(t.Context(), c, d, by, out) // a cancel during the last call comes too late
	}
	if met.hint == "" || !strings.Contains(err.Error(), met.hint) {
		return fmt.Errorf("got %w, want an error with %q", err, met.hint)
	}
	out, err = a.do(t.Context(), c.sure, d, by, out)
	return errors.Join(err, a.check(t.Context(), c, d, by, out))
}
