package process_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/process"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/procs"
)

// TestMain lets the test program play a parent that is killed while its child runs.
func TestMain(m *testing.M) {
	if os.Getenv("PROCESS_TEST_PARENT") == "" {
		os.Exit(m.Run())
	}
	child, err := process.Start(process.Command{Path: "/bin/sleep", Args: []string{"60"}})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(child.PID())
	<-child.Done()
}

func sh(script string) process.Command {
	return process.Command{Path: "/bin/sh", Args: []string{"-c", script}}
}

func start(t *testing.T, c process.Command) *process.Child {
	t.Helper()
	child, err := process.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Stop(context.Background(), 0) })
	return child
}

func TestAnExitIsAFact(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script string
		want   error
	}{
		"code 0":     {"echo fine >&2", nil},
		"code 7":     {"echo one >&2; printf two >&2; exit 7", &process.ExitError{Name: "sh", Code: 7, LastLines: []string{"one", "two"}}},
		"by signal":  {"kill -KILL $$", &process.ExitError{Name: "sh", Code: 137, Signal: syscall.SIGKILL}},
		"many lines": {"seq 1 5000 >&2; exit 1", &process.ExitError{Name: "sh", Code: 1, LastLines: strings.Fields("4991 4992 4993 4994 4995 4996 4997 4998 4999 5000")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			child := start(t, sh(c.script))
			for range 2 { // any number of readers
				<-child.Done()
				if diff := cmp.Diff(fmt.Sprint(c.want), fmt.Sprint(child.Err())); diff != "" {
					t.Error(diff)
				}
			}
			if err := child.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
				t.Errorf("signal to an ended child: %v", err)
			}
			var exit *process.ExitError
			if errors.As(child.Err(), &exit) {
				if diff := cmp.Diff(c.want, error(exit)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestOutputIsPassedOn(t *testing.T) {
	t.Parallel()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var errOut bytes.Buffer
	c := sh("echo to stdout; echo to stderr >&2")
	c.Stdout, c.Stderr = out, &errOut
	child := start(t, c)
	<-child.Done()
	data, err := os.ReadFile(out.Name())
	if err != nil || string(data) != "to stdout\n" || errOut.String() != "to stderr\n" {
		t.Errorf("stdout %q (%v), stderr %q", data, err, errOut.String())
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestAChildOutlivesABrokenLog(t *testing.T) {
	t.Parallel()
	c := sh("seq 1 100000 >&2; exit 3")
	c.Stderr = brokenPipe{}
	child := start(t, c)
	<-child.Done()
	var exit *process.ExitError
	if !errors.As(child.Err(), &exit) || exit.Code != 3 {
		t.Errorf("got %v, want exit code 3", child.Err())
	}
}

func TestADescriptorIsHandedOver(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := sh("echo from the child >&3")
	c.ExtraFiles = []*os.File{w}
	child := start(t, c)
	w.Close()
	<-child.Done()
	got := make([]byte, 64)
	n, _ := r.Read(got)
	if string(got[:n]) != "from the child\n" {
		t.Errorf("got %q", got[:n])
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	const ready = "echo ready >&2; "
	for name, c := range map[string]struct {
		script  string
		cancel  bool // ctx ends at once
		wantErr string
	}{
		"obeys":           {"trap 'exit 0' TERM; " + ready + "while :; do sleep 0.01; done", false, "<nil>"},
		"dies of SIGTERM": {ready + "sleep 60", false, "sh: killed by signal: terminated, last lines:\n\tready"},
		"ignores SIGTERM": {"trap '' TERM; " + ready + "sleep 60; sleep 60", false, "sh: killed by signal: killed, last lines:\n\tready"},
		"context ended":   {"trap '' TERM; " + ready + "sleep 60; sleep 60", true, "sh: killed by signal: killed, last lines:\n\tready"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			child := start(t, sh(c.script))
			eventually.True(t, "the trap is set", eventually.Soon, func() bool { return len(child.LastLines()) > 0 })
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			grace := 300 * time.Millisecond
			if c.cancel {
				cancel()
				grace = time.Minute
			}
			began := time.Now()
			if got := fmt.Sprint(child.Stop(ctx, grace)); got != c.wantErr {
				t.Errorf("got %q, want %q", got, c.wantErr)
			}
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestStopReachesTheWholeGroup(t *testing.T) {
	t.Parallel()
	child := start(t, sh("sleep 61 & echo $! >&2; wait"))
	eventually.True(t, "the grandchild is known", eventually.Soon, func() bool { return len(child.LastLines()) > 0 })
	pid, err := strconv.Atoi(child.LastLines()[0])
	if err != nil {
		t.Fatal(err)
	}
	_ = child.Stop(context.Background(), time.Second)
	eventually.True(t, "the grandchild is gone", eventually.Soon, func() bool { return procs.Ended(pid) })
}

func TestAChildThatLeavesItsOutputOpenStillEnds(t *testing.T) {
	t.Parallel()
	child := start(t, sh("setsid sleep 60 & exit 0"))
	select {
	case <-child.Done():
	case <-time.After(eventually.Soon):
		t.Fatal("waits for a process that is not the child")
	}
	if err := child.Err(); err != nil {
		t.Error(err)
	}
}

func TestAProgramThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := process.Start(process.Command{Path: "/nowhere/envoy"})
	if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "start envoy: ") {
		t.Errorf("got %v", err)
	}
}

func TestAChildDiesWithItsKilledParent(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), "PROCESS_TEST_PARENT=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	if procs.Ended(pid) {
		t.Fatal("the child is gone before its parent")
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	eventually.True(t, "the child is gone", eventually.Soon, func() bool { return procs.Ended(pid) })
}
