package dataplane_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/detour"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

// database is an application of protocol tcp: it takes a line and answers it, again and again.
type database struct {
	*task
	at       netip.AddrPort
	listener net.Listener
}

// listen has the application listen. Connections that it has live on when the listener is closed.
func (d *database) listen(t *testing.T, seen *sightings) {
	t.Helper()
	listener, err := net.Listen("tcp", d.at.String())
	if err != nil {
		t.Fatal(err)
	}
	d.listener = listener
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
					fmt.Fprintln(conn, d.instance, "had", lines.Text())
				}
			}()
		}
	}()
}

// startDatabases starts n instances of a new service of protocol tcp, behind a device if there is one.
func startDatabases(t *testing.T, c *testenv.Consul, n int, seen *sightings, device *detour.Device) []*database {
	t.Helper()
	var all []*database
	for i := range n {
		d := &database{task: newTask(t, c), at: freeport.Loopback(t)}
		if i > 0 {
			d.service, d.token = all[0].service, newToken(t, c, all[0].service)
		}
		d.instance = fmt.Sprint("1f3a", i)
		d.file.Proxy.ID = mesh.ProxyID(mesh.ServiceID(d.service, d.instance))
		if device != nil {
			d.behind(t, device, i)
		}
		speaks(t, c, d.service, "tcp")
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

// session is a connection to a database.
type session struct {
	net.Conn
	answers *bufio.Reader
}

func open(at netip.AddrPort) (*session, error) {
	conn, err := net.DialTimeout("tcp", at.String(), 20*time.Second)
	if err != nil {
		return nil, err
	}
	return &session{conn, bufio.NewReader(conn)}, nil
}

// say sends a line, and returns which instance has answered it.
func (s *session) say(line string, within time.Duration) (instance string, err error) {
	if err := s.SetDeadline(time.Now().Add(within)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintln(s, line); err != nil {
		return "", err
	}
	answer, err := s.answers.ReadString('\n')
	if err == nil {
		var heard string
		if _, err = fmt.Sscanf(answer, "%s had %s\n", &instance, &heard); err == nil && heard != line {
			err = fmt.Errorf("answered %q", answer)
		}
	}
	return instance, err
}

// said reports whether a line is answered on a connection of its own.
func said(at netip.AddrPort, line string) bool {
	s, err := open(at)
	if err != nil {
		return false
	}
	defer s.Close()
	_, err = s.say(line, 20*time.Second)
	return err == nil
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
				if began := time.Now(); !said(at, line) {
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

// TestConnectionsThatNobodyTookAreTriedElsewhere is as the one of requests. A receiver's Envoy accepts connections for an
// application that is gone.
func TestConnectionsThatNobodyTookAreTriedElsewhere(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	seen := &sightings{of: map[string]int{}}
	dbs := startDatabases(t, c, 3, seen, nil)
	callers := startCallers(t, c, dbs[0].service)
	for _, k := range callers {
		eventually.True(t, k.service+" reaches the database", eventually.Soon, func() bool { return said(k.upstream, "first") })
	}
	if after := all(dbs[0].dump(t)["dynamic_active_clusters local_app"], "outlier_detection", "consecutive_local_origin_failure"); !cmp.Equal(after, []any{1.0}) {
		t.Errorf("the application is left out after %v refusals", after)
	}
	var held *session // of an application that takes no new connections, and goes on with those that it has
	for held == nil {
		s, err := open(callers[0].upstream)
		if err != nil {
			t.Fatal(err)
		}
		if instance, err := s.say("hold", eventually.Soon); err == nil && instance == dbs[0].instance {
			held = s
		} else {
			s.Close()
		}
	}
	defer held.Close()
	for i, fault := range []struct {
		name    string
		percent int // that may be lost
		happen  func()
	}{
		{"an application goes away", 2, func() { dbs[0].listener.Close() }},
		{"a whole instance goes away", 1, func() { dbs[1].killEnvoy(t) }},
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
		if n := with.lostAfter(happened.Add(50 * time.Millisecond)); n > with.sent*fault.percent/100 || with.twice > 0 {
			t.Errorf("%s: %d connections that came later are lost, %d were seen twice", fault.name, n, with.twice)
		}
		if n := without.lostAfter(happened); n < 20 {
			t.Errorf("%s: without retries only %d are lost: the test shows nothing", fault.name, n)
		}
		if instance, err := held.say("still", eventually.Soon); err != nil || instance != dbs[0].instance {
			t.Errorf("%s: a connection that an application goes on with: %s, %v", fault.name, instance, err)
		}
		if dbs[0].listener.Close(); i == 0 {
			dbs[0].listen(t, seen)
			eventually.True(t, "the application is used again", eventually.Soon, func() bool {
				s, err := open(callers[0].upstream)
				if err != nil {
					return false
				}
				defer s.Close()
				instance, _ := s.say("again", eventually.Soon)
				return instance == dbs[0].instance
			})
		}
	}
}

// TestConnectionsOutlastAMomentAndNotADeadMachine has a moment without a network, and then a machine gone without a word. Of the
// connections through each, one is idle meanwhile, and one sends.
func TestConnectionsOutlastAMomentAndNotADeadMachine(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	device := detour.Start(t)
	db := startDatabases(t, c, 1, &sightings{of: map[string]int{}}, device)[0]
	callers := startCallers(t, c, db.service)
	var sessions [2][2]*session // of the caller with retries and of the one without: an idle one, and one that sends
	for i, k := range callers {
		for j := range sessions[i] {
			eventually.Nil(t, k.service+" reaches the database", eventually.Soon, func() (err error) {
				if sessions[i][j], err = open(k.upstream); err == nil {
					_, err = sessions[i][j].say("first", eventually.Soon)
				}
				return err
			})
			defer sessions[i][j].Close()
		}
	}
	away := func(lost bool) {
		for i := range callers {
			device.Lose(db.public.Addr(), lost)
			if lost {
				fmt.Fprintln(sessions[i][1], "meanwhile")
			}
		}
	}
	away(true)
	time.Sleep(5 * time.Second)
	away(false)
	for i, k := range callers {
		if instance, err := sessions[i][0].say("later", eventually.Soon); err != nil {
			t.Errorf("the idle connection of %s after five seconds without a network: %s, %v", k.service, instance, err)
		}
		if answer, err := sessions[i][1].answers.ReadString('\n'); err != nil {
			t.Errorf("the connection of %s that has sent: %q, %v", k.service, answer, err)
		}
	}
	away(true)
	const noticed = 14 * time.Second
	deadline := time.Now().Add(noticed)
	for i, k := range callers {
		for j, what := range []string{"idle", "sending"} {
			_ = sessions[i][j].SetDeadline(deadline)
			_, err := sessions[i][j].answers.ReadString('\n')
			if still := time.Now().After(deadline); still != (i == 1) {
				t.Errorf("the %s connection of %s to a dead machine is still there after %s: %v (%v)", what, k.service, noticed, still, err)
			}
		}
	}
}
