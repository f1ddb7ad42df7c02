package eventually_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

func TestItLooksUntilNothingIsMissing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		late := func() bool { return time.Since(start) >= time.Second }
		if took := eventually.True(t, "a second is over", time.Minute, late); took != time.Second {
			t.Errorf("took %s, want a second", took)
		}
		if took := eventually.Nil(t, "it is over still", time.Minute, func() error { return nil }); took != 0 {
			t.Errorf("took %s, want no time", took)
		}
	})
}

func TestWhatWasMissingLastIsSaid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stopped, stop := context.WithCancelCause(t.Context())
		stop(errors.New("the server ended"))
		for name, c := range map[string]struct {
			ctx     context.Context
			missing string
			err     error
			want    string
		}{
			"past the limit": {t.Context(), "one of two", nil, "both are up: not within 1s: one of two"},
			"with an error":  {t.Context(), "", errors.New("no answer"), "both are up: not within 1s: no answer"},
			"without hope":   {t.Context(), "", eventually.Never{Err: errors.New("one ended")}, "both are up: one ended"},
			"at the end":     {stopped, "one of two", nil, "both are up: the server ended: one of two"},
		} {
			_, err := eventually.Seen(c.ctx, "both are up", time.Second, func() (string, error) { return c.missing, c.err })
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %s", name, err, c.want)
			}
		}
	})
}
