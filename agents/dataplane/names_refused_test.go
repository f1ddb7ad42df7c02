package dataplane_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/miekg/dns"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

const (
	told     = "configuration refused by envoy"
	rejected = "listener_manager.lds.update_rejected"
	nonsense = "nothing that Lua understands"
)

// refusals has Envoy refuse the listener for names in three tasks, with a router that hangs on it. In two of them the reason stays, as it is
// in what Consul sends: in one from the start. In the third one a program takes a port after it was tried.
func (w namesWorld) refusals(t *testing.T, envoy string) {
	never := callerByName(t, w.c, envoy, "never", freeport.Loopback(t), freePort(t))
	broken := callerByName(t, w.c, envoy, "broken", freeport.Loopback(t), freePort(t))
	raced := callerByName(t, w.c, envoy, "raced", freeport.Loopback(t), freePort(t), freePort(t))
	raced.file.XDSServer.BindPort = freePort(t)
	held := listen(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(raced.file.Names.Ports[1])))
	allowAll(t, w.c, []string{"web", "never", "broken", "raced"}, "api", "routed")
	never.scripted(t, w, nonsense)
	for _, k := range []*task{never, broken, raced} {
		k.register(t, w.c, freeport.Loopback(t))
		k.run(t)
	}
	for _, k := range []*task{broken, raced} {
		k.awaitReady(t)
		eventually.True(t, k.service+" calls by name", eventually.Soon, k.callsRouted)
	}
	never.awaitReady(t) // whoever calls it can do so
	never.tells(t, `"configured":true`)
	broken.scripted(t, w, nonsense)
	eventually.True(t, "a refusal is told", eventually.Soon, func() bool { return strings.Contains(broken.output.String(), told) })
	began := time.Now()

	held = raced.losesTheRace(t, w, held)
	defer held.Close()
	eventually.True(t, "it is offered again", eventually.Soon, func() bool { return broken.counter(t, rejected) > 1 })
	n, most := broken.counter(t, rejected), 1 // a first time, and again after two seconds, four, eight and so on, up to a minute
	for pause, next := 2*time.Second, 2*time.Second; next < time.Since(began)+time.Second; next += pause {
		most, pause = most+1, min(2*pause, time.Minute)
	}
	if warnings := strings.Count(broken.output.String(), told); n > most || warnings != 1 {
		t.Errorf("%d refusals and %d warnings in %s, want %d and one at most", n, warnings, time.Since(began), most)
	}
	for _, k := range []*task{broken, raced} {
		if !k.callsRouted() {
			t.Errorf("%s does not call by name any more", k.service)
		}
	}
	if strings.Contains(w.c.Output(), refusalHeard) {
		t.Error("Consul hears of a refusal")
	}
	if n := strings.Count(never.output.String(), told); n != 1 || never.resolve("routed.virtual.consul", dns.TypeA) != "none" {
		t.Errorf("where no listener was ever taken there are %d warnings, want one, and no name", n)
	}
	for _, k := range []*task{never, broken} {
		k.scripted(t, w, "")
	}
	eventually.True(t, "calls by name begin once Envoy takes the listener", eventually.Soon, never.callsRouted)
	allowAll(t, w.c, []string{"web", "broken"}, "db")
	eventually.True(t, "a name comes once Envoy takes the listener", eventually.Soon, func() bool { return broken.speaks("db.virtual.consul") == "db" })
}

// callsRouted tells whether the task's application is answered by a service with a router.
func (k *task) callsRouted() bool {
	return k.calls("routed.virtual.consul", "/old/x") == "200 api /new/x"
}

// scripted has Consul put a Lua script into what the task calls through, which Envoy has to understand; "" for none.
func (k *task) scripted(t *testing.T, w namesWorld, text string) {
	t.Helper()
	entry := &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: k.service, Protocol: "http"}
	if text != "" {
		entry.EnvoyExtensions = []api.EnvoyExtension{{Name: api.BuiltinLuaExtension, Arguments: map[string]any{"ProxyType": "connect-proxy", "Listener": "outbound", "Script": text}}}
	}
	configure(t, w.c, entry)
}

// losesTheRace lets the second of the task's ports go and takes it again after it was tried and before Envoy listens there: once Envoy refuses
// it, the port is left out. A port that comes free is tried for Envoy at once where no other is left, so the first one is held meanwhile, from
// a moment in which the task may call nothing. What is returned has the second port.
func (k *task) losesTheRace(t *testing.T, w namesWorld, held net.Listener) net.Listener {
	t.Helper()
	one, other := k.file.Names.Ports[0], k.file.Names.Ports[1]
	state := fmt.Sprintf(`"ports":[%d],"taken":[%d]`, one, other)
	k.tells(t, state)
	allowAll(t, w.c, []string{"web", "never", "broken"}, "api", "routed")
	k.tells(t, fmt.Sprintf(`"ports":[],"taken":[%d]`, other))
	var first net.Listener
	eventually.True(t, "Envoy lets the port go", eventually.Soon, func() (free bool) {
		var err error
		first, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(one)))
		return err == nil
	})
	defer first.Close()
	allowAll(t, w.c, []string{"web", "never", "broken", k.service}, "api", "routed")
	k.tells(t, fmt.Sprintf(`"ports":[],"taken":[%d,%d]`, one, other))
	held = k.race(t, held)
	_ = first.Close()
	eventually.True(t, "the listener is taken without the port", eventually.Soon, func() bool {
		return strings.Contains(k.output.String(), "configuration taken by envoy that it had refused")
	})
	k.tells(t, state)
	log := k.output.String()
	if n := k.counter(t, rejected); n != 1 || strings.Count(log, told) != 1 || !strings.Contains(log, "choose other names.ports; envoy") {
		t.Errorf("%d refusals, want one, with one warning and the fix", n)
	}
	return held
}

// race lets a port go, and takes it again as soon as the listener with it is on its way to Envoy, which stands still meanwhile.
func (k *task) race(t *testing.T, held net.Listener) net.Listener {
	t.Helper()
	pid := k.envoyPID()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGCONT)
	held.Close()
	eventually.True(t, "Envoy is sent the listener", eventually.Soon, func() bool { return k.unread(t) })
	return listen(t, held.Addr().String())
}

// unread tells whether a listener lies unread in Envoy's connection to the agent: that is more than what keeps a connection alive.
func (k *task) unread(t *testing.T) bool {
	t.Helper()
	data, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		columns := strings.Fields(line) // its number, the two ends, the state, and what is to be sent and to be read
		if len(columns) < 5 || !strings.HasSuffix(columns[2], fmt.Sprintf(":%04X", k.file.XDSServer.BindPort)) {
			continue
		}
		_, queue, _ := strings.Cut(columns[4], ":")
		bytes, err := strconv.ParseInt(queue, 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		if bytes > 1000 {
			return true
		}
	}
	return false
}

// speaks is the first line of what speaks at a name.
func (k *task) speaks(name string) string {
	address := k.resolve(name, dns.TypeA)
	if _, err := netip.ParseAddr(address); err != nil {
		return address
	}
	return speak(net.JoinHostPort(address, strconv.Itoa(k.file.Names.Ports[0])))
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func freePort(t *testing.T) int {
	t.Helper()
	return int(freeport.Loopback(t).Port())
}
