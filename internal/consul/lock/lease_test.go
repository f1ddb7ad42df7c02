package lock

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"
)

// TestTheClockEndsALeaseBeforeItsTimerDoes has a timer that does not run, as in a process that was asleep and whose timers are late.
func TestTheClockEndsALeaseBeforeItsTimerDoes(t *testing.T) {
	t.Parallel()
	nobody, err := api.NewClient(&api.Config{Address: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	for name, valid := range map[string]func(lease, derived context.Context) error{
		"the context": func(lease, _ context.Context) error { return lease.Err() },
		"a check":     func(_, derived context.Context) error { return Check(derived) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const trust = time.Second
			sent := time.Now().Add(trust - trustFor)
			l := newLease(t.Context(), nobody, Settings{Log: hclog.NewNullLogger()}, "", 1, record{}, sent)
			l.timer.Stop()
			derived, end := context.WithTimeout(l.Context(), time.Hour)
			defer end()
			if err := valid(l.Context(), derived); err != nil {
				t.Errorf("before the end: %v", err)
			}
			time.Sleep(trust + 10*time.Millisecond)
			if err := valid(l.Context(), derived); err == nil || !errors.Is(context.Cause(derived), ErrUntrusted) {
				t.Errorf("after the end: %v, %v", err, context.Cause(derived))
			}
			l.end(ErrReleased)
			<-l.kept
		})
	}
}
