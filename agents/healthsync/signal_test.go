package healthsync

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"
)

// The signals are real ones, to this very program: where nobody waited for them, it would end.
func TestTheSignalAfterTheFirstIsTold(t *testing.T) {
	for name, stopped := range map[string]bool{"both are to come": false, "the first has come": true} {
		ctx, stop := context.WithCancel(t.Context())
		if stopped {
			stop()
		}
		life, end := context.WithCancel(t.Context())
		again := secondSignal(ctx, life)
		for n := 0; ; n++ {
			select {
			case <-again:
			case <-time.After(100 * time.Millisecond): // each has to arrive, for two that wait are one
				if n < 5 {
					if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
						t.Fatal(err)
					}
					continue
				}
				t.Errorf("%s: it is not told", name)
			}
			if want := map[bool]int{false: 2, true: 1}[stopped]; n != want {
				t.Errorf("%s: told after %d signals, want %d", name, n, want)
			}
			break
		}
		end()
		stop()
	}
}
