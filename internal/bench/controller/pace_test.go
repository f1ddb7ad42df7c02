package controllerbench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"
)

func TestWritesThatAreRefusedAreSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const bears, writes = 3, 1000
		var under atomic.Int64
		done := make([]atomic.Int64, writes)
		refused, err := paced(t.Context(), writes, "write", func(_ context.Context, i int) error {
			n := under.Add(1)
			defer under.Add(-1)
			time.Sleep(10 * time.Millisecond)
			if n > bears {
				return api.StatusError{Code: http.StatusTooManyRequests}
			}
			done[i].Add(1)
			return nil
		})
		if err != nil || refused == 0 {
			t.Errorf("%d refused, %v", refused, err)
		}
		for i := range done {
			if n := done[i].Load(); n != 1 {
				t.Errorf("write %d was done %d times", i, n)
			}
		}
	})
}

func TestFewerAreSentAtATimeAfterARefusal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		atOnce  int
		refused bool
		want    int
	}{{16, true, 8}, {3, true, 1}, {1, true, 1}, {1, false, 2}, {8, false, 9}, {16, false, 16}} {
		if got := nextPace(c.atOnce, c.refused); got != c.want {
			t.Errorf("after %d at a time, refused %t: %d, want %d", c.atOnce, c.refused, got, c.want)
		}
	}
}

func TestAWriteIsGivenUpOnlyWhenThereIsNoHope(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err     error
		refused bool // again and again
	}{
		"too many requests":       {api.StatusError{Code: http.StatusTooManyRequests}, true},
		"no leader":               {api.StatusError{Code: http.StatusInternalServerError, Body: "No cluster leader"}, true},
		"no answer":               {errors.New("connection refused"), true},
		"refused for good":        {api.StatusError{Code: http.StatusForbidden, Body: "Permission denied"}, false},
		"refused, told by a verb": {fmt.Errorf("log in: %w", api.StatusError{Code: http.StatusForbidden}), false},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			refused, err := insist(t.Context(), "log in", func(context.Context) error { return c.err })
			if !errors.Is(err, c.err) && !strings.Contains(err.Error(), c.err.Error()) || !strings.HasPrefix(err.Error(), "log in") {
				t.Errorf("%s: %v", name, err)
			}
			if took := time.Since(start); (refused > 0) != c.refused || (took >= patience) != c.refused {
				t.Errorf("%s: given up after %d refusals and %s", name, refused, took)
			}
		})
	}
}

func TestASizeIsMeasuredOnlyWhereThereIsRoom(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	for _, c := range []struct {
		tasks, servers int
		free           int64
		fits           bool
	}{
		{10000, 3, 5 * gib, true}, {10000, 1, 2 * gib, true}, {10000, 3, 2 * gib, false}, {50000, 3, 24 * gib, true}, {50000, 3, 8 * gib, false}, {1000000, 1, 24 * gib, false},
	} {
		if lacking := room(c.tasks, c.servers, c.free); (lacking == "") != c.fits {
			t.Errorf("%d tasks, %d servers, %.0f GiB free: %q", c.tasks, c.servers, gibibytes(c.free), lacking)
		}
	}
	var said []string
	s := Defaults()
	s.Sizes, s.Servers = []int{100000000}, []int{1}
	s.Say = func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	if err := Run(t.Context(), s); err != nil || len(said) != 1 || !strings.Contains(said[0], "NOT measured: 100000000 tasks on 1 server ") {
		t.Errorf("a size without room: %v, said %q", err, said)
	}
}

func TestNumbersAreRead(t *testing.T) {
	t.Parallel()
	numbers := []int{7}
	n := (*Numbers)(&numbers)
	for _, wrong := range []string{"", "0", "1,,2", "1,-5", "many"} {
		if err := n.Set(wrong); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", wrong)) || n.String() != "7" {
			t.Errorf("%q: %v, now %s", wrong, err, n)
		}
	}
	if err := n.Set("1000, 50000"); err != nil || !slices.Equal(numbers, []int{1000, 50000}) || n.String() != "1000,50000" {
		t.Errorf("got %s, %v", n, err)
	}
}
