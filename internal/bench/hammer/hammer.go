// Package hammer asks a server as fast as it answers, or at a steady rate, over connections that stay open, and tells how
// many answers came and how long each took. Package fleet's load is the other kind: a connection for each request, and
// every failure told.
package hammer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
)

// Ask asks once and returns when the answer has come. One goroutine at a time calls it.
type Ask func() error

// Result is what came of a run.
type Result struct {
	Elapsed time.Duration
	Latency []time.Duration // of each answer, sorted
	Failed  int
	Err     error // the first failure
}

// Rate is the answers per second.
func (r Result) Rate() float64 { return float64(len(r.Latency)) / r.Elapsed.Seconds() }

// Quantile is the latency that a share q of the answers, 0 to 1, did not exceed.
func (r Result) Quantile(q float64) time.Duration { return figures.Quantile(r.Latency, q) }

// Milliseconds is Quantile as a number.
func (r Result) Milliseconds(q float64) float64 {
	return float64(r.Quantile(q)) / float64(time.Millisecond)
}

// String is a line for people.
func (r Result) String() string {
	return fmt.Sprintf("%.0f/s, p50 %s, p99 %s, %d failed", r.Rate(), r.Quantile(0.5).Round(10*time.Microsecond), r.Quantile(0.99).Round(10*time.Microsecond), r.Failed)
}

// Flat has every asker ask again as soon as it has its answer, for d.
func Flat(ctx context.Context, d time.Duration, asks []Ask) (Result, error) {
	return run(ctx, d, asks, func(int) func() time.Time { return time.Now })
}

// Steady has the askers together ask rate times a second, for d. An answer's time counts from the moment at which its
// question was due, so that a server that stalls cannot hide what it kept waiting.
func Steady(ctx context.Context, d time.Duration, rate int, asks []Ask) (Result, error) {
	begin, gap := time.Now(), time.Second/time.Duration(rate)
	return run(ctx, d, asks, func(asker int) func() time.Time {
		turn := asker - len(asks)
		return func() time.Time {
			turn += len(asks)
			due := begin.Add(time.Duration(turn) * gap)
			time.Sleep(time.Until(due))
			return due
		}
	})
}

// run runs the askers until d is over. next waits for an asker's next turn and returns when that was.
func run(ctx context.Context, d time.Duration, asks []Ask, next func(asker int) func() time.Time) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	begin := time.Now()
	parts := make([]Result, len(asks))
	var group sync.WaitGroup
	for i, ask := range asks {
		group.Go(func() { parts[i] = one(ctx, ask, next(i)) })
	}
	group.Wait()
	all := Result{Elapsed: time.Since(begin)}
	for _, p := range parts {
		all.Latency = append(all.Latency, p.Latency...)
		all.Failed += p.Failed
		all.Err = errors.Join(all.Err, p.Err)
	}
	slices.Sort(all.Latency)
	if len(all.Latency) == 0 {
		return all, fmt.Errorf("no answer within %s: %w", d, errors.Join(all.Err, context.Cause(ctx)))
	}
	return all, nil
}

// one runs one asker. A connection that failed once is of no more use.
func one(ctx context.Context, ask Ask, next func() time.Time) (r Result) {
	for ctx.Err() == nil {
		start := next()
		if err := ask(); err != nil {
			r.Failed++
			r.Err = err
			return r
		}
		r.Latency = append(r.Latency, time.Since(start))
	}
	return r
}
