package dataplane_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/procs"
	"github.com/consulecs/terraform-provider-consulecs/internal/undelivered"
)

// sightings counts how often applications got each request, by its body.
type sightings struct {
	sync.Mutex
	of map[string]int
}

func (s *sightings) saw(request string) {
	s.Lock()
	defer s.Unlock()
	s.of[request]++
}

// times is how often a request was seen.
func (s *sightings) times(request string) int {
	s.Lock()
	defer s.Unlock()
	return s.of[request]
}

// twice is how many of the requests whose names begin so were seen more than once.
func (s *sightings) twice(prefix string) (n int) {
	s.Lock()
	defer s.Unlock()
	for request, times := range s.of {
		if times > 1 && strings.HasPrefix(request, prefix) {
			n++
		}
	}
	return n
}

// instance is one of several of a service. Its application notes what it gets, and can go away and come back while its proxy stays.
type instance struct {
	*task
	at     netip.AddrPort // of the application
	answer http.Handler
	server *http.Server
}

// serve has the application listen.
func (k *instance) serve(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", k.at.String())
	if err != nil {
		t.Fatal(err)
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	k.server = &http.Server{Handler: k.answer, Protocols: &protocols}
	server := k.server
	t.Cleanup(func() { _ = server.Close() })
	go server.Serve(listener)
}

// killEnvoy kills the agent's Envoy, and waits until it is gone: on a busy machine that takes a while.
func (k *task) killEnvoy(t *testing.T) {
	t.Helper()
	pid := k.envoyPID()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "Envoy is gone", eventually.Soon, func() bool { return procs.Ended(pid) })
}

// leave has the application gone, with its connections.
func (k *instance) leave() { _ = k.server.Close() }

// startInstances starts n instances of a new service, each of them changed before. What they answer with, unless it is changed,
// is after they have noted the request.
func startInstances(t *testing.T, c *testenv.Consul, n int, seen *sightings, change func(*instance)) []*instance {
	t.Helper()
	var all []*instance
	for i := range n {
		k := &instance{task: newTask(t, c), at: freeport.Loopback(t)}
		k.answer = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			seen.saw(string(body))
			w.Header().Set(undelivered.Header, "forged") // an application cannot say it
			fmt.Fprint(w, "from api")
		})
		if i > 0 {
			k.service, k.token = all[0].service, newToken(t, c, all[0].service)
		}
		k.instance = fmt.Sprint("1f3a", i)
		k.file.Proxy.ID = mesh.ProxyID(mesh.ServiceID(k.service, k.instance))
		change(k)
		all = append(all, k)
	}
	for _, k := range all {
		k.serve(t)
		k.register(t, c, k.at)
		k.run(t)
	}
	for _, k := range all {
		k.awaitReady(t)
	}
	return all
}

// unchanged leaves an instance as it is.
func unchanged(*instance) {}

// speaks has a service speak a protocol other than http.
func speaks(t *testing.T, c *testenv.Consul, service, protocol string) {
	t.Helper()
	if _, _, err := c.API.ConfigEntries().Set(&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: service, Protocol: protocol}, nil); err != nil {
		t.Fatal(err)
	}
}

// caller is a task that calls a service.
type caller struct {
	*task
	calls    string // a service
	upstream netip.AddrPort
}

// startCallers starts two callers of a service. The second one has the switch off, and shows what is lost by that.
func startCallers(t *testing.T, c *testenv.Consul, service string) []caller {
	t.Helper()
	var callers []caller
	intentions := &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: service}
	for i := range 2 {
		k, at := newTask(t, c), freeport.Loopback(t)
		k.file.Envoy.RetryUndeliveredDisabled = i == 1
		k.register(t, c, freeport.Loopback(t), api.Upstream{DestinationName: service, LocalBindAddress: "127.0.0.1", LocalBindPort: int(at.Port())})
		k.run(t)
		callers = append(callers, caller{k, service, at})
		intentions.Sources = append(intentions.Sources, &api.SourceIntention{Name: k.service, Action: api.IntentionActionAllow})
	}
	if _, _, err := c.API.ConfigEntries().Set(intentions, nil); err != nil {
		t.Fatal(err)
	}
	for _, k := range callers {
		k.awaitReady(t)
	}
	return callers
}

// outcome is what became of requests: which are lost, by when they were sent, and how many an application has seen twice.
type outcome struct {
	sent, twice int
	lost        []time.Time
}

// lostAfter is how many are lost of those that were sent later.
func (o outcome) lostAfter(at time.Time) int {
	n := 0
	for _, sent := range o.lost {
		if sent.After(at) {
			n++
		}
	}
	return n
}

// load sends requests with bodies of their own, every second one a GET, 200 a second, until ctx ends.
func load(ctx context.Context, name string, at netip.AddrPort, seen *sightings) func() outcome {
	var o outcome
	var mu sync.Mutex
	var all sync.WaitGroup
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	all.Go(func() {
		for tick := time.NewTicker(10 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			o.sent++
			body, method := fmt.Sprint(name, o.sent), []string{http.MethodPost, http.MethodGet}[o.sent%2]
			all.Go(func() {
				began := time.Now()
				req, _ := http.NewRequest(method, "http://"+at.String(), strings.NewReader(body))
				resp, err := client.Do(req)
				ok := err == nil && resp.StatusCode == http.StatusOK && resp.Header.Get(undelivered.Header) == ""
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
				mu.Lock()
				defer mu.Unlock()
				if !ok {
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

// TestRequestsThatNobodyGotAreTriedElsewhere has an application go away while its proxy stays, and then a whole instance.
// Consul is told of neither. Two callers ask at once; one of them has the switch off, and shows what is lost by that.
func TestRequestsThatNobodyGotAreTriedElsewhere(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	seen := &sightings{of: map[string]int{}}
	apis := startInstances(t, c, 3, seen, unchanged)
	callers := startCallers(t, c, apis[0].service)
	for _, k := range callers {
		eventually.True(t, k.service+" reaches api", eventually.Soon, func() bool { return get(k.upstream) == "200 from api" })
	}
	for i, fault := range []struct {
		name   string
		happen func()
	}{
		{"an application goes away", apis[0].leave},
		{"a whole instance goes away", func() { apis[1].killEnvoy(t) }},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		tried := load(ctx, fmt.Sprint("tried", i, "-"), callers[0].upstream, seen)
		plain := load(ctx, fmt.Sprint("plain", i, "-"), callers[1].upstream, seen)
		time.Sleep(500 * time.Millisecond) // of traffic before the fault
		fault.happen()
		happened := time.Now()
		with, without := tried(), plain()
		t.Logf("%s: with retries %d of %d lost, %d of them sent later; without %d of %d", fault.name,
			len(with.lost), with.sent, with.lostAfter(happened), len(without.lost), without.sent)
		// What was under way on a connection that broke may have been delivered: it is lost, and not sent again. On a busy machine that goes on
		// for longer, and then more is lost without retries, too.
		noticed := happened.Add(50 * time.Millisecond)
		if n := with.lostAfter(noticed); n > 1+without.lostAfter(noticed)/20 || with.twice > 0 {
			t.Errorf("%s: %d requests that were sent later are lost, %d were seen twice", fault.name, n, with.twice)
		}
		if n := without.lostAfter(happened); n < 20 {
			t.Errorf("%s: without retries only %d are lost: the test shows nothing", fault.name, n)
		}
	}
}
