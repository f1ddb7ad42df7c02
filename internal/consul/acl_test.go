package consul

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

const nodeARN = "arn:aws:ecs:us-east-1:123456789012:cluster/mesh"

func wanted() AuthMethod {
	return AuthMethod{
		Name: "iam-ecs-service-token", BoundPrincipals: []string{"arn:aws:iam::123456789012:role/consul-ecs/*"},
		STSEndpoint: "http://127.0.0.1:5000", IAMEndpoint: "http://127.0.0.1:5000",
	}
}

// startConsul starts a real Consul with ACLs. The client has the bootstrap token.
func startConsul(t *testing.T) (client *api.Client, address string) {
	t.Helper()
	server, err := testenv.StartConsul(t.Context(), testenv.ConsulConfig{Plaintext: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server.API, fmt.Sprintf("%s:%d", server.Address, server.HTTPPort)
}

// ensure runs ensureACL and tells what it did.
func ensure(t *testing.T, client *api.Client) []string {
	t.Helper()
	changes, err := ensureACL(t.Context(), client, wanted())
	if err != nil {
		t.Fatal(err)
	}
	var did []string
	for _, c := range changes {
		did = append(did, fmt.Sprintf("%s %s %s", c.Verb, c.Kind, c.Name))
	}
	return did
}

// raftIndex is the index of the last thing written to Consul.
func raftIndex(t *testing.T, client *api.Client) string {
	t.Helper()
	self, err := client.Agent().Self()
	if err != nil {
		t.Fatal(err)
	}
	raft, _ := self["Stats"]["raft"].(map[string]any)
	return fmt.Sprint(raft["last_log_index"])
}

func TestBootstrapWritesOnceAndThenOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	client, _ := startConsul(t)
	all := []string{
		"created ACL policy consul-ecs-api-gateway-policy",
		"created ACL policy consul-ecs-mesh-gateway-policy",
		"created ACL role consul-ecs-api-gateway-role",
		"created ACL role consul-ecs-mesh-gateway-role",
		"created ACL role consul-ecs-terminating-gateway-role",
		"created auth method iam-ecs-service-token",
		"created binding rule ${entity_tags.consul.hashicorp.com.service-name}",
		"created binding rule consul-ecs-api-gateway-role",
		"created binding rule consul-ecs-terminating-gateway-role",
		"created binding rule consul-ecs-mesh-gateway-role",
		"created ACL policy anonymous-token-policy",
		"updated ACL token anonymous",
	}
	if diff := cmp.Diff(all, ensure(t, client)); diff != "" {
		t.Errorf("first run (-want +got):\n%s", diff)
	}
	before := raftIndex(t, client)
	if did := ensure(t, client); len(did) > 0 {
		t.Errorf("second run %v, want nothing", did)
	}
	if after := raftIndex(t, client); after != before {
		t.Errorf("second run moved Consul's index from %s to %s", before, after)
	}
	ctx := t.Context()
	for name, tc := range map[string]struct {
		remove func() error
		want   []string
	}{
		"auth method, and with it its rules": {
			func() error { _, err := client.ACL().AuthMethodDelete("iam-ecs-service-token", write(ctx)); return err },
			all[5:10],
		},
		"a binding rule": {
			func() error {
				rules, _, err := client.ACL().BindingRuleList("iam-ecs-service-token", query(ctx))
				if err != nil {
					return err
				}
				i := slices.IndexFunc(rules, func(r *api.ACLBindingRule) bool { return r.BindName == meshGatewayRole })
				_, err = client.ACL().BindingRuleDelete(rules[i].ID, write(ctx))
				return err
			},
			all[9:10],
		},
		"a role": {
			func() error {
				role, _, err := client.ACL().RoleReadByName(terminatingGatewayRole, query(ctx))
				if err != nil {
					return err
				}
				_, err = client.ACL().RoleDelete(role.ID, write(ctx))
				return err
			},
			all[4:5],
		},
		"a policy, and with it its link": {
			func() error {
				policy, _, err := client.ACL().PolicyReadByName(apiGatewayPolicy, query(ctx))
				if err != nil {
					return err
				}
				_, err = client.ACL().PolicyDelete(policy.ID, write(ctx))
				return err
			},
			[]string{all[0], "updated ACL role consul-ecs-api-gateway-role"},
		},
	} {
		if err := tc.remove(); err != nil {
			t.Fatalf("remove %s: %v", name, err)
		}
		if diff := cmp.Diff(tc.want, ensure(t, client)); diff != "" {
			t.Errorf("after the loss of %s (-want +got):\n%s", name, diff)
		}
	}
}

func TestBootstrapKeepsWhatOperatorsMade(t *testing.T) {
	t.Parallel()
	client, _ := startConsul(t)
	ctx := t.Context()
	_, _, err := client.ACL().AuthMethodCreate(&api.ACLAuthMethod{
		Name: "iam-ecs-service-token", Type: "aws-iam", DisplayName: "ours", Description: "by hand", MaxTokenTTL: 3600e9,
		Config: map[string]any{
			"BoundIAMPrincipalARNs": []string{"arn:aws:iam::999999999999:role/other"}, "EnableIAMEntityDetails": true,
			"IAMEntityTags": []string{"team", "consul.hashicorp.com.service-name"}, "ServerIDHeaderValue": "consul.example.com", "MaxRetries": 5,
		},
	}, write(ctx))
	if err != nil {
		t.Fatal(err)
	}
	own, _, err := client.ACL().PolicyCreate(&api.ACLPolicy{Name: "own", Rules: `key_prefix "" { policy = "read" }`}, write(ctx))
	if err != nil {
		t.Fatal(err)
	}
	mine := meshPolicies()[0]
	mine.Rules = `mesh = "write"`
	if _, _, err := client.ACL().PolicyCreate(&mine, write(ctx)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.ACL().RoleCreate(&api.ACLRole{Name: meshGatewayRole, Description: "mine", Policies: []*api.ACLLink{{ID: own.ID}}}, write(ctx)); err != nil {
		t.Fatal(err)
	}
	rule := meshBindingRules("iam-ecs-service-token")[0]
	rule.Selector = `entity_tags["team"] == "a"`
	if _, _, err := client.ACL().BindingRuleCreate(&rule, write(ctx)); err != nil {
		t.Fatal(err)
	}
	anonymous, _, err := client.ACL().TokenRead(anonymousAccessorID, query(ctx))
	if err != nil {
		t.Fatal(err)
	}
	anonymous.Policies = []*api.ACLLink{{ID: own.ID}}
	if _, _, err := client.ACL().TokenUpdate(anonymous, write(ctx)); err != nil {
		t.Fatal(err)
	}

	did := ensure(t, client)
	for _, want := range []string{
		"kept ACL policy consul-ecs-api-gateway-policy", "updated ACL role consul-ecs-mesh-gateway-role", "updated auth method iam-ecs-service-token",
		"kept binding rule ${entity_tags.consul.hashicorp.com.service-name}", "updated ACL token anonymous",
	} {
		if !slices.Contains(did, want) {
			t.Errorf("did %q, want %q among it", did, want)
		}
	}
	checkOperatorsWork(t, client)
}

// checkOperatorsWork reads what TestBootstrapKeepsWhatOperatorsMade had made.
func checkOperatorsWork(t *testing.T, client *api.Client) {
	t.Helper()
	ctx := t.Context()
	method, _, err := client.ACL().AuthMethodRead("iam-ecs-service-token", query(ctx))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"BoundIAMPrincipalARNs": []any{"arn:aws:iam::999999999999:role/other", "arn:aws:iam::123456789012:role/consul-ecs/*"}, "EnableIAMEntityDetails": true,
		"IAMEntityTags":       []any{"team", "consul.hashicorp.com.service-name", "consul.hashicorp.com.gateway-kind", "consul.hashicorp.com.namespace"},
		"ServerIDHeaderValue": "consul.example.com", "MaxRetries": 5.0, "STSEndpoint": "http://127.0.0.1:5000", "IAMEndpoint": "http://127.0.0.1:5000",
	}
	if diff := cmp.Diff(want, method.Config); diff != "" {
		t.Errorf("auth method's configuration (-want +got):\n%s", diff)
	}
	if method.DisplayName != "ours" || method.Description != "by hand" || method.MaxTokenTTL != 3600e9 {
		t.Errorf("auth method is %+v, want the operator's names and TTL", method)
	}
	role, _, err := client.ACL().RoleReadByName(meshGatewayRole, query(ctx))
	if err != nil {
		t.Fatal(err)
	}
	anonymous, _, err := client.ACL().TokenRead(anonymousAccessorID, query(ctx))
	if err != nil {
		t.Fatal(err)
	}
	names := func(links []*api.ACLLink) (names []string) {
		for _, l := range links {
			names = append(names, l.Name)
		}
		return names
	}
	if diff := cmp.Diff([]string{"own", meshGatewayPolicy}, names(role.Policies)); diff != "" || role.Description != "mine" {
		t.Errorf("role described as %q has policies (-want +got):\n%s", role.Description, diff)
	}
	if diff := cmp.Diff([]string{"own", anonymousPolicy}, names(anonymous.Policies)); diff != "" {
		t.Errorf("anonymous token's policies (-want +got):\n%s", diff)
	}
	policy, _, err := client.ACL().PolicyReadByName(apiGatewayPolicy, query(ctx))
	if err != nil {
		t.Fatal(err)
	}
	if policy.Rules != `mesh = "write"` {
		t.Errorf("the operator's policy now says %q", policy.Rules)
	}
}

func TestAnAuthMethodOfAnotherTypeIsRefused(t *testing.T) {
	t.Parallel()
	client, _ := startConsul(t)
	newLogins(t, client, wanted().Name)
	if _, err := ensureACL(t.Context(), client, wanted()); err == nil || !strings.Contains(err.Error(), "has type jwt, not aws-iam\nhint: ") {
		t.Errorf("ensureACL = %v, want the type and a hint", err)
	}
}

func TestARefusedControllerSaysWhatItsTokenNeeds(t *testing.T) {
	t.Parallel()
	client, address := startConsul(t)
	ctx := t.Context()
	policy, _, err := client.ACL().PolicyCreate(&api.ACLPolicy{Name: "reader", Rules: `acl = "read"`}, write(ctx))
	if err != nil {
		t.Fatal(err)
	}
	reader, _, err := client.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: policy.ID}}}, write(ctx))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ token, hint string }{
		"too weak": {reader.SecretID, `the controller's token needs acl = "write"`},
		"unknown":  {"5e7c5b4f-0000-4000-8000-000000000000", "Consul does not know the controller's token"},
	} {
		weak, err := api.NewClient(&api.Config{Address: address, Token: tc.token})
		if err != nil {
			t.Fatal(err)
		}
		_, err = ensureACL(ctx, weak, wanted())
		var refusal *Refusal
		if !errors.As(aclRefusal(err), &refusal) || refusal.Tries == 0 || !strings.Contains(refusal.Error(), "\nhint: "+tc.hint) {
			t.Errorf("%s: %v, want a refusal that hints at %q", name, aclRefusal(err), tc.hint)
		}
	}
}

func TestTheSyntheticNodeIsMadeOnceAndMended(t *testing.T) {
	t.Parallel()
	client, _ := startConsul(t)
	ctx := t.Context()
	first, second := netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("10.0.0.8")
	must := func(what string, address netip.Addr, want bool) {
		t.Helper()
		if wrote, err := ensureNode(ctx, client, api.CatalogRegistration{Node: nodeARN, Address: address.String()}); err != nil || wrote != want {
			t.Errorf("%s: wrote %v, %v; want %v", what, wrote, err, want)
		}
	}
	must("the first time", first, true)
	must("the second time", first, false)
	_, err := client.Catalog().Register(&api.CatalogRegistration{
		Node: nodeARN, Address: first.String(), NodeMeta: map[string]string{"synthetic-node": "true", "team": "a"},
	}, write(ctx))
	if err != nil {
		t.Fatal(err)
	}
	must("a controller elsewhere", second, true)
	list, _, err := client.Catalog().NodeServiceList(nodeARN, query(ctx))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"synthetic-node": "true", "team": "a"}, list.Node.Meta); diff != "" || list.Node.Address != "10.0.0.8" {
		t.Errorf("node at %s has meta (-want +got):\n%s", list.Node.Address, diff)
	}
	if _, err := client.Catalog().Deregister(&api.CatalogDeregistration{Node: nodeARN}, write(ctx)); err != nil {
		t.Fatal(err)
	}
	if found, err := findNode(ctx, client, nodeARN); err != nil || found != nil {
		t.Errorf("a lost node: found %v, %v", found, err)
	}
	must("after the loss", second, true)
}
