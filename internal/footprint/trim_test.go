package footprint

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

func resident(t *testing.T) (kib int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib
}
