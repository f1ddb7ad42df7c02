package detour

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestConnectionsTakeTheirTimeAndCanBeLost(t *testing.T) {
	d := Start(t)
	listener, err := net.Listen("tcp", netip.AddrPortFrom(d.Local, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	}()
	port := listener.Addr().(*net.TCPAddr).AddrPort().Port()
	dial := func(n int) (time.Duration, error) {
		began := time.Now()
		conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(d.Addr(n), port).String(), 500*time.Millisecond)
		if err == nil {
			conn.Close()
		}
		return time.Since(began), err
	}
	const each = 20 * time.Millisecond
	d.Delay(each)
	if took, err := dial(0); err != nil || took < 2*each {
		t.Errorf("connected after %s (%v), want a round trip of %s", took, err, 2*each)
	}
	d.Lose(d.Addr(0), true)
	if took, err := dial(0); err == nil {
		t.Errorf("connected after %s, to where all packets are lost", took)
	}
	if _, err := dial(1); err != nil {
		t.Errorf("another address is lost as well: %v", err)
	}
	d.Lose(d.Addr(0), false)
	if _, err := dial(0); err != nil {
		t.Errorf("lost for ever: %v", err)
	}
}
