package bench

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/process"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

// What undelivered loads.
const (
	losingRate = 100 // requests a second of each caller
	losingTime = 4 * time.Second
	losingLead = time.Second // of load before the fault
	told       = 300 * time.Millisecond
	instances  = 3
)

// losing is a service of several tasks, and two callers: one whose proxy tries elsewhere what nobody got, one whose proxy does not.
type losing struct {
	*bench
	consul  *testenv.Consul
	service string
	tasks   []*losingTask
	started int
	callers []losingCaller
}

// losingTask is an application in this process, behind the agent that ships.
type losingTask struct {
	id    string
	child *process.Child
	app   *httptest.Server
}

type losingCaller struct {
	name     string // in figures
	upstream netip.AddrPort
	child    *process.Child
}

// undelivered counts requests that are lost when one of three tasks goes, in different ways.
func (b *bench) undelivered(ctx context.Context) error {
	return withConsul(ctx, testenv.ConsulConfig{}, func(c *testenv.Consul) error {
		l := &losing{bench: b, consul: c, service: "api"}
		defer l.end()
		if err := l.start(ctx); err != nil {
			return err
		}
		for i := range b.Samples {
			for _, fault := range []struct {
				name   string
				happen func(context.Context) error
			}{
				{"no fault", nil},
				{"one of three tasks killed", l.kill},
				{"one of three applications gone at SIGTERM", l.leave},
				{"all three replaced, gone at SIGTERM", l.roll},
			} {
				if err := l.during(ctx, fault.name, fault.happen); err != nil {
					return fmt.Errorf("%s: %w", fault.name, err)
				}
			}
			b.say("%d of %d", i+1, b.Samples)
		}
		return nil
	})
}

// start starts the tasks and the callers, whom the service lets in.
func (l *losing) start(ctx context.Context) error {
	var callers []string
	for _, name := range []string{"tried elsewhere", "not tried"} {
		at, err := loopbacks(2)
		if err != nil {
			return err
		}
		service := fmt.Sprintf("%s%d", caller, len(l.callers))
		up := []api.Upstream{{DestinationName: l.service, LocalBindAddress: "127.0.0.1", LocalBindPort: int(at[1].Port())}}
		token, err := registerTask(ctx, l.consul, service, taskID, at[0], func(p *api.AgentServiceConnectProxyConfig) { p.Upstreams = up })
		if err != nil {
			return err
		}
		off := len(l.callers) > 0
		child, err := l.runDataplane(ctx, l.consul, mesh.ServiceID(service, taskID), token, func(f *dataplanefile.File) { f.Envoy.RetryUndeliveredDisabled = off })
		if err != nil {
			return err
		}
		l.callers = append(l.callers, losingCaller{name, at[1], child})
		callers = append(callers, service)
	}
	if err := permit(ctx, l.consul, l.service, callers...); err != nil {
		return err
	}
	protocol := &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: l.service, Protocol: "http"}
	if _, _, err := l.consul.API.ConfigEntries().Set(protocol, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return err
	}
	return l.whole(ctx)
}

// whole starts tasks until there are as many as there should be, and waits until callers reach all of them.
func (l *losing) whole(ctx context.Context) error {
	for len(l.tasks) < instances {
		if err := l.add(ctx); err != nil {
			return err
		}
	}
	for _, c := range l.callers {
		_, err := eventually.Seen(ctx, "every task is reached", limit, func() (string, error) {
			reached := map[string]bool{}
			for range 4 * instances {
				answer, err := losingAsk(ctx, http.DefaultClient, http.MethodGet, c.upstream)
				if err != nil {
					return "", err
				}
				reached[answer] = true
			}
			for _, task := range l.tasks {
				if !reached[task.id] {
					return "not " + task.id, nil
				}
			}
			return "", nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// add starts one more task.
func (l *losing) add(ctx context.Context) error {
	l.started++
	task := &losingTask{id: fmt.Sprintf("%s%d", taskID, l.started)}
	task.app = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, task.id)
	}))
	at, err := loopbacks(1)
	if err != nil {
		return err
	}
	token, err := registerTask(ctx, l.consul, l.service, task.id, at[0], func(p *api.AgentServiceConnectProxyConfig) {
		p.LocalServicePort = task.app.Listener.Addr().(*net.TCPAddr).Port
	})
	if err != nil {
		return err
	}
	task.child, err = l.runDataplane(ctx, l.consul, mesh.ServiceID(l.service, task.id), token, func(*dataplanefile.File) {})
	if err != nil {
		return err
	}
	l.tasks = append(l.tasks, task)
	return nil
}

// kill ends the oldest task outright, of which nobody tells Consul.
func (l *losing) kill(context.Context) error {
	task := l.tasks[0]
	killed(task.child)
	task.gone()
	return nil
}

// leave has the application of the oldest task gone at once, as its SIGTERM comes. Consul hears of it a little later.
func (l *losing) leave(ctx context.Context) error {
	task := l.tasks[0]
	task.gone()
	_ = task.child.Signal(syscall.SIGTERM)
	if !sleep.For(ctx, told) {
		return context.Cause(ctx)
	}
	return l.forget(ctx, task)
}

// roll replaces every task, one after the other: the new one is there before the old one goes.
func (l *losing) roll(ctx context.Context) error {
	for i := range instances {
		if i > 0 {
			l.drop()
		}
		if err := l.add(ctx); err != nil {
			return err
		}
		if err := l.leave(ctx); err != nil {
			return err
		}
	}
	return nil
}

// forget takes a task out of the catalog.
func (l *losing) forget(ctx context.Context, task *losingTask) error {
	for _, id := range []string{mesh.ServiceID(l.service, task.id), mesh.ProxyID(mesh.ServiceID(l.service, task.id))} {
		if _, err := l.consul.API.Catalog().Deregister(&api.CatalogDeregistration{Node: node, ServiceID: id}, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// drop is done with the oldest task, which is gone.
func (l *losing) drop() {
	killed(l.tasks[0].child)
	l.tasks = l.tasks[1:]
}

// gone closes the application, and the connections that it has.
func (t *losingTask) gone() {
	t.app.Listener.Close()
	t.app.CloseClientConnections()
}

// end ends whatever runs.
func (l *losing) end() {
	for _, c := range l.callers {
		killed(c.child)
	}
	for len(l.tasks) > 0 {
		l.tasks[0].gone()
		l.drop()
	}
}

// during has both callers under load while a fault happens, and puts the service right afterwards.
func (l *losing) during(ctx context.Context, name string, happen func(context.Context) error) error {
	loaded, cancel := context.WithCancel(ctx)
	defer cancel()
	came := make([]map[string]*lot, len(l.callers))
	var group sync.WaitGroup
	for i, c := range l.callers {
		group.Go(func() { came[i] = losingLoad(loaded, c.upstream) })
	}
	over := time.Now().Add(losingTime)
	if !sleep.For(ctx, losingLead) {
		return context.Cause(ctx)
	}
	if happen != nil {
		if err := happen(ctx); err != nil {
			return err
		}
	}
	if !sleep.For(ctx, max(time.Until(over), losingLead)) {
		return context.Cause(ctx)
	}
	cancel()
	group.Wait()
	for i, c := range l.callers {
		l.report(name, c, came[i], happen == nil)
	}
	if happen == nil {
		return nil
	}
	if err := l.forget(ctx, l.tasks[0]); err != nil {
		return err
	}
	l.drop()
	return l.whole(ctx)
}

// lot is what became of requests of a kind.
type lot struct {
	sent, lost int
	latency    []time.Duration
}

// report adds a caller's figures. Requests lost are of a kind each; times are told where there was no fault.
func (l *losing) report(fault string, c losingCaller, lots map[string]*lot, calm bool) {
	for _, kind := range slices.Sorted(maps.Keys(lots)) {
		of := lots[kind]
		if !calm {
			l.bench.add(figures.Figure{Name: fmt.Sprintf("requests lost, %s, %s, %s", fault, kind, c.name), Unit: "%"}, 100*float64(of.lost)/float64(max(of.sent, 1)))
			continue
		}
		slices.Sort(of.latency)
		l.bench.add(figures.Figure{Name: fmt.Sprintf("p99, %s, %s", kind, c.name), Unit: "ms"}, float64(figures.Quantile(of.latency, 0.99))/float64(time.Millisecond))
	}
}

// losingLoad sends requests of each kind in turn until ctx ends, and waits for their outcome.
func losingLoad(ctx context.Context, at netip.AddrPort) map[string]*lot {
	kept := &http.Client{Timeout: limit, Transport: &http.Transport{MaxIdleConnsPerHost: losingRate}}
	fresh := &http.Client{Timeout: limit, Transport: &http.Transport{DisableKeepAlives: true}}
	defer kept.CloseIdleConnections()
	lots := map[string]*lot{}
	var mu sync.Mutex
	var all sync.WaitGroup
	tick := time.NewTicker(time.Second / losingRate)
	defer tick.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		method, client, connection := []string{http.MethodGet, http.MethodPost}[n%2], kept, "kept connections"
		if n/2%2 == 0 {
			client, connection = fresh, "fresh connections"
		}
		all.Go(func() {
			began := time.Now()
			_, err := losingAsk(context.WithoutCancel(ctx), client, method, at)
			mu.Lock()
			defer mu.Unlock()
			kind := method + ", " + connection
			if lots[kind] == nil {
				lots[kind] = &lot{}
			}
			of := lots[kind]
			if of.sent++; err != nil {
				of.lost++
				return
			}
			of.latency = append(of.latency, time.Since(began))
		})
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	all.Wait()
	return lots
}

// losingAsk sends a request with a small body, and returns what a task answers.
func losingAsk(ctx context.Context, client *http.Client, method string, at netip.AddrPort) (answer string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+at.String(), strings.NewReader("a small body"))
	if err != nil {
		return "", err
	}
	req.GetBody = nil // the client must not send it again by itself
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	return string(text), err
}
