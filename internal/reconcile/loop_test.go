package reconcile_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/reconcile"
)

func loop(log *bytes.Buffer) reconcile.Loop {
	return reconcile.Loop{
		Interval: func() time.Duration { return 5 * time.Second }, Retry: 5 * time.Second, MaxPause: time.Minute, Timeout: 30 * time.Second,
		Log: hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Debug}),
	}
}

// passes runs the loop for so long, and tells when each pass began.
func passes(l reconcile.Loop, d time.Duration, pass func(context.Context) error) []time.Duration {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	start := time.Now()
	var began []time.Duration
	l.Run(ctx, func(ctx context.Context) error {
		began = append(began, time.Since(start))
		return pass(ctx)
	})
	return began
}

func TestTheFirstPassRunsAtOnceAndTheRestAtTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		began := passes(loop(&log), 10*time.Minute, func(context.Context) error { return nil })
		if began[0] != 0 {
			t.Errorf("first pass after %v, want at once", began[0])
		}
		pauses := map[time.Duration]bool{}
		for i := 1; i < len(began); i++ {
			pause := began[i] - began[i-1]
			pauses[pause] = true
			if pause < 4*time.Second || pause > 6*time.Second {
				t.Errorf("pause of %v, want 5s ± 20%%", pause)
			}
		}
		if len(pauses) < len(began)/2 {
			t.Errorf("%d different pauses in %d passes: no jitter", len(pauses), len(began))
		}
		if log.Len() > 0 {
			t.Errorf("passes that succeed are worth no log line, got %s", log.String())
		}
	})
}

func TestPausesGrowWhilePassesFailAndShrinkAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		count := 0
		began := passes(loop(&log), 10*time.Minute, func(context.Context) error {
			if count++; count <= 8 {
				return errors.New("consul is away")
			}
			return nil
		})
		within := func(i int, want time.Duration) {
			t.Helper()
			pause := began[i] - began[i-1]
			if pause < want*8/10 || pause > want*12/10 {
				t.Errorf("pause %d is %v, want %v ± 20%%", i, pause, want)
			}
		}
		for i, want := range []time.Duration{5, 10, 20, 40, 60, 60, 60, 60} {
			within(i+1, want*time.Second)
		}
		within(9, 5*time.Second)
		if n := strings.Count(log.String(), "consul is away"); n != 8 {
			t.Errorf("%d log lines for 8 failures:\n%s", n, log.String())
		}
		if !strings.Contains(log.String(), "pass succeeded again: failures=8") {
			t.Errorf("the end of the failures is not logged:\n%s", log.String())
		}
	})
}

func TestAPassIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		began := passes(loop(&log), 2*time.Minute, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if len(began) < 2 || began[1] < 34*time.Second || began[1] > 36*time.Second {
			t.Errorf("passes began at %v, want the second 30s + 5s ± 1s after the first", began)
		}
	})
}

func TestTheIntervalIsAskedAfterEachPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l, interval := loop(&log), 10*time.Second
		l.Interval = func() time.Duration { interval *= 2; return interval }
		began := passes(l, 2*time.Minute, func(context.Context) error { return nil })
		for i, want := range []time.Duration{20 * time.Second, 40 * time.Second} {
			if pause := began[i+1] - began[i]; pause < want*8/10 || pause > want*12/10 {
				t.Errorf("pause %d is %v, want %v ± 20%%", i, pause, want)
			}
		}
	})
}

func TestAWordBeginsTheNextPassAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		wake := make(chan struct{})
		l := loop(&log)
		l.Wake = wake
		go func() {
			time.Sleep(time.Second)
			wake <- struct{}{}
		}()
		if began := passes(l, 10*time.Second, func(context.Context) error { return nil }); began[1] != time.Second {
			t.Errorf("the second pass began after %v, want 1s, when it was woken", began[1])
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	for name, stopDuring := range map[string]time.Duration{"the pass": time.Second, "the pause": 4 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				start := time.Now()
				passes(loop(&log), stopDuring, func(ctx context.Context) error {
					select {
					case <-ctx.Done():
						return ctx.Err()
					case <-time.After(2 * time.Second):
						return nil
					}
				})
				if took := time.Since(start); took != stopDuring {
					t.Errorf("Run ended after %v, want %v", took, stopDuring)
				}
				if log.Len() > 0 {
					t.Errorf("being told to stop is no failure, got %s", log.String())
				}
			})
		})
	}
}
