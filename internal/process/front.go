package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
)

// RunInFront runs a command in this process's place: on its stdin, stdout and stderr, with its environment, until the
// command has ended. argv begins with the program, which is looked for in PATH.
//
// Every signal goes on to the command's process group at once, but for the first SIGTERM, which goes on when hold returns;
// nil holds nothing back. A second SIGTERM goes on at once and takes the place of the one that is held. The context of
// hold ends with it, and with the command.
//
// What the command left behind is reaped where this process is PID 1, so it may have no other children meanwhile. The
// error is nil after exit code 0, an *ExitError after another end.
func RunInFront(argv []string, hold func(context.Context)) error {
	signals := make(chan os.Signal, 64) // before the command starts, or it would miss one
	signal.Notify(signals)
	defer signal.Stop(signals)
	child, err := startInFront(argv)
	if err != nil {
		return err
	}
	held, release := context.WithCancel(context.Background())
	defer release()
	if hold == nil {
		hold = func(context.Context) {}
	}
	var due chan struct{} // closed when the held SIGTERM goes on
	for terms := 0; ; {
		select {
		case <-child.Done():
			return child.Err()
		case <-due:
			due = nil
			forward(child, syscall.SIGTERM)
		case got := <-signals:
			sig, ok := got.(syscall.Signal)
			if !ok || ours(sig) {
				continue
			}
			if sig == syscall.SIGTERM {
				terms++
			}
			if sig == syscall.SIGTERM && terms == 1 {
				expired := make(chan struct{})
				due = expired
				go func() { hold(held); close(expired) }()
				continue
			}
			if sig == syscall.SIGTERM {
				due = nil
				release()
			}
			forward(child, sig)
		}
	}
}

// ours tells the signals that are meant for this process alone: those of its children, of Go's scheduler, and of its own
// writes into a pipe that nobody reads.
func ours(sig syscall.Signal) bool {
	return sig == syscall.SIGCHLD || sig == syscall.SIGURG || sig == syscall.SIGPIPE
}

// forward sends a signal on. One that finds nobody is no error: the command has just ended.
func forward(child *Child, sig syscall.Signal) { _ = child.Signal(sig) }

// startInFront starts a child that shares this process's standard files, so nothing of what it prints is kept.
func startInFront(argv []string) (*Child, error) {
	name := filepath.Base(argv[0])
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	child := &Child{name: name, tail: &tail{}, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // see Start
		defer runtime.UnlockOSThread()
		child.pid, err = syscall.ForkExec(path, argv, &syscall.ProcAttr{
			Env: os.Environ(), Files: []uintptr{0, 1, 2},
			Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
		})
		started <- err
		if err == nil {
			child.err = child.reap()
			close(child.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return child, nil
}

// reap waits for the child, and meanwhile for every orphan that ends up with this process.
func (c *Child) reap() error {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR || err == nil && pid != c.pid:
		case err != nil:
			return fmt.Errorf("wait for %s: %w", c.name, err)
		case status.Signaled():
			return &ExitError{Name: c.name, Signal: status.Signal(), Code: 128 + int(status.Signal())}
		case status.ExitStatus() != 0:
			return &ExitError{Name: c.name, Code: status.ExitStatus()}
		default:
			return nil
		}
	}
}
