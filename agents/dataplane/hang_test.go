package dataplane

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnEnvoyIsGivenUpAfterTenSilencesInARow(t *testing.T) {
	t.Parallel()
	silence := os.ErrDeadlineExceeded // a net.Error
	for name, tc := range map[string]struct {
		answers []error       // one after the other; the last stays
		within  time.Duration // 0 for never
	}{
		"silent from now on":     {[]error{silence}, 10 * (hangAsks + time.Second)},
		"an answer in between":   {[]error{silence, silence, silence, silence, silence, silence, silence, silence, silence, nil, silence}, 19*(hangAsks+time.Second) + hangAsks},
		"not ready":              {[]error{errors.New("GET /ready: 503")}, 5 * time.Minute},
		"not ready at first":     {[]error{errors.New("GET /ready: 503"), errors.New("GET /ready: 503"), nil}, 0},
		"ready":                  {[]error{nil}, 0},
		"silent every other one": {[]error{silence, nil, silence, nil, silence, nil, silence, nil, silence, nil, silence, nil, silence, nil, silence, nil, silence, nil, silence, nil}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				began, n := time.Now(), 0
				e := watchHang(ctx, func(context.Context) error {
					err := tc.answers[min(n, len(tc.answers)-1)]
					if n++; err == silence {
						time.Sleep(time.Second)
					}
					return err
				})
				ended := false
				select {
				case <-e.done:
					ended = e.err() != nil
				case <-time.After(time.Hour):
				}
				if took := time.Since(began); ended != (tc.within > 0) || ended && took != tc.within {
					t.Errorf("ended %v after %s, want it after %s", ended, took, tc.within)
				}
				cancel()
				synctest.Wait()
			})
		})
	}
}
