package sleep_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

func TestASleepEndsInTimeOrWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if !sleep.For(t.Context(), time.Minute) || time.Since(start) != time.Minute {
			t.Errorf("slept %s, want a minute", time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		if sleep.For(ctx, time.Minute) || time.Since(start) != time.Second {
			t.Errorf("slept %s, want a second and false", time.Since(start))
		}
	})
}
