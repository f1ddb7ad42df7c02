package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestTheMemoryLimitGrowsWithWhatIsInUse(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	for inUse, want := range map[uint64]int64{0: room, 20 * mb: room, 60 * mb: room, 120 * mb: 215 * mb, 400 * mb: 670 * mb} {
		if got := memoryLimit(inUse); got != want {
			t.Errorf("%d MB in use: the limit is %d MB, want %d", inUse/mb, got/mb, want/mb)
		}
	}
}

func TestTheLimitIsSetAfterEachCollection(t *testing.T) {
	limits := make(chan int64, 10)
	followCollections(func(limit int64) int64 {
		limits <- limit
		return 0
	})
	if first := <-limits; first < room {
		t.Errorf("the first limit is %d", first)
	}
	kept := make([]byte, 200<<20)
	for range 3 {
		runtime.GC()
		select {
		case limit := <-limits:
			if want := memoryLimit(uint64(len(kept))); limit < want {
				t.Errorf("with %d bytes in use the limit is %d, want %d at least", len(kept), limit, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("no limit was set after a collection")
		}
	}
	runtime.KeepAlive(kept)
}

func TestTheCollectorIsTheUsersToSet(t *testing.T) {
	percent := debug.SetGCPercent(100)
	limit := debug.SetMemoryLimit(-1)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	for name, value := range map[string]string{"GOGC": "100", "GOMEMLIMIT": "1GiB"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			if collectRarely(); debug.SetGCPercent(100) != 100 || debug.SetMemoryLimit(-1) != limit {
				t.Errorf("%s=%s did not count", name, value)
			}
		})
	}
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	if collectRarely(); debug.SetGCPercent(100) != rareCollections || debug.SetMemoryLimit(-1) < room {
		t.Error("without them nothing was set")
	}
}
