// Package lag waits for what one part of AWS knows and another learns later.
package lag

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

// firstLook is the time between the first two looks at AWS.
const firstLook = 500 * time.Millisecond

// LongestLook is the longest time between two looks at AWS.
const LongestLook = 10 * time.Second

// Lag is something that AWS refuses until it has learnt what it was told before.
type Lag struct {
	What   string // in the log
	Is     func(error) bool
	Within time.Duration
}

// Through repeats call while it fails for one of the lags, each within its bound. call has to bear repetition.
func Through(ctx context.Context, call func() error, lags ...Lag) error {
	began := time.Now()
	return Poll(ctx, func() (bool, string, error) {
		err := call()
		for _, l := range lags {
			if l.Is(err) && time.Since(began) < l.Within {
				tflog.Info(ctx, "waiting for AWS", map[string]any{"for": l.What, "err": err.Error()})
				return false, err.Error(), nil
			}
		}
		return true, "", err
	})
}

// Poll looks at once and then at growing intervals until look is done, fails, or ctx ends; the last reason that look gave is
// then part of the error.
func Poll(ctx context.Context, look func() (done bool, reason string, err error)) error {
	var last string
	for wait := firstLook; ; wait = min(LongestLook, wait*3/2) {
		done, reason, err := look()
		if done || err != nil && ctx.Err() == nil {
			return err
		}
		if reason != "" {
			last = ": " + reason
		}
		if !sleep.For(ctx, wait) {
			return fmt.Errorf("%w%s", context.Cause(ctx), last)
		}
	}
}
