package app_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// passed are the signals that a command may want to hear of, but for SIGTERM. Of the rest, no process can catch SIGKILL and
// SIGSTOP, SIGCHLD and SIGPIPE are about the wrapper's own children and writes, some tell of a crash, and those of a terminal would
// stop what the command itself waits for.
var passed = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
	"ALRM": syscall.SIGALRM, "CONT": syscall.SIGCONT, "WINCH": syscall.SIGWINCH, "IO": syscall.SIGIO, "PWR": syscall.SIGPWR, "VTALRM": syscall.SIGVTALRM, "XCPU": syscall.SIGXCPU,
}

func TestEverySignalIsPassedOn(t *testing.T) {
	t.Parallel()
	var script strings.Builder
	for name := range passed {
		fmt.Fprintf(&script, "trap 'echo got-%s' %s; ", name, name)
	}
	w := start(t, nil, "-shutdown-delay", "1m", "sh", "-c", script.String()+loop)
	w.until(t, "up")
	for _, when := range []string{"before SIGTERM", "while SIGTERM is held"} {
		for name, sig := range passed {
			t.Logf("%s %s", name, when)
			w.signal(t, sig)
			w.until(t, "got-"+name)
		}
		w.signal(t, syscall.SIGTERM)
		if when == "before SIGTERM" {
			w.until(t, "serves on")
		}
	}
	if code := w.code(t); code != 128+15 {
		t.Errorf("exit code %d, want that of the second SIGTERM", code)
	}
}

// A wrapper that began to listen for signals after it has started the command would miss this one, and run for ever.
func TestASIGTERMRightAtTheStartIsPassedOn(t *testing.T) {
	t.Parallel()
	for range 10 {
		w := start(t, nil, "sh", "-c", "echo up; kill -TERM $PPID; exec sleep 60")
		if code := w.code(t); code != 128+15 {
			t.Errorf("exit code %d, want the command ended by SIGTERM", code)
		}
	}
}

// The end of each of the command's children and orphans is a signal to the wrapper, too.
func TestNoSignalIsLostWhileChildrenEnd(t *testing.T) {
	t.Parallel()
	w := start(t, []string{asReaper + "=1"}, "sh", "-c",
		`trap 'echo told' USR1; trap 'exit 55' TERM; echo up; while :; do sh -c ': & :' & sh -c ':'; done`)
	w.until(t, "up")
	for range 30 {
		w.signal(t, syscall.SIGUSR1)
		w.until(t, "told")
	}
	w.signal(t, syscall.SIGTERM)
	if code := w.code(t); code != 55 {
		t.Errorf("exit code %d, want 55", code)
	}
}
