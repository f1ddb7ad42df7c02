package participation_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// faults are what a call may meet, one after the other, and the hint that an error of it then has; "": there is none.
func faults(cancel func()) []struct {
	fault awsfault.Fault
	hint  string
} {
	return []struct {
		fault awsfault.Fault
		hint  string
	}{
		{awsfault.Lose, ""},
		{awsfault.Expired, "hint: the AWS credentials have expired: renew them"},
		{awsfault.Throttle, ""},
		{awsfault.Do(cancel), "canceled"},
		{awsfault.OutOfOrder, ""},
	}
}

// stride is how many calls apart those are that meet a fault. FAULTS_STRIDE=1 has each meet one.
const stride = 7

// A mesh task comes and goes, and a call of all that takes meets a fault. It succeeds, or says what to do and does when repeated; the
// controller is there as a whole in between, and nothing is left of it.
func TestJoiningAndLeavingBearFaults(t *testing.T) {
	t.Parallel()
	step, err := strconv.Atoi(os.Getenv("FAULTS_STRIDE"))
	if err != nil {
		step = stride
	}
	const atOnce = 12 // most of the time is waiting
	clean := startCloud(t, "no-faults")
	proxy := awsfault.Start(t, moto.URL(t))
	if err := clean.live(t.Context(), t, proxy, ""); err != nil {
		t.Fatal(err)
	}
	calls := proxy.Calls()
	t.Logf("%d calls", len(calls))
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i := 0; i < len(calls); i += step {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			c, proxy := startCloud(t, fmt.Sprintf("faults-%d", i)), awsfault.Start(t, moto.URL(t))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			met := faults(cancel)[i/step%len(faults(nil))]
			proxy.Inject(awsfault.Rule{Skip: i, Times: 1, Fault: met.fault})
			if err := c.live(ctx, t, proxy, met.hint); err != nil {
				t.Errorf("call %d (%s), fault %d: %v", i, calls[i].Action, i/step%len(faults(nil)), err)
			}
		})
	}
	all.Wait()
}

// actWithin is how long joining or leaving may take: seconds, but on a busy machine.
const actWithin = 5 * time.Minute

// live has a mesh task come and go behind a proxy. What fails with the hint is repeated, once.
func (c cloud) live(ctx context.Context, t *testing.T, proxy *awsfault.Proxy, hint string) error {
	behind := c
	behind.config.BaseEndpoint = &proxy.URL
	w := c.wish(t)
	act := func(what string, do func(context.Context) error) error {
		if ctx.Err() != nil { // it met its fault
			ctx = t.Context()
		}
		err := row.WithTimeout(ctx, actWithin, do)
		if err == nil {
			return nil
		}
		if hint == "" || !strings.Contains(err.Error(), hint) {
			return fmt.Errorf("%s: got %w, want an error with %q", what, err, hint)
		}
		return row.WithTimeout(t.Context(), actWithin, do)
	}
	came := act("join", func(ctx context.Context) error {
		_, err := behind.process(ctx).Join(ctx, w, func(ctx context.Context) error { return c.come(t.Context(), "task") })
		return err
	})
	is := c.is(t.Context(), true)
	gone := c.goes(t.Context(), "task")
	left := act("leave", func(ctx context.Context) error { return behind.process(ctx).Leave(ctx, w) })
	return errors.Join(came, is, gone, left, c.is(t.Context(), false))
}
