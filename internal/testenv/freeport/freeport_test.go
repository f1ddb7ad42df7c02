package freeport_test

import (
	"net"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

func TestPortsAreFreeDifferentAndBelowTheKernelsOwn(t *testing.T) {
	t.Parallel()
	seen := map[uint16]bool{}
	for range 50 {
		addr := freeport.Loopback(t)
		if seen[addr.Port()] || addr.Port() >= 32768 {
			t.Errorf("port %d, want a new one below 32768", addr.Port())
		}
		seen[addr.Port()] = true
		l, err := net.Listen("tcp", addr.String())
		if err != nil {
			t.Error(err)
			continue
		}
		l.Close()
	}
}
