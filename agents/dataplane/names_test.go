package dataplane_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

const resolverAddress = "127.0.0.1:53"

// TestServicesAreCalledByName plays every row of what was promised on one Consul, in the network of a task.
func TestServicesAreCalledByName(t *testing.T) {
	if !ofItsOwn(t) {
		return
	}
	envoy, other := furnish(t)
	c := startConsul(t)
	t.Cleanup(func() { _ = c.Stop() })
	setUp(t, c)
	for _, name := range []string{"api", "spare", "split", "closed", "listed"} {
		named(t, c, envoy, name, website(t, name)).awaitReady(t)
	}
	for _, name := range []string{"db", "cache"} {
		named(t, c, envoy, name, echo(t, name)).awaitReady(t)
	}
	web := callerByName(t, c, envoy, "web", netip.MustParseAddrPort(resolverAddress), 80, 5432)
	listed := freeport.Loopback(t)
	web.register(t, c, freeport.Loopback(t), api.Upstream{DestinationName: "listed", LocalBindAddress: "127.0.0.1", LocalBindPort: int(listed.Port())})
	web.run(t)
	web.awaitReady(t)

	w := namesWorld{c, web}
	t.Run("nothing is permitted", func(t *testing.T) {
		eventually.True(t, "the first configuration is there", eventually.Soon, func() bool { return strings.Contains(web.output.String(), "first configuration applied") })
		if got := resolve("api.virtual.consul"); got != "none" {
			t.Errorf("a name resolves to %s", got)
		}
	})
	allow(t, c, "web", "api", "db", "cache", "split", "routed", "subset", "listed")
	w.gets(t, "api.virtual.consul/", "200 api /")
	t.Run("protocols and ports", w.protocols)
	t.Run("routers, splitters and resolvers", w.chains)
	t.Run("failover and back", w.failover)
	t.Run("intentions", w.intentions)
	t.Run("names that nobody has", func(t *testing.T) {
		for _, name := range []string{"closed", "web", "listed", "unheard-of"} {
			if got := resolve(name + ".virtual.consul"); got != "none" {
				t.Errorf("%s resolves to %s", name, got)
			}
		}
		if got := get(listed); got != "200 listed /" {
			t.Errorf("an upstream beside names: %s", got)
		}
	})
	t.Run("from outside", func(t *testing.T) {
		attack(t, other)
	})
	t.Run("a connection outlives other names", w.connection)
	t.Run("Consul is away", w.consulAway)
	t.Run("a terminating gateway", func(t *testing.T) { w.gateway(t, envoy) })
	t.Run("Envoy refuses", func(t *testing.T) { w.refusals(t, envoy) })
	t.Run("ports of others", func(t *testing.T) { w.ports(t, envoy) })
	t.Run("what ends the agent", func(t *testing.T) { w.endings(t, envoy) })
	if n := web.counter(t, "listener_manager.lds.update_rejected"); n > 0 {
		t.Errorf("Envoy has refused %d configurations", n)
	}
}

// namesWorld is what the parts of the test share.
type namesWorld struct {
	c   *testenv.Consul
	web *task
}

func (w namesWorld) gets(t *testing.T, url, want string) {
	t.Helper()
	var got string
	defer func() {
		if t.Failed() {
			t.Logf("%s answers last: %s", url, got)
		}
	}()
	eventually.True(t, url+" answers "+want, eventually.Soon, func() bool { got = call(url); return strings.HasPrefix(got, want) })
}

// setUp has Consul know how services are to be reached.
func setUp(t *testing.T, c *testenv.Consul) {
	t.Helper()
	tcp := func(name string) api.ConfigEntry {
		return &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: name, Protocol: "tcp"}
	}
	configure(t, c, tcp("db"), tcp("cache"),
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "outside", Protocol: "tcp", Destination: &api.DestinationConfig{Addresses: []string{"www.example.com"}, Port: 443}},
		&api.ServiceRouterConfigEntry{Kind: api.ServiceRouter, Name: "routed", Routes: []api.ServiceRoute{{
			Match:       &api.ServiceRouteMatch{HTTP: &api.ServiceRouteHTTPMatch{PathPrefix: "/old"}},
			Destination: &api.ServiceRouteDestination{Service: "api", PrefixRewrite: "/new"},
		}}},
		&api.ServiceSplitterConfigEntry{Kind: api.ServiceSplitter, Name: "split", Splits: []api.ServiceSplit{{Weight: 50, Service: "api"}, {Weight: 50, Service: "split"}}},
		&api.ServiceResolverConfigEntry{Kind: api.ServiceResolver, Name: "subset", Redirect: &api.ServiceResolverRedirect{Service: "api"}},
		&api.ServiceResolverConfigEntry{Kind: api.ServiceResolver, Name: "api", Failover: map[string]api.ServiceResolverFailover{"*": {Service: "spare"}}},
	)
}

func (w namesWorld) protocols(t *testing.T) {
	w.gets(t, "api.virtual.consul:5432/", "200 api /")
	for _, at := range []string{"db.virtual.consul:5432", "db.virtual.consul:80", "cache.virtual.consul:5432"} {
		want, _, _ := strings.Cut(at, ".")
		eventually.True(t, at+" speaks", eventually.Soon, func() bool { return speak(at) == want })
	}
	address := resolve("api.virtual.consul")
	if !netip.MustParsePrefix("127.64.0.0/10").Contains(netip.MustParseAddr(address)) {
		t.Errorf("the name resolves to %s", address)
	}
	if got := call(address + "/by-address"); got != "200 api /by-address" { // as with another name from a hosts file
		t.Errorf("by address: %s", got)
	}
}

func (w namesWorld) chains(t *testing.T) {
	w.gets(t, "routed.virtual.consul/old/x", "200 api /new/x")
	w.gets(t, "subset.virtual.consul/", "200 api /")
	for _, want := range []string{"200 api", "200 split"} {
		w.gets(t, "split.virtual.consul/", want)
	}
}

// check sets the state of an instance of api in Consul.
func (w namesWorld) check(t *testing.T, state string) {
	t.Helper()
	_, err := w.c.API.Catalog().Register(&api.CatalogRegistration{Node: node, SkipNodeUpdate: true,
		Check: &api.AgentCheck{Node: node, CheckID: "api-up", Name: "up", ServiceID: "api-1f3a-sidecar-proxy", Status: state}}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

func (w namesWorld) failover(t *testing.T) {
	allow(t, w.c, "web", "spare")
	w.check(t, api.HealthCritical)
	w.gets(t, "api.virtual.consul/", "200 spare /")
	w.check(t, api.HealthPassing)
	w.gets(t, "api.virtual.consul/", "200 api /")
	deny(t, w.c, "spare")
}

func (w namesWorld) intentions(t *testing.T) {
	deny(t, w.c, "cache")
	eventually.True(t, "the name goes with the intention", eventually.Soon, func() bool { return resolve("cache.virtual.consul") == "none" })
	allow(t, w.c, "web", "cache")
	eventually.True(t, "it comes back with it", eventually.Soon, func() bool { return speak("cache.virtual.consul:80") == "cache" })
	configure(t, w.c, &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: "closed", Sources: []*api.SourceIntention{{
		Name: "web", Permissions: []*api.IntentionPermission{
			{Action: api.IntentionActionAllow, HTTP: &api.IntentionHTTPPermission{PathPrefix: "/open"}},
			{Action: api.IntentionActionDeny, HTTP: &api.IntentionHTTPPermission{PathPrefix: "/"}},
		},
	}}})
	w.gets(t, "closed.virtual.consul/open", "200 closed /open")
	w.gets(t, "closed.virtual.consul/secret", "403 RBAC: access denied")
	deny(t, w.c, "closed")
	eventually.True(t, "the name goes", eventually.Soon, func() bool { return resolve("closed.virtual.consul") == "none" })
}

func (w namesWorld) connection(t *testing.T) {
	conn, err := net.Dial("tcp", "db.virtual.consul:5432")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buffer := make([]byte, 100)
	if n, err := conn.Read(buffer); err != nil || string(buffer[:n]) != "db\n" {
		t.Fatalf("%q, %v", buffer[:n], err)
	}
	for range 3 {
		deny(t, w.c, "cache")
		eventually.True(t, "a name goes", eventually.Soon, func() bool { return resolve("cache.virtual.consul") == "none" })
		allow(t, w.c, "web", "cache")
		eventually.True(t, "a name comes", eventually.Soon, func() bool { return resolve("cache.virtual.consul") != "none" })
	}
	_ = conn.SetDeadline(time.Now().Add(eventually.Soon))
	if _, err := conn.Write([]byte("still there")); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(buffer); err != nil || string(buffer[:n]) != "still there" {
		t.Errorf("%q, %v", buffer[:n], err)
	}
	if n := w.web.counter(t, "listener_manager.listener_in_place_updated"); n == 0 {
		t.Error("the listener was never changed in place")
	}
}

func (w namesWorld) consulAway(t *testing.T) {
	if err := w.c.Freeze(); err != nil {
		t.Fatal(err)
	}
	if got := call("api.virtual.consul/"); got != "200 api /" {
		t.Errorf("while Consul stands still: %s", got)
	}
	if got := resolve("unheard-of.virtual.consul"); got != "none" {
		t.Errorf("a name that nobody has: %s", got)
	}
	got := resolve("api.service.consul") // which only Consul knows
	if _, err := netip.ParseAddr(got); err == nil || got == "none" {
		t.Errorf("Consul does not stand still: it answers %s", got)
	}
	if err := w.c.Thaw(); err != nil {
		t.Fatal(err)
	}
	before := w.web.counter(t, "listener_manager.listener_modified")
	w.c.Kill()
	if err := w.c.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	allow(t, w.c, "web", "spare") // Envoy's stream is a new one, on which it says what it has
	eventually.True(t, "a name comes on the new stream", eventually.Soon, func() bool { return resolve("spare.virtual.consul") != "none" })
	w.gets(t, "spare.virtual.consul/", "200 spare /")
	w.gets(t, "api.virtual.consul/", "200 api /")
	if n := w.web.counter(t, "listener_manager.listener_modified") - before; n > 4 {
		t.Errorf("%d listeners were replaced", n)
	}
}

// attack tries to reach what is meant for the task alone from another one, to which it looks like any network.
func attack(t *testing.T, other func(address string) string) {
	open, err := net.Listen("tcp", "0.0.0.0:8888") // what is not tied to the loopback device is reached
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	address := resolve("api.virtual.consul")
	for at, want := range map[string]bool{
		taskAddress + ":8888": true, address + ":8888": true,
		taskAddress + ":80": false, taskAddress + ":5432": false, address + ":80": false, address + ":5432": false, "127.64.0.99:80": false,
	} {
		got := other(at)
		if want && got != reached || !want && !strings.Contains(got, "refused") {
			t.Errorf("from another task, %s: %s", at, got)
		}
	}
	if got := call(taskAddress + "/"); !strings.Contains(got, "refused") {
		t.Errorf("at the task's own address: %s", got)
	}
}

func (w namesWorld) ports(t *testing.T, envoy string) {
	if l, err := net.Listen("tcp", ":80"); err == nil {
		l.Close()
		t.Error("the application gets a port that names have")
	}
	held, err := net.Listen("tcp", "127.0.0.1:8082")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	address := resolve("spare.virtual.consul") // the same in every task
	k := callerByName(t, w.c, envoy, "late", freeport.Loopback(t), 8081, 8082)
	allow(t, w.c, "late", "spare")
	k.register(t, w.c, freeport.Loopback(t))
	k.run(t)
	k.awaitReady(t)
	w.gets(t, address+":8081/", "200 spare /")
	k.tells(t, `"names":{"services":1,"ports":[8081],"taken":[8082]}`)
	held.Close() // as of a program that is started again
	k.losesAllAndGetsOne(t, w, address)
	if held, err = net.Listen("tcp", "127.0.0.1:8082"); err != nil {
		t.Fatalf("a program that is started again does not get its port: %v", err)
	}
	defer held.Close()
	log := k.output.String()
	for text, want := range map[string]int{"port for names is left out": 1, "port for names is free": 0, "configuration refused": 0} {
		if n := strings.Count(log, text); n != want {
			t.Errorf("the log has %q %d times, want %d", text, n, want)
		}
	}
}

// losesAllAndGetsOne has the one service that the task may call go and come again, and with it the listener.
func (k *task) losesAllAndGetsOne(t *testing.T, w namesWorld, address string) {
	deny(t, w.c, "spare")
	eventually.True(t, "nobody listens", eventually.Soon, func() bool { return strings.Contains(call(address+":8081/"), "refused") })
	allow(t, w.c, k.service, "spare")
	w.gets(t, address+":8081/", "200 spare /")
	k.tells(t, `"names":{"services":1,"ports":[8081],"taken":[8082]}`)
}

// tells wants the agent's health page to say something, soon after what it is about.
func (k *task) tells(t *testing.T, want string) {
	t.Helper()
	eventually.True(t, "the health page tells "+want, eventually.Soon, func() bool { return strings.Contains(k.asked("/healthz"), want) })
}

// gateway runs a terminating gateway for a service outside of the mesh.
func (w namesWorld) gateway(t *testing.T, envoy string) {
	k := named(t, w.c, envoy, "gateway", netip.AddrPort{})
	app := website(t, "legacy")
	for _, s := range []*api.AgentService{
		{ID: "legacy", Service: "legacy", Address: app.Addr().String(), Port: int(app.Port())},
		{ID: k.file.Proxy.ID, Service: "gateway", Kind: api.ServiceKindTerminatingGateway, Address: k.public.Addr().String(), Port: int(k.public.Port())},
	} {
		if _, err := w.c.API.Catalog().Register(&api.CatalogRegistration{Node: node, SkipNodeUpdate: true, Service: s}, nil); err != nil {
			t.Fatal(err)
		}
	}
	configure(t, w.c, &api.TerminatingGatewayConfigEntry{Kind: api.TerminatingGateway, Name: "gateway", Services: []api.LinkedService{{Name: "legacy"}}})
	k.token = w.c.BootstrapToken // it speaks for every service behind it
	k.run(t)
	k.awaitReady(t)
	allow(t, w.c, "web", "legacy")
	w.gets(t, "legacy.virtual.consul/", "200 legacy /")
}

func (w namesWorld) endings(t *testing.T, envoy string) {
	held, err := net.Listen("tcp", ":8083")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	for name, e := range map[string]struct {
		dns, first string
		port       int
		said       []string
	}{
		"every port is taken":    {"127.0.0.1:5353", "0", 8083, []string{"listen for names at port [8083]: another program of the task listens there", "hint: let it listen elsewhere"}},
		"a port needs a right":   {"127.0.0.1:5353", "1024", 81, []string{"listen for names at port 81: permission denied", "net.ipv4.ip_unprivileged_port_start = 0"}},
		"DNS needs a right":      {"127.0.0.99:54", "1024", 8084, []string{"listen for DNS", "permission denied", "net.ipv4.ip_unprivileged_port_start = 0"}},
		"the file is not shared": {"127.0.0.98:53", "0", 8084, []string{"/etc/resolv.conf does not begin with name server 127.0.0.98", "do not share the file"}},
	} {
		t.Run(name, func(t *testing.T) {
			privileged(t, e.first)
			k := callerByName(t, w.c, envoy, fmt.Sprint("ends", e.port), netip.MustParseAddrPort(e.dns), e.port)
			k.register(t, w.c, freeport.Loopback(t))
			k.run(t)
			code, _ := k.awaitExit(t, eventually.Soon)
			for _, said := range e.said {
				if code != 1 || !strings.Contains(k.output.String(), said) {
					t.Errorf("exit code %d, want 1 and %q in the log", code, said)
				}
			}
		})
	}
	privileged(t, "0")
}
