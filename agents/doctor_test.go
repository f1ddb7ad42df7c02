package main

import (
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"
	"golang.org/x/sys/unix"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/meshstage"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/pki"
)

// patient is a task that is registered and well: what a test changes is what the doctor has to find.
type patient struct {
	*player
	app net.Listener
}

// newPatient has real sockets where the dataplane and the application have theirs. mesh-init has run, and all checks pass.
func newPatient(t *testing.T) *patient {
	t.Helper()
	p := &patient{player: newPlayer(t)}
	ready := &http.Server{Handler: http.HandlerFunc(p.serveReady)}
	readyListener, admin := listenAs(t, mesh.UIDDataplane, "127.0.0.1:0"), listenAs(t, mesh.UIDDataplane, "127.0.0.1:0")
	go func() { _ = ready.Serve(readyListener) }() // until its listener is closed
	p.setReady(true)
	p.app = listenAs(t, 0, "127.0.0.1:0")
	p.cfg.Service = &agentconfig.Service{Name: "web", Port: portOf(p.app)}
	p.cfg.Proxy.HealthCheckPort = portOf(readyListener)
	p.cfg.Proxy.PublicListenerPort = portOf(listenAs(t, mesh.UIDDataplane, "0.0.0.0:0"))
	p.cfg.Proxy.Upstreams[0].LocalBindPort = portOf(listenAs(t, mesh.UIDDataplane, "127.0.0.1:0"))

	p.player.start(t, "mesh-init").exits(t, 0, 20*time.Second)
	p.setChecks(t, "passing")
	p.tells(func() {
		p.tags = map[string]string{mesh.TaskTagMesh: "true", mesh.TaskTagServiceName: "web"}
		p.containers = []container{
			aContainer(mesh.ContainerMeshInit, "STOPPED", ""), aContainer(mesh.ContainerDataplane, "RUNNING", "HEALTHY"),
			aContainer(mesh.ContainerHealthSync, "RUNNING", ""), aContainer("app", "RUNNING", "HEALTHY"),
		}
		p.containers[0].ExitCode, p.containers[0].DesiredStatus = new(int), "RUNNING" // as ECS has it of what ended by itself
	})
	file, err := dataplanefile.Read(p.file(dataplanefile.Name))
	if err != nil {
		t.Fatal(err)
	}
	file.Envoy.AdminBindPort = portOf(admin) // others on this machine have the usual one
	if err := dataplanefile.Write(p.dir, file); err != nil {
		t.Fatal(err)
	}
	return p
}

// tells changes what the metadata tell.
func (p *patient) tells(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// setChecks writes the status of all the task's checks, as health-sync does.
func (p *patient) setChecks(t *testing.T, status string) {
	t.Helper()
	entry := &api.CatalogRegistration{Node: p.node, SkipNodeUpdate: true}
	for _, c := range stage.Checks(t, p.node) {
		c.Status = status
		entry.Checks = append(entry.Checks, c)
	}
	if _, err := stage.Consul.API.Catalog().Register(entry, nil); err != nil {
		t.Fatal(err)
	}
}

// listenAs opens a socket that is the user's. The kernel notes the user of the thread that makes it.
func listenAs(t *testing.T, uid int, address string) net.Listener {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := unix.SetfsuidRetUid(uid)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := unix.SetfsuidRetUid(before); err != nil {
			t.Fatal(err)
		}
	}()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// closedPort is one that nobody listens at.
func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return portOf(l)
}

type finding struct{ Check, Status, Found, Fix string }

// seeDoctor runs the doctor to its end and reads what it found. It checks what holds for every run: nothing of the task's
// login is left, and no secret is told.
func (p *patient) seeDoctor(t *testing.T) (found map[string]finding, code int) {
	t.Helper()
	r := p.player.start(t, "doctor", "-json")
	select {
	case <-r.done:
	case <-time.After(time.Minute):
		t.Fatal("the doctor has not ended within a minute")
	}
	p.keepsSecrets(t, r.log.String())
	var list []finding
	if err := json.Unmarshal([]byte(r.log.String()), &list); err != nil {
		t.Fatalf("%v\n%s", err, r.log)
	}
	found = map[string]finding{}
	for _, f := range list {
		found[f.Check] = f
	}
	if left := stage.LoginTokens(t, p.id); len(left) != 0 {
		t.Errorf("the tokens %v are left", left)
	}
	return found, r.cmd.ProcessState.ExitCode()
}

func (p *patient) keepsSecrets(t *testing.T, output string) {
	t.Helper()
	for _, secret := range []string{p.env["AWS_SECRET_ACCESS_KEY"], p.env["AWS_SESSION_TOKEN"], p.env[mesh.VariableToken], stage.Consul.BootstrapToken} {
		if secret != "" && strings.Contains(output, secret) {
			t.Errorf("the doctor tells a secret:\n%s", output)
		}
	}
}

// wellStatuses are those of a task without transparent proxy that is well.
func wellStatuses() map[string]string {
	well := map[string]string{}
	for status, checks := range map[string]string{
		"ok": "config ca-certificates metadata task-address launch-type task-tags aws-credentials sts iam-get-role role-tags role-path " +
			"server-addresses grpc-tcp grpc-tls http-tcp http-tls http-api login dataplane-features synthetic-node permissions registration " +
			"port-public port-ready port-admin port-upstreams envoy-ready app app-bypass logout",
		"skip": "port-outbound port-dns port-names port-exposed doctor-user net-admin iptables redirect-rules port-start bind-device resolv-conf zones",
	} {
		for check := range strings.FieldsSeq(checks) {
			well[check] = status
		}
	}
	return well
}

// differs are the statuses that are not those of a task that is well; "" for a check that was not reported.
func differs(found map[string]finding) map[string]string {
	well, other := wellStatuses(), map[string]string{}
	for check := range well {
		if got := found[check].Status; got != well[check] {
			other[check] = got
		}
	}
	for check, f := range found {
		if well[check] == "" {
			other[check] = f.Status
		}
	}
	return other
}

func TestTheDoctorFindsNothingWrongWithATaskThatIsWell(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	before, services := p.checkIndexes(t), stage.Services(t, p.node)
	found, code := p.seeDoctor(t)
	if other := differs(found); len(other) > 0 || code != 0 {
		t.Errorf("exit code %d, and %v\n%v", code, other, found)
	}
	if diff := cmp.Diff(before, p.checkIndexes(t)); diff != "" {
		t.Errorf("checks were written:\n%s", diff)
	}
	if diff := cmp.Diff(services, stage.Services(t, p.node)); diff != "" {
		t.Errorf("services were written:\n%s", diff)
	}
	r := p.player.start(t, "doctor")
	r.exits(t, 0, time.Minute)
	if text := r.log.String(); !strings.Contains(text, "\n30 ok, 0 warned, 0 failed, 12 skipped\n") || strings.Contains(text, "[ERROR]") {
		t.Errorf("the text is\n%s", text)
	}
}

// needsLogin are the checks that cannot be made without a login.
const needsLogin = "dataplane-features=skip synthetic-node=skip permissions=skip registration=skip logout="

func TestTheDoctorNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*testing.T, *patient)
		other  string // the statuses that differ from a well task's: check=status, "" for a check that is not reported
		check  string // whose finding and fix hold the words
		found  string
		fix    string
	}{
		"wrong CA": {
			func(t *testing.T, p *patient) {
				ca, err := pki.New("another CA")
				if err != nil {
					t.Fatal(err)
				}
				p.env[mesh.VariableGRPCCACert], p.env[mesh.VariableHTTPSCACert] = ca.PEM, ca.PEM
			},
			"grpc-tls=fail http-tls=fail http-api=skip login=skip " + needsLogin,
			"grpc-tls", "certificate signed by unknown authority", mesh.VariableGRPCCACert,
		},
		"no CA": {
			func(_ *testing.T, p *patient) { p.env[mesh.VariableGRPCCACert] = "secret, but no certificate" },
			everythingBut("config=fail", "metadata"), "config", mesh.VariableGRPCCACert + " holds no certificate", "the CA of Consul's servers",
		},
		"wrong server name": {
			func(_ *testing.T, p *patient) { p.cfg.ConsulServers.Defaults.TLSServerName = "server.dc2.consul" },
			"grpc-tls=fail http-tls=fail http-api=skip login=skip " + needsLogin,
			"http-tls", `not for "server.dc2.consul", but for server.dc1.consul`, "consulServers.http.tlsServerName",
		},
		"closed port": {
			func(t *testing.T, p *patient) { p.cfg.ConsulServers.GRPC.Port = closedPort(t) },
			"grpc-tcp=fail grpc-tls=skip login=skip " + needsLogin, "grpc-tcp", "connection refused", "see consulServers.grpc.port",
		},
		"plain text expected": {
			func(_ *testing.T, p *patient) { p.cfg.ConsulServers.GRPC.TLS = new(bool) },
			"grpc-tls=fail login=skip " + needsLogin, "grpc-tls", "the port speaks TLS", "set consulServers.grpc.tls to true",
		},
		"role without tag": {
			roleEnv(mesh.RolePath, ""), "role-tags=fail login=fail " + needsLogin,
			"login", "has no tag consul.hashicorp.com.service-name", "give the task role the tag",
		},
		"role of another service": {
			roleEnv(mesh.RolePath, "other"), "role-tags=fail permissions=fail",
			"permissions", "no service:write on web and web-sidecar-proxy", "must be the name of the service",
		},
		"role elsewhere": {
			roleEnv("/else/", "web"), "role-path=warn login=fail " + needsLogin, "login", "not trusted", "the task role must lie under its path",
		},
		"no credentials": {
			func(_ *testing.T, p *patient) { p.env["AWS_ACCESS_KEY_ID"] = "" },
			"aws-credentials=fail sts=skip iam-get-role=skip role-tags=skip role-path=skip login=skip " + needsLogin,
			"aws-credentials", "none: ", "taskRoleArn",
		},
		"no way to STS": {
			func(t *testing.T, p *patient) {
				p.env["AWS_ENDPOINT_URL"] = "http://" + (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: closedPort(t)}).String()
			},
			"sts=fail iam-get-role=skip role-tags=skip role-path=skip login=skip " + needsLogin, "sts", "connection refused", "VPC endpoint",
		},
		"unknown auth method": {
			func(_ *testing.T, p *patient) { p.cfg.ConsulLogin.Method = "nobodys" },
			"login=fail " + needsLogin, "login", "nobodys", "run the controller",
		},
		"no binding rule": {
			func(t *testing.T, p *patient) { p.authMethod(t, stage.AWS.URL) },
			"login=fail " + needsLogin, "login", "PermissionDenied", "no binding rule of the auth method matches",
		},
		"unknown static token": {
			func(_ *testing.T, p *patient) { p.env[mesh.VariableToken] = "5f0c1a52-8a3e-4f4e-9d5b-3f7f3ad1c111" },
			"aws-credentials=skip sts=skip iam-get-role=skip role-tags=skip role-path=skip login=fail " + needsLogin,
			"login", "ACL token refused", "Consul does not know the token in CONSUL_HTTP_TOKEN",
		},
		"no login": {
			func(_ *testing.T, p *patient) { p.cfg.ConsulLogin = nil },
			"aws-credentials=skip sts=skip iam-get-role=skip role-tags=skip role-path=skip login=fail " + needsLogin,
			"login", "ACL token refused", "set consulLogin.enabled to true",
		},
		"bad path in the configuration": {
			func(_ *testing.T, p *patient) { p.cfg.Service.Port = 70000 },
			everythingBut("config=fail", "metadata"), "config", "service.port", "docs/agent-config.schema.json",
		},
		"no metadata": {
			func(_ *testing.T, p *patient) { p.env["ECS_CONTAINER_METADATA_URI_V4"] = "" },
			"metadata=fail task-address=skip launch-type=skip task-tags=skip login=skip " + needsLogin,
			"metadata", "ECS_CONTAINER_METADATA_URI_V4 is not set", "does not run outside",
		},
		"metadata broken": {
			func(_ *testing.T, p *patient) { p.setMetadata(500) },
			"metadata=fail task-address=skip launch-type=skip task-tags=skip login=skip " + needsLogin,
			"metadata", "500 Internal Server Error", "link-local address",
		},
		"no address of its own": {
			func(_ *testing.T, p *patient) {
				p.tells(func() {
					for i := range p.containers {
						p.containers[i].Networks = []any{map[string]any{"NetworkMode": "bridge", "IPv4Addresses": []string{"172.17.0.2"}}}
					}
				})
			},
			"task-address=fail permissions=skip registration=skip", "task-address", "no IP address of its own", "awsvpc",
		},
		"tags not propagated": {
			func(_ *testing.T, p *patient) { p.tells(func() { p.tags = nil }) }, "task-tags=fail",
			"task-tags", `consul.hashicorp.com/mesh is ""`, `propagate_tags = "TASK_DEFINITION"`,
		},
		"busy port": {
			func(t *testing.T, p *patient) { p.cfg.Proxy.PublicListenerPort = portOf(listenAs(t, 0, "127.0.0.1:0")) }, "port-public=fail",
			"port-public", "is taken by user 0", "proxy.publicListenerPort",
		},
		"busy port of a path": {
			func(t *testing.T, p *patient) {
				p.cfg.Proxy.Expose = &agentconfig.Expose{Paths: []agentconfig.ExposePath{{ListenerPort: portOf(listenAs(t, 0, "127.0.0.1:0")), Path: "/health", LocalPathPort: 1}}}
			},
			"port-exposed=fail", "port-exposed", "is taken by user 0", "proxy.expose.paths[0].listenerPort",
		},
		"proxy not ready": {
			func(_ *testing.T, p *patient) { p.setReady(false) }, "envoy-ready=fail", "envoy-ready", "503", mesh.ContainerDataplane,
		},
		"application away": {
			func(_ *testing.T, p *patient) { p.app.Close() }, "app=fail app-bypass=skip", "app", "nothing answers at 127.0.0.1:", "service.port",
		},
		"application open to all": {
			func(t *testing.T, p *patient) { p.cfg.Service.Port = portOf(listenAs(t, 0, "0.0.0.0:0")) }, "app-bypass=warn",
			"app-bypass", "past the proxy, at ", "listen on 127.0.0.1",
		},
		"no node": {
			func(t *testing.T, p *patient) { p.deregister(t, "") }, "synthetic-node=fail registration=fail",
			"synthetic-node", "the catalog has no node arn:aws:ecs:", "run the controller",
		},
		"registration lost": {
			func(t *testing.T, p *patient) { p.deregister(t, "web-"+p.id) }, "registration=fail", "registration", "the catalog lacks web-", "health-sync",
		},
		"container unhealthy": {
			func(t *testing.T, p *patient) {
				p.setChecks(t, "critical")
				p.tells(func() { p.containers[3].Health["status"] = "UNHEALTHY" })
			},
			"registration=fail", "registration", "is critical: Service web is not ready", "container app as UNHEALTHY",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPatient(t)
			tc.change(t, p)
			found, code := p.seeDoctor(t)
			if diff := cmp.Diff(statuses(tc.other), differs(found)); diff != "" {
				t.Errorf("statuses that are not those of a task that is well:\n%s\n%v", diff, found)
			}
			if got := found[tc.check]; !strings.Contains(got.Found, tc.found) || !strings.Contains(got.Fix, tc.fix) {
				t.Errorf("%s: found %q, fix %q; want %q and %q", tc.check, got.Found, got.Fix, tc.found, tc.fix)
			}
			if want := map[bool]int{true: 1, false: 0}[strings.Contains(tc.other, "=fail")]; code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
		})
	}
}

// statuses reads a list of check=status.
func statuses(list string) map[string]string {
	all := map[string]string{}
	for pair := range strings.FieldsSeq(list) {
		check, status, _ := strings.Cut(pair, "=")
		all[check] = status
	}
	return all
}

// everythingBut is a list in which every check is skipped but those that come out as they are with a well task.
func everythingBut(other string, well ...string) string {
	skipped := wellStatuses()
	for _, check := range well {
		delete(skipped, check)
	}
	list := []string{}
	for check, status := range skipped {
		switch {
		case check == "logout":
			list = append(list, check+"=")
		case status == "ok":
			list = append(list, check+"=skip")
		}
	}
	return strings.Join(append(list, other), " ")
}

// roleEnv gives the task another role.
func roleEnv(path, tag string) func(*testing.T, *patient) {
	return func(t *testing.T, p *patient) {
		maps.Copy(p.env, stage.RoleEnv(t, path, "wrong-"+p.id[strings.LastIndexByte(p.id, '-')+1:], tag))
	}
}

// deregister takes a service, or with "" the whole node, out of the catalog.
func (p *patient) deregister(t *testing.T, service string) {
	t.Helper()
	if _, err := stage.Consul.API.Catalog().Deregister(&api.CatalogDeregistration{Node: p.node, ServiceID: service}, nil); err != nil {
		t.Fatal(err)
	}
}

func TestTheDoctorTellsPlainServersFromThoseWithTLS(t *testing.T) {
	t.Parallel()
	plain := testenv.ConsulDuring(t, testenv.ConsulConfig{Plaintext: true})
	p := newPatient(t)
	p.env[mesh.VariableToken] = plain.BootstrapToken
	p.cfg.ConsulServers.HTTP.Port, p.cfg.ConsulServers.GRPC.Port = plain.HTTPPort, plain.GRPCPort
	found, code := p.seeDoctor(t)
	for _, check := range []string{"grpc-tls", "http-tls"} {
		if f := found[check]; f.Status != "fail" || !strings.Contains(f.Found, "the port does not answer in TLS") || !strings.Contains(f.Fix, "to false") || code != 1 {
			t.Errorf("%+v, exit code %d", f, code)
		}
	}
	p.cfg.ConsulServers.GRPC.TLS, p.cfg.ConsulServers.HTTP.HTTPS = new(bool), new(bool)
	found, _ = p.seeDoctor(t)
	for _, check := range []string{"grpc-tls", "http-tls", "http-api", "login", "permissions"} {
		if f := found[check]; f.Status != "ok" {
			t.Errorf("%+v", f)
		}
	}
}

// between passes calls of AWS on to the emulator, and lets a test stand in the way of those that Consul's servers make for
// a login.
func between(t *testing.T, servers http.HandlerFunc) (at string) {
	t.Helper()
	emulator, err := url.Parse(stage.AWS.URL)
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(emulator)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if servers != nil && r.Header.Get("X-Consul-IAM-GetEntity-URL") != "" {
			servers(w, r)
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}

// through makes the task log in by an auth method of its own, whose calls of AWS go to the URL.
func (p *patient) through(t *testing.T, url string) {
	t.Helper()
	p.authMethod(t, url)
	rule := &api.ACLBindingRule{AuthMethod: p.id, BindType: api.BindingRuleBindTypeService, BindName: "web"}
	if _, _, err := stage.Consul.API.ACL().BindingRuleCreate(rule, nil); err != nil {
		t.Fatal(err)
	}
}

// authMethod is through without a binding rule.
func (p *patient) authMethod(t *testing.T, url string) {
	t.Helper()
	method, _, err := stage.Consul.API.ACL().AuthMethodRead(mesh.AuthMethod, nil)
	if err != nil {
		t.Fatal(err)
	}
	method.Name = p.id
	method.Config["STSEndpoint"], method.Config["IAMEndpoint"] = url, url
	if _, _, err := stage.Consul.API.ACL().AuthMethodCreate(method, nil); err != nil {
		t.Fatal(err)
	}
	p.cfg.ConsulLogin.Method, p.env["AWS_ENDPOINT_URL"] = method.Name, url
}

func TestTheDoctorSaysThatConsulsServersDoNotReachAWS(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	p.through(t, between(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	found, code := p.seeDoctor(t)
	if f := found["login"]; f.Status != "fail" || !strings.Contains(f.Fix, "Consul's servers do not reach STS or IAM") || code != 1 || found["sts"].Status != "ok" {
		t.Errorf("%+v, exit code %d", f, code)
	}
}

func TestTheDoctorSaysThatTheRoleMayNotReadItself(t *testing.T) {
	t.Parallel()
	strict := testenv.MotoDuring(t)
	p := newPatient(t)
	maps.Copy(p.env, (&meshstage.Stage{AWS: strict}).RoleEnv(t, mesh.RolePath, "without-policy", "web"))
	p.through(t, strict.URL)
	resp, err := http.Post(strict.URL+"/moto-api/reset-auth", "text/plain", strings.NewReader("0")) // from now on, policies count
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	found, code := p.seeDoctor(t)
	if f := found["iam-get-role"]; f.Status != "fail" || !strings.Contains(f.Found, "role without-policy may not read itself: ") || !strings.Contains(f.Fix, "iam:GetRole") || code != 1 {
		t.Errorf("%+v, exit code %d", f, code)
	}
	if f := found["login"]; f.Status != "fail" { // the emulator's answer to Consul is not worded as AWS's
		t.Errorf("%+v", f)
	}
}

func TestADoctorThatIsStoppedWhileItLogsInLeavesNoToken(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	p.through(t, between(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case begun <- struct{}{}:
		case <-r.Context().Done():
		}
		<-goOn
	}))
	r := p.player.start(t, "doctor")
	select {
	case <-begun:
	case <-time.After(30 * time.Second):
		t.Fatal("Consul has not asked AWS")
	}
	r.signal(t, syscall.SIGTERM)
	close(goOn)
	r.exits(t, 1, 30*time.Second)
	if text := r.log.String(); !strings.Contains(text, "ok    logout ") || !strings.Contains(text, "skip  registration        stopped before") {
		t.Errorf("the text is\n%s", text)
	}
	tokens, _, err := stage.Consul.API.ACL().TokenList(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens {
		if token.AuthMethod == p.id {
			t.Errorf("token %s is left", token.AccessorID)
		}
	}
}
