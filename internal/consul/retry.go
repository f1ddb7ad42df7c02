package consul

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

// The pauses between tries grow from the first to the longest, each with its own jitter, so that the tasks of a fleet do
// not come back to a recovering server at the same moment.
const (
	firstPause = 200 * time.Millisecond
	maxPause   = 10 * time.Second
)

// Refusal is an answer that tells whether another try makes sense, and what an operator can do about it.
type Refusal struct {
	Err   error
	Hint  string // "" for none
	Tries int    // how many tries in a row it is worth: 1 for none after this one, 0 for as many as there is time for
}

// Error is the cause, and the hint on a line of its own.
func (r *Refusal) Error() string {
	if r.Hint == "" {
		return r.Err.Error()
	}
	return r.Err.Error() + "\nhint: " + r.Hint
}

func (r *Refusal) Unwrap() error { return r.Err }

// Retry calls do until it succeeds, its error is a Refusal that is not worth another try, or ctx ends. Each failure is
// logged as a warning, the last one is the error.
func Retry(ctx context.Context, log hclog.Logger, what string, do func(context.Context) error) error {
	start := time.Now()
	pause := firstPause
	var last error
	refused := 0 // tries in a row whose number is limited: what was waited for before does not count against them
	for attempt := 1; ; attempt++ {
		err := do(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err // what the end of ctx does to a try says less than the try before
		}
		var refusal *Refusal
		if !errors.As(err, &refusal) || refusal.Tries == 0 {
			refused = 0
		} else if refused++; refused >= refusal.Tries {
			return fmt.Errorf("%s: %w", what, err)
		}
		wait := pause/2 + rand.N(pause)
		if ctx.Err() == nil {
			facts := []any{"what", what, "attempt", attempt, "retry_in", wait.Round(time.Millisecond).String()}
			log.Warn("will retry", append(facts, agentlog.Fields(err)...)...)
		}
		if !sleep.For(ctx, wait) {
			return fmt.Errorf("%s: %w after %s and %d attempts: %w",
				what, context.Cause(ctx), time.Since(start).Round(time.Millisecond), attempt, last)
		}
		pause = min(pause*3/2, maxPause)
	}
}
