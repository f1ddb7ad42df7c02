package deploy

import (
	"context"
	"errors"
	"testing"
)

func TestOnlyAWaitCanBeInterruptedWithoutHarm(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	overdue, cancelOverdue := context.WithTimeout(t.Context(), -1)
	defer cancelOverdue()
	waiting := Unsteady("web", context.Canceled)
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		out  *Progress
		want bool
	}{
		"a wait":                      {cancelled, waiting, &Progress{}, true},
		"a wait that is too long":     {overdue, waiting, &Progress{}, false},
		"a wait that finds a failure": {t.Context(), waiting, &Progress{}, false},
		"something else":              {cancelled, errors.New("no such subnet"), &Progress{}, false},
		"a wait before roles go":      {cancelled, waiting, &Progress{obsolete: true}, false},
	} {
		if got := IsInterrupted(c.ctx, c.err, c.out); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}
