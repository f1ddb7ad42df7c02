package secrets

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// mostReads is how many calls a refresh may take: one for each secret.
const mostReads = 3

// act is what a resource has the keeper do.
type act struct {
	name   string
	before func(ctx context.Context, c cloud, family string) (Outputs, error) // the world that it finds; nil: nothing
	do     func(ctx context.Context, k *Keeper, d Design, by Claim, had Outputs) (Outputs, error)
	gone   bool // afterwards
	most   int  // calls
}

func acts() []act {
	ensure := func(ctx context.Context, k *Keeper, d Design, by Claim, had Outputs) (Outputs, error) {
		out, _, err := k.ensure(ctx, d, by, had)
		return out, err
	}
	made := func(ctx context.Context, c cloud, family string) (Outputs, error) {
		out, _, err := c.sure.ensure(ctx, wanted(family, "a"), claimOf(family), Outputs{})
		return out, err
	}
	return []act{
		{name: "create", do: ensure},
		{name: "tag", before: func(ctx context.Context, c cloud, family string) (Outputs, error) {
			out, _, err := c.sure.ensure(ctx, wanted(family, "b"), claimOf(family), Outputs{})
			return out, err
		}, do: ensure},
		{name: "make anew", before: func(ctx context.Context, c cloud, family string) (Outputs, error) {
			out, err := made(ctx, c, family)
			if err != nil {
				return out, err
			}
			for name, days := range map[string]*int64{family + "/ca": aws.Int64(7), family + "/server": nil} {
				_, deleted := c.sure.client.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &name, RecoveryWindowInDays: days, ForceDeleteWithoutRecovery: aws.Bool(days == nil)})
				err = errors.Join(err, deleted)
			}
			out.Version, out.CACertificate = nil, nil // as the refresh finds out
			return out, err
		}, do: ensure},
		{name: "read", before: made, most: mostReads, do: func(ctx context.Context, k *Keeper, d Design, by Claim, had Outputs) (Outputs, error) {
			_, err := k.Look(ctx, by, d.Names, &had)
			return had, err
		}},
		{name: "remove", before: made, gone: true, do: func(ctx context.Context, k *Keeper, _ Design, by Claim, had Outputs) (Outputs, error) {
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
	family = nameOf(family)
	c, d, by := startCloud(t), wanted(family, "a"), claimOf(family)
	var out Outputs
	var err error
	if a.before != nil {
		out, err = a.before(t.Context(), c, family)
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
			return row.WithTimeout(ctx, limit, func(ctx context.Context) error {
				is, err := a.do(ctx, c.Keeper, d, by, out)
				if a.name != "read" || err == nil { // what a refresh could not read stays as it was
					out = is
				}
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
