package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// mostReads is how many calls a plan may take for one mesh task that there is.
const mostReads = 6

// act is what Terraform has the provider do.
type act struct {
	name string
	// before brings the world to where the act begins, without faults.
	before func(ctx context.Context, t *testing.T, c cloud, family string) (Design, *Progress, error)
	// do acts, and check looks at the world after an act without an error.
	do    func(ctx context.Context, c *Client, d Design, had Before, out *Progress) error
	check func(ctx context.Context, c cloud, d Design, out *Progress) error
}

func acts() []act {
	nothing := func(_ context.Context, t *testing.T, _ cloud, family string) (Design, *Progress, error) {
		return wanted(t, family, "app:1"), &Progress{}, nil
	}
	made := func(ctx context.Context, t *testing.T, c cloud, family string) (Design, *Progress, error) {
		d, out := wanted(t, family, "app:1"), &Progress{}
		return d, out, c.sure.Create(ctx, d, out)
	}
	is := func(ctx context.Context, c cloud, d Design, out *Progress) error { return c.is(ctx, d, out) }
	return []act{
		{"create", nothing, func(ctx context.Context, c *Client, d Design, _ Before, out *Progress) error {
			return c.Create(ctx, d, out)
		}, is},
		{"read", made, func(ctx context.Context, c *Client, d Design, _ Before, out *Progress) error {
			was := out.Outcome
			_, exists, err := c.Look(ctx, d.Family, d.Owner, &out.Outcome, d.Service)
			if err == nil && (!exists || row.Value(was.ARN) != row.Value(out.ARN) || row.Value(was.Roles) != row.Value(out.Roles) || row.Value(was.ECSServiceARN) != row.Value(out.ECSServiceARN)) {
				err = fmt.Errorf("it was\n%+v and is\n%+v", was, out.Outcome)
			}
			return err
		}, is},
		{"update", func(ctx context.Context, t *testing.T, c cloud, family string) (Design, *Progress, error) {
			const policy = `{"Version":"2012-10-17","Statement":[{"Action":"a:b","Effect":"Allow","Resource":"*"}]}`
			was, d, out := wanted(t, family, "app:1"), wanted(t, family, "app:2"), &Progress{}
			was.TaskRole.Role.InlinePolicies, d.TaskRole.Role.InlinePolicies = map[string]string{"goes": policy}, map[string]string{"comes": policy}
			was.TaskRole.Role.PermissionsBoundary, d.ExecutionRole.Role.PermissionsBoundary = extraPolicy, extraPolicy
			err := c.sure.Create(ctx, was, out)
			d.Service.WaitForSteadyState = nil // moto's deployments keep the definition that they began with
			return d, out, err
		}, func(ctx context.Context, c *Client, d Design, had Before, out *Progress) error {
			return c.Apply(ctx, d, had, out)
		}, is},
		{"delete", made, func(ctx context.Context, c *Client, d Design, had Before, _ *Progress) error {
			return c.Remove(ctx, d.Family, d.Owner, had)
		},
			func(ctx context.Context, c cloud, d Design, _ *Progress) error { return c.isGone(ctx, d) }},
	}
}

// injected is a fault, and what it may lead to.
type injected struct {
	name  string
	fault func(cancel func()) awsfault.Fault
	fits  func(action string) bool
	hint  string // that the act's error has; "": the act succeeds
}

func faults() []injected {
	always := func(f awsfault.Fault) func(func()) awsfault.Fault { return func(func()) awsfault.Fault { return f } }
	all := func(string) bool { return true }
	lists := func(action string) bool { return strings.HasPrefix(action, "List") || action == "DescribeServices" }
	return []injected{
		{"throttled", always(awsfault.Throttle), all, ""},
		{"lost", always(awsfault.Lose), all, ""},
		{"500", always(awsfault.OutOfOrder), all, ""},
		{"empty page", always(awsfault.EmptyPage), lists, ""},
		{"expired", always(awsfault.Expired), all, "hint: the AWS credentials have expired: renew them"},
		{"hanging", always(awsfault.Hang), all, "not done within"},
		{"cancelled", func(cancel func()) awsfault.Fault { return awsfault.Do(cancel) }, all, "canceled"},
	}
}

// Every call of every act meets every fault once. The act succeeds and the world is right; or the error says what to do, and the
// act repeated makes the world right.
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
			for _, f := range faults() {
				if !f.fits(call.Action) {
					continue
				}
				slots <- struct{}{}
				all.Go(func() {
					defer func() { <-slots }()
					if err := meet(t, a, f, i); err != nil {
						t.Errorf("%s, call %d (%s), %s: %v", a.name, i, call.Action, f.name, err)
					}
				})
			}
		}
	}
	all.Wait()
}

// callsOf is what an act calls when nothing goes wrong.
func callsOf(t *testing.T, a act) []awsfault.Call {
	t.Helper()
	c := startCloud(t)
	d, out, err := a.before(t.Context(), t, c, a.name)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.do(t.Context(), c.Client, d, out.was(d), out), a.check(t.Context(), c, d, out)); err != nil {
		t.Fatalf("%s: %v", a.name, err)
	}
	return c.proxy.Calls()
}

// meet has the call of the number meet the fault.
func meet(t *testing.T, a act, f injected, call int) error {
	c := startCloud(t)
	d, out, err := a.before(t.Context(), t, c, fmt.Sprintf("%s-%d-%s", a.name, call, strings.ReplaceAll(f.name, " ", "")))
	if err != nil {
		return fmt.Errorf("before: %w", err)
	}
	had := out.was(d)
	limit := time.Minute
	if f.name == "hanging" {
		limit = 3 * time.Second
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.proxy.Inject(awsfault.Rule{Skip: call, Times: 1, Fault: f.fault(cancel)})
	err = row.WithTimeout(ctx, limit, func(ctx context.Context) error { return a.do(ctx, c.Client, d, had, out) })
	if err == nil {
		return a.check(t.Context(), c, d, out) // a cancel during the last call comes too late
	}
	if f.hint == "" || !strings.Contains(err.Error(), f.hint) {
		return fmt.Errorf("got %w, want an error with %q", err, f.hint)
	}
	if a.name == "create" && out.ECSServiceARN == nil { // Terraform keeps nothing of it
		if err := c.isGone(t.Context(), d); err != nil {
			return fmt.Errorf("after %q: %w", err, err)
		}
		d, out = another(t, d), &Progress{}
	}
	had = out.was(d)
	if a.name == "create" && out.ECSServiceARN != nil {
		return errors.Join(c.sure.Apply(t.Context(), d, had, out), a.check(t.Context(), c, d, out))
	}
	return errors.Join(a.do(t.Context(), c.sure, d, had, out), a.check(t.Context(), c, d, out))
}
