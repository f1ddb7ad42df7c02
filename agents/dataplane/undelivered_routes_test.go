package dataplane_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

// wayTo is a port that leads to another one, and can be cut off.
type wayTo struct {
	port int

	mu     sync.Mutex
	barred bool
	conns  []net.Conn
}

func startWayTo(t *testing.T, port int) *wayTo {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	w := &wayTo{port: listener.Addr().(*net.TCPAddr).Port}
	t.Cleanup(func() { w.cut(true) })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
			if err != nil || !w.lets(near, far) {
				near.Close()
				continue
			}
			go func() { _, _ = io.Copy(near, far) }()
			go func() { _, _ = io.Copy(far, near) }()
		}
	}()
	return w
}

// lets notes connections, and reports whether they may be.
func (w *wayTo) lets(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.barred {
		w.conns = append(w.conns, conns...)
	}
	return !w.barred
}

// cut ends all connections. Barred, it lets no new ones through.
func (w *wayTo) cut(barred bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.barred = barred
	for _, conn := range w.conns {
		conn.Close()
	}
	w.conns = nil
}

// TestRoutesThatComeByThemselves are those of a service with a router: a resource of their own. The service fails over to another
// one, an instance of which has lost its application, too. Then routes change while the stream to Consul is cut again and again.
func TestRoutesThatComeByThemselves(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	seen := &sightings{of: map[string]int{}}
	apis := startInstances(t, c, 1, seen, unchanged)
	spares := startInstances(t, c, 2, seen, unchanged)
	router := &api.ServiceRouterConfigEntry{Kind: api.ServiceRouter, Name: apis[0].service, Routes: []api.ServiceRoute{
		{Match: prefixed("/long"), Destination: &api.ServiceRouteDestination{RequestTimeout: 30e9}},
	}}
	set := func(entry api.ConfigEntry) {
		t.Helper()
		if _, _, err := c.API.ConfigEntries().Set(entry, nil); err != nil {
			t.Fatal(err)
		}
	}
	set(router)
	set(&api.ServiceResolverConfigEntry{Kind: api.ServiceResolver, Name: apis[0].service, Failover: map[string]api.ServiceResolverFailover{"*": {Service: spares[0].service}}})
	k, at := newTask(t, c), freeport.Loopback(t)
	way := startWayTo(t, c.GRPCPort)
	k.file.Consul.GRPCPort, k.file.Consul.ServerWatchDisabled = way.port, true
	k.register(t, c, freeport.Loopback(t), api.Upstream{DestinationName: apis[0].service, LocalBindAddress: "127.0.0.1", LocalBindPort: int(at.Port())})
	k.run(t)
	for _, to := range []*task{apis[0].task, spares[0].task} {
		intend(t, c, k, to, api.IntentionActionAllow)
	}
	k.awaitReady(t)
	eventually.True(t, k.service+" reaches api", eventually.Soon, func() bool { return get(at) == "200 from api" })

	apis[0].leave()
	spares[0].leave()
	client := &http.Client{Timeout: eventually.Soon}
	for i := range 40 {
		name := fmt.Sprint("failover", i)
		resp, err := client.Post("http://"+at.String(), "text/plain", strings.NewReader(name))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if n := seen.times(name); resp.StatusCode != http.StatusOK || n != 1 {
			t.Errorf("%s: %s, seen %d times, want it at the failover's second instance", name, resp.Status, n)
		}
	}

	policies := func() []any {
		for name, table := range k.dump(t) {
			if strings.HasPrefix(name, "dynamic_route_configs "+apis[0].service) {
				return all(table, "virtual_hosts", "routes", "route", "retry_policy", "num_retries")
			}
		}
		return nil
	}
	for n := range 4 {
		way.cut(true)
		router.Routes = append(router.Routes, api.ServiceRoute{Match: prefixed(fmt.Sprint("/more", n)), Destination: &api.ServiceRouteDestination{RequestTimeout: 30e9}})
		set(router)
		way.cut(false)
	}
	eventually.True(t, "all routes are there, with retries", 2*eventually.Soon, func() bool {
		got := policies()
		for _, n := range got {
			if n != 16.0 {
				t.Fatalf("a route came without retries of ours: %v", got)
			}
		}
		return len(got) == 6 // of the router, and the one to all else
	})
	if got := get(at); got != "200 from api" {
		t.Errorf("in the end: %s", got)
	}
}
