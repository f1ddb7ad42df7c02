// Package testenv starts the real components that tests and the demo run against: Consul, AWS emulators and Terraform. It
// knows no local ECS, whose own tests use it too; package world puts the two together. Nothing here ships. The tools come from
// package toolcache.
package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

// daemon is a server that runs as a child of this process and dies with it.
type daemon struct {
	name string
	cmd  *exec.Cmd
	dir  string // its own folder, removed at the end
	done chan struct{}
	err  error // why it ended; after done is closed
}

// daemonStopLimit is how long a daemon may take to end after SIGTERM.
const daemonStopLimit = 10 * time.Second

// startDaemon starts a command with its output in a file of dir and waits until ready answers nil. dir belongs to the daemon.
func startDaemon(ctx context.Context, name, dir string, cmd *exec.Cmd, limit time.Duration, ready func(context.Context) error) (*daemon, error) {
	d := &daemon{name: name, cmd: cmd, dir: dir, done: make(chan struct{})}
	out, err := os.OpenFile(d.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error, 1)
	go func() {
		// The kernel sends the death signal when the thread ends that started the child, not the process: so this one stays.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			d.err = cmd.Wait()
			close(d.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := d.await(ctx, limit, ready); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w; its output ends:\n%s", name, err, d.tail(20)), d.Stop())
	}
	return d, nil
}

func (d *daemon) await(ctx context.Context, limit time.Duration, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := eventually.Seen(ctx, "it is ready", limit, func() (string, error) {
		err := ready(ctx)
		select {
		case <-d.done:
			err = eventually.Never{Err: fmt.Errorf("it ended: %v", d.err)}
		default:
		}
		return "", err
	})
	return err
}

// Stop ends the daemon, by force if it must, and removes its folder. Stopping twice is harmless.
func (d *daemon) Stop() error {
	d.end(syscall.SIGTERM)
	return os.RemoveAll(d.dir)
}

// end sends the signal and waits; a daemon that stays is killed.
func (d *daemon) end(signal syscall.Signal) {
	// An error means that it is gone already, which the wait finds out.
	_ = syscall.Kill(-d.cmd.Process.Pid, signal)
	select {
	case <-d.done:
	case <-time.After(daemonStopLimit):
		_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
		<-d.done
	}
}

// PID is that of the daemon's process.
func (d *daemon) PID() int { return d.cmd.Process.Pid }

func (d *daemon) log() string { return filepath.Join(d.dir, "output.log") }

// Output is what the daemon has printed so far.
func (d *daemon) Output() string {
	raw, err := os.ReadFile(d.log())
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// tail is the end of the daemon's output.
func (d *daemon) tail(lines int) string {
	all := strings.Split(strings.TrimSpace(d.Output()), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// freePorts returns n different TCP ports that are free on address now.
func freePorts(address string, n int) ([]int, error) {
	var ports []int
	for range n {
		port, err := freeport.Find(address)
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}
