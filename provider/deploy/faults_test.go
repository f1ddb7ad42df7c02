package deploy

import (
	"context"
	"errors"
	"fmt"
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
	look := func(ctx context.Context, c *Client, d Design, _ Before, out *Progress) error {
		was := out.Outcome
		_, exists, err := c.Look(ctx, d.Family, d.Owner, &out.Outcome, d.Service)
		if err == nil && (!exists || row.Value(was.ARN) != row.Value(out.ARN) || row.Value(was.Roles) != row.Value(out.Roles) || row.Value(was.ECSServiceARN) != row.Value(out.ECSServiceARN)) {
			err = fmt.Errorf("it was\n%+v and is\n%+v", was, out.Outcome)
		}
		return err
	}
	return []act{
		{"create", nothing, func(ctx context.Context, c *Client, d Design, _ Before, out *Progress) error {
			return c.Create(ctx, d, out)
		}, is},
		{"read", made, look, is},
		{"read-of-many", made, func(ctx context.Context, c *Client, d Design, had Before, out *Progress) error {
			c.hasSeenMany()
			return look(ctx, c, d, had, out)
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

func TestEveryCallMeetsEveryFault(t *testing.T) {
	t.Parallel()
	var all []awsfault.Act
	for _, a := range acts() {
		most := 0
		if a.name == "read" {
			most = mostReads
		}
		all = append(all, awsfault.Act{Name: a.name, Most: most, Begin: a.begin})
	}
	awsfault.Sweep(t, all...)
}

// begin brings the world to where the act begins.
func (a act) begin(t *testing.T, family string) (awsfault.Trial, error) {
	c := startCloud(t)
	d, out, err := a.before(t.Context(), t, c, family)
	if err != nil {
		return awsfault.Trial{}, err
	}
	check := func(ctx context.Context) error { return a.check(ctx, c, d, out) }
	return awsfault.Trial{
		Proxy: c.proxy, Check: check,
		Do: func(ctx context.Context, limit time.Duration) error {
			had := out.was(d)
			return row.WithTimeout(ctx, limit, func(ctx context.Context) error { return a.do(ctx, c.Client, d, had, out) })
		},
		Again: func(ctx context.Context, failed error) error {
			if a.name == "create" && out.ECSServiceARN == nil { // Terraform keeps nothing of it
				if err := c.isGone(ctx, d); err != nil {
					return fmt.Errorf("after %q: %w", failed, err)
				}
				d, out = another(t, d), &Progress{}
			}
			had := out.was(d)
			if a.name == "create" && out.ECSServiceARN != nil {
				return errors.Join(c.sure.Apply(ctx, d, had, out), check(ctx))
			}
			return errors.Join(a.do(ctx, c.sure, d, had, out), check(ctx))
		},
	}, nil
}
