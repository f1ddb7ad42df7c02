package controllerhttp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/controllerhttp"
	"github.com/consulecs/terraform-provider-consulecs/internal/metrics"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

// controller is one whose answers a test sets.
type controller struct {
	mu       sync.Mutex
	health   error
	ready    controllerhttp.Readiness
	held     int
	released error
	metrics  *metrics.Controller
}

func (c *controller) served() controllerhttp.Controller {
	c.metrics = metrics.NewController(metrics.About{ECSCluster: "mesh", Version: "1"})
	return controllerhttp.Controller{
		Health: func() error { c.mu.Lock(); defer c.mu.Unlock(); return c.health },
		Ready:  func() controllerhttp.Readiness { c.mu.Lock(); defer c.mu.Unlock(); return c.ready },
		Release: func(context.Context) (int, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			held := c.held
			c.held = 0
			return held, c.released
		},
		Metrics: c.metrics, Log: hclog.NewNullLogger(),
	}
}

func serve(t *testing.T, address string, c *controller) *controllerhttp.Server {
	t.Helper()
	s, err := controllerhttp.Serve(t.Context(), address, c.served())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask answers with the status and the body.
func ask(t *testing.T, method, url string, change func(*http.Request)) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(body))
}

func TestAFollowerIsReadyToo(t *testing.T) {
	t.Parallel()
	c := &controller{}
	url := "http://" + serve(t, "127.0.0.1:0", c).Address.String()
	for _, step := range []struct {
		path, want string
		status     int
		change     func()
	}{
		{"/healthz", `{"healthy":true}`, 200, func() {}},
		{"/healthz", `{"healthy":false,"reason":"stuck"}`, 503, func() { c.health = errors.New("stuck") }},
		{"/readyz", `{"ready":false,"leading":false,"missing":"a connection to Consul"}`, 503, func() { c.ready.Missing = "a connection to Consul" }},
		{"/readyz", `{"ready":true,"leading":false,"leader":"task/2"}`, 200, func() { c.ready = controllerhttp.Readiness{Ready: true, Leader: "task/2"} }},
		{"/readyz", `{"ready":true,"leading":true,"leader":"task/1"}`, 200, func() { c.ready = controllerhttp.Readiness{Ready: true, Leading: true, Leader: "task/1"} }},
		{"/else", "404 page not found", 404, func() {}},
	} {
		c.mu.Lock()
		step.change()
		c.mu.Unlock()
		if status, body := ask(t, http.MethodGet, url+step.path, nil); status != step.status || body != step.want {
			t.Errorf("%s: %d %s; want %d %s", step.path, status, body, step.status, step.want)
		}
	}
	if status, body := ask(t, http.MethodGet, url+"/metrics", nil); status != 200 || !strings.Contains(body, "consulecs_controller_leader{ecs_cluster=\"mesh\"} 0") {
		t.Errorf("/metrics: %d %s", status, body)
	}
}

func TestTheBrakeIsLetGoFromLoopbackAlone(t *testing.T) {
	t.Parallel()
	c := &controller{held: 7}
	port := serve(t, "0.0.0.0:0", c).Address.Port()
	at := func(host string) string {
		return "http://" + net.JoinHostPort(host, strconv.Itoa(int(port))) + controllerhttp.PathRelease
	}
	for _, host := range outside(t) {
		if status, body := ask(t, http.MethodPost, at(host), nil); status != 403 || !strings.Contains(body, "within the task") {
			t.Errorf("from %s: %d %s", host, status, body)
		}
	}
	if status, body := ask(t, http.MethodGet, at("127.0.0.1"), nil); status != 405 {
		t.Errorf("GET: %d %s", status, body)
	}
	if status, _ := ask(t, http.MethodPost, at("127.0.0.1"), func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }); status != 403 {
		t.Errorf("from a page of another site: %d", status)
	}
	if c.held != 7 {
		t.Fatal("the brake was let go all the same")
	}
	if status, body := ask(t, http.MethodPost, at("127.0.0.1"), nil); status != 200 || body != `{"released_tasks":7}` || c.held != 0 {
		t.Errorf("from loopback: %d %s, %d still held", status, body, c.held)
	}
	c.released = errors.New("another controller leads: task/2")
	if status, body := ask(t, http.MethodPost, at("127.0.0.1"), nil); status != 409 || body != `{"released_tasks":0,"error":"another controller leads: task/2"}` {
		t.Errorf("refused by the controller: %d %s", status, body)
	}
}

func TestAReleaseIsAskedForWhereTheControllerRuns(t *testing.T) {
	t.Parallel()
	c := &controller{held: 7}
	port := serve(t, "0.0.0.0:0", c).Address.Port()
	at := func(host string) string { return net.JoinHostPort(host, strconv.Itoa(int(port))) }
	if tasks, err := controllerhttp.AskRelease(t.Context(), at("0.0.0.0")); err != nil || tasks != 7 {
		t.Errorf("released %d, %v", tasks, err)
	}
	c.released = errors.New("another controller leads: task/2")
	nobody := freeport.Loopback(t).String()
	for address, want := range map[string]string{
		at("127.0.0.1"): "409 Conflict: another controller leads: task/2",
		"192.0.2.1:1":   "releases are taken from loopback alone\nhint: ",
		nobody:          "connection refused\nhint: ",
		"localhost:1":   "controller.httpAddress localhost:1: ",
	} {
		if _, err := controllerhttp.AskRelease(t.Context(), address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("at %s: %v, want %q", address, err, want)
		}
	}
}

// outside are addresses of this machine other than loopback's: a request to one of them comes from it.
func outside(t *testing.T) []string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, a := range all {
		if ip := a.(*net.IPNet).IP; ip.To4() != nil && !ip.IsLoopback() {
			found = append(found, ip.String())
		}
	}
	if len(found) == 0 {
		t.Fatal("this machine has no address but loopback's, from which a refusal could be seen")
	}
	return found
}

func TestABusyAddressIsAnErrorThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	first := serve(t, "127.0.0.1:0", &controller{})
	for address, want := range map[string]string{
		first.Address.String(): "set controller.httpAddress to a free one",
		"192.0.2.1:9102":       "the task does not have this address",
	} {
		_, err := controllerhttp.Serve(t.Context(), address, (&controller{}).served())
		if err == nil || !strings.Contains(err.Error(), "listen at controller.httpAddress "+address) || !strings.Contains(err.Error(), "\nhint: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("Serve at %s = %v", address, err)
		}
	}
}

func TestTheServerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	c := (&controller{}).served()
	entered := make(chan struct{})
	c.Release = func(ctx context.Context) (int, error) { close(entered); <-ctx.Done(); return 0, ctx.Err() }
	s, err := controllerhttp.Serve(ctx, "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan error, 1)
	go func() {
		resp, err := http.Post("http://"+s.Address.String()+controllerhttp.PathRelease, "", nil)
		if err == nil {
			resp.Body.Close()
		}
		asked <- err
	}()
	<-entered
	began := time.Now()
	stop()
	<-s.Done()
	if err := <-asked; err == nil {
		t.Error("an answer that never ends was taken to its end")
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the end took %s", took)
	}
	if s.Err() != nil {
		t.Error(s.Err())
	}
	l, err := net.Listen("tcp", s.Address.String())
	if err != nil {
		t.Fatalf("the address is not free after the end: %v", err)
	}
	l.Close()
}

func TestALoopThatDoesNotMoveIsStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := controllerhttp.NewPulse(time.Minute)
		time.Sleep(time.Minute)
		if err := p.Health(); err != nil {
			t.Errorf("within the limit: %v", err)
		}
		time.Sleep(time.Second)
		if err := p.Health(); err == nil || !strings.Contains(err.Error(), "has not moved for 1m1s") {
			t.Errorf("beyond the limit: %v", err)
		}
		p.Beat()
		if err := p.Health(); err != nil {
			t.Errorf("after a beat: %v", err)
		}
	})
}
