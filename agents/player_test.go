package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/resolvconf"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/logbuffer"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/meshstage"
)

// asAgent is the variable that makes this test's program the agent itself: signals, exit codes and memory are the real ones.
const asAgent = "CONSULECS_TEST_AS_AGENT"

var stage *meshstage.Stage // of this package's tests, brought up and taken down by TestMain

func TestMain(m *testing.M) {
	if os.Getenv(asAgent) != "" {
		main()
	}
	os.Exit(meshstage.Main(m, func(s *meshstage.Stage) { stage = s }))
}

// player is one task on the stage: its metadata, its role, its shared volume, and a stand-in for Envoy's ready listener.
type player struct {
	id, node, dir string
	cfg           agentconfig.Config
	env           map[string]string
	readyPort     int
	program       string // of the agent; this test's own unless set
	uid           uint32 // of the agent's user; 0 for this test's own
	syncs         bool   // has a health-sync, or had one
	resolver      string // a file that the agents have at /etc/resolv.conf; "" for this machine's
	mountOptions  string // of that; "" for bind

	mu         sync.Mutex
	containers []container
	tags       map[string]string
	status     int                                                    // of the metadata endpoint, 0 for 200
	fault      func(w http.ResponseWriter, asked int) (answered bool) // of it; nil: none
	asked      int                                                    // how often the metadata were asked for
	proxyReady bool                                                   // what the ready listener says
}

type container struct {
	Name, Type, DesiredStatus, KnownStatus string
	Health                                 map[string]string `json:",omitempty"`
	ExitCode                               *int              `json:",omitempty"`
	Networks                               []any
}

func aContainer(name, status, health string) container {
	c := container{Name: name, Type: "NORMAL", DesiredStatus: status, KnownStatus: status}
	c.Networks = []any{map[string]any{"NetworkMode": "awsvpc", "IPv4Addresses": []string{"10.9.0.7"}}}
	if health != "" {
		c.Health = map[string]string{"status": health}
	}
	return c
}

// newPlayer makes a task of the service web in an ECS cluster of the test's own, with its synthetic node.
func newPlayer(t *testing.T) *player {
	t.Helper()
	name := strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
	p := &player{id: name, node: stage.Node(t, name), dir: t.TempDir()}
	metadata := httptest.NewServer(http.HandlerFunc(p.serveMetadata))
	t.Cleanup(metadata.Close)
	ready := httptest.NewServer(http.HandlerFunc(p.serveReady))
	t.Cleanup(ready.Close)
	_, port, err := net.SplitHostPort(ready.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if p.readyPort, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	p.cfg = agentconfig.Config{
		BootstrapDir: p.dir, ConsulServers: stage.Servers(), ConsulLogin: &agentconfig.ConsulLogin{Enabled: true},
		HealthSyncContainers: []string{"app"},
		Service:              &agentconfig.Service{Port: 8080},
		Proxy:                &agentconfig.Proxy{HealthCheckPort: p.readyPort, Upstreams: []agentconfig.Upstream{{DestinationName: "api", LocalBindPort: 1234}}},
	}
	p.env = stage.RoleEnv(t, mesh.RolePath, name, "web")
	p.env["ECS_CONTAINER_METADATA_URI_V4"] = metadata.URL + "/v4/x"
	p.env[mesh.VariableGRPCCACert], p.env[mesh.VariableHTTPSCACert] = stage.Consul.CAPEM, stage.Consul.CAPEM
	p.set("RUNNING", "UNKNOWN")
	return p
}

// set changes what ECS says of the dataplane's status and the app's health.
func (p *player) set(dataplane, appHealth string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.containers = []container{aContainer(mesh.ContainerDataplane, dataplane, "UNKNOWN"), aContainer("app", "RUNNING", appHealth)}
}

func (p *player) setReady(ready bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proxyReady = ready
}

func (p *player) setMetadata(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

func (p *player) setFault(fault func(w http.ResponseWriter, asked int) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.asked = fault, 0
}

func (p *player) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	p.asked++
	asked, fault := p.asked, p.fault
	p.mu.Unlock()
	if fault != nil && fault(w, asked) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status != 0 {
		http.Error(w, "no", p.status)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"Cluster": p.node, "TaskARN": strings.Replace(p.node, ":cluster/", ":task/", 1) + "/" + p.id, "Family": "Web",
		"AvailabilityZone": "us-east-1a", "Containers": p.containers, "LaunchType": "EC2", "TaskTags": p.tags,
	})
}

func (p *player) serveReady(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.proxyReady {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// run is one run of an agent.
type run struct {
	name string
	cmd  *exec.Cmd
	log  *logbuffer.Buffer
	done chan struct{}
}

// start runs an agent as the task's container would.
func (p *player) start(t *testing.T, agent string, args ...string) *run {
	t.Helper()
	if agent == "health-sync" && !p.syncs {
		// It listens on a socket of the network namespace, which the tests share where tasks have one each.
		testenv.Alone(t, mesh.ContainerHealthSync)
		p.syncs = true
	}
	line := append([]string{cmp.Or(p.program, os.Args[0]), agent}, args...)
	if p.resolver != "" {
		line = append([]string{"/bin/sh", "-c", `mount -o "$MOUNT_OPTIONS" "$0" ` + resolvconf.Path + ` && exec "$@"`, p.resolver}, line...)
	}
	r := &run{name: agent, cmd: exec.Command(line[0], line[1:]...), log: &logbuffer.Buffer{}, done: make(chan struct{})}
	r.cmd.Env = []string{asAgent + "=1", "AWS_EC2_METADATA_DISABLED=true", "GOCOVERDIR=" + t.TempDir()}
	for name, value := range p.environment(t) {
		r.cmd.Env = append(r.cmd.Env, name+"="+value)
	}
	r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if p.resolver != "" {
		r.cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS // the mount is the agent's alone
		r.cmd.Env = append(r.cmd.Env, "PATH="+os.Getenv("PATH"), "MOUNT_OPTIONS="+cmp.Or(p.mountOptions, "bind"))
	}
	if p.uid != 0 {
		r.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: p.uid, Gid: p.uid}
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = r.cmd.Wait() // the exit code is read from the state
		close(r.done)
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill() // it may have ended
		<-r.done
		if t.Failed() {
			t.Logf("%s:\n%s", agent, r.log)
		}
	})
	return r
}

// environment is what the task's agents have in theirs.
func (p *player) environment(t *testing.T) map[string]string {
	t.Helper()
	config, err := agentconfig.Marshal(p.cfg)
	if err != nil {
		t.Fatal(err)
	}
	env := maps.Clone(p.env)
	env[mesh.ConfigVariable] = string(config)
	return env
}

// exits waits for the agent's end, and says how long it took.
func (r *run) exits(t *testing.T, code int, within time.Duration) time.Duration {
	t.Helper()
	start := time.Now()
	select {
	case <-r.done:
	case <-time.After(within):
		t.Fatalf("%s has not ended within %s", r.name, within)
	}
	if got := r.cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("%s ended with %d, want %d", r.name, got, code)
	}
	return time.Since(start)
}

func (r *run) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// says waits until the agent's log holds the text.
func (r *run) says(t *testing.T, text string) {
	t.Helper()
	eventually.Nil(t, r.name+" says "+text, eventually.Soon, func() error {
		if !strings.Contains(r.log.String(), text) {
			return errors.New("it has not")
		}
		return nil
	})
}

// checksAre waits until all the task's checks have the status.
func (p *player) checksAre(t *testing.T, status string, within time.Duration) time.Duration {
	t.Helper()
	return eventually.Nil(t, "checks are "+status, within, func() error {
		checks := stage.Checks(t, p.node)
		for id, c := range checks {
			if c.Status != status {
				return fmt.Errorf("%s is %s: %s", id, c.Status, c.Output)
			}
		}
		if want := 3 * (1 + len(p.cfg.Services)); len(checks) != want {
			return fmt.Errorf("%d checks, want %d", len(checks), want)
		}
		return nil
	})
}

// leftNothing checks that neither services nor tokens of the task are left.
func (p *player) leftNothing(t *testing.T) {
	t.Helper()
	if left := stage.Services(t, p.node); len(left) != 0 {
		t.Errorf("the services %v are left", left)
	}
	if left := stage.LoginTokens(t, p.id); len(left) != 0 {
		t.Errorf("the tokens %v are left", left)
	}
}

func (p *player) file(name string) string { return filepath.Join(p.dir, name) }
