package consul

import (
	"context"
	"errors"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

// watched is a registration under watch. The requests of the watch are counted, and so are their connections.
type watched struct {
	Registration
	conn    *Connection
	changed chan struct{}

	asked, answered, dials atomic.Int64
}

// watch registers a task of the service, which is no other test's, and watches it until the test ends, or stop is called.
func watch(t *testing.T, service string) (w *watched, stop func()) {
	t.Helper()
	s := settings(t, taskOf(t, "t1"), byRole(t, mesh.RolePath, service))
	stage.Node(t, clusterName(t))
	w = &watched{conn: mustConnect(t, s), Registration: registrationOf(t, service), changed: make(chan struct{}, 100)}
	if err := w.conn.Register(t.Context(), w.Registration); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest:         func(httptrace.WroteRequestInfo) { w.asked.Add(1) },
		GotFirstResponseByte: func() { w.answered.Add(1) },
		GotConn: func(i httptrace.GotConnInfo) {
			if !i.Reused {
				w.dials.Add(1)
			}
		},
	})
	var running sync.WaitGroup
	running.Go(func() { w.conn.Watch(ctx, w.Registration, func() { w.changed <- struct{}{} }) })
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	w.settles(t)
	return w, stop
}

// settles waits until both queries of the watch wait for something to happen.
func (w *watched) settles(t *testing.T) {
	t.Helper()
	calm := 0
	eventually.True(t, "the watch comes to rest", time.Minute, func() bool {
		if calm++; w.asked.Load()-w.answered.Load() != 2 {
			calm = 0
		}
		return calm >= 20
	})
	for len(w.changed) > 0 {
		<-w.changed
	}
}

// hears waits until the watch says that something has changed.
func (w *watched) hears(t *testing.T, what string) {
	t.Helper()
	start := time.Now()
	select {
	case <-w.changed:
		t.Logf("%s was heard of after %s", what, time.Since(start).Round(time.Millisecond))
	case <-time.After(20 * time.Second):
		t.Fatalf("%s was not heard of", what)
	}
}

// setCheck writes one check of the registration as somebody else would.
func setCheck(t *testing.T, r Registration, status string) {
	t.Helper()
	entry := r.entry(nil, r.Checks[:1])
	entry.Checks[0].Status = status
	if _, err := stage.Consul.API.Catalog().Register(entry, nil); err != nil {
		t.Fatal(err)
	}
}

// another registers one more instance of the service, by hand.
func another(t *testing.T, r Registration, id string) Registration {
	t.Helper()
	task := taskOf(t, id)
	r.ServiceID, r.ProxyID = mesh.ServiceID(r.ServiceName, id), mesh.ProxyID(mesh.ServiceID(r.ServiceName, id))
	r.service.ID, r.proxy.ID = r.ServiceID, r.ProxyID
	r.Node = task.ClusterARN
	r.Checks = []Check{{ID: r.ServiceID + "-app", Name: "x", ServiceID: r.ServiceID, ServiceName: r.ServiceName, Status: Critical}}
	for _, s := range []*api.AgentService{&r.service, &r.proxy} {
		if _, err := stage.Consul.API.Catalog().Register(r.entry(s, r.Checks), nil); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestTheWatchHearsOfWhatSomebodyElseDoesToTheTask(t *testing.T) {
	t.Parallel()
	w, stop := watch(t, "heard")
	catalog := stage.Consul.API.Catalog()
	for _, lost := range []struct {
		what string
		api.CatalogDeregistration
	}{
		{"a service that was taken away", api.CatalogDeregistration{Node: w.Node, ServiceID: w.ServiceID}},
		{"a proxy that was taken away", api.CatalogDeregistration{Node: w.Node, ServiceID: w.ProxyID}},
		{"a check that was taken away", api.CatalogDeregistration{Node: w.Node, CheckID: w.Checks[0].ID}},
		{"a node that was taken away", api.CatalogDeregistration{Node: w.Node}},
	} {
		if _, err := catalog.Deregister(&lost.CatalogDeregistration, nil); err != nil {
			t.Fatal(err)
		}
		w.hears(t, lost.what)
		if lost.ServiceID == "" && lost.CheckID == "" {
			w.settles(t)
			stage.Node(t, clusterName(t))
			w.hears(t, "a node that is back")
		}
		if err := w.conn.Register(t.Context(), w.Registration); err != nil {
			t.Fatal(err)
		}
		w.settles(t)
	}
	setCheck(t, w.Registration, "passing")
	w.hears(t, "a check that was turned")
	if n := w.dials.Load(); n > 1 {
		t.Errorf("the watch has used %d connections, want the one that there is", n)
	}
	stopping := time.Now()
	if stop(); time.Since(stopping) > 5*time.Second {
		t.Errorf("the watch took %s to end", time.Since(stopping))
	}
}

func TestTheWatchSleepsWhileOthersTasksChange(t *testing.T) {
	t.Parallel()
	w, _ := watch(t, "asleep")
	foreign := w.Registration
	foreign.ServiceName, foreign.service.Service, foreign.proxy.Service = "other", "other", "other-sidecar-proxy"
	before := w.asked.Load()
	foreign = another(t, foreign, "t2") // on the same node
	for range 50 {
		setCheck(t, foreign, "passing")
		setCheck(t, foreign, "critical")
	}
	time.Sleep(3 * watchPause)
	if n := w.asked.Load() - before; n != 0 {
		t.Errorf("another service's task made %d requests of the watch, want none", n)
	}
	if len(w.changed) != 0 {
		t.Error("another service's task counts as ours")
	}
}

func TestTheWatchAsksSeldomWhileItsServiceIsReplaced(t *testing.T) {
	t.Parallel()
	w, _ := watch(t, "seldom")
	other := another(t, w.Registration, "t2")
	w.settles(t)
	before, start := w.asked.Load(), time.Now()
	for time.Since(start) < 5*time.Second {
		setCheck(t, other, "passing")
		setCheck(t, other, "critical")
		time.Sleep(10 * time.Millisecond)
	}
	rounds := int64(time.Since(start)/(watchPause/2)) + 2
	n := w.asked.Load() - before
	t.Logf("%d requests in %s of changes", n, time.Since(start).Round(time.Millisecond))
	if n < 2 || n > 2*2*rounds {
		t.Errorf("%d requests in %d of the shortest rounds, want two for the service and two for the proxy in each", n, rounds)
	}
	if len(w.changed) != 0 {
		t.Error("another task of the service counts as ours")
	}
	if _, err := stage.Consul.API.Catalog().Deregister(&api.CatalogDeregistration{Node: w.Node, ServiceID: w.ServiceID}, nil); err != nil {
		t.Fatal(err)
	}
	w.hears(t, "a service that was taken away meanwhile")
}

func TestTheWatchOutlivesItsTokenAndItsServer(t *testing.T) {
	w, _ := watch(t, "outlives")
	lose := func(what string) {
		t.Helper()
		if _, err := stage.Consul.API.Catalog().Deregister(&api.CatalogDeregistration{Node: w.Node, ServiceID: w.ProxyID}, nil); err != nil {
			t.Fatal(err)
		}
		w.hears(t, what)
	}
	aged := *w.conn.session.current.Load()
	aged.since = time.Now().Add(-time.Hour)
	w.conn.session.current.Store(&aged)
	if _, err := stage.Consul.API.ACL().TokenDelete(aged.accessorID, nil); err != nil {
		t.Fatal(err)
	}
	lose("a proxy that was taken away after the token")
	if err := w.conn.Register(t.Context(), w.Registration); err != nil {
		t.Fatal(err)
	}
	w.settles(t)

	stage.Consul.Kill()
	if err := stage.Consul.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	back, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := Retry(back, w.conn.log, "look up", func(ctx context.Context) error {
		_, whole, err := w.conn.Lookup(ctx, w.Registration)
		if err == nil && !whole {
			err = errors.New("not whole")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	lose("a proxy that was taken away after the server came back")
}
