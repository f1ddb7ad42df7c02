// Package netns acts in the network of a task from this process: it finds the network namespace by the task's address. It
// takes root, as the task engine does.
package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Namespace is one network.
type Namespace struct{ file *os.File }

// Of opens the network that has the address. The caller closes it.
func Of(address string) (*Namespace, error) {
	tables, err := filepath.Glob("/proc/[0-9]*/net/fib_trie")
	if err != nil {
		return nil, err
	}
	for _, table := range tables {
		routes, err := os.ReadFile(table)
		if err != nil || !local(string(routes), address) {
			continue // the process is gone, or elsewhere
		}
		if file, err := os.Open(filepath.Join(filepath.Dir(table), "..", "ns", "net")); err == nil {
			return &Namespace{file}, nil
		}
	}
	return nil, fmt.Errorf("no process has the address %s", address)
}

// local reports whether a kernel's table of routes (fib_trie) has the address as one of its own.
func local(table, address string) bool {
	return strings.Contains(strings.Join(strings.Fields(table), " ")+" ", "|-- "+address+" /32 host LOCAL ")
}

// Close lets the network go.
func (n *Namespace) Close() error { return n.file.Close() }

// Do runs do in the network. Sockets that it makes stay there; goroutines that it starts are not in it.
func (n *Namespace) Do(do func() error) error {
	done := make(chan error, 1)
	go n.enter(do, done)
	return <-done
}

// enter runs do on a thread of its own, which ends with this goroutine. The process's first thread cannot end, and would
// stay in the network: it is left to wait.
func (n *Namespace) enter(do func() error, done chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		defer runtime.UnlockOSThread()
		done <- n.Do(do)
		return
	}
	if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
		done <- fmt.Errorf("enter a network: %w", err)
		return
	}
	done <- do()
}

// Dial connects from within the network. The address is one of IP and port: a name would be looked up elsewhere.
func (n *Namespace) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("dial %s in a network: %w", address, err)
	}
	err = n.Do(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	if err != nil && conn != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, err
}
