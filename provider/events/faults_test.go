package events

import (
	"context"
	"errors"
	"fmt"
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
	most   int  // calls
}

func acts() []act {
	ensure := func(ctx context.Context, k *Keeper, d eventqueue.Design, by Claim, had Outputs) (Outputs, error) {
		out, _, err := k.ensure(ctx, d, by, had)
		return out, err
	}
	return []act{
		{name: "create", do: ensure},
		{name: "change", before: []string{"other"}, do: ensure},
		{name: "read", before: []string{"a", "b"}, most: mostReads, do: func(ctx context.Context, k *Keeper, _ eventqueue.Design, by Claim, had Outputs) (Outputs, error) {
			_, err := k.Look(ctx, by, &had)
			return had, err
		}},
		{name: "remove", before: []string{"a", "b"}, gone: true, do: func(ctx context.Context, k *Keeper, _ eventqueue.Design, by Claim, had Outputs) (Outputs, error) {
			return had, k.Remove(ctx, by, had)
		}},
	}
}

func TestEveryCallMeetsEveryFault(t *testing.T) {
	t.Parallel()
	var all []awsfault.Act
	for _, a := range acts() {
		all = append(all, awsfault.Act{Name: a.name, Most: a.most, Begin: a.begin})
	}
	awsfault.Sweep(t, all...)
}

// begin brings the world to where the act begins.
func (a act) begin(t *testing.T, family string) (awsfault.Trial, error) {
	c, d, by := startCloud(t), wanted(family, "a", "b"), claimOf(family)
	var out Outputs
	var err error
	if a.before != nil {
		out, _, err = c.sure.ensure(t.Context(), wanted(family, a.before...), by, Outputs{})
	}
	check := func(ctx context.Context) error {
		if a.gone {
			return c.isGone(ctx, d)
		}
		return c.is(ctx, d, by, out)
	}
	return awsfault.Trial{
		Proxy: c.proxy, Check: check,
		Do: func(ctx context.Context, limit time.Duration) error {
			return row.WithTimeout(ctx, limit, func(ctx context.Context) (err error) {
				out, err = a.do(ctx, c.Keeper, d, by, out)
				if err != nil && context.Cause(ctx) != nil {
					err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
				}
				return err
			})
		},
		Again: func(ctx context.Context, _ error) (err error) {
			out, err = a.do(ctx, c.sure, d, by, out)
			return errors.Join(err, check(ctx))
		},
	}, err
}
