package consul

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/front"
)

// liveInScope connects to the stand-in as the task t1 of the service scoped, and does all that agents do there.
func liveInScope(t *testing.T, consul *front.Consul, scope mesh.Scope) {
	t.Helper()
	off := false
	cfg := agentconfig.Config{
		BootstrapDir: "/consul", ConsulLogin: &agentconfig.ConsulLogin{Enabled: true},
		ConsulServers: agentconfig.ConsulServers{
			Hosts: "127.0.0.1", Defaults: &agentconfig.ServerDefaults{TLS: &off},
			HTTP: &agentconfig.ServerHTTP{Port: consul.HTTPPort, HTTPS: &off}, GRPC: &agentconfig.ServerGRPC{Port: consul.GRPCPort},
		},
		HealthSyncContainers: []string{"app"},
		Service:              &agentconfig.Service{Name: "scoped", Port: 8080, Partition: scope.Partition, Namespace: scope.Namespace},
	}
	task := taskOf(t, "t1")
	s, err := SettingsOf(cfg, task, env())
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRegistration(cfg, task, "")
	if err != nil {
		t.Fatal(err)
	}
	c := mustConnect(t, s)
	if err := c.Register(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := c.SetChecks(t.Context(), r, r.Checks); err != nil {
		t.Error(err)
	}
	if _, complete, err := c.Lookup(t.Context(), r); err != nil || !complete {
		t.Errorf("looked up, complete %v, %v", complete, err)
	}
	if _, err := c.SetOutlierDetection(t.Context(), r.ServiceName, agentconfig.OutlierDetection{}); err != nil {
		t.Error(err)
	}
	if _, _, err := c.CentralProxy(t.Context(), r); err != nil {
		t.Error(err)
	}
	if err := c.Deregister(t.Context(), r); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// places are where the agents send a scope, each with the scope that belongs there.
func places(node string, scope mesh.Scope) []front.Sent {
	partition := mesh.Scope{Partition: scope.Partition}
	return []front.Sent{
		{Call: front.Login, Place: "message", Scope: partition}, // the auth method lies in the partition's default namespace
		{Call: "PUT /v1/catalog/register", Place: "query", Scope: scope},
		{Call: "PUT /v1/catalog/register", Place: "body ", Scope: partition}, // of the node, which has no namespace
		{Call: "PUT /v1/catalog/register", Place: "body Service", Scope: scope},
		{Call: "PUT /v1/catalog/register", Place: "body Checks", Scope: scope},
		{Call: "PUT /v1/txn", Place: "query", Scope: scope},
		{Call: "PUT /v1/txn", Place: "body Service.Service", Scope: scope},
		{Call: "PUT /v1/txn", Place: "body Check.Check", Scope: scope},
		{Call: "GET /v1/config/service-defaults/scoped", Place: "query", Scope: scope},
		{Call: "PUT /v1/config", Place: "query", Scope: scope},
		{Call: "PUT /v1/config", Place: "body ", Scope: scope},
		{Call: "GET /v1/catalog/node-services/" + node, Place: "query", Scope: scope},
	}
}

func TestTheScopeIsInEveryCall(t *testing.T) {
	for name, scope := range map[string]mesh.Scope{
		"none":      {},
		"partition": {Partition: "retail"},
		"namespace": {Namespace: "team"},
		"both":      {Partition: "retail", Namespace: "team"},
	} {
		t.Run(name, func(t *testing.T) {
			asRole(t, mesh.RolePath, "scoped")
			node := stage.Node(t, clusterName(t))
			forget(t, "scoped")
			consul := front.Start(t, stage.Consul)
			liveInScope(t, consul, scope)
			checkSent(t, consul, places(node, scope))
		})
	}
}

// checkSent wants all the places to have been sent, each with its scope alone, and no place besides.
func checkSent(t *testing.T, consul *front.Consul, want []front.Sent) {
	t.Helper()
	order := func(a, b front.Sent) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
	got := consul.Sent()
	const destroy = "PUT /v1/session/destroy"
	for i := range got {
		if strings.HasPrefix(got[i].Call, destroy) { // the session's ID follows
			got[i].Call = destroy
		}
	}
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	want = slices.Compact(want)
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

func TestVariablesOfConsulsOwnProgramsDoNotLeakIn(t *testing.T) {
	asRole(t, mesh.RolePath, "scoped")
	node := stage.Node(t, clusterName(t))
	forget(t, "scoped")
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	for name, value := range map[string]string{
		"CONSUL_NAMESPACE": "stray", "CONSUL_PARTITION": "stray", "CONSUL_HTTP_ADDR": "stray.invalid:1", "CONSUL_GRPC_ADDR": "stray.invalid:1",
		"CONSUL_HTTP_TOKEN_FILE": nowhere, "CONSUL_HTTP_AUTH": "stray:stray", "CONSUL_HTTP_SSL": "true", "CONSUL_HTTP_SSL_VERIFY": "false",
		"CONSUL_CACERT": nowhere, "CONSUL_CAPATH": nowhere, "CONSUL_GRPC_CACERT": nowhere, "CONSUL_CLIENT_CERT": nowhere, "CONSUL_CLIENT_KEY": nowhere,
		"CONSUL_TLS_SERVER_NAME": "stray", "HTTP_PROXY": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": stage.AWS.URL,
	} {
		t.Setenv(name, value)
	}
	consul := front.Start(t, stage.Consul)
	liveInScope(t, consul, mesh.Scope{})
	checkSent(t, consul, places(node, mesh.Scope{}))
}
