package byname

import (
	"net"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

// listen is what an application does at its start.
func listen(t *testing.T, port uint16) net.Listener {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// ofPorts is a listener of which nothing has started.
func ofPorts(ports ...uint16) *Listener {
	return &Listener{log: hclog.NewNullLogger(), ports: ports, taken: map[uint16]time.Time{}, changed: make(chan struct{}, 1)}
}

func (n *Listener) usableAre(t *testing.T, when string, want ...uint16) {
	t.Helper()
	if got := n.usable(); !slices.Equal(got, want) {
		t.Errorf("%s: %v can be used, want %v", when, got, want)
	}
}

func TestAProgramThatIsStartedAgainFindsItsPort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		own, theirs := freeport.Loopback(t).Port(), freeport.Loopback(t).Port()
		program := listen(t, theirs)
		n := ofPorts(theirs, own)
		n.usableAre(t, "at the start", own)
		_ = program.Close()
		n.usableAre(t, "when the program has ended", own)
		time.Sleep(takeBackAfter - time.Second)
		n.usableAre(t, "before the time is over", own)
		program = listen(t, theirs)
		n.usableAre(t, "when the program is there again", own)
		_ = program.Close()
		n.usableAre(t, "when it has ended again", own)
		time.Sleep(takeBackAfter - time.Second)
		n.usableAre(t, "before the time is over again", own)
		if taken := n.State().Taken; !slices.Equal(taken, []uint16{theirs}) {
			t.Errorf("%v count as taken", taken)
		}
		time.Sleep(time.Second)
		n.usableAre(t, "after it", theirs, own)
		if taken := n.State().Taken; len(taken) > 0 {
			t.Errorf("%v count as taken in the end", taken)
		}
	})
}

func TestTheLastPortIsTakenBackAtOnce(t *testing.T) {
	t.Parallel()
	one, other := freeport.Loopback(t).Port(), freeport.Loopback(t).Port()
	first, second := listen(t, one), listen(t, other)
	n := ofPorts(one, other)
	n.usableAre(t, "at the start")
	_, _ = first.Close(), second.Close()
	n.usableAre(t, "with both free", one)
	n.usableAre(t, "with one that works", one)
}

// TestAPortThatCannotBeTriedIsNotTaken has the process be out of descriptors, which says nothing of other programs.
func TestAPortThatCannotBeTriedIsNotTaken(t *testing.T) {
	own, theirs := freeport.Loopback(t).Port(), freeport.Loopback(t).Port()
	listen(t, theirs)
	n := ofPorts(own, theirs)
	n.usableAre(t, "at the start", own)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	lowered := limit
	lowered.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lowered); err != nil {
		t.Fatal(err)
	}
	_, err := os.Open(os.DevNull)
	got := n.usable()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err == nil {
		t.Fatal("there are descriptors left: the test shows nothing")
	}
	if taken := n.State().Taken; !slices.Equal(got, []uint16{own}) || !slices.Equal(taken, []uint16{theirs}) {
		t.Errorf("%v can be used and %v are taken, want %d and %d", got, taken, own, theirs)
	}
}
