package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/remote"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

// whole checks that the task is in the catalog as it was: both registrations, and every check passing.
func (p *player) whole(t *testing.T) error {
	t.Helper()
	checks := stage.Checks(t, p.node)
	for id, c := range checks {
		if c.Status != "passing" {
			return fmt.Errorf("%s is %s: %s", id, c.Status, c.Output)
		}
	}
	pairs := 1 + len(p.cfg.Services)
	if services := stage.Services(t, p.node); len(services) != 2*pairs || len(checks) != 3*pairs {
		return fmt.Errorf("%d services and %d checks, want %d and %d", len(services), len(checks), 2*pairs, 3*pairs)
	}
	return nil
}

func (p *player) deregister(t *testing.T, what api.CatalogDeregistration) {
	t.Helper()
	what.Node = p.node
	if _, err := stage.Consul.API.Catalog().Deregister(&what, nil); err != nil {
		t.Fatal(err)
	}
}

// Each loss is the only thing that happens, so no change of the task's own leads health-sync to it.
func TestWhatIsTakenFromTheCatalogBehindItsBackIsBackInSeconds(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	r := p.begin(t)
	r.says(t, "mirroring the task's health")
	time.Sleep(2 * time.Second) // the watch is on, and what changed at the start is old
	service := "web-" + p.id
	proxy := mesh.ProxyID(service)
	for _, loss := range []struct {
		what string
		do   func(*testing.T)
	}{
		{"the service", func(t *testing.T) { p.deregister(t, api.CatalogDeregistration{ServiceID: service}) }},
		{"the proxy", func(t *testing.T) { p.deregister(t, api.CatalogDeregistration{ServiceID: proxy}) }},
		{"both", func(t *testing.T) {
			p.deregister(t, api.CatalogDeregistration{ServiceID: service})
			p.deregister(t, api.CatalogDeregistration{ServiceID: proxy})
		}},
		{"a check", func(t *testing.T) { p.deregister(t, api.CatalogDeregistration{CheckID: mesh.CheckID(service, "app")}) }},
		{"a check's verdict", func(t *testing.T) { p.turn(t, mesh.CheckID(proxy, mesh.ContainerDataplane), "critical") }},
		{"the node", func(t *testing.T) {
			p.deregister(t, api.CatalogDeregistration{})
			r.says(t, "the synthetic node of the ECS cluster is missing")
			time.Sleep(3 * time.Second) // health-sync tries more and more seldom
			stage.Node(t, p.id)         // as the controller makes it again
		}},
	} {
		before := mended(r)
		loss.do(t)
		took := eventually.Nil(t, loss.what+" is back", 20*time.Second, func() error {
			if mended(r) == before {
				return errors.New("health-sync has done nothing")
			}
			return p.whole(t)
		})
		t.Logf("%s: back after %s", loss.what, took.Round(time.Millisecond))
		time.Sleep(time.Second) // the watch has seen its own agent's writes
	}
	p.end(t, r)
}

// mended counts what health-sync says that it has done.
func mended(r *run) int {
	log := r.log.String()
	return strings.Count(log, "registering again") + strings.Count(log, "check written")
}

// turn writes the check's status as somebody else would.
func (p *player) turn(t *testing.T, id, status string) {
	t.Helper()
	check := stage.Checks(t, p.node)[id]
	if check == nil {
		t.Fatalf("no check %s", id)
	}
	check.Status = status
	entry := &api.CatalogRegistration{Node: p.node, SkipNodeUpdate: true, Check: &api.AgentCheck{
		Node: p.node, CheckID: id, Name: check.Name, Status: status, ServiceID: check.ServiceID, ServiceName: check.ServiceName, Type: check.Type,
	}}
	if _, err := stage.Consul.API.Catalog().Register(entry, nil); err != nil {
		t.Fatal(err)
	}
}

// TestTheMaintenanceCheckIsLeftAlone has a task drained as the action consulecs_drain_service does it: neither what health-sync writes
// nor what it heals puts the task back into traffic.
func TestTheMaintenanceCheckIsLeftAlone(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	r := p.begin(t)
	eventually.Nil(t, "the task serves", 20*time.Second, func() error { return p.serves(t, true) })
	outside, err := remote.New(remote.Server{
		Address: fmt.Sprintf("https://%s:%d", stage.Consul.Address, stage.Consul.HTTPPort), CAPEM: stage.Consul.CAPEM, ServerName: stage.Consul.ServerName, Token: stage.Consul.BootstrapToken,
	})
	if err != nil {
		t.Fatal(err)
	}
	survey := func() []remote.Service {
		found, err := outside.Survey(t.Context(), p.node)
		if err != nil || len(found.Services) != 2 {
			t.Fatal(found, err)
		}
		return found.Services
	}
	if err := outside.Maintain(t.Context(), p.node, survey(), "a test"); err != nil {
		t.Fatal(err)
	}
	for _, check := range []string{mesh.CheckID("web-"+p.id, "app"), mesh.CheckID(mesh.ProxyID("web-"+p.id), mesh.ContainerDataplane)} {
		before := mended(r)
		p.turn(t, check, "critical")
		eventually.Nil(t, check+" is turned back", 20*time.Second, func() error {
			if c := stage.Checks(t, p.node)[check]; c.Status != "passing" || mended(r) == before {
				return fmt.Errorf("%s: %s", c.Status, c.Output)
			}
			return p.serves(t, false)
		})
	}
	if err := outside.Resume(t.Context(), p.node, survey()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.serves(t, true), p.whole(t)); err != nil {
		t.Error(err)
	}
	p.end(t, r)
}

// serves checks whether Consul names the task to the proxies of callers.
func (p *player) serves(t *testing.T, want bool) error {
	t.Helper()
	entries, _, err := stage.Consul.API.Health().Connect("web", "", true, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := slices.ContainsFunc(entries, func(e *api.ServiceEntry) bool { return e.Node.Node == p.node })
	if got != want {
		return fmt.Errorf("named to callers: %v, want %v", got, want)
	}
	return nil
}

func TestNothingIsHealedOnceTheTaskStops(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	r := p.begin(t)
	r.signal(t, syscall.SIGTERM)
	p.checksAre(t, "critical", prompt)
	service := "web-" + p.id
	p.deregister(t, api.CatalogDeregistration{ServiceID: service})
	time.Sleep(3 * time.Second)
	if services := stage.Services(t, p.node); services[service] != nil || len(services) != 1 {
		t.Errorf("the catalog holds %v, want the proxy alone", services)
	}
	for id, c := range stage.Checks(t, p.node) {
		if c.Status != "critical" {
			t.Errorf("%s is %s: %s", id, c.Status, c.Output)
		}
	}
	p.set("STOPPED", "HEALTHY")
	r.exits(t, 0, 10*time.Second)
	p.leftNothing(t)
}
