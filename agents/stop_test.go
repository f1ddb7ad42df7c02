package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

// stopAt is a request to Consul's HTTP API at which a gate holds an agent: the nth of the method to the path.
type stopAt struct {
	method, path string
	nth          int
	after        bool // Consul has done what it was asked for, but its answer is lost
}

// gate stands between an agent and Consul's HTTP API. It lets everything through but what it stops at, and all that is
// asked of it under the path never.
type gate struct {
	stopAt
	never   string
	reached chan struct{}

	mu   sync.Mutex
	seen int
	next http.Handler
}

// gated makes the player's agents reach Consul's HTTP API through a gate.
func (p *player) gated(t *testing.T, at stopAt, never string) *gate {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(stage.Consul.CAPEM))
	consul := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "https", Host: net.JoinHostPort(stage.Consul.Address, strconv.Itoa(stage.Consul.HTTPPort))})
	consul.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: stage.Consul.ServerName}}
	g := &gate{stopAt: at, never: never, reached: make(chan struct{}), next: consul}
	server := httptest.NewTLSServer(g)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	p.env[mesh.VariableHTTPSCACert] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	p.cfg.ConsulServers.HTTP = &agentconfig.ServerHTTP{Port: server.Listener.Addr().(*net.TCPAddr).Port, TLSServerName: "example.com"}
	return g
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	hit := false
	if g.mu.Lock(); r.Method == g.method && r.URL.Path == g.path {
		g.seen++
		hit = g.seen == g.nth
	}
	g.mu.Unlock()
	switch {
	case hit && g.after:
		g.next.ServeHTTP(httptest.NewRecorder(), r)
		fallthrough
	case hit:
		close(g.reached)
		<-r.Context().Done()
	case g.never != "" && strings.HasPrefix(r.URL.Path, g.never):
		<-r.Context().Done()
	default:
		g.next.ServeHTTP(w, r)
	}
}

func TestMeshInitIsStoppedAtAnyRequestAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]stopAt{
		"service":                  {http.MethodPut, "/v1/catalog/register", 1, false},
		"service, answer lost":     {http.MethodPut, "/v1/catalog/register", 1, true},
		"proxy":                    {http.MethodPut, "/v1/catalog/register", 2, false},
		"proxy, answer lost":       {http.MethodPut, "/v1/catalog/register", 2, true},
		"reading service-defaults": {http.MethodGet, "/v1/config/service-defaults/halted", 1, false},
		"writing service-defaults": {http.MethodPut, "/v1/config", 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlayer(t)
			p.cfg.Service.Name = "halted" // which nobody else gives service-defaults
			for key, value := range stage.RoleEnv(t, mesh.RolePath, "halted-"+p.id, "halted") {
				p.env[key] = value
			}
			p.cfg.Service.NetworkResilience = &agentconfig.NetworkResilience{Enabled: true}
			g := p.gated(t, at, "")
			r := p.start(t, "mesh-init")
			<-g.reached
			r.signal(t, syscall.SIGTERM)
			t.Logf("ended %s after SIGTERM", r.exits(t, 1, 10*time.Second))
			p.leftNothing(t)
		})
	}
}

func TestASecondSIGTERMEndsMeshInitAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	g := p.gated(t, stopAt{http.MethodPut, "/v1/catalog/register", 1, false}, "/v1/txn") // nor is anything taken back
	r := p.start(t, "mesh-init")
	<-g.reached
	r.signal(t, syscall.SIGTERM)
	for ended := false; !ended; {
		select {
		case <-r.done:
			ended = true
		case <-time.After(200 * time.Millisecond):
			_ = r.cmd.Process.Signal(syscall.SIGTERM) // the second one, or another if the first two were still one
		}
	}
	if status := r.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("it ended with %v, want the signal", r.cmd.ProcessState)
	}
	if strings.Contains(r.log.String(), "left the registration to the controller") {
		t.Error("it went on after the second SIGTERM")
	}
}

func TestASecondSIGTERMMakesHealthSyncDeregisterAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	r := p.begin(t)
	r.signal(t, syscall.SIGTERM)
	p.checksAre(t, "critical", 10*time.Second)
	r.signal(t, syscall.SIGTERM)
	t.Logf("ended %s after the second SIGTERM", r.exits(t, 0, 20*time.Second)) // the first gives it 26 s
	p.leftNothing(t)
}

// silence is a listener that accepts and says nothing.
type silence struct {
	*net.TCPAddr
	reached chan struct{} // closed once somebody has called
}

func silent(t *testing.T) silence {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := silence{l.Addr().(*net.TCPAddr), make(chan struct{})}
	go func() {
		if conn, err := l.Accept(); err == nil {
			close(s.reached)
			<-t.Context().Done()
			conn.Close()
		}
	}()
	return s
}

// calls waits until the agent has called whoever is silent: it is under way.
func (r *run) calls(t *testing.T, s silence) {
	t.Helper()
	select {
	case <-s.reached:
	case <-r.done:
		t.Fatalf("it has ended by itself:\n%s", r.log)
	case <-time.After(eventually.Soon):
		t.Fatalf("it has called nobody:\n%s", r.log)
	}
}

func TestAgentsAreStoppedWhileSomebodyIsSilent(t *testing.T) {
	t.Parallel()
	for name, have := range map[string]func(p *player, addr silence){
		"the metadata":        func(p *player, addr silence) { p.env["ECS_CONTAINER_METADATA_URI_V4"] = "http://" + addr.String() },
		"STS":                 func(p *player, addr silence) { p.cfg.ConsulLogin.STSEndpoint = "http://" + addr.String() },
		"Consul's gRPC port":  func(p *player, addr silence) { p.cfg.ConsulServers.GRPC.Port = addr.Port },
		"Consul's HTTPS port": func(p *player, addr silence) { p.cfg.ConsulServers.HTTP.Port = addr.Port },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlayer(t)
			somebody := silent(t)
			have(p, somebody)
			r := p.start(t, "mesh-init")
			r.calls(t, somebody)
			r.signal(t, syscall.SIGTERM)
			t.Logf("ended %s after SIGTERM", r.exits(t, 1, 20*time.Second))
			p.leftNothing(t)
		})
	}
}

// Wherever in its short life mesh-init is told to stop, the task is registered whole or not at all, and no token is left.
func TestMeshInitIsStoppedAtAnyMoment(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	usual := func() time.Duration { r := p.start(t, "mesh-init"); return r.exits(t, 0, 20*time.Second) }
	usual()
	whole := usual()
	const moments = 12
	for i := range moments {
		for _, id := range []string{"web-" + p.id, mesh.ProxyID("web-" + p.id)} {
			p.deregister(t, api.CatalogDeregistration{ServiceID: id})
		}
		r := p.start(t, "mesh-init")
		time.Sleep(whole * time.Duration(i) / moments)
		_ = r.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-r.done:
		case <-time.After(20 * time.Second):
			t.Fatalf("stopped after %s: it has not ended", whole*time.Duration(i)/moments)
		}
		code, services := r.cmd.ProcessState.ExitCode(), len(stage.Services(t, p.node))
		t.Logf("stopped after %s: exit code %d, %d services", whole*time.Duration(i)/moments, code, services)
		if services != 0 && services != 2 || code == 0 && services == 0 || code == 1 && services == 2 { // else the signal came before or after Run
			t.Errorf("exit code %d, and the catalog holds %d services", code, services)
		}
		if left := stage.LoginTokens(t, p.id); len(left) != 0 {
			t.Errorf("the tokens %v are left", left)
		}
	}
}

func TestASecondSIGTERMEndsAHealthSyncThatIsStillStarting(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	consul := silent(t)
	p.cfg.ConsulServers.GRPC.Port = consul.Port
	r := p.start(t, "health-sync")
	r.calls(t, consul)
	r.signal(t, syscall.SIGTERM)
	time.Sleep(time.Second) // two that wait are one
	r.signal(t, syscall.SIGTERM)
	t.Logf("ended %s after the second SIGTERM", r.exits(t, 1, 20*time.Second)) // by itself, not by the signal
}
