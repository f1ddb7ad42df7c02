package app_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/agents/app"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
	"github.com/consulecs/terraform-provider-consulecs/internal/process"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/procs"
)

const (
	asWrapper = "APP_TEST_WRAPPER" // set: the test program is the wrapper
	asReaper  = "APP_TEST_REAPER"  // set: and orphans come to it, as they come to PID 1
)

// TestMain lets the test program play the wrapper: it has to be a process of its own, as it takes the signals of one.
func TestMain(m *testing.M) {
	if os.Getenv(asWrapper) == "" {
		os.Exit(m.Run())
	}
	if os.Getenv(asReaper) != "" {
		const setChildSubreaper = 36 // PR_SET_CHILD_SUBREAPER
		if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, setChildSubreaper, 1, 0, 0, 0, 0); errno != 0 {
			fmt.Println(errno)
			os.Exit(99)
		}
	}
	err := app.Run(context.Background(), os.Getenv, os.Args[1:], os.Stdout, os.Stderr)
	var ended *process.ExitError
	if err != nil && !errors.Is(err, flag.ErrHelp) && !errors.As(err, &ended) {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(agentargs.ExitCode(err))
}

// wrapped is a running wrapper. lines is what it and its command print.
type wrapped struct {
	*exec.Cmd
	lines *bufio.Scanner
	input io.WriteCloser
}

func start(t *testing.T, env []string, args ...string) *wrapped {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(append(os.Environ(), asWrapper+"=1"), env...)
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended, unless the test failed
		_ = cmd.Wait()
		read.Close()
	})
	w := &wrapped{cmd, bufio.NewScanner(read), input}
	time.AfterFunc(20*time.Second, func() { read.SetDeadline(time.Now()); _ = cmd.Process.Kill() })
	return w
}

// next is the next line.
func (w *wrapped) next(t *testing.T) string {
	t.Helper()
	if !w.lines.Scan() {
		t.Fatalf("no more lines: %v", w.lines.Err())
	}
	return w.lines.Text()
}

// until reads lines up to the wanted one.
func (w *wrapped) until(t *testing.T, want string) {
	t.Helper()
	for {
		if line := w.next(t); strings.Contains(line, want) {
			return
		}
	}
}

func (w *wrapped) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := w.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// code waits for the end and returns the exit code.
func (w *wrapped) code(t *testing.T) int {
	t.Helper()
	if err := w.Wait(); err != nil && w.ProcessState == nil {
		t.Fatal(err)
	}
	return w.ProcessState.ExitCode()
}

// loop makes a shell wait so that it runs its traps at once.
const loop = `echo up; while :; do sleep 0.01; done`

func TestTheWrapperEndsAsItsCommandDoes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		want int
		says string
	}{
		"well":                  {[]string{"sh", "-c", "echo fine"}, 0, "fine"},
		"with a code":           {[]string{"--", "sh", "-c", "echo bad; exit 42"}, 42, "bad"},
		"by a signal":           {[]string{"sh", "-c", "echo hit; kill -KILL $$"}, 128 + 9, "hit"},
		"by SIGTERM":            {[]string{"sh", "-c", "echo hit; kill -TERM $$"}, 128 + 15, "hit"},
		"flags of the command":  {[]string{"-shutdown-delay", "1s", "echo", "-h", "--help", "-shutdown-delay", "x"}, 0, "-h --help -shutdown-delay x"},
		"flags after --":        {[]string{"-shutdown-delay=1s", "--", "echo", "--", "-h"}, 0, "-- -h"},
		"the incumbent's flags": {[]string{"-shutdown-delay", "0s", "-log-level", "DEBUG", "echo", "up"}, 0, "up"},
		"no command":            {nil, 2, "no command to run"},
		"no command but flags":  {[]string{"-shutdown-delay", "1s"}, 2, "no command to run"},
		"a negative delay":      {[]string{"-shutdown-delay", "-1s", "echo"}, 2, "-shutdown-delay -1s is negative"},
		"an unknown flag":       {[]string{"-delay", "1s", "echo"}, 2, "flag provided but not defined: -delay"},
		"a missing program":     {[]string{"/nowhere/app"}, 1, "start app: "},
		"its own help":          {[]string{"-h"}, 0, "Usage of app:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, nil, tc.args...)
			w.until(t, tc.says)
			if code := w.code(t); code != tc.want {
				t.Errorf("exit code %d, want %d", code, tc.want)
			}
		})
	}
}

func TestTheCommandHasTheWrappersInput(t *testing.T) {
	t.Parallel()
	w := start(t, []string{"COLOUR=green"}, "sh", "-c", "read word; echo $COLOUR $word")
	fmt.Fprintln(w.input, "tea")
	if got := w.next(t); got != "green tea" {
		t.Errorf("got %q", got)
	}
}

func TestSignals(t *testing.T) {
	t.Parallel()
	const traps = `trap 'echo int' INT; trap 'echo hup' HUP; trap 'echo usr1' USR1; trap 'exit 55' TERM; ` + loop
	for name, tc := range map[string]struct {
		delay  time.Duration
		script string
		send   []syscall.Signal
		lines  []string // one awaited after each signal but the last
		want   int
		atonce bool // the end comes long before the delay is over
	}{
		"SIGTERM without a delay":       {0, traps, []syscall.Signal{syscall.SIGTERM}, nil, 55, true},
		"SIGTERM after the delay":       {300 * time.Millisecond, traps, []syscall.Signal{syscall.SIGTERM}, nil, 55, false},
		"a second SIGTERM":              {time.Minute, traps, []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM}, []string{"serves on"}, 55, true},
		"others are passed on":          {0, traps, []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGINT, syscall.SIGTERM}, []string{"hup", "usr1", "int"}, 55, true},
		"others during the delay":       {300 * time.Millisecond, traps, []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP}, []string{"serves on"}, 55, false},
		"SIGINT ends during the delay":  {time.Minute, `trap 'exit 42' INT; ` + loop, []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}, []string{"serves on"}, 42, true},
		"a command that minds no traps": {0, loop, []syscall.Signal{syscall.SIGTERM}, nil, 128 + 15, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, nil, "-shutdown-delay", tc.delay.String(), "sh", "-c", tc.script)
			w.until(t, "up")
			began := time.Now()
			for i, sig := range tc.send {
				w.signal(t, sig)
				if i < len(tc.lines) {
					w.until(t, tc.lines[i])
				}
			}
			code, took := w.code(t), time.Since(began)
			if code != tc.want {
				t.Errorf("exit code %d, want %d", code, tc.want)
			}
			if !tc.atonce && took < tc.delay || tc.atonce && took > 10*time.Second {
				t.Errorf("ended after %s, the delay is %s", took, tc.delay)
			}
		})
	}
}

func TestTheDelayEndsWithTheCommand(t *testing.T) {
	t.Parallel()
	w := start(t, nil, "-shutdown-delay", "1m", "sh", "-c", "echo up; read line; exit 3")
	w.until(t, "up")
	w.signal(t, syscall.SIGTERM)
	w.until(t, "serves on")
	w.input.Close()
	if code := w.code(t); code != 3 {
		t.Errorf("exit code %d, want 3", code)
	}
}

func TestASignalReachesTheWholeGroup(t *testing.T) {
	t.Parallel()
	w := start(t, nil, "sh", "-c", `trap 'wait; echo above; exit 7' TERM; (trap 'echo below; exit' TERM; `+loop+`) & wait`)
	w.until(t, "up")
	w.signal(t, syscall.SIGTERM)
	w.until(t, "below")
	w.until(t, "above")
	if code := w.code(t); code != 7 {
		t.Errorf("exit code %d, want 7", code)
	}
}

func TestOrphansAreReaped(t *testing.T) {
	t.Parallel()
	// The middle shell ends at once and leaves its child to the wrapper; that one ends soon after.
	w := start(t, []string{asReaper + "=1"}, "sh", "-c", `sh -c 'sleep 0.05 & echo $!'; read line; exit 4`)
	orphan, err := strconv.Atoi(w.next(t))
	if err != nil {
		t.Fatal(err)
	}
	stat := fmt.Sprintf("/proc/%d/stat", orphan)
	eventually.True(t, "it is reaped", eventually.Soon, func() bool {
		_, err := os.Stat(stat)
		return err != nil // not even a zombie is left
	})
	w.input.Close()
	if code := w.code(t); code != 4 {
		t.Errorf("exit code %d, want the command's, 4", code)
	}
}

func TestTheCommandDiesWithAKilledWrapper(t *testing.T) {
	t.Parallel()
	w := start(t, nil, "sh", "-c", "echo $$; exec sleep 60")
	pid, err := strconv.Atoi(w.next(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "it is gone", eventually.Soon, func() bool { return procs.Ended(pid) })
}
