package consul

import (
	"cmp"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

func TestTheServicesOfSomeTasksAreReadAlone(t *testing.T) {
	t.Parallel()
	server := aServer(t, testenv.ConsulConfig{})
	conn := operated(t, server)
	if _, found, err := conn.ServicesOf(t.Context(), nodeARN, []string{taskID(1)}); found || err != nil {
		t.Errorf("without the node: found %v, %v", found, err)
	}
	services := hang(t, server.API, 700)
	by := map[string]NodeService{}
	for _, s := range services {
		by[s.TaskID] = s
	}
	var ids []string
	var want []NodeService
	for i := 0; i < 700; i += 3 { // more than one filter asks for
		ids = append(ids, taskID(i))
		want = append(want, by[taskID(i)])
	}
	slices.SortFunc(want, byID)
	got, found, err := conn.ServicesOf(t.Context(), nodeARN, append(ids, "nobody's", `it"s \ odd.*`, "with a ` in it"))
	if err != nil || !found {
		t.Fatal(found, err)
	}
	slices.SortFunc(got, byID)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	if got, found, err := conn.ServicesOf(t.Context(), nodeARN, nil); len(got) != 0 || !found || err != nil {
		t.Errorf("of no tasks: %v, found %v, %v", got, found, err)
	}
	for _, part := range []string{taskID(3)[1:], taskID(3)[:31], ".*"} { // of an ID
		if got, _, err := conn.ServicesOf(t.Context(), nodeARN, []string{part}); len(got) != 0 || err != nil {
			t.Errorf("of %q: %v, %v", part, got, err)
		}
	}
}

func TestTheTokensOfSomeTasksAreReadByTheirServices(t *testing.T) {
	t.Parallel()
	server := aServer(t, testenv.ConsulConfig{})
	conn := operated(t, server)
	l, other := newLogins(t, server.API, "ours"), newLogins(t, server.API, "theirs")
	login := func(l logins, service, task, cluster string) LoginToken {
		token, err := l.token(service, task, cluster)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	dead := login(l, "web", "dead", nodeARN)
	again := login(l, "web", "dead", nodeARN)
	alive := login(l, "web", "alive", nodeARN)
	elsewhere := login(l, "api", "dead", nodeARN) // a service that is not asked for
	login(l, "web", "dead", nodeARN+"-2")
	login(other, "web", "dead", nodeARN)

	byAccessor := func(a, b LoginToken) int { return cmp.Compare(a.AccessorID, b.AccessorID) }
	same := func(what string, got []LoginToken, err error, want ...LoginToken) {
		t.Helper()
		slices.SortFunc(got, byAccessor)
		slices.SortFunc(want, byAccessor)
		if diff := gocmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, tokens (-want +got):\n%s", what, err, diff)
		}
	}
	web := []NodeService{{ID: "web-dead", Name: "web", TaskID: "dead"}, {ID: "web-dead-sidecar-proxy", Name: "web-sidecar-proxy", TaskID: "dead"}}
	some, err := conn.LoginTokensOf(t.Context(), "ours", nodeARN, []string{"dead"}, web)
	same("of the dead task", some, err, dead, again)
	none, err := conn.LoginTokensOf(t.Context(), "ours", nodeARN, []string{"dead"}, nil)
	same("of no service", none, err)
	all, others, err := conn.LoginTokens(t.Context(), "ours", nodeARN)
	same("of all tasks", all, err, dead, again, alive, elsewhere)
	if others != 1 { // the other ECS cluster's: another auth method's are not seen
		t.Errorf("%d other tokens of the auth method, want 1", others)
	}

	weak := under(t, server, `service_prefix "" { policy = "read" }`)
	if _, _, err := weak.LoginTokens(t.Context(), "ours", nodeARN); err == nil || !strings.Contains(err.Error(), "\nhint: the token needs") {
		t.Errorf("a token that may not read tokens: %v", err)
	}
}

func TestAListIsReadElementByElement(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"Node":{"ID":"1"},"Odd":[{}],"Services":[{"ID":"a"},{"ID":"b"}]}`: "a b",
		`{"Services":null,"Node":null}`:                                     "",
		`null`:                                                              "",
		`[]`:                                                                "error",
		`{"Services":{}}`:                                                   "error",
		`{"Services":[{"ID":"a"},`:                                          "error",
		`{"Services":[{"ID":`:                                               "error",
		``:                                                                  "error",
	} {
		var ids []string
		d := json.NewDecoder(strings.NewReader(text))
		err := fields(d, func(key string) error {
			if key != "Services" {
				return d.Decode(&json.RawMessage{})
			}
			return elements(d, func(s struct{ ID string }) { ids = append(ids, s.ID) })
		})
		got := strings.Join(ids, " ")
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s is read as %q (%v), want %q", text, got, err, want)
		}
	}
}

// peak is the most memory, in MB, that the heap has in use while do runs, beyond what it had before.
func peak(do func()) float64 {
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	var most atomic.Uint64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			runtime.ReadMemStats(&now)
			most.Store(max(most.Load(), now.HeapAlloc))
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	do()
	close(stop)
	<-done
	return (float64(most.Load()) - float64(before.HeapAlloc)) / 1e6
}

// BenchmarkListsOfTwentyThousand reads all services and tokens of 10,000 tasks, as this package does and as Consul's library does.
func BenchmarkListsOfTwentyThousand(b *testing.B) {
	const n = 20_000
	server := aServer(b, testenv.ConsulConfig{})
	hang(b, server.API, n)
	tokens(b, server.API, n)
	conn := operated(b, server)
	method := "logins-20000"
	measure := func(name string, read func() (any, error)) {
		b.Run(name, func(b *testing.B) {
			var kept any
			for b.Loop() {
				b.ReportMetric(peak(func() {
					var err error
					if kept, err = read(); err != nil {
						b.Fatal(err)
					}
				}), "MB-peak")
			}
			runtime.KeepAlive(kept)
		})
	}
	measure("services", func() (any, error) {
		list, _, err := conn.NodeServices(b.Context(), nodeARN)
		if len(list) != n {
			return nil, errors.Join(err, errors.New("too few"))
		}
		return list, err
	})
	measure("services by the library", func() (any, error) {
		list, _, err := server.API.Catalog().NodeServiceList(nodeARN, nil)
		return list, err
	})
	measure("services of one task", func() (any, error) {
		list, _, err := conn.ServicesOf(b.Context(), nodeARN, []string{taskID(7)})
		return list, err
	})
	measure("services of 100 tasks", func() (any, error) {
		var ids []string
		for i := range 100 {
			ids = append(ids, taskID(i))
		}
		list, _, err := conn.ServicesOf(b.Context(), nodeARN, ids)
		return list, err
	})
	measure("tokens", func() (any, error) {
		list, _, err := conn.LoginTokens(b.Context(), method, nodeARN)
		if len(list) != n {
			return nil, errors.Join(err, errors.New("too few"))
		}
		return list, err
	})
	measure("tokens by the library", func() (any, error) {
		list, _, err := server.API.ACL().TokenListFiltered(api.ACLTokenFilterOptions{AuthMethod: method}, nil)
		return list, err
	})
	measure("tokens of one task of a service of 200", func() (any, error) {
		return conn.LoginTokensOf(b.Context(), method, nodeARN, []string{taskID(7)}, []NodeService{{Name: "web-7"}, {Name: mesh.ProxyName("web-7")}})
	})
}

// BenchmarkRemoval removes what 1,000 tasks hold, services and tokens, and tells how long a registration of somebody else's took
// meanwhile.
func BenchmarkRemoval(b *testing.B) {
	server := aServer(b, testenv.ConsulConfig{})
	conn := mustConnect(b, reach(server, func(s *Settings) { s.MaxWritesPerSecond = 400 }))
	register := func() time.Duration {
		start := time.Now()
		_, err := server.API.Catalog().Register(&api.CatalogRegistration{
			Node: "other", Address: "10.9.9.9", Service: &api.AgentService{Service: "other", Port: int(start.UnixNano()%60000) + 1},
		}, nil)
		if err != nil {
			b.Error(err)
		}
		return time.Since(start)
	}
	for b.Loop() {
		b.StopTimer()
		services, list := hang(b, server.API, 2000), tokens(b, server.API, 2000+b.N)
		alone := register()
		var took []time.Duration
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				took = append(took, register())
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		}()
		b.StartTimer()
		start := time.Now()
		if err := conn.DeregisterServices(b.Context(), nodeARN, services).Err(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s-services")
		start = time.Now()
		if err := conn.DeleteTokens(b.Context(), list).Err(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s-tokens")
		close(stop)
		<-done
		slices.Sort(took)
		b.ReportMetric(float64(alone)/1e6, "ms-alone")
		b.ReportMetric(float64(took[len(took)/2])/1e6, "ms-other-p50")
		b.ReportMetric(float64(took[len(took)*99/100])/1e6, "ms-other-p99")
	}
}
