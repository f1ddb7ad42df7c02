package consul

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/hashicorp/consul-server-connection-manager/discovery"
	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/meshstage"
)

// stage is the one stage of this package's tests, brought up and taken down by TestMain. The tests that log in set the
// credentials of a task in the environment run one after another.
var stage *meshstage.Stage

// ofTheTests are goroutines of the tests' own: of a server that all share until the process ends, and of their idle connections.
var ofTheTests = []goleak.Option{
	goleak.IgnoreAnyFunction("github.com/consulecs/terraform-provider-consulecs/internal/testenv.startDaemon.func1"),
	goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
	goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
}

// TestMain fails also where a connection, a watch or a login outlives what it was for.
func TestMain(m *testing.M) {
	flag.Parse()
	// Most tests wait most of their time, so there may be more of them than cores; but some start three servers.
	if err := flag.Set("test.parallel", "6"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: dialNameServer}
	code := meshstage.Main(m, func(s *meshstage.Stage) { stage = s })
	if err := goleak.Find(ofTheTests...); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// taskOf is a task of the ECS cluster named as the test.
func taskOf(t *testing.T, id string) taskmeta.Task {
	t.Helper()
	task := anAddressedTask()
	task.ID = id
	task.ClusterARN = meshstage.ClusterARN(clusterName(t))
	task.ARN = strings.Replace(task.ClusterARN, ":cluster/", ":task/", 1) + "/" + id
	return task
}

func clusterName(t *testing.T) string {
	return strings.NewReplacer("/", "-", ":", "-").Replace(t.Name())
}

// asRole gives this process the credentials of a task role that is tagged with service.
func asRole(t *testing.T, path, service string) {
	t.Helper()
	for name, value := range stage.RoleEnv(t, path, clusterName(t), service) {
		t.Setenv(name, value)
	}
}

// byRole is asRole for tests that run side by side: it puts the credentials, and where to go with them, into the settings.
func byRole(t *testing.T, path, service string) func(*Settings) {
	t.Helper()
	env := stage.RoleEnv(t, path, clusterName(t), service)
	role := credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env["AWS_SESSION_TOKEN"])
	return func(s *Settings) {
		s.Login.Credentials, s.Login.STSEndpoint, s.Login.IAMEndpoint = role, stage.AWS.URL, stage.AWS.URL
	}
}

// settings are those of the task's agents; change adjusts them.
func settings(t *testing.T, task taskmeta.Task, change func(*Settings)) Settings {
	t.Helper()
	cfg := agentconfig.Config{
		BootstrapDir: "/consul", ConsulServers: stage.Servers(),
		ConsulLogin: &agentconfig.ConsulLogin{Enabled: true},
	}
	s, err := SettingsOf(cfg, task, env(mesh.VariableGRPCCACert, stage.Consul.CAPEM, mesh.VariableHTTPSCACert, stage.Consul.CAPEM))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&s)
	}
	return s
}

func connect(t testing.TB, s Settings, limit time.Duration) (*Connection, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	log := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: t.Output(), IndependentLevels: true})
	log.RegisterSink(noErrors{t})
	c, err := Connect(ctx, s, log)
	if err == nil {
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return c, err
}

// noErrors fails a test whose connection says something at ERROR: it does not know whether that is the agent's end.
type noErrors struct{ t testing.TB }

// Accept makes it a sink of hclog.
func (n noErrors) Accept(name string, level hclog.Level, msg string, args ...any) {
	if level == hclog.Error {
		n.t.Errorf("said at ERROR by %s: %s %v", name, msg, args)
	}
}

func mustConnect(t testing.TB, s Settings) *Connection {
	t.Helper()
	c, err := connect(t, s, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestALoginTurnsTheTaskRoleIntoATokenAndEndsWithIt(t *testing.T) {
	asRole(t, mesh.RolePath, "web")
	task := taskOf(t, "alone") // another test's restart of the server may leave a token to the controller
	start := time.Now()
	c := mustConnect(t, settings(t, task, nil))
	t.Logf("connected after %s", time.Since(start))
	token, _, err := stage.Consul.API.ACL().TokenReadSelf(&api.QueryOptions{Token: c.Token()})
	if err != nil {
		t.Fatal(err)
	}
	if len(token.ServiceIdentities) != 1 || token.ServiceIdentities[0].ServiceName != "web" {
		t.Errorf("service identities %v, want that of web alone", token.ServiceIdentities)
	}
	want := fmt.Sprintf(`token created via login: {"consul.hashicorp.com/cluster":%q,"consul.hashicorp.com/task-id":"alone"}`, task.ClusterARN)
	if token.Description != want {
		t.Errorf("description %s, want %s", token.Description, want)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if left := stage.LoginTokens(t, "alone"); len(left) != 0 {
		t.Errorf("%v are left after logging out", left)
	}
}

func TestEndpointsMayEndInSlashes(t *testing.T) {
	asRole(t, mesh.RolePath, "web")
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	mustConnect(t, settings(t, taskOf(t, "t1"), func(s *Settings) {
		s.Login.STSEndpoint, s.Login.IAMEndpoint = stage.AWS.URL+"//", stage.AWS.URL+"/"
	}))
	t.Setenv("AWS_ENDPOINT_URL_STS", stage.AWS.URL+"/")
	t.Setenv("AWS_ENDPOINT_URL_IAM", stage.AWS.URL)
	mustConnect(t, settings(t, taskOf(t, "t2"), nil))
}

func TestAStaticTokenIsNeitherRenewedNorLoggedOut(t *testing.T) {
	token, _, err := stage.Consul.API.ACL().TokenCreate(&api.ACLToken{ServiceIdentities: []*api.ACLServiceIdentity{{ServiceName: "web"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := mustConnect(t, settings(t, taskOf(t, "t1"), func(s *Settings) { s.Token, s.Login = token.SecretID, nil }))
	if err := c.Renew(t.Context(), token.SecretID); err == nil {
		t.Error("a given token was renewed")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := stage.Consul.API.ACL().TokenRead(token.AccessorID, nil); err != nil {
		t.Errorf("the token is gone after Close: %v", err)
	}
}

func TestRefusalsEndAtOnceWithTheFix(t *testing.T) {
	for name, tc := range map[string]struct {
		path, service string
		change        func(*Settings)
		want          []string
	}{
		"role without the tag": {mesh.RolePath, "", nil, []string{"log in by auth method iam-ecs-service-token: ", "has no tag consul.hashicorp.com.service-name", "hint: give the task role the tag"}},
		"role of another path": {"/other/", "web", nil, []string{"Unauthenticated: IAM principal arn:aws:iam::123456789012:role/other/", "is not trusted", "hint: the auth method admits other roles"}},
		"wrong CA": {mesh.RolePath, "web", func(s *Settings) { s.GRPCCAPEM = anotherCA(t) }, []string{
			"reach the servers at 127.0.0.1: ", "x509: certificate signed by unknown authority", "hint: the servers' certificates come from another CA: give theirs in CONSUL_GRPC_CACERT_PEM",
		}},
		"wrong server name": {mesh.RolePath, "web", func(s *Settings) { s.GRPC.ServerName = "other.example" }, []string{"x509: certificate is valid for", "hint: the certificate does not fit the name: set consulServers.defaults.tlsServerName"}},
		"no token":          {mesh.RolePath, "web", func(s *Settings) { s.Login = nil }, []string{"ACL token refused", "hint: Consul's ACL system is on: set consulLogin.enabled to true"}},
		"role without iam:GetRole": {mesh.RolePath, "web", func(s *Settings) { s.Login.Method = methodWithoutGetRole(t) }, []string{
			"received error code 403", "AccessDenied", "hint: the task role must be allowed iam:GetRole on itself",
		}},
		"without the entity": {mesh.RolePath, "web", func(s *Settings) { s.Login.IncludeEntity = false }, []string{
			"log in by auth method iam-ecs-service-token: Unauthenticated", "hint: the aws-iam auth method refused the task role",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			asRole(t, tc.path, tc.service)
			start := time.Now()
			_, err := connect(t, settings(t, taskOf(t, "t1"), tc.change), time.Minute)
			if err == nil {
				t.Fatal("connected")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("it took %s to give up", took)
			}
		})
	}
}

// methodWithoutGetRole makes an auth method whose IAM denies GetRole, which moto never does.
func methodWithoutGetRole(t *testing.T) string {
	t.Helper()
	denies := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized to perform: iam:GetRole</Message></Error></ErrorResponse>")
	}))
	t.Cleanup(denies.Close)
	method, _, err := stage.Consul.API.ACL().AuthMethodRead(mesh.AuthMethod, nil)
	if err != nil {
		t.Fatal(err)
	}
	method.Name, method.Config["IAMEndpoint"] = "denied", denies.URL
	if _, _, err := stage.Consul.API.ACL().AuthMethodCreate(method, nil); err != nil {
		t.Fatal(err)
	}
	return method.Name
}

func TestWhatMayYetComeIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*Settings)
		want   []string
	}{
		"no auth method": {func(s *Settings) { s.Login.Method = "later" }, []string{`auth method "later" not found`, "hint: the auth method does not exist yet: the controller creates it"}},
		"no server":      {func(s *Settings) { s.GRPC.Port = 1 }, []string{"connection refused", "hint: see consulServers.hosts and consulServers.grpc.port"}},
		"no such name":   {func(s *Settings) { s.Hosts = "consul.invalid" }, []string{"discover: ", "consul.invalid"}},
		"no STS":         {func(s *Settings) { s.Login.STSEndpoint = "http://127.0.0.1:1" }, []string{"mint bearer token: ask AWS who the task role is", "hint: the task needs a task role, and a way to STS"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := settings(t, taskOf(t, "t1"), byRole(t, mesh.RolePath, "web"))
			tc.change(&s)
			_, err := connect(t, s, 1500*time.Millisecond)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("got %v, want it to try until the deadline", err)
			}
			for _, want := range append(tc.want, "context deadline exceeded after ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}

func TestALoginWaitsForTheController(t *testing.T) {
	asRole(t, mesh.RolePath, "web")
	made := make(chan error, 1)
	go func() {
		time.Sleep(500 * time.Millisecond)
		method, _, err := stage.Consul.API.ACL().AuthMethodRead(mesh.AuthMethod, nil)
		if err == nil {
			method.Name = "late"
			_, _, err = stage.Consul.API.ACL().AuthMethodCreate(method, nil)
		}
		time.Sleep(300 * time.Millisecond) // the binding rule comes after the method
		if err == nil {
			_, _, err = stage.Consul.API.ACL().BindingRuleCreate(&api.ACLBindingRule{AuthMethod: "late", BindType: "service", BindName: "web"}, nil)
		}
		made <- err
	}()
	mustConnect(t, settings(t, taskOf(t, "t1"), func(s *Settings) { s.Login.Method = "late" }))
	if err := <-made; err != nil {
		t.Fatal(err)
	}
}

// endpointOf is a port of a server of the tests.
func endpointOf(server *testenv.Consul, port int) agentconfig.Endpoint {
	return agentconfig.Endpoint{Port: port, TLS: server.CAPEM != "", ServerName: server.ServerName}
}

func TestPlainHTTPToAPortForHTTPSIsToldTheFix(t *testing.T) {
	c := mustConnect(t, Settings{
		Hosts: stage.Consul.Address, Token: stage.Consul.BootstrapToken, GRPCCAPEM: stage.Consul.CAPEM,
		HTTP: agentconfig.Endpoint{Port: stage.Consul.HTTPPort}, GRPC: endpointOf(stage.Consul, stage.Consul.GRPCPort),
	})
	var refusal *Refusal
	if _, _, err := c.NodeServices(t.Context(), "server"); !errors.As(err, &refusal) || refusal.Hint != hintHTTPS || refusal.Tries != 1 {
		t.Errorf("got %v, want the hint %q", err, hintHTTPS)
	}
}

func TestWhoWaitsForAServerIsToldOfIt(t *testing.T) {
	t.Parallel()
	life, end := context.WithCancel(t.Context())
	found := make(chan discovery.State)
	a := newArrivals(life, found)
	for range 2 {
		next := a.next()
		select {
		case <-next:
			t.Fatal("told before there is one")
		default:
		}
		found <- discovery.State{}
		<-next
	}
	end()
	<-a.over
}
