package dataplane_test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

// region is that of all zones.
const region = "eu-west-1"

// hosts counts the addresses of instances that are in a zone: by its address one is known, so each has one of its own.
var hosts atomic.Int32

// zoneWorld is a service with instances in zones, and tasks that call it.
type zoneWorld struct {
	c         *testenv.Consul
	service   string
	instances map[string]*task
	apps      map[string]io.Closer
	callers   map[string]*task
	at        map[string]netip.AddrPort // where a caller reaches the service
	tcp       bool
}

// startZones starts an instance of a new service for each name, in the zone that is the name's first letter.
func startZones(t *testing.T, c *testenv.Consul, tcp bool, names ...string) *zoneWorld {
	t.Helper()
	w := &zoneWorld{c: c, instances: map[string]*task{}, apps: map[string]io.Closer{}, callers: map[string]*task{}, at: map[string]netip.AddrPort{}, tcp: tcp}
	for _, name := range names {
		w.add(t, name, name[:1])
	}
	for _, k := range w.instances {
		k.awaitReady(t)
	}
	return w
}

// add starts one more instance, which answers with its name.
func (w *zoneWorld) add(t *testing.T, name, zone string) *task {
	t.Helper()
	k := newTask(t, w.c)
	if w.service == "" {
		w.service = k.service
		if w.tcp {
			if _, _, err := w.c.API.ConfigEntries().Set(&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: k.service, Protocol: "tcp"}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	k.service, k.token, k.zone, k.instance = w.service, newToken(t, w.c, w.service), zone, name
	k.public = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 7, 0, byte(hosts.Add(1))}), k.public.Port())
	k.file.Proxy.ID = mesh.ProxyID(mesh.ServiceID(k.service, name))
	var app netip.AddrPort
	if w.tcp {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				fmt.Fprint(conn, name)
				_ = conn.Close()
			}
		}()
		app, w.apps[name] = netip.MustParseAddrPort(listener.Addr().String()), listener
	} else {
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, name) }))
		t.Cleanup(server.Close)
		app, w.apps[name] = netip.MustParseAddrPort(server.Listener.Addr().String()), server.Listener
	}
	k.register(t, w.c, app)
	k.run(t)
	w.instances[name] = k
	return k
}

// locality is how a task in the zone says that it prefers it.
func locality(t *testing.T, c *testenv.Consul, zone string) *dataplanefile.Locality {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte(c.CAPEM), 0o600); err != nil {
		t.Fatal(err)
	}
	return &dataplanefile.Locality{Region: region, Zone: zone, HTTP: &dataplanefile.HTTP{Port: c.HTTPPort, ServerName: c.ServerName, CACertsPath: ca}}
}

// call starts a task that calls the service; change says how it differs from one that prefers nothing.
func (w *zoneWorld) call(t *testing.T, name string, change func(*task)) *task {
	t.Helper()
	k, at := newTask(t, w.c), freeport.Loopback(t)
	change(k)
	k.register(t, w.c, freeport.Loopback(t), api.Upstream{DestinationName: w.service, LocalBindAddress: "127.0.0.1", LocalBindPort: int(at.Port())})
	w.callers[name], w.at[name] = k, at
	var sources []*api.SourceIntention
	for _, caller := range w.callers {
		sources = append(sources, &api.SourceIntention{Name: caller.service, Action: api.IntentionActionAllow})
	}
	if _, _, err := w.c.API.ConfigEntries().Set(&api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: w.service, Sources: sources}, nil); err != nil {
		t.Fatal(err)
	}
	k.run(t)
	return k
}

// prefer starts a task that prefers its zone.
func (w *zoneWorld) prefer(t *testing.T, name, zone, spill string) *task {
	t.Helper()
	return w.call(t, name, func(k *task) {
		k.file.Locality = locality(t, w.c, zone)
		k.file.Locality.Spill = spill
	})
}

// awaitCallers waits until each caller reaches the service.
func (w *zoneWorld) awaitCallers(t *testing.T) {
	t.Helper()
	for name, k := range w.callers {
		k.awaitReady(t)
		eventually.True(t, name+" reaches the service", eventually.Soon, func() bool { return len(w.ask(w.at[name])) == 2 })
	}
}

// ask is who answers: the name of an instance, or what went wrong.
func (w *zoneWorld) ask(at netip.AddrPort) string {
	if !w.tcp {
		return strings.TrimPrefix(get(at), "200 ")
	}
	conn, err := net.DialTimeout("tcp", at.String(), 5*time.Second)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	answer, err := io.ReadAll(conn)
	if err != nil {
		return err.Error()
	}
	return string(answer)
}

// spread asks n times, and counts who answers.
func (w *zoneWorld) spread(caller string, n int) map[string]int {
	counts := map[string]int{}
	for range n {
		counts[w.ask(w.at[caller])]++
	}
	return counts
}

// answered waits until n requests of a caller are answered as want says, each number give or take off.
func (w *zoneWorld) answered(t *testing.T, what, caller string, want map[string]int, off int) {
	t.Helper()
	n := 0
	for _, count := range want {
		n += count
	}
	eventually.Nil(t, what, eventually.Soon, func() error {
		got := w.spread(caller, n)
		for name, count := range got {
			if count < want[name]-off || count > want[name]+off || want[name] == 0 {
				return fmt.Errorf("caller %s: (-want +got):\n%s", caller, cmp.Diff(want, got))
			}
		}
		for name := range maps.Keys(want) {
			if got[name] == 0 {
				return fmt.Errorf("caller %s: %s never answers", caller, name)
			}
		}
		return nil
	})
}

// health tells Consul how an instance is.
func (w *zoneWorld) health(t *testing.T, status string, names ...string) {
	t.Helper()
	for _, name := range names {
		_, err := w.c.API.Catalog().Register(&api.CatalogRegistration{Node: node, SkipNodeUpdate: true, Check: &api.AgentCheck{
			Node: node, CheckID: "health-" + w.service + "-" + name, Name: "health", Status: status, ServiceID: w.instances[name].file.Proxy.ID,
		}}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
}
