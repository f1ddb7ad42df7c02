package bootstrap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentargs"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

const (
	prod  = "arn:aws:ecs:us-east-1:123456789012:cluster/prod"
	stage = "arn:aws:ecs:us-east-1:123456789012:cluster/stage"
)

func startConsul(t *testing.T) *testenv.Consul {
	t.Helper()
	server := testenv.ConsulDuring(t, testenv.ConsulConfig{})
	return server
}

// terminal sets the environment of Consul's own command, and no configuration.
func terminal(t *testing.T, server *testenv.Consul) {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte(server.CAPEM), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"CONSUL_HTTP_ADDR": fmt.Sprintf("https://%s:%d", server.Address, server.HTTPPort), "CONSUL_TLS_SERVER_NAME": server.ServerName,
		"CONSUL_CACERT": ca, "CONSUL_HTTP_TOKEN": server.BootstrapToken,
	} {
		t.Setenv(name, value)
	}
}

// run runs the agent, whose output must not hold the token.
func run(t *testing.T, getenv func(string) string, args ...string) (lines []string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err = Run(t.Context(), getenv, args, &stdout, &stderr)
	if token := getenv(mesh.VariableToken); token != "" && strings.Contains(stdout.String()+stderr.String()+fmt.Sprint(err), token) {
		t.Error("the token is in the output")
	}
	for line := range strings.Lines(stdout.String()) {
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return lines, err
}

func mustRun(t *testing.T, getenv func(string) string, args ...string) []string {
	t.Helper()
	lines, err := run(t, getenv, args...)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// mustNotWrite runs the agent, which must change nothing in Consul.
func mustNotWrite(t *testing.T, server *testenv.Consul, args ...string) []string {
	t.Helper()
	before, err := server.Writes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lines := mustRun(t, os.Getenv, args...)
	after, err := server.Writes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for kind, n := range after.Since(before).ByKind {
		if strings.HasPrefix(kind, "acl") || strings.HasPrefix(kind, "register") {
			t.Errorf("it wrote %d times: %s", n, kind)
		}
	}
	return lines
}

func TestALaptopPreparesConsulOnce(t *testing.T) {
	server := startConsul(t)
	terminal(t, server)
	args := []string{"-ecs-cluster", prod, "-ecs-cluster", stage, "-controller-role", "arn:aws:iam::123456789012:role/team/ctl", "-max-retries", "3"}
	inProd, inStage := acl.ControllerName(prod), acl.ControllerName(stage)
	all := []string{
		"created ACL policy consul-ecs-api-gateway-policy",
		"created ACL policy consul-ecs-mesh-gateway-policy",
		"created ACL policy " + inProd,
		"created ACL policy " + inStage,
		"created ACL role consul-ecs-api-gateway-role",
		"created ACL role consul-ecs-mesh-gateway-role",
		"created ACL role consul-ecs-terminating-gateway-role",
		"created ACL role " + inProd,
		"created ACL role " + inStage,
		"created auth method iam-ecs-service-token",
		"created binding rule ${entity_tags.consul.hashicorp.com.service-name}",
		"created binding rule consul-ecs-api-gateway-role",
		"created binding rule consul-ecs-terminating-gateway-role",
		"created binding rule consul-ecs-mesh-gateway-role",
		"created binding rule ${entity_tags.consul.hashicorp.com.service-name-2}",
		"created binding rule ${entity_tags.consul.hashicorp.com.service-name-3}",
		"created binding rule ${entity_tags.consul.hashicorp.com.service-name-4}",
		"created binding rule ${entity_tags.consul.hashicorp.com.service-name-5}",
		"created auth method consulecs-controller",
		"created binding rule " + inProd,
		"created binding rule " + inStage,
		"created ACL policy anonymous-token-policy",
		"updated ACL token anonymous",
		"created synthetic node " + prod,
		"created synthetic node " + stage,
	}
	var would []string
	for _, line := range all {
		would = append(would, "would be "+line)
	}
	if diff := cmp.Diff(append(would, "Consul is prepared: 25 to write, 0 kept as an operator has them, the rest as it should be"), mustNotWrite(t, server, append(args, "-dry-run")...)); diff != "" {
		t.Errorf("dry run (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(append(all, "Consul is prepared: 25 written, 0 kept as an operator has them, the rest as it should be"), mustRun(t, os.Getenv, args...)); diff != "" {
		t.Errorf("first run (-want +got):\n%s", diff)
	}
	const done = "Consul is prepared: 0 written, 0 kept as an operator has them, the rest as it should be"
	if diff := cmp.Diff([]string{done}, mustNotWrite(t, server, args...)); diff != "" {
		t.Errorf("second run (-want +got):\n%s", diff)
	}
	for _, name := range []string{mesh.AuthMethod, acl.ControllerMethod} {
		method, _, err := server.API.ACL().AuthMethodRead(name, nil)
		if err != nil || method.MaxTokenTTL != time.Hour || fmt.Sprint(method.Config["MaxRetries"]) != "3" {
			t.Errorf("auth method %s is %+v (%v), want tokens of an hour and 3 retries", name, method, err)
		}
	}
	checkPrinted(t, server.API, mustRun(t, os.Getenv, append(args, "-print")...))
}

// checkPrinted compares what is printed for people with what Consul has.
func checkPrinted(t *testing.T, client *api.Client, printed []string) {
	t.Helper()
	text := "\n" + strings.Join(printed, "\n") + "\n"
	policies, _, err := client.ACL().PolicyList(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range policies {
		policy, _, err := client.ACL().PolicyRead(entry.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(policy.Name, "global-") || policy.Name == "builtin/global-read-only" {
			continue // Consul's own
		}
		if !strings.Contains(text, "\n# "+policy.Name+": "+policy.Description+"\n"+policy.Rules) {
			t.Errorf("policy %s is not printed as Consul has it:\n%s", policy.Name, policy.Rules)
		}
	}
	if n := strings.Count(text, "\n# "); n != 5 {
		t.Errorf("%d policies are printed, want 5:\n%s", n, text)
	}
}

func TestATaskPreparesConsulForItsECSCluster(t *testing.T) {
	t.Setenv("CONSUL_HTTP_ADDR", "") // nothing of a terminal
	server := startConsul(t)
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"Cluster": prod, "TaskARN": strings.Replace(prod, ":cluster/", ":task/", 1) + "/0123456789abcdef0123456789abcdef", "Family": "bootstrap",
			"Containers": []any{map[string]any{"Name": "bootstrap", "Networks": []any{map[string]any{"NetworkMode": "awsvpc", "IPv4Addresses": []string{"10.0.0.7"}}}}},
		})
	}))
	t.Cleanup(metadata.Close)
	ttl, no := 7200, false
	cfg, err := json.Marshal(agentconfig.Config{
		BootstrapDir: "/consul",
		ConsulServers: agentconfig.ConsulServers{
			Hosts: server.Address, Defaults: &agentconfig.ServerDefaults{TLSServerName: server.ServerName}, SkipServerWatch: true,
			HTTP: &agentconfig.ServerHTTP{Port: server.HTTPPort}, GRPC: &agentconfig.ServerGRPC{Port: server.GRPCPort},
		},
		ConsulLogin: &agentconfig.ConsulLogin{Enabled: true, Method: "own"},
		Controller: &agentconfig.Controller{
			IAMRolePath: "/team/", ECSClusters: []string{stage}, AnonymousReads: &no, AuthMethod: &agentconfig.AuthMethod{Name: "tasks", TokenTTLSeconds: &ttl},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		mesh.ConfigVariable: string(cfg), taskmeta.Variable: metadata.URL, mesh.VariableToken: server.BootstrapToken,
		mesh.VariableGRPCCACert: server.CAPEM, mesh.VariableHTTPSCACert: server.CAPEM,
	}
	mustRun(t, func(name string) string { return env[name] }, "-controller-role", "ctl")
	for name, principal := range map[string]string{"tasks": "arn:aws:iam::123456789012:role/team/*", "own": "arn:aws:iam::123456789012:role/ctl"} {
		method, _, err := server.API.ACL().AuthMethodRead(name, nil)
		if err != nil || method == nil || method.MaxTokenTTL != 2*time.Hour || fmt.Sprint(method.Config["BoundIAMPrincipalARNs"]) != "["+principal+"]" {
			t.Errorf("auth method %s is %+v (%v), want it for %s and two hours", name, method, err, principal)
		}
	}
	for _, name := range []string{prod, stage} {
		node, _, err := server.API.Catalog().Node(name, nil)
		if err != nil || node == nil || node.Node.Address != "10.0.0.7" {
			t.Errorf("node %s is %+v (%v), want it at the task's address", name, node, err)
		}
	}
	if policy, _, err := server.API.ACL().PolicyReadByName("anonymous-token-policy", nil); err != nil || policy != nil {
		t.Errorf("anonymous requests may read: %+v, %v", policy, err)
	}
	// The controller has written its own address meanwhile.
	if _, err := server.API.Catalog().Register(&api.CatalogRegistration{Node: prod, Address: "10.0.0.8"}, nil); err != nil {
		t.Fatal(err)
	}
	mustRun(t, func(name string) string { return env[name] }, "-controller-role", "ctl")
	if node, _, err := server.API.Catalog().Node(prod, nil); err != nil || node.Node.Address != "10.0.0.8" {
		t.Errorf("the node is %+v (%v), want it at the controller's address", node, err)
	}
	delete(env, mesh.VariableToken)
	if _, err := run(t, func(name string) string { return env[name] }); err == nil || !strings.Contains(err.Error(), "CONSUL_HTTP_TOKEN is not set\nhint: ") {
		t.Errorf("without a token: %v", err)
	}
}

func TestARefusedBootstrapSaysWhatItTakes(t *testing.T) {
	server := startConsul(t)
	terminal(t, server)
	for name, tc := range map[string]struct{ token, want string }{
		"none":    {"", "hint: the token needs acl = \"write\""},
		"unknown": {"5e7c5b4f-0000-4000-8000-000000000000", "hint: Consul does not know"},
	} {
		t.Setenv("CONSUL_HTTP_TOKEN", tc.token)
		if _, err := run(t, os.Getenv, "-ecs-cluster", prod); err == nil || !strings.Contains(err.Error(), tc.want) || agentargs.ExitCode(err) != 1 {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func TestTheTokenThatTheManualAsksForWillDo(t *testing.T) {
	server := startConsul(t)
	terminal(t, server)
	policy, _, err := server.API.ACL().PolicyCreate(&api.ACLPolicy{
		Name: "operator", Rules: `acl = "write" agent_prefix "" { policy = "read" } node_prefix "" { policy = "write" }`,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := server.API.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: policy.ID}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONSUL_HTTP_TOKEN", token.SecretID)
	if lines := mustRun(t, os.Getenv, "-ecs-cluster", prod, "-controller-role", "ctl", "-token-ttl", "0"); len(lines) != 22 {
		t.Errorf("%d lines: %q, want those of a whole run", len(lines), lines)
	}
	for name, ttl := range map[string]time.Duration{mesh.AuthMethod: 0, acl.ControllerMethod: time.Hour} {
		if method, _, err := server.API.ACL().AuthMethodRead(name, nil); err != nil || method.MaxTokenTTL != ttl {
			t.Errorf("auth method %s is %+v (%v), want tokens of %s", name, method, err, ttl)
		}
	}
}

func TestWrongUsageIsTold(t *testing.T) {
	t.Parallel()
	none := func(string) string { return "" }
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no ECS cluster":     {nil, "no ECS cluster is named: give its ARN in -ecs-cluster"},
		"a name":             {[]string{"-ecs-cluster", "prod"}, `controller.ecsClusters[0]: is "prod", want the ARN of an ECS cluster`},
		"two accounts":       {[]string{"-ecs-cluster", prod, "-ecs-cluster", strings.Replace(prod, "123456789012", "210987654321", 1)}, "is of another account or Region"},
		"all roles":          {[]string{"-ecs-cluster", prod, "-iam-role-path", "/"}, "below which every role of the account may log in"},
		"no role":            {[]string{"-ecs-cluster", prod, "-controller-role", "arn:aws:iam::123456789012:user/ctl"}, "-controller-role: arn:aws:iam::123456789012:user/ctl is not the ARN of an IAM role"},
		"short-lived tokens": {[]string{"-ecs-cluster", prod, "-token-ttl", "30s"}, "-token-ttl is 30s, want a minute to a day, or 0"},
		"no address":         {[]string{"-ecs-cluster", prod, "-node-address", "here"}, `-node-address is "here", want an IP address`},
		"no time":            {[]string{"-ecs-cluster", prod, "-timeout", "0s"}, "-timeout is 0s"},
		"an argument":        {[]string{"now"}, `unexpected argument "now"`},
	} {
		_, err := run(t, none, tc.args...)
		if err == nil || !strings.Contains(err.Error(), tc.want) || agentargs.ExitCode(err) != agentargs.ExitUsage {
			t.Errorf("%s: %v, exit code %d; want %q and %d", name, err, agentargs.ExitCode(err), tc.want, agentargs.ExitUsage)
		}
	}
	if _, err := run(t, none, "-ecs-cluster", prod, "-iam-role-path", "/", "-trust-all-roles", "-print"); err != nil {
		t.Errorf("all roles with a yes: %v", err)
	}
}
