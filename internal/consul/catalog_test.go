package consul

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/pki"
)

func anotherCA(t *testing.T) string {
	t.Helper()
	authority, err := pki.New("another CA")
	if err != nil {
		t.Fatal(err)
	}
	return authority.PEM
}

// aRegistration is that of the task t1 as the service web.
func aRegistration(t *testing.T) Registration {
	t.Helper()
	return registrationOf(t, "web")
}

func registrationOf(t *testing.T, service string) Registration {
	t.Helper()
	r, err := NewRegistration(agentconfig.Config{
		HealthSyncContainers: []string{"app"},
		Service:              &agentconfig.Service{Name: service, Port: 8080},
		Proxy: &agentconfig.Proxy{
			Config:    map[string]any{"protocol": "http"},
			Upstreams: []agentconfig.Upstream{{DestinationName: "api", LocalBindPort: 1234}},
		},
	}, taskOf(t, "t1"), "")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func statuses(checks map[string]*api.HealthCheck) map[string]string {
	m := map[string]string{}
	for id, c := range checks {
		m[id] = c.Status
	}
	return m
}

func TestATaskIsRegisteredCheckedAndDeregistered(t *testing.T) {
	asRole(t, mesh.RolePath, "web")
	node := stage.Node(t, clusterName(t))
	c := mustConnect(t, settings(t, taskOf(t, "t1"), nil))
	r := aRegistration(t)
	for range 2 { // the second time changes nothing
		if err := c.Register(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	proxy := stage.Services(t, node)["web-t1-sidecar-proxy"]
	if proxy == nil || len(proxy.Proxy.Upstreams) != 1 || proxy.Proxy.Config["protocol"] != "http" || proxy.Locality == nil {
		t.Fatalf("the proxy is in the catalog as %+v", proxy)
	}
	if registered := stage.Services(t, node)["web-t1"]; registered == nil || registered.ModifyIndex != registered.CreateIndex {
		t.Errorf("the service is in the catalog as %+v, want it unchanged by the second registration", registered)
	}
	want := map[string]string{"web-t1-app": "critical", "web-t1-consul-dataplane": "critical", "web-t1-sidecar-proxy-consul-dataplane": "critical"}
	if diff := cmp.Diff(want, statuses(stage.Checks(t, node))); diff != "" {
		t.Error(diff)
	}

	checks := slices.Clone(r.Checks)
	for i := range checks {
		checks[i].Status, checks[i].Output = Passing, "well"
	}
	if err := c.SetChecks(t.Context(), r, checks); err != nil {
		t.Fatal(err)
	}
	indexes := map[uint64]bool{}
	for id, check := range stage.Checks(t, node) {
		indexes[check.ModifyIndex] = true
		if check.Status != "passing" || check.Output != "well" || check.Type != mesh.CheckType {
			t.Errorf("check %s is %s (%s), type %s", id, check.Status, check.Output, check.Type)
		}
	}
	if len(indexes) != 1 {
		t.Errorf("the checks have the indexes %v, want one write", indexes)
	}
	found, whole, err := c.Lookup(t.Context(), r)
	if err != nil || !whole {
		t.Fatalf("look-up: whole %v, %v", whole, err)
	}
	if diff := cmp.Diff(checks, []Check{found[checks[0].ID], found[checks[1].ID], found[checks[2].ID]}); diff != "" {
		t.Error(diff)
	}

	for range 2 { // what is gone is no error
		if err := c.Deregister(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if left := stage.Services(t, node); len(left) != 0 {
		t.Errorf("%v are left", left)
	}
	if _, whole, err := c.Lookup(t.Context(), r); whole || err != nil {
		t.Errorf("look-up of nothing: whole %v, %v", whole, err)
	}
	if err := c.SetChecks(t.Context(), r, checks); !errors.Is(err, ErrUnregistered) {
		t.Errorf("checks of nothing: %v, want ErrUnregistered", err)
	}
}

func TestALostPartOfTheRegistrationIsSeen(t *testing.T) {
	asRole(t, mesh.RolePath, "web")
	node := stage.Node(t, clusterName(t))
	c := mustConnect(t, settings(t, taskOf(t, "t1"), nil))
	r := aRegistration(t)
	for name, lost := range map[string]api.CatalogDeregistration{
		"service": {Node: node, ServiceID: r.ServiceID}, "proxy": {Node: node, ServiceID: r.ProxyID}, "check": {Node: node, CheckID: r.Checks[0].ID},
	} {
		if err := c.Register(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if _, whole, err := c.Lookup(t.Context(), r); !whole || err != nil {
			t.Fatalf("before the %s was lost: whole %v, %v", name, whole, err)
		}
		if _, err := stage.Consul.API.Catalog().Deregister(&lost, nil); err != nil {
			t.Fatal(err)
		}
		if _, whole, err := c.Lookup(t.Context(), r); whole || err != nil {
			t.Errorf("after the %s was lost: whole %v, %v", name, whole, err)
		}
	}
}

func TestRefusedRegistrationsTellTheFix(t *testing.T) {
	t.Run("missing node", func(t *testing.T) {
		asRole(t, mesh.RolePath, "web")
		c := mustConnect(t, settings(t, taskOf(t, "t1"), nil))
		err := c.Register(t.Context(), aRegistration(t))
		var refusal *Refusal
		if !errors.As(err, &refusal) || refusal.Tries != 0 || !strings.Contains(err.Error(), "hint: the synthetic node of the ECS cluster is missing") {
			t.Errorf("got %v, want a reason to wait", err)
		}
		if err := c.SetChecks(t.Context(), aRegistration(t), aRegistration(t).Checks); !errors.Is(err, ErrUnregistered) {
			t.Errorf("checks without a node: %v, want ErrUnregistered", err)
		}
	})
	t.Run("another service's role", func(t *testing.T) {
		asRole(t, mesh.RolePath, "other")
		stage.Node(t, clusterName(t))
		c := mustConnect(t, settings(t, taskOf(t, "t1"), nil))
		err := c.Register(t.Context(), aRegistration(t))
		var refusal *Refusal
		if !errors.As(err, &refusal) || refusal.Tries != 1 || !strings.Contains(err.Error(), "hint: the token is for another service: the tag consul.hashicorp.com.service-name") {
			t.Errorf("got %v, want a final refusal", err)
		}
	})
}

func TestALostTokenIsReplacedOnce(t *testing.T) {
	asRole(t, mesh.RolePath, "web")
	stage.Node(t, clusterName(t))
	c := mustConnect(t, settings(t, taskOf(t, "lost"), nil))
	stale := *c.session.current.Load()
	if _, err := stage.Consul.API.ACL().TokenDelete(stale.accessorID, nil); err != nil {
		t.Fatal(err)
	}
	aged := stale
	aged.since = time.Now().Add(-time.Hour)
	c.session.current.Store(&aged)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, _, err := c.Lookup(t.Context(), aRegistration(t)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if c.Token() == stale.secretID {
		t.Error("the token is still the deleted one")
	}
	if tokens := stage.LoginTokens(t, "lost"); len(tokens) != 1 {
		t.Errorf("the task has the tokens %v, want one", tokens)
	}
	if err := c.Renew(t.Context(), stale.secretID); err != nil {
		t.Error(err)
	}
	if tokens := stage.LoginTokens(t, "lost"); len(tokens) != 1 {
		t.Errorf("renewing for a token that was replaced logged in again: %v", tokens)
	}
	valid := c.Token()
	if err := c.Renew(t.Context(), valid); err != nil || c.Token() == valid {
		t.Errorf("a token that one server denied was not replaced: %v", err)
	}
	if tokens := stage.LoginTokens(t, "lost"); len(tokens) != 1 {
		t.Errorf("the task has the tokens %v, want the old one destroyed", tokens)
	}
}

func TestALostTokenIsNoticedWithoutACall(t *testing.T) {
	asRole(t, mesh.RolePath, "web")
	c := mustConnect(t, settings(t, taskOf(t, "idle"), nil))
	stale := *c.session.current.Load()
	if _, err := stage.Consul.API.ACL().TokenDelete(stale.accessorID, nil); err != nil {
		t.Fatal(err)
	}
	took := eventually.True(t, "there is a new token, and a server is found with it", 10*time.Second, func() bool {
		return c.Token() != stale.secretID && !c.watcherIsAlone()
	})
	t.Logf("a new token and a server %s after the old one's end", took)
}

// watcherIsAlone reports whether the server manager has no server.
func (c *Connection) watcherIsAlone() bool {
	state, err := c.watcher.State()
	return err != nil || state.Address.Empty()
}

func TestTheConnectionOutlivesTheServer(t *testing.T) {
	asRole(t, mesh.RolePath, "web")
	stage.Node(t, clusterName(t))
	c := mustConnect(t, settings(t, taskOf(t, "t1"), nil))
	r := aRegistration(t)
	if err := c.Register(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	stage.Consul.Kill()
	down, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, _, err := c.Lookup(down, r); err == nil {
		t.Error("a dead server answered")
	}
	if err := stage.Consul.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	back, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := Retry(back, c.log, "look up", func(ctx context.Context) error {
		_, whole, err := c.Lookup(ctx, r)
		if err == nil && !whole {
			err = errors.New("not whole")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
