package lock_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/lock"
)

// contending names the variable that makes this test's program a contender.
const contending = "LOCK_TEST_CONTENDER"

// orders are what a contender is told.
type orders struct {
	Address, Token, Node, Key, Holder string
}

// note is what a contender says: that it led or acted at a moment of the machine's clock.
type note struct {
	Verb   string // "leads", "acts", "ended"
	Holder string
	Term   uint64
	At     time.Duration
}

// now is the machine's monotonic clock, which all processes share.
func now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// contend is the life of a contender: whenever it leads, it acts again and again. SIGTERM has it hand over and end.
func contend() {
	var o orders
	if err := json.Unmarshal([]byte(os.Getenv(contending)), &o); err != nil {
		panic(err)
	}
	client, err := api.NewClient(&api.Config{Address: o.Address, Token: o.Token})
	if err != nil {
		panic(err)
	}
	say := func(verb string, term uint64, at time.Duration) {
		line, _ := json.Marshal(note{verb, o.Holder, term, at})
		os.Stdout.Write(append(line, '\n'))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	settings := lock.Settings{Node: o.Node, Key: o.Key, Holder: o.Holder, Log: hclog.New(&hclog.LoggerOptions{Name: o.Holder, Output: os.Stderr})}
	for ctx.Err() == nil {
		lease, err := lock.Campaign(ctx, client, settings)
		if err != nil {
			return
		}
		say("leads", lease.Term(), now())
		derived, cancel := context.WithCancel(lease.Context())
		for {
			at := now() // it counts as the moment of what the checks after it allow
			if lease.Context().Err() != nil || lock.Check(derived) != nil {
				break
			}
			say("acts", lease.Term(), at)
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
		say("ended", lease.Term(), now())
		if err := lease.Release(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// contender is one that runs as a process of its own.
type contender struct {
	holder string
	cmd    *exec.Cmd
	read   chan struct{} // closed when all it said has been heard
}

// witness hears what contenders say.
type witness struct {
	mu    sync.Mutex
	notes []note
}

func (w *witness) hear(n note) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = append(w.notes, n)
}

func (w *witness) all() []note {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]note(nil), w.notes...)
}

// leader is who has led last and has not said that it ended; "" for nobody.
func (w *witness) leader() (holder string, at time.Duration) {
	for _, n := range w.all() {
		switch {
		case n.Verb == "leads":
			holder, at = n.Holder, n.At
		case n.Verb == "ended" && n.Holder == holder:
			holder = ""
		}
	}
	return holder, at
}

// await waits until somebody other than the one leads.
func (w *witness) await(t *testing.T, other string, limit time.Duration) (holder string, at time.Duration) {
	t.Helper()
	for start := time.Now(); time.Since(start) < limit; time.Sleep(5 * time.Millisecond) {
		if holder, at = w.leader(); holder != "" && holder != other {
			return holder, at
		}
	}
	t.Fatalf("nobody else than %q leads after %s", other, limit)
	return "", 0
}

// start has a contender campaign until the test ends.
func (w *witness) start(t *testing.T, o orders) *contender {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &contender{holder: o.Holder, cmd: exec.Command(os.Args[0]), read: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), contending+"="+string(text))
	c.cmd.Stderr = t.Output()
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var n note
			if err := json.Unmarshal(lines.Bytes(), &n); err != nil {
				t.Errorf("%s said %q", o.Holder, lines.Text())
				continue
			}
			w.hear(n)
		}
	}()
	t.Cleanup(func() { c.end(syscall.SIGKILL) })
	return c
}

func (c *contender) signal(s syscall.Signal) { _ = c.cmd.Process.Signal(s) }

// end sends the signal and waits until the contender has ended.
func (c *contender) end(s syscall.Signal) {
	c.signal(s)
	<-c.read
	_ = c.cmd.Wait() // twice is an error, a signal as well
}

// check wants that nobody acted after a later leader had begun to lead, and returns how many led and acted.
func (w *witness) check(t *testing.T) (terms, acts int) {
	t.Helper()
	begun := map[uint64]note{}
	last := map[uint64]note{}
	for _, n := range w.all() {
		switch n.Verb {
		case "leads":
			if other, twice := begun[n.Term]; twice {
				t.Errorf("term %d is %s's and %s's", n.Term, other.Holder, n.Holder)
			}
			begun[n.Term] = n
		case "acts":
			acts++
			if n.At > last[n.Term].At {
				last[n.Term] = n
			}
		}
	}
	for term, act := range last {
		for later, lead := range begun {
			if later > term && act.At >= lead.At {
				t.Errorf("%s acted in its term %d %s after %s had begun to lead in term %d", act.Holder, term, act.At-lead.At, lead.Holder, later)
			}
		}
	}
	return len(begun), acts
}
