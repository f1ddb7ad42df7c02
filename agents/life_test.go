package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

// prompt is how long an agent may take for what it does at once, on a busy machine. It is less than health-sync takes to give up.
const prompt = 10 * time.Second

func TestMeshInitRegistersWritesAndLogsOut(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	var took []time.Duration
	for range 5 { // it may run again
		start := time.Now()
		p.start(t, "mesh-init").exits(t, 0, 20*time.Second)
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	t.Logf("mesh-init from start to exit: median %s of %s", took[2], took)

	services := stage.Services(t, p.node)
	if len(services) != 2 || services["web-"+p.id] == nil || services["web-"+p.id+"-sidecar-proxy"] == nil {
		t.Errorf("the catalog holds %v, want the service and its proxy", services)
	}
	p.checksAre(t, "critical", prompt)
	if left := stage.LoginTokens(t, p.id); len(left) != 0 {
		t.Errorf("the tokens %v are left", left)
	}
	got, err := dataplanefile.Read(p.file(dataplanefile.Name))
	if err != nil {
		t.Fatal(err)
	}
	want := dataplanefile.Consul{
		Addresses: stage.Consul.Address, GRPCPort: stage.Consul.GRPCPort,
		TLS: dataplanefile.TLS{CACertsPath: p.file("consul-grpc-ca-cert.pem"), ServerName: stage.Consul.ServerName},
		Credentials: &dataplanefile.Credentials{Type: "login", Login: dataplanefile.Login{
			AuthMethod: mesh.AuthMethod, Region: "us-east-1", IncludeEntity: true,
			Meta: map[string]string{mesh.LoginMetaTaskID: p.id, mesh.LoginMetaCluster: p.node},
		}},
	}
	if diff := cmp.Diff(want, got.Consul); diff != "" {
		t.Error(diff)
	}
	if got.Proxy.ID != "web-"+p.id+"-sidecar-proxy" || got.Proxy.NodeName != p.node || got.Envoy.ReadyBindPort != p.readyPort {
		t.Errorf("the dataplane's file says %+v, %+v", got.Proxy, got.Envoy)
	}
	if pem, err := os.ReadFile(p.file("consul-grpc-ca-cert.pem")); err != nil || string(pem) != stage.Consul.CAPEM {
		t.Errorf("the CA's file holds %q (%v)", pem, err)
	}
	if info, err := os.Stat(p.file("consul-grpc-ca-cert.pem")); err != nil || info.Mode().Perm() != 0o444 {
		t.Errorf("the CA's file: %v (%v), want 0444", info, err)
	}
}

func TestAStoppedMeshInitLeavesNothing(t *testing.T) {
	t.Parallel()
	t.Run("while it waits for its node", func(t *testing.T) {
		t.Parallel()
		p := newPlayer(t)
		if _, err := stage.Consul.API.Catalog().Deregister(&api.CatalogDeregistration{Node: p.node}, nil); err != nil {
			t.Fatal(err)
		}
		r := p.start(t, "mesh-init")
		r.says(t, "the synthetic node of the ECS cluster is missing")
		r.signal(t, syscall.SIGTERM)
		r.exits(t, 1, 10*time.Second)
		stage.Node(t, p.id)
		p.leftNothing(t)
	})
	t.Run("while Consul is away", func(t *testing.T) {
		t.Parallel()
		p := newPlayer(t)
		p.cfg.ConsulServers.GRPC.Port = 1
		r := p.start(t, "mesh-init")
		r.says(t, "connection refused")
		r.signal(t, syscall.SIGTERM)
		r.exits(t, 1, 10*time.Second)
		p.leftNothing(t)
	})
	t.Run("while the metadata hang", func(t *testing.T) {
		t.Parallel()
		p := newPlayer(t)
		p.setMetadata(500)
		r := p.start(t, "mesh-init")
		eventually.Nil(t, "the metadata are asked for", eventually.Soon, func() error {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.asked == 0 {
				return errors.New("they are not")
			}
			return nil
		})
		r.signal(t, syscall.SIGTERM)
		r.exits(t, 1, 2*time.Second)
	})
}

func TestMeshInitWaitsForTheController(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	if _, err := stage.Consul.API.Catalog().Deregister(&api.CatalogDeregistration{Node: p.node}, nil); err != nil {
		t.Fatal(err)
	}
	r := p.start(t, "mesh-init")
	r.says(t, "the synthetic node of the ECS cluster is missing")
	stage.Node(t, p.id)
	r.exits(t, 0, 20*time.Second)
}

func TestMeshInitEndsWhereTheRoleIsWrong(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ path, tag, want string }{
		"no tag":          {mesh.RolePath, "", "hint=\"give the task role the tag consul.hashicorp.com.service-name"},
		"other tag":       {mesh.RolePath, "other", "hint=\"the token is for another service"},
		"not trusted":     {"/else/", "web", "hint=\"the auth method admits other roles"},
		"not even a name": {mesh.RolePath, "Web App", "Consul's own log says why"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlayer(t)
			for key, value := range stage.RoleEnv(t, tc.path, "wrong-"+strings.ReplaceAll(name, " ", "-"), tc.tag) {
				p.env[key] = value
			}
			r := p.start(t, "mesh-init")
			if name == "not even a name" { // Consul does not say whether it will ever do
				r.says(t, tc.want)
				r.signal(t, syscall.SIGTERM)
			}
			r.exits(t, 1, 10*time.Second)
			if !strings.Contains(r.log.String(), tc.want) {
				t.Errorf("the log does not say %q", tc.want)
			}
			p.leftNothing(t)
		})
	}
}

// begin registers the task and starts health-sync with everything well.
func (p *player) begin(t *testing.T) *run {
	t.Helper()
	p.start(t, "mesh-init").exits(t, 0, 20*time.Second)
	p.set("RUNNING", "HEALTHY")
	p.setReady(true)
	r := p.start(t, "health-sync")
	t.Logf("checks passing %s after health-sync's start", p.checksAre(t, "passing", 10*time.Second))
	return r
}

// end stops the task: the dataplane stops after health-sync was told.
func (p *player) end(t *testing.T, r *run) {
	t.Helper()
	r.signal(t, syscall.SIGTERM)
	t.Logf("checks critical %s after SIGTERM", p.checksAre(t, "critical", prompt))
	time.Sleep(500 * time.Millisecond)
	if len(stage.Services(t, p.node)) != 2 {
		t.Error("the task left the catalog while its proxy still ran")
	}
	p.set("STOPPED", "HEALTHY")
	t.Logf("exit %s after the proxy's", r.exits(t, 0, prompt))
	p.leftNothing(t)
}

func TestHealthSyncKeepsConsulInStepFromStartToEnd(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	r := p.begin(t)

	p.set("RUNNING", "UNHEALTHY")
	t.Logf("critical %s after ECS said so", p.checksAre(t, "critical", prompt))
	for id, c := range stage.Checks(t, p.node) {
		if !strings.Contains(c.Output, `container "app" is UNHEALTHY`) {
			t.Errorf("%s does not name the cause: %s", id, c.Output)
		}
	}
	p.set("RUNNING", "HEALTHY")
	p.checksAre(t, "passing", prompt)

	p.setReady(false)
	eventually.Nil(t, "the proxy's checks are critical", eventually.Soon, func() error {
		if c := stage.Checks(t, p.node)["web-"+p.id+"-sidecar-proxy-consul-dataplane"]; c.Status != "critical" || !strings.Contains(c.Output, "proxy is not ready") {
			return os.ErrInvalid
		}
		return nil
	})
	if c := stage.Checks(t, p.node)["web-"+p.id+"-app"]; c.Status != "passing" {
		t.Errorf("the app's own check is %s: %s", c.Status, c.Output)
	}
	p.setReady(true)
	p.checksAre(t, "passing", prompt)

	p.setMetadata(429)
	before := p.checkIndexes(t)
	time.Sleep(3 * time.Second)
	if diff := cmp.Diff(before, p.checkIndexes(t)); diff != "" {
		t.Errorf("checks were written while ECS said nothing new:\n%s", diff)
	}
	p.setMetadata(0)
	p.end(t, r)
}

// checkIndexes tells when each of the task's checks was written last.
func (p *player) checkIndexes(t *testing.T) map[string]uint64 {
	t.Helper()
	indexes := map[string]uint64{}
	for id, c := range stage.Checks(t, p.node) {
		indexes[id] = c.ModifyIndex
	}
	return indexes
}

func TestAKilledHealthSyncIsContinued(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	first := p.begin(t)
	first.signal(t, syscall.SIGKILL)
	<-first.done
	before := p.checkIndexes(t)
	second := p.start(t, "health-sync")
	second.says(t, "mirroring the task's health")
	time.Sleep(2 * time.Second)
	if diff := cmp.Diff(before, p.checkIndexes(t)); diff != "" {
		t.Errorf("the successor wrote what was there already:\n%s", diff)
	}
	if tokens := stage.LoginTokens(t, p.id); len(tokens) != 2 {
		t.Errorf("the tokens %v, want the killed one's and its successor's", tokens)
	}
	second.signal(t, syscall.SIGTERM)
	p.checksAre(t, "critical", prompt)
	p.set("STOPPED", "HEALTHY")
	second.exits(t, 0, prompt)
	if left := stage.Services(t, p.node); len(left) != 0 {
		t.Errorf("the services %v are left", left)
	}
}

func TestALostRegistrationAndALostTokenAreMended(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	r := p.begin(t)
	for _, id := range []string{"web-" + p.id, "web-" + p.id + "-sidecar-proxy"} {
		if _, err := stage.Consul.API.Catalog().Deregister(&api.CatalogDeregistration{Node: p.node, ServiceID: id}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, accessor := range stage.LoginTokens(t, p.id) {
		if _, err := stage.Consul.API.ACL().TokenDelete(accessor, nil); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(3 * time.Second) // the token is no fresh one any more
	p.set("RUNNING", "UNHEALTHY")
	p.checksAre(t, "critical", prompt)
	p.set("RUNNING", "HEALTHY")
	p.checksAre(t, "passing", prompt)
	p.end(t, r)
}

func TestATaskThatStopsWhileConsulIsAwayEndsInTime(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	p.cfg.ConsulServers.GRPC.Port = 1
	p.cfg.Proxy.Dataplane = &agentconfig.Dataplane{StopWithinSeconds: 2}
	r := p.start(t, "health-sync")
	r.says(t, "connection refused")
	r.signal(t, syscall.SIGTERM)
	if took := r.exits(t, 1, 20*time.Second); took < 3*time.Second {
		t.Errorf("it ended after %s, want it to use its time", took)
	}
}

// TestTheReleasedProgramIsSmall builds the agent as a release does.
func TestTheReleasedProgramIsSmall(t *testing.T) {
	t.Parallel()
	const maxProgram, maxResident = 30 << 20, 17 << 20
	program := filepath.Join(t.TempDir(), "consulecs-agent")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	if t.Logf("the program has %.1f MB", float64(info.Size())/1e6); info.Size() > maxProgram {
		t.Errorf("the program has %d bytes, want at most %d", info.Size(), maxProgram)
	}
	p := newPlayer(t)
	p.program = program
	r := p.begin(t)
	time.Sleep(10 * time.Second)
	resident := 0
	for name, bytes := range memory(t, r.cmd.Process.Pid) {
		t.Logf("%s %.1f MB", name, float64(bytes)/1e6)
		if name == "VmRSS" {
			resident = bytes
		}
	}
	if resident > maxResident {
		t.Errorf("health-sync has %d bytes resident, want at most %d", resident, maxResident)
	}
	p.end(t, r)
	used := r.cmd.ProcessState
	t.Logf("health-sync used %s of CPU in some 11 s", used.UserTime()+used.SystemTime())
}

// memory is what the kernel counts as resident, in bytes.
func memory(t *testing.T, pid int) map[string]int {
	t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		if name == "VmRSS" || name == "RssAnon" || name == "RssFile" {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			found[name] = kb << 10
		}
	}
	return found
}

func TestMeshInitWritesOutlierDetectionWhereNobodyHas(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	seconds := int64(30 * time.Second)
	p.cfg.Service.NetworkResilience = &agentconfig.NetworkResilience{Enabled: true, OutlierDetection: &agentconfig.OutlierDetection{Interval: &seconds}}
	entries := stage.Consul.API.ConfigEntries()
	t.Cleanup(func() {
		if _, err := entries.Delete(api.ServiceDefaults, "web", nil); err != nil {
			t.Error(err)
		}
	})
	for _, want := range []string{"outlier detection written to the service-defaults", "outlier detection left as the service-defaults have it"} {
		r := p.start(t, "mesh-init")
		r.exits(t, 0, 20*time.Second)
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, r.log)
		}
		if tooOld := `settings=["EnforcingConsecutiveGatewayFailure"]`; strings.Contains(want, "written") && !strings.Contains(r.log.String(), tooOld) { // Consul 1.22.7 does not know it
			t.Errorf("the log does not say %q:\n%s", tooOld, r.log)
		}
	}
	entry, _, err := entries.Get(api.ServiceDefaults, "web", nil)
	if err != nil {
		t.Fatal(err)
	}
	defaults := entry.(*api.ServiceConfigEntry)
	check := defaults.UpstreamConfig.Defaults.PassiveHealthCheck
	if check == nil || check.Interval != 30*time.Second || check.MaxFailures != 5 || defaults.CreateIndex != defaults.ModifyIndex {
		t.Errorf("service-defaults %+v with %+v", defaults, check)
	}
}
