package main

import (
	"errors"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

// readyListener is that of an Envoy besides the first.
func readyListener(t *testing.T, ready *atomic.Bool) int {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	_, text, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// newTwofoldPlayer is a task of the services web and web-admin. Its role has the tags of the services of the list.
func newTwofoldPlayer(t *testing.T, ready *atomic.Bool, tagged ...string) *player {
	t.Helper()
	p := newPlayer(t)
	p.cfg.Services = []agentconfig.FurtherService{{
		Service: &agentconfig.Service{Name: "web-admin", Port: 8081}, Proxy: &agentconfig.Proxy{
			HealthCheckPort: readyListener(t, ready), Upstreams: []agentconfig.Upstream{{DestinationName: "books", LocalBindPort: 1235}},
		},
	}}
	maps.Copy(p.env, stage.RoleEnv(t, mesh.RolePath, p.id+"-twofold", "web", tagged...))
	return p
}

func TestATaskOfTwoServicesLivesAsOne(t *testing.T) {
	t.Parallel()
	var secondReady atomic.Bool
	p := newTwofoldPlayer(t, &secondReady, "web-admin")
	p.start(t, "mesh-init").exits(t, 0, 20*time.Second)
	first, second := mesh.ServiceID("web", p.id), mesh.ServiceID("web-admin", p.id)
	services := stage.Services(t, p.node)
	if diff := cmp.Diff([]string{second, mesh.ProxyID(second), first, mesh.ProxyID(first)}, slices.Sorted(maps.Keys(services))); diff != "" {
		t.Fatalf("services (-want +got):\n%s", diff)
	}
	proxy := services[mesh.ProxyID(second)]
	got := []any{services[second].Port, proxy.Port, proxy.Proxy.DestinationServiceName, proxy.Proxy.LocalServicePort, len(proxy.Proxy.Upstreams), len(services[mesh.ProxyID(first)].Proxy.Upstreams), proxy.Meta[mesh.MetaTaskID]}
	if diff := cmp.Diff([]any{8081, 20001, "web-admin", 8081, 1, 1, p.id}, got); diff != "" {
		t.Errorf("the second service and its proxy (-want +got):\n%s", diff)
	}
	file, err := dataplanefile.Read(p.file(dataplanefile.Name))
	want := []dataplanefile.FurtherProxy{{ID: mesh.ProxyID(second), ReadyBindPort: p.cfg.Services[0].Proxy.HealthCheckPort}}
	if diff := cmp.Diff(want, file.FurtherProxies); diff != "" || err != nil {
		t.Errorf("the dataplane's file: %v\n%s", err, diff)
	}

	r := p.start(t, "health-sync")
	p.setReady(true)
	p.set("RUNNING", "HEALTHY")
	eventually.True(t, "the application's health is known", eventually.Soon, func() bool {
		return stage.Checks(t, p.node)[mesh.CheckID(second, "app")].Status == "passing"
	})
	if check := stage.Checks(t, p.node)[mesh.CheckID(first, mesh.ContainerDataplane)]; check.Status != "critical" {
		t.Errorf("the first service is %s before the second one's proxy is ready", check.Status)
	}
	secondReady.Store(true)
	p.checksAre(t, "passing", 20*time.Second)
	time.Sleep(2 * time.Second) // the watch is on, and what changed at the start is old
	p.deregister(t, api.CatalogDeregistration{ServiceID: mesh.ProxyID(second)})
	eventually.Nil(t, "the second proxy is back", 20*time.Second, func() error {
		if mended(r) == 0 {
			return errors.New("health-sync has done nothing")
		}
		return p.whole(t)
	})
	r.signal(t, syscall.SIGTERM)
	p.checksAre(t, "critical", 20*time.Second)
	p.set("STOPPED", "HEALTHY")
	r.exits(t, 0, 20*time.Second)
	p.leftNothing(t)
}

// TestARoleWithoutTheSecondTagGrantsNoSecondService: whatever a configuration asks for, Consul gives what the role's tags say.
func TestARoleWithoutTheSecondTagGrantsNoSecondService(t *testing.T) {
	t.Parallel()
	for name, tagged := range map[string][]string{"no tag": nil, "the tag of another": {"web-debug"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newTwofoldPlayer(t, new(atomic.Bool), tagged...)
			r := p.start(t, "mesh-init")
			r.exits(t, 1, 20*time.Second)
			for _, want := range []string{"register web-admin-", "the tag consul.hashicorp.com.service-name-2 of the task role must be the name of the service", "update the controller"} {
				if !strings.Contains(r.log.String(), want) {
					t.Errorf("it did not say %q:\n%s", want, r.log)
				}
			}
			p.leftNothing(t)
		})
	}
}
