package consul

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

func TestRetryEndsAsItsErrorsSay(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		errs  []error // of one try after the other, the last one for ever
		tries int
		want  string
	}{
		"at once":           {[]error{nil}, 1, ""},
		"after a while":     {[]error{errors.New("x"), errors.New("x"), nil}, 3, ""},
		"final":             {[]error{&Refusal{Err: errors.New("no"), Hint: "do this", Tries: 1}}, 1, "work: no\nhint: do this"},
		"final after a few": {[]error{&Refusal{Err: errors.New("no"), Tries: 3}}, 3, "work: no"},
		"waited for before": {[]error{errors.New("x"), errors.New("x"), errors.New("x"), &Refusal{Err: errors.New("no"), Tries: 3}, nil}, 5, ""},
		"turned final":      {[]error{errors.New("x"), &Refusal{Err: errors.New("no"), Tries: 1}}, 2, "work: no"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				err := Retry(t.Context(), hclog.NewNullLogger(), "work", func(context.Context) error {
					tries++
					return tc.errs[min(tries, len(tc.errs))-1]
				})
				if tries != tc.tries || tc.want == "" && err != nil || tc.want != "" && (err == nil || err.Error() != tc.want) {
					t.Errorf("%d tries, %v; want %d, %q", tries, err, tc.tries, tc.want)
				}
			})
		})
	}
}

func TestRetryGivesUpAtTheDeadlineWithTheLastReason(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), StartTimeout)
		defer cancel()
		var tries []time.Time
		err := Retry(ctx, hclog.NewNullLogger(), "work", func(context.Context) error {
			tries = append(tries, time.Now())
			return &Refusal{Err: errors.New("no server"), Hint: "look there"}
		})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "work: context deadline exceeded after 2m0s and ") ||
			!strings.HasSuffix(err.Error(), "no server\nhint: look there") {
			t.Errorf("got %v", err)
		}
		if len(tries) < 15 || len(tries) > 60 {
			t.Errorf("%d tries in two minutes", len(tries))
		}
		if last := tries[len(tries)-1].Sub(tries[len(tries)-2]); last > maxPause*3/2 {
			t.Errorf("the last pause was %s", last)
		}
	})
}
