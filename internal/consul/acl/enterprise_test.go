package acl

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// recorder notes requests as lines: method, path, query and, of a write, the body.
type recorder struct {
	mu    sync.Mutex
	lines []string
	next  http.Handler
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(strings.NewReader(string(body)))
	line := req.Method + " " + req.URL.Path
	if req.URL.RawQuery != "" {
		line += "?" + req.URL.RawQuery
	}
	if len(body) > 0 {
		line += " " + strings.TrimSpace(string(body))
	}
	r.mu.Lock()
	r.lines = append(r.lines, line)
	r.mu.Unlock()
	r.next.ServeHTTP(w, req)
}

// recorded is a client whose requests are recorded on their way to next.
func recorded(t *testing.T, next http.Handler) (*api.Client, *recorder) {
	t.Helper()
	r := &recorder{next: next}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	client, err := api.NewClient(&api.Config{Address: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return client, r
}

// enterprise answers as a Consul Enterprise that holds nothing yet: there is none to start.
func enterprise(partitions, namespaces string) http.Handler {
	mux := http.NewServeMux()
	answer := func(pattern, text string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
	}
	answer("GET /v1/partitions", partitions)
	answer("GET /v1/namespaces", namespaces)
	answer("GET /v1/agent/self", `{"Config":{"Datacenter":"dc1"}}`)
	answer("GET /v1/acl/binding-rules", `[]`)
	answer("GET /v1/acl/token/{id}", `{"AccessorID":"00000000-0000-0000-0000-000000000002","Description":"Anonymous Token"}`)
	answer("PUT /", `{"ID":"5e7c5b4f-0000-4000-8000-000000000000"}`)
	mux.HandleFunc("GET /", http.NotFound)
	return mux
}

// rulesOf quotes rules as they stand in JSON.
func rulesOf(rules string) string {
	text, _ := json.Marshal(rules)
	return string(text)
}

const inTeam = "?partition=team"

func TestEnterpriseGetsAPartitionAndWrappedPolicies(t *testing.T) {
	t.Parallel()
	client, r := recorded(t, enterprise(`[{"Name":"default"}]`, `[]`))
	want := wanted()
	want.Partition = "team"
	if _, err := Ensure(t.Context(), client, want); err != nil {
		t.Fatal(err)
	}
	const namespaced = "namespace_prefix \"\" {\n  node_prefix \"\" {\n    policy = \"read\"\n  }\n  service_prefix \"\" {\n    policy = \"read\"\n  }\n}\n"
	const anonymous = "partition_prefix \"\" {\n  namespace_prefix \"\" {\n    node_prefix \"\" {\n      policy = \"read\"\n    }\n    service_prefix \"\" {\n      policy = \"read\"\n    }\n  }\n}\n"
	const empty = `"CreateIndex":0,"ModifyIndex":0}`
	policyBody := func(name, description, rules string) string {
		return `{"ID":"","Name":"` + name + `","Description":"` + description + `","Rules":` + rulesOf(rules) + `,"Datacenters":null,"Hash":null,` + empty
	}
	roleBody := func(name, description, policies string) string {
		return `{"ID":"","Name":"` + name + `","Description":"` + description + `"` + policies + `,"Hash":null,` + empty
	}
	ruleBody := func(description, kind, name, selector string) string {
		return `{"ID":"","Description":"` + description + `","AuthMethod":"iam-ecs-service-token","Selector":` + rulesOf(selector) +
			`,"BindType":"` + kind + `","BindName":"` + name + `",` + empty
	}
	rule := func(kind, described, name string) string {
		return "PUT /v1/acl/binding-rule" + inTeam + " " +
			ruleBody("Bind a Consul role from IAM role tag for ECS based "+described, "role", name, `entity_tags["consul.hashicorp.com.gateway-kind"] == "`+kind+`"`)
	}
	further := func(n string) string {
		tag := "consul.hashicorp.com.service-name-" + n
		return "PUT /v1/acl/binding-rule" + inTeam + " " +
			ruleBody("Bind a service identity from IAM role tag "+tag+" for ECS", "service", "${entity_tags."+tag+"}", `entity_tags["`+tag+`"] != ""`)
	}
	all := []string{
		"GET /v1/partitions?partition=default",
		`PUT /v1/partition?partition=default {"Name":"team","Description":"Tasks of ECS"}`,
		"GET /v1/acl/policy/name/consul-ecs-api-gateway-policy" + inTeam,
		"PUT /v1/acl/policy" + inTeam + " " + policyBody(apiGatewayPolicy, "API Gateway token Policy", "mesh = \"read\"\n"+namespaced),
		"GET /v1/acl/policy/name/consul-ecs-mesh-gateway-policy" + inTeam,
		"PUT /v1/acl/policy" + inTeam + " " + policyBody(meshGatewayPolicy, "Mesh Gateway token Policy", "mesh = \"write\"\npeering = \"read\"\n"),
		"GET /v1/acl/role/name/consul-ecs-api-gateway-role" + inTeam,
		"PUT /v1/acl/role" + inTeam + " " + roleBody(apiGatewayRole, "API Gateway Role for ECS", `,"Policies":[{"ID":"","Name":"consul-ecs-api-gateway-policy"}]`),
		"GET /v1/acl/role/name/consul-ecs-mesh-gateway-role" + inTeam,
		"PUT /v1/acl/role" + inTeam + " " + roleBody(meshGatewayRole, "Mesh Gateway Role for ECS", `,"Policies":[{"ID":"","Name":"consul-ecs-mesh-gateway-policy"}]`),
		"GET /v1/acl/role/name/consul-ecs-terminating-gateway-role" + inTeam,
		"PUT /v1/acl/role" + inTeam + " " + roleBody(terminatingGatewayRole, "Terminating Gateway Role for ECS", ""),
		"GET /v1/acl/auth-method/iam-ecs-service-token" + inTeam,
		"PUT /v1/acl/auth-method" + inTeam + ` {"Name":"iam-ecs-service-token","Type":"aws-iam","Description":"AWS IAM auth method for ECS service tokens",` +
			`"Config":{"BoundIAMPrincipalARNs":["arn:aws:iam::123456789012:role/consul-ecs/*"],"EnableIAMEntityDetails":true,"IAMEndpoint":"http://127.0.0.1:5000",` +
			`"IAMEntityTags":["consul.hashicorp.com.gateway-kind","consul.hashicorp.com.namespace","consul.hashicorp.com.service-name",` +
			`"consul.hashicorp.com.service-name-2","consul.hashicorp.com.service-name-3","consul.hashicorp.com.service-name-4","consul.hashicorp.com.service-name-5"],` +
			`"STSEndpoint":"http://127.0.0.1:5000"},"CreateIndex":0,"ModifyIndex":0,` +
			`"NamespaceRules":[{"Selector":"entity_tags[\"consul.hashicorp.com.namespace\"] != \"\"","BindNamespace":"${entity_tags.consul.hashicorp.com.namespace}"}]}`,
		"GET /v1/acl/binding-rules?authmethod=iam-ecs-service-token&partition=team",
		"PUT /v1/acl/binding-rule" + inTeam + " " + ruleBody("Bind a service identity from IAM role tag for ECS", "service", "${entity_tags.consul.hashicorp.com.service-name}", ""),
		rule("api-gateway", "API gateways", apiGatewayRole),
		rule("terminating-gateway", "Terminating gateways", terminatingGatewayRole),
		rule("mesh-gateway", "mesh gateways", meshGatewayRole),
		further("2"), further("3"), further("4"), further("5"),
		"GET /v1/agent/self",
		"GET /v1/acl/token/00000000-0000-0000-0000-000000000002?ns=default&partition=default",
		"GET /v1/acl/policy/name/anonymous-token-policy?ns=default&partition=default",
		"PUT /v1/acl/policy?ns=default&partition=default " + policyBody(anonymousPolicy, "Anonymous token Policy", anonymous),
		`PUT /v1/acl/token/00000000-0000-0000-0000-000000000002?ns=default&partition=default {"CreateIndex":0,"ModifyIndex":0,` +
			`"AccessorID":"00000000-0000-0000-0000-000000000002","SecretID":"","Description":"Anonymous Token",` +
			`"Policies":[{"ID":"","Name":"anonymous-token-policy"}],"Local":false,"CreateTime":"0001-01-01T00:00:00Z"}`,
	}
	if diff := cmp.Diff(all, r.lines); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

func TestEnterpriseGetsTheNamespacesOfTasks(t *testing.T) {
	t.Parallel()
	const defaults = `[{"Name":"default","Description":"Builtin","ACLs":{"PolicyDefaults":[{"ID":"1","Name":"own"}]}},{"Name":"there"}]`
	client, r := recorded(t, enterprise(`[]`, defaults))
	want := wanted()
	want.Partition = "team"
	changes, err := EnsureNamespaces(t.Context(), client, want, []string{"a", "there", "a", "", "default"})
	if err != nil {
		t.Fatal(err)
	}
	const rules = "partition \"team\" {\n  namespace_prefix \"\" {\n    service_prefix \"\" {\n      policy = \"read\"\n    }\n    node_prefix \"\" {\n      policy = \"read\"\n    }\n  }\n}\n"
	all := []string{
		"GET /v1/acl/policy/name/cross-namespace-read" + inTeam,
		"PUT /v1/acl/policy" + inTeam + ` {"ID":"","Name":"cross-namespace-read","Description":"Allow service and node reads across namespaces within the partition","Rules":` +
			rulesOf(rules) + `,"Datacenters":null,"Hash":null,"CreateIndex":0,"ModifyIndex":0}`,
		"GET /v1/namespaces" + inTeam,
		"PUT /v1/namespace/default" + inTeam + ` {"Name":"default","Description":"Builtin","ACLs":{"PolicyDefaults":[{"ID":"1","Name":"own"},{"ID":"","Name":"cross-namespace-read"}],"RoleDefaults":null}}`,
		"PUT /v1/namespace" + inTeam + ` {"Name":"a","Description":"Tasks of ECS","ACLs":{"PolicyDefaults":[{"ID":"","Name":"cross-namespace-read"}],"RoleDefaults":null}}`,
	}
	if diff := cmp.Diff(all, r.lines); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	if len(changes) != 3 {
		t.Errorf("changes %v, want three", changes)
	}
}

func TestPoliciesWithoutPartitionsAreOutOfDateInEnterprise(t *testing.T) {
	t.Parallel()
	for partition, upgraded := range map[string][]string{"default": {apiGatewayPolicy, meshGatewayPolicy}, "team": {apiGatewayPolicy}} {
		before := map[string]string{}
		for _, p := range wanted().policies() {
			before[p.Name] = p.Rules
		}
		want := wanted()
		want.Partition = partition
		var changed []string
		for _, p := range want.policies() {
			text, operators := settled(before[p.Name], p.Rules, p.former, sameRules)
			if operators || text != p.Rules {
				t.Errorf("%s in %s: an operator's %v: %s", p.Name, partition, operators, text)
			}
			if before[p.Name] != p.Rules {
				changed = append(changed, p.Name)
			}
		}
		if diff := cmp.Diff(upgraded, changed); diff != "" {
			t.Errorf("in %s (-want +got):\n%s", partition, diff)
		}
	}
}

func TestATokenOfAnotherPartitionDoesWithoutTheDefaultOne(t *testing.T) {
	t.Parallel()
	open := enterprise(`[]`, `[]`)
	client, _ := recorded(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Query().Get("partition") != "team" {
			http.Error(w, "Permission denied", http.StatusForbidden)
			return
		}
		open.ServeHTTP(w, req)
	}))
	want := wanted()
	want.Partition = "team"
	changes, err := Ensure(t.Context(), client, want)
	if err != nil {
		t.Fatal(err)
	}
	last := changes[len(changes)-1].String()
	if last != "kept ACL token anonymous: it takes a token of the default partition to let it read" {
		t.Errorf("in the end: %s", last)
	}
}

// TestTheCommunityEditionIsNotAskedForEnterprise watches what a real Consul gets.
func TestTheCommunityEditionIsNotAskedForEnterprise(t *testing.T) {
	t.Parallel()
	server := testenv.ConsulDuring(t, testenv.ConsulConfig{Plaintext: true})
	client, r := recorded(t, httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: fmt.Sprintf("%s:%d", server.Address, server.HTTPPort)}))
	client.SetHeaders(http.Header{"X-Consul-Token": {server.BootstrapToken}})
	ensure(t, client, withController(true))
	ensure(t, client, withController(false))
	for _, line := range r.lines {
		request, _, _ := strings.Cut(line, " {")
		for _, word := range []string{"/v1/partition", "/v1/namespace", "partition=", "ns="} {
			if strings.Contains(request, word) || strings.Contains(line, "NamespaceRules") {
				t.Errorf("sent %s", line)
			}
		}
	}
	if len(r.lines) < 40 {
		t.Errorf("recorded %d requests only", len(r.lines))
	}
}
