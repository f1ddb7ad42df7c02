// Package process runs a child process: it starts it in a process group of its own, signals that group, waits for the
// end, and keeps the last lines that the child printed, because they are usually the reason of its end. A child dies
// with its parent, even when the parent is killed. RunInFront is for a child that stands for the whole program.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// outputGrace is how long the output is read on after the child's end: a process that the child left behind may hold
// the pipe open.
const outputGrace = time.Second

// Command describes a child before it runs.
type Command struct {
	Path       string
	Args       []string   // without the program's name
	Env        []string   // nil: the parent's
	Stdin      io.Reader  // nil: nothing
	Stdout     io.Writer  // an *os.File is handed to the child as it is; nil: discarded
	Stderr     io.Writer  // nil: only the last lines are kept
	ExtraFiles []*os.File // file i becomes the child's descriptor 3+i; the caller closes its own copies
}

// Child is a running or ended child process. Its methods may be called at any time from any goroutine.
type Child struct {
	name string
	pid  int
	tail *tail
	done chan struct{}
	err  error // written before done is closed
}

// Start starts the child.
func Start(c Command) (*Child, error) {
	child := &Child{name: filepath.Base(c.Path), tail: &tail{next: c.Stderr}, done: make(chan struct{})}
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = c.Env, c.Stdin, c.Stdout, child.tail, c.ExtraFiles
	cmd.WaitDelay = outputGrace
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}

	started := make(chan error)
	go func() {
		// The kernel sends the parent-death signal when the thread that forked ends, not the process: this thread stays
		// until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			child.pid = cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		child.err = child.exit(cmd.Wait())
		close(child.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", child.name, err)
	}
	return child, nil
}

// exit turns what Wait returned into the child's end.
func (c *Child) exit(err error) error {
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // ErrWaitDelay: ended well, but something holds its output open
		return nil
	case !errors.As(err, &exit):
		return fmt.Errorf("wait for %s: %w", c.name, err)
	}
	e := &ExitError{Name: c.name, Code: exit.ExitCode(), LastLines: c.LastLines()}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.Signal, e.Code = status.Signal(), 128+int(status.Signal())
	}
	return e
}

// PID is the child's process ID, which is also that of its process group.
func (c *Child) PID() int { return c.pid }

// Done is closed when the child has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err says how the child ended, once Done is closed: nil for exit code 0, else an *ExitError.
func (c *Child) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// LastLines returns the last lines that the child wrote to stderr.
func (c *Child) LastLines() []string { return c.tail.lines() }

// Signal sends sig to the child's process group.
func (c *Child) Signal(sig syscall.Signal) error {
	select {
	case <-c.done:
		return os.ErrProcessDone
	default:
	}
	if err := syscall.Kill(-c.pid, sig); err != nil {
		return fmt.Errorf("signal %s to %s: %w", sig, c.name, err)
	}
	return nil
}

// Stop asks the child to end by SIGTERM and kills its group when it has not within grace, or as soon as ctx ends. It
// returns when the child has ended, with Err.
func (c *Child) Stop(ctx context.Context, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	// A signal that finds nobody is no error: Done tells.
	_ = c.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-ctx.Done():
		_ = c.Signal(syscall.SIGKILL)
		<-c.done
	}
	return c.err
}
