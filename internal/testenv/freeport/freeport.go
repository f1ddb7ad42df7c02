// Package freeport finds TCP ports for the servers of tests. They lie below the range from which the kernel takes the
// ports of outgoing connections (32768 and up), or one of those would get a port between its choice and its use.
package freeport

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
)

const (
	lowest = 10000
	count  = 20000
	tries  = 1000
)

// chosen counts what this process has handed out; processes begin at places of their own.
var chosen atomic.Int32

// Find returns a port that nobody listens at on address, another one at each call.
func Find(address string) (int, error) {
	var err error
	for range tries {
		port := lowest + (os.Getpid()*101+int(chosen.Add(1)))%count
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("find a free port on %s: %w", address, err)
}

// Loopback returns a loopback address that nobody listens at.
func Loopback(t testing.TB) netip.AddrPort {
	t.Helper()
	port, err := Find("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
}
