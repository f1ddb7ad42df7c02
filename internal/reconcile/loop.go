// Package reconcile runs a pass over the world again and again: at once, then at a jittered interval, more seldom while
// passes fail. It knows nothing of what a pass does; a pass reads the world as it is and mends what differs.
package reconcile

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

// jitter is the share by which each pause is longer or shorter by chance, so that many agents do not act in step.
const jitter = 0.2

// Loop says how often to run a pass.
type Loop struct {
	Interval time.Duration // from the end of one pass to the beginning of the next
	Timeout  time.Duration // the most that one pass may take
	MaxPause time.Duration // between passes that fail one after another, the most that the pause grows to
	Log      hclog.Logger
}

// Run runs passes until ctx ends, and tells their outcomes in the log: it is the one place that does.
func (l Loop) Run(ctx context.Context, pass func(context.Context) error) {
	for failures := 0; ; {
		err := l.once(ctx, pass)
		if ctx.Err() != nil {
			return
		}
		failures = l.report(failures, err)
		pause := jittered(l.pause(failures))
		if err != nil {
			l.Log.Warn("pass failed and will be retried", "attempt", failures, "retry_in", pause, "err", err)
		}
		if !sleep.For(ctx, pause) {
			return
		}
	}
}

func (l Loop) once(ctx context.Context, pass func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.Timeout)
	defer cancel()
	return pass(ctx)
}

// report counts failures in a row and says when they are over.
func (l Loop) report(failures int, err error) int {
	if err != nil {
		return failures + 1
	}
	if failures > 0 {
		l.Log.Info("pass succeeded again", "failures", failures)
	}
	return 0
}

// pause is the pause after so many failures in a row: it doubles from Interval, after none and after the first, to MaxPause.
func (l Loop) pause(failures int) time.Duration {
	pause := l.Interval
	for range failures - 1 {
		if pause *= 2; pause >= l.MaxPause {
			return max(l.MaxPause, l.Interval)
		}
	}
	return pause
}

func jittered(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 - jitter + 2*jitter*rand.Float64()))
}
