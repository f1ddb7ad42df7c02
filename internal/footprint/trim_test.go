package footprint

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestOnlyUnchangedPartsOfTheProgramAreDropped(t *testing.T) {
	t.Parallel()
	const smaps = `00400000-01000000 r-xp 00000000 08:01 42 /bin/consulecs-agent
Rss:               12288 kB
Anonymous:             0 kB
01000000-02000000 r--p 00c00000 08:01 42 /bin/consulecs-agent
Anonymous:            16 kB
02000000-02100000 rw-p 01c00000 08:01 42 /bin/consulecs-agent
Anonymous:             0 kB
02100000-02200000 r--p 00000000 08:01 43 /lib/libc.so.6
Anonymous:             0 kB
c000000000-c000400000 rw-p 00000000 00:00 0
Anonymous:             0 kB
02200000-02300000 r--p 01d00000 08:01 42 /bin/consulecs-agent
Anonymous:             0 kB
7ffc0000-7ffd0000 rw-p 00000000 00:00 0 [stack]
Anonymous:             0 kB
`
	want := []mapping{{0x400000, 0x1000000}, {0x2200000, 0x2300000}}
	if diff := cmp.Diff(want, unchanged(strings.NewReader(smaps), "/bin/consulecs-agent"), cmp.AllowUnexported(mapping{})); diff != "" {
		t.Error(diff)
	}
}

func TestTheProgramRunsOnWithLessMemory(t *testing.T) {
	before := resident(t)
	if err := Trim(); err != nil {
		t.Fatal(err)
	}
	after := resident(t)
	t.Logf("resident memory %d KiB before, %d after", before, after)
	if after >= before {
		t.Error("nothing was given back")
	}
}

func TestTheProgramStaysSmall(t *testing.T) {
	if err := Trim(); err != nil {
		t.Fatal(err)
	}
	middle := status(t, "RssFile:")
	use(t)
	middle = (middle + status(t, "RssFile:")) / 2
	ctx, cancel := context.WithCancel(t.Context())
	settled := make(chan error, 1)
	go func() { settled <- Settle(ctx, 0) }()
	for range 3 { // it lasts
		for limit := time.Now().Add(20 * time.Second); status(t, "RssFile:") < middle; {
			if use(t); time.Now().After(limit) {
				t.Fatal("the program cannot be used")
			}
		}
		for limit := time.Now().Add(20 * time.Second); status(t, "RssFile:") > middle; time.Sleep(time.Millisecond) {
			if runtime.GC(); time.Now().After(limit) {
				t.Fatalf("%d KiB of the program are still resident after a collection of garbage", status(t, "RssFile:"))
			}
		}
	}
	cancel()
	if err := <-settled; err != nil {
		t.Error(err)
	}
}

// use touches every page of the program.
func use(t *testing.T) {
	t.Helper()
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer smaps.Close()
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	var some [4096]byte
	for _, m := range unchanged(smaps, exe) {
		for at := m.start; at < m.end; at += uintptr(len(some)) {
			local := []unix.Iovec{{Base: &some[0], Len: uint64(len(some))}}
			if _, err := unix.ProcessVMReadv(os.Getpid(), local, []unix.RemoteIovec{{Base: at, Len: len(some)}}, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func resident(t *testing.T) int { return status(t, "VmRSS:") }

// status is a number of KiB in the process's status.
func status(t *testing.T, field string) (kib int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), field)
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib
}
