package dataplane_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/agents/dataplane"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/logbuffer"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/procs"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/required"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// asAgent makes the test program the agent, as agents/main.go does it: signals and exit codes are the real ones.
const asAgent = "DATAPLANE_TEST_AGENT"

func TestMain(m *testing.M) {
	if os.Getenv(asNetwork) != "" {
		beAnotherTask()
		return
	}
	if os.Getenv(asAgent) == "" {
		code := m.Run()
		stopSharedConsul()
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	err := dataplane.Run(ctx, os.Getenv, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "ended:", err)
	}
	os.Exit(agentargs.ExitCode(err))
}

// task is a service with its proxy, and the dataplane agent that runs it.
type task struct {
	service  string
	instance string // the end of its IDs
	token    string
	file     dataplanefile.File
	public   netip.AddrPort // of the proxy
	zone     string         // where it is; "" for nowhere
	metadata *metadata
	central  map[string]any // the proxy's configuration in Consul
	env      []string
	program  []string // with its first arguments; nil: this test program as the agent
	mode     api.ProxyMode
	uid      uint32 // whom the agent runs as; 0: as the test

	cmd    *exec.Cmd
	output *logbuffer.Buffer
	done   chan struct{}
}

// tasks counts the tasks of all tests: they share a Consul, so each has a service of its own.
var tasks atomic.Int32

// newTask prepares an instance of a service: nothing is registered, nothing runs.
func newTask(t *testing.T, c *testenv.Consul) *task {
	t.Helper()
	service := fmt.Sprintf("svc%d", tasks.Add(1))
	serviceID := mesh.ServiceID(service, "1f3a")
	k := &task{service: service, instance: "1f3a", public: freeport.Loopback(t), metadata: startMetadata(t), output: &logbuffer.Buffer{}}
	k.file = dataplanefile.File{
		Consul: dataplanefile.Consul{Addresses: "127.0.0.1", TLS: dataplanefile.TLS{Disabled: true}},
		Proxy:  dataplanefile.Proxy{NodeName: node, ID: mesh.ProxyID(serviceID)},
		Envoy: dataplanefile.Envoy{
			AdminBindPort: int(freeport.Loopback(t).Port()), ReadyBindAddress: "127.0.0.1", ReadyBindPort: int(freeport.Loopback(t).Port()),
			GracefulPort: int(freeport.Loopback(t).Port()),
			Concurrency:  1, ExecutablePath: tool(t, "envoy"),
		},
	}
	if c != nil {
		k.file.Consul.Addresses, k.file.Consul.GRPCPort, k.token = c.Address, c.GRPCPort, newToken(t, c, service)
		k.file.Consul.TLS = dataplanefile.TLS{ServerName: c.ServerName}
		k.env = []string{mesh.VariableGRPCCACert + "=" + c.CAPEM}
	}
	return k
}

// register puts the service, listening at app, and its proxy into the catalog as mesh-init does.
func (k *task) register(t *testing.T, c *testenv.Consul, app netip.AddrPort, upstreams ...api.Upstream) {
	t.Helper()
	serviceID := mesh.ServiceID(k.service, k.instance)
	var at *api.Locality
	if k.zone != "" {
		at = &api.Locality{Region: region, Zone: k.zone}
	}
	for _, s := range []*api.AgentService{
		{ID: serviceID, Service: k.service, Address: k.public.Addr().String(), Port: int(app.Port()), Locality: at},
		{
			ID: mesh.ProxyID(serviceID), Service: mesh.ProxyName(k.service), Kind: api.ServiceKindConnectProxy, Address: k.public.Addr().String(), Port: int(k.public.Port()), Locality: at,
			Proxy: &api.AgentServiceConnectProxyConfig{
				DestinationServiceName: k.service, DestinationServiceID: serviceID, LocalServiceAddress: "127.0.0.1", LocalServicePort: int(app.Port()), Upstreams: upstreams,
				Config: k.central, Mode: k.mode,
			},
		},
	} {
		if _, err := c.API.Catalog().Register(&api.CatalogRegistration{Node: node, Address: "127.0.0.1", SkipNodeUpdate: false, Service: s}, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// run starts the agent.
func (k *task) run(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // other users read the file
		t.Fatal(err)
	}
	if err := dataplanefile.Write(dir, k.file); err != nil {
		t.Fatal(err)
	}
	k.runWith(t, "-config-file", filepath.Join(dir, dataplanefile.Name))
}

func (k *task) runWith(t *testing.T, args ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if k.program == nil {
		k.program = []string{self}
	}
	k.cmd = exec.Command(k.program[0], append(k.program[1:], args...)...)
	k.cmd.Env = append(os.Environ(), asAgent+"=1", "GORACE=atexit_sleep_ms=0", mesh.VariableToken+"="+k.token, taskmeta.Variable+"="+k.metadata.url)
	k.cmd.Env = append(k.cmd.Env, k.env...)
	k.cmd.Stdout, k.cmd.Stderr = k.output, k.output
	k.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if k.uid != 0 {
		k.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: k.uid, Gid: k.uid}
	}
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	k.done = make(chan struct{})
	go func() {
		_ = k.cmd.Wait()
		close(k.done)
	}()
	t.Cleanup(func() {
		_ = k.cmd.Process.Kill()
		<-k.done
		if t.Failed() {
			t.Logf("agent of %s:\n%s", k.service, k.output)
		}
	})
}

func (k *task) ready() bool {
	addr := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(k.file.Envoy.ReadyBindPort))
	return envoy.CheckReady(context.Background(), addr) == nil
}

func (k *task) awaitReady(t *testing.T) {
	t.Helper()
	eventually.True(t, "the proxy of "+k.service+" is ready", eventually.Soon, k.ready)
}

func (k *task) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := k.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// awaitExit returns the agent's exit code and how long it took.
func (k *task) awaitExit(t *testing.T, within time.Duration) (code int, took time.Duration) {
	t.Helper()
	began := time.Now()
	select {
	case <-k.done:
	case <-time.After(within):
		t.Fatalf("agent runs after %s", within)
	}
	return k.cmd.ProcessState.ExitCode(), time.Since(began)
}

// envoyPID is the ID of the agent's Envoy, 0 while it has none.
func (k *task) envoyPID() int {
	for _, pid := range k.envoys() {
		return pid
	}
	return 0
}

// envoys are the IDs of the agent's children.
func (k *task) envoys() []int {
	all, _ := procs.Children(k.cmd.Process.Pid)
	return all
}

// metadata is the task's metadata endpoint: an application container and the injected ones.
type metadata struct {
	url string
	mu  sync.Mutex
	app string // its status
}

func startMetadata(t *testing.T) *metadata {
	t.Helper()
	m := &metadata{app: taskmeta.StatusRunning}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		m.mu.Lock()
		defer m.mu.Unlock()
		fmt.Fprintf(w, `{"Cluster":%q,"TaskARN":"arn:aws:ecs:eu-west-1:123456789012:task/test/1f3a","Containers":[
			{"Name":"app","Type":"NORMAL","DesiredStatus":"STOPPED","KnownStatus":%q},
			{"Name":"consul-dataplane","Type":"NORMAL","DesiredStatus":"STOPPED","KnownStatus":"RUNNING"},
			{"Name":"~internal~ecs~pause","Type":"CNI_PAUSE","DesiredStatus":"RUNNING","KnownStatus":"RUNNING"}]}`, node, m.app)
	}))
	t.Cleanup(server.Close)
	m.url = server.URL
	return m
}

func (m *metadata) stopApp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.app = taskmeta.StatusStopped
}

// tool is a real component.
func tool(t *testing.T, name string) string {
	t.Helper()
	tools, err := toolcache.Find()
	path := map[string]string{"consul": tools.Consul, "envoy": tools.Envoy}[name]
	return required.Tool(t, name, path, err)
}
