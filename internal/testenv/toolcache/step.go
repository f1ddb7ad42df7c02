package toolcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// step brings one thing. do says how it came: "present", "built" and so on.
type step struct {
	name  string
	after []string // steps of the same lane that must have worked
	do    func(ctx context.Context) (how string, err error)
}

// runLanes runs the lanes side by side and each lane's steps in order. A step that fails does not hold up those
// that do not need it; all errors come back joined.
func runLanes(ctx context.Context, out io.Writer, lanes ...[]step) error {
	report := &reporter{out: out}
	var wg sync.WaitGroup
	errs := make([]error, len(lanes))
	for i, lane := range lanes {
		wg.Go(func() { errs[i] = runLane(ctx, report, lane) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func runLane(ctx context.Context, report *reporter, lane []step) error {
	var errs []error
	var failed []string
	for _, s := range lane {
		if ctx.Err() != nil {
			break // the caller tells that once
		}
		if i := slices.IndexFunc(s.after, func(name string) bool { return slices.Contains(failed, name) }); i >= 0 {
			failed = append(failed, s.name)
			report.line(s.name, "left out: needs "+s.after[i], 0)
			continue
		}
		start := time.Now()
		slow := time.AfterFunc(2*time.Second, func() { report.line(s.name, "under way", 0) })
		how, err := s.do(ctx)
		slow.Stop()
		if err != nil {
			failed = append(failed, s.name)
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
			how = "failed"
		}
		report.line(s.name, how, time.Since(start))
	}
	return errors.Join(errs...)
}

// reporter prints one line a time from several lanes.
type reporter struct {
	mu  sync.Mutex
	out io.Writer
}

func (r *reporter) line(name, how string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, "%-26s %-32s %6.1f s\n", name, how, took.Seconds())
}
