package dataplane_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

// database is an application of protocol tcp: it takes a line and answers it, again and again.
type database struct {
	*task
	at       netip.AddrPort
	listener net.Listener
}

func (d *database) listen(t *testing.T, seen *sightings) {
	t.Helper()
	var err error
	if d.listener, err = net.Listen("tcp", d.at.String()); err != nil {
		t.Fatal(err)
	}
	listener := d.listener
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					seen.saw(lines.Text())
					fmt.Fprintln(conn, "had", lines.Text())
				}
			}()
		}
	}()
}

// startDatabases starts n instances of a new service of protocol tcp.
func startDatabases(t *testing.T, c *testenv.Consul, n int, seen *sightings) []*database {
	t.Helper()
	var all []*database
	for i := range n {
		d := &database{task: newTask(t, c), at: freeport.Loopback(t)}
		if i > 0 {
			d.service, d.token = all[0].service, newToken(t, c, all[0].service)
		} else {
			speaks(t, c, d.service, "tcp")
		}
		d.instance = fmt.Sprint("1f3a", i)
		d.file.Proxy.ID = mesh.ProxyID(mesh.ServiceID(d.service, d.instance))
		d.listen(t, seen)
		d.register(t, c, d.at)
		d.run(t)
		all = append(all, d)
	}
	for _, d := range all {
		d.awaitReady(t)
	}
	return all
}

// say sends a line to a database on a connection of its own, and reports whether it is answered.
func say(at netip.AddrPort, line string) bool {
	conn, err := net.DialTimeout("tcp", at.String(), 20*time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintln(conn, line)
	answer, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && answer == "had "+line+"\n"
}

// connect opens connections, 100 a second, until ctx ends.
func connect(ctx context.Context, name string, at netip.AddrPort, seen *sightings) func() outcome {
	var o outcome
	var mu sync.Mutex
	var all sync.WaitGroup
	all.Go(func() {
		for tick := time.NewTicker(10 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			o.sent++
			line := fmt.Sprint(name, o.sent)
			all.Go(func() {
				began := time.Now()
				if !say(at, line) {
					mu.Lock()
					defer mu.Unlock()
					o.lost = append(o.lost, began)
				}
			})
		}
	})
	return func() outcome {
		all.Wait()
		o.twice = seen.twice(name)
		return o
	}
}

func TestConnectionsThatNobodyTookAreTriedElsewhere(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	seen := &sightings{of: map[string]int{}}
	dbs := startDatabases(t, c, 3, seen)
	callers := startCallers(t, c, dbs[0].service)
	for _, k := range callers {
		eventually.True(t, k.service+" reaches the database", eventually.Soon, func() bool { return say(k.upstream, "first") })
	}
	for i, fault := range []struct {
		name   string
		happen func()
	}{
		{"an application goes away", func() { dbs[0].listener.Close() }},
		{"a whole instance goes away", func() { _ = syscall.Kill(dbs[1].envoyPID(), syscall.SIGKILL) }},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		tried := connect(ctx, fmt.Sprint("tried", i, "-"), callers[0].upstream, seen)
		plain := connect(ctx, fmt.Sprint("plain", i, "-"), callers[1].upstream, seen)
		time.Sleep(500 * time.Millisecond)
		fault.happen()
		happened := time.Now()
		with, without := tried(), plain()
		t.Logf("%s: with retries %d of %d lost, %d of them sent later; without %d of %d", fault.name,
			len(with.lost), with.sent, with.lostAfter(happened), len(without.lost), without.sent)
		for _, at := range with.lost {
			t.Log(at.Sub(happened))
		}
		if i == 0 {
			dbs[0].listen(t, seen)
			time.Sleep(4 * time.Second)
		}
	}
}
