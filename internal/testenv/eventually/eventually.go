// Package eventually waits until something holds: it looks again and again, up to a limit. Tests and the demo wait for the
// world in no other way.
package eventually

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// Soon is the limit of what takes no time, on a busy machine.
const Soon = 30 * time.Second

// pause is the time between two looks: many tests look at one Consul at the same time.
const pause = 20 * time.Millisecond

// Never is the error of a look after which there is no use in another one.
type Never struct{ Err error }

func (n Never) Error() string { return n.Err.Error() }

func (n Never) Unwrap() error { return n.Err }

// Seen asks look until it has no error and reports nothing missing, and returns when that was. Past the limit, and where ctx
// ends, the error says what was missing last.
func Seen(ctx context.Context, what string, limit time.Duration, look func() (missing string, err error)) (time.Time, error) {
	deadline := time.Now().Add(limit)
	for {
		missing, err := look()
		if err == nil && missing == "" {
			return time.Now(), nil
		}
		if errors.As(err, &Never{}) {
			return time.Time{}, fmt.Errorf("%s: %w", what, err)
		}
		missing = cmp.Or(missing, fmt.Sprint(err))
		if time.Now().After(deadline) {
			return time.Time{}, fmt.Errorf("%s: not within %s: %s", what, limit, missing)
		}
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("%s: %w: %s", what, context.Cause(ctx), missing)
		case <-time.After(pause):
		}
	}
}

// Nil waits until the test's look has no error, and says how long it took.
func Nil(t testing.TB, what string, limit time.Duration, look func() error) (took time.Duration) {
	t.Helper()
	start := time.Now()
	at, err := Seen(t.Context(), what, limit, func() (string, error) { return "", look() })
	if err != nil {
		t.Fatal(err)
	}
	return at.Sub(start)
}

// True waits until what the test looks at holds, and says how long it took.
func True(t testing.TB, what string, limit time.Duration, holds func() bool) (took time.Duration) {
	t.Helper()
	start := time.Now()
	at, err := Seen(t.Context(), what, limit, func() (missing string, err error) {
		if !holds() {
			missing = "it does not hold"
		}
		return missing, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return at.Sub(start)
}
