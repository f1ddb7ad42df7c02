package controllerbench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/api"
	"golang.org/x/sync/errgroup"

	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

const (
	writesAtOnce = 16  // more do not make two cores faster
	paceBatch    = 100 // writes, after which it is seen whether there were too many at once

	tryLimit   = 30 * time.Second // for an answer
	patience   = 3 * time.Minute  // with servers that refuse one write again and again: they elect a leader in less
	firstPause = 250 * time.Millisecond
	maxPause   = 5 * time.Second
)

// paced has write called for each number below n, as many at a time as the servers bear, and says how often they refused one.
func paced(ctx context.Context, n int, what string, write func(ctx context.Context, i int) error) (refused int, err error) {
	atOnce := writesAtOnce
	for first := 0; first < n; first += paceBatch {
		var refusals atomic.Int64
		batch, ctx := errgroup.WithContext(ctx)
		batch.SetLimit(atOnce)
		for i := first; i < min(first+paceBatch, n); i++ {
			batch.Go(func() error {
				times, err := insist(ctx, what, func(ctx context.Context) error { return write(ctx, i) })
				refusals.Add(int64(times))
				return err
			})
		}
		err := batch.Wait()
		if refused += int(refusals.Load()); err != nil {
			return refused, err
		}
		atOnce = nextPace(atOnce, refusals.Load() > 0)
	}
	return refused, nil
}

// nextPace is how many writes are sent at a time after a batch of them: half as many where some were refused, else one more.
func nextPace(atOnce int, refused bool) int {
	if refused {
		return max(atOnce/2, 1)
	}
	return min(atOnce+1, writesAtOnce)
}

// insist writes until the servers take it, and says how often they were too busy to.
func insist(ctx context.Context, what string, write func(context.Context) error) (refused int, err error) {
	deadline := time.Now().Add(patience)
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		try, cancel := context.WithTimeout(ctx, tryLimit)
		err := write(try)
		cancel()
		if err == nil {
			return refused, nil
		}
		if !isBusy(err) || time.Now().After(deadline) {
			return refused, fmt.Errorf("%s, after %d refusals: %w", what, refused, err)
		}
		refused++
		if !sleep.For(ctx, pause/2+rand.N(pause)) {
			return refused, fmt.Errorf("%s, after %d refusals: %w: %w", what, refused, context.Cause(ctx), err)
		}
	}
}

// isBusy reports whether a write may go through later: the server has too much to do, no leader, or no answer.
func isBusy(err error) bool {
	var status api.StatusError
	return !errors.As(err, &status) || status.Code == http.StatusTooManyRequests || status.Code >= http.StatusInternalServerError
}
