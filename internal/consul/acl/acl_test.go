package acl

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

func wanted() Wanted {
	return Wanted{
		Method: Method{
			Name: "iam-ecs-service-token", BoundPrincipals: []string{"arn:aws:iam::123456789012:role/consul-ecs/*"},
			STSEndpoint: "http://127.0.0.1:5000", IAMEndpoint: "http://127.0.0.1:5000",
		},
		AnonymousReads: true,
	}
}

// startConsul starts a real Consul with ACLs. The client has the bootstrap token, and what it asks to be changed is kept.
func startConsul(t *testing.T) (*api.Client, *written) {
	t.Helper()
	server := testenv.ConsulDuring(t, testenv.ConsulConfig{Plaintext: true})
	var by written
	client, err := api.NewClient(&api.Config{
		Address: fmt.Sprintf("%s:%d", server.Address, server.HTTPPort), Token: server.BootstrapToken, HttpClient: &http.Client{Transport: &by},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, &by
}

// written are the requests of a client that change something, as method and path. The index of Consul's own log would not tell
// them: a server that has just started writes about itself for a while.
type written []string

// RoundTrip sends a request on. The tests' clients have one under way at a time.
func (w *written) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet {
		*w = append(*w, req.Method+" "+req.URL.Path)
	}
	return http.DefaultTransport.RoundTrip(req)
}

// since are those that came after the first n.
func (w *written) since(n int) []string { return (*w)[n:] }

// ensure runs Ensure and tells what it did.
func ensure(t *testing.T, client *api.Client, want Wanted) []string {
	t.Helper()
	changes, err := Ensure(t.Context(), client, want)
	if err != nil {
		t.Fatal(err)
	}
	var did []string
	for _, c := range changes {
		did = append(did, c.String())
	}
	return did
}

func TestBootstrapWritesOnceAndThenOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	client, by := startConsul(t)
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
		"created binding rule ${entity_tags.consul.hashicorp.com.service-name-2}",
		"created binding rule ${entity_tags.consul.hashicorp.com.service-name-3}",
		"created binding rule ${entity_tags.consul.hashicorp.com.service-name-4}",
		"created binding rule ${entity_tags.consul.hashicorp.com.service-name-5}",
		"created ACL policy anonymous-token-policy",
		"updated ACL token anonymous",
	}
	if diff := cmp.Diff(all, ensure(t, client, wanted())); diff != "" {
		t.Errorf("first run (-want +got):\n%s", diff)
	}
	before := len(*by)
	if before < len(all) {
		t.Errorf("the first run asked for %d changes only: %q", before, *by)
	}
	if did := ensure(t, client, wanted()); len(did) > 0 {
		t.Errorf("second run %v, want nothing", did)
	}
	if wrote := by.since(before); len(wrote) > 0 {
		t.Errorf("second run wrote %q", wrote)
	}
	for name, tc := range map[string]struct {
		remove func() error
		want   []string
	}{
		"auth method, and with it its rules": {
			func() error { _, err := client.ACL().AuthMethodDelete("iam-ecs-service-token", nil); return err },
			all[5:14],
		},
		"a binding rule": {
			func() error {
				rules, _, err := client.ACL().BindingRuleList("iam-ecs-service-token", nil)
				if err != nil {
					return err
				}
				i := slices.IndexFunc(rules, func(r *api.ACLBindingRule) bool { return r.BindName == meshGatewayRole })
				_, err = client.ACL().BindingRuleDelete(rules[i].ID, nil)
				return err
			},
			all[9:10],
		},
		"a role": {
			func() error {
				role, _, err := client.ACL().RoleReadByName(terminatingGatewayRole, nil)
				if err != nil {
					return err
				}
				_, err = client.ACL().RoleDelete(role.ID, nil)
				return err
			},
			all[4:5],
		},
		"a policy, and with it its link": {
			func() error {
				policy, _, err := client.ACL().PolicyReadByName(apiGatewayPolicy, nil)
				if err != nil {
					return err
				}
				_, err = client.ACL().PolicyDelete(policy.ID, nil)
				return err
			},
			[]string{all[0], "updated ACL role consul-ecs-api-gateway-role"},
		},
	} {
		if err := tc.remove(); err != nil {
			t.Fatalf("remove %s: %v", name, err)
		}
		if diff := cmp.Diff(tc.want, ensure(t, client, wanted())); diff != "" {
			t.Errorf("after the loss of %s (-want +got):\n%s", name, diff)
		}
	}
}

func TestBootstrapKeepsWhatOperatorsMade(t *testing.T) {
	t.Parallel()
	client, _ := startConsul(t)
	_, _, err := client.ACL().AuthMethodCreate(&api.ACLAuthMethod{
		Name: "iam-ecs-service-token", Type: "aws-iam", DisplayName: "ours", Description: "by hand", MaxTokenTTL: 3600e9,
		Config: map[string]any{
			"BoundIAMPrincipalARNs": []string{"arn:aws:iam::999999999999:role/other"}, "EnableIAMEntityDetails": true,
			"IAMEntityTags": []string{"team", "consul.hashicorp.com.service-name"}, "ServerIDHeaderValue": "consul.example.com", "MaxRetries": 5,
		},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	own, _, err := client.ACL().PolicyCreate(&api.ACLPolicy{Name: "own", Rules: `key_prefix "" { policy = "read" }`}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.ACL().PolicyCreate(&api.ACLPolicy{Name: apiGatewayPolicy, Description: "API Gateway token Policy", Rules: `mesh = "write"`}, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.ACL().RoleCreate(&api.ACLRole{Name: meshGatewayRole, Description: "mine", Policies: []*api.ACLLink{{ID: own.ID}}}, nil); err != nil {
		t.Fatal(err)
	}
	rule := taskRules("iam-ecs-service-token")[0].ACLBindingRule
	rule.Selector = `entity_tags["team"] == "a"`
	if _, _, err := client.ACL().BindingRuleCreate(&rule, nil); err != nil {
		t.Fatal(err)
	}
	anonymous, _, err := client.ACL().TokenRead(anonymousAccessorID, nil)
	if err != nil {
		t.Fatal(err)
	}
	anonymous.Policies = []*api.ACLLink{{ID: own.ID}}
	if _, _, err := client.ACL().TokenUpdate(anonymous, nil); err != nil {
		t.Fatal(err)
	}

	did := ensure(t, client, wanted())
	for _, want := range []string{
		"kept ACL policy consul-ecs-api-gateway-policy: its rules are an operator's", "kept ACL role consul-ecs-mesh-gateway-role: its description is an operator's", "kept auth method iam-ecs-service-token: its description is an operator's",
		"updated ACL role consul-ecs-mesh-gateway-role", "updated auth method iam-ecs-service-token",
		"kept binding rule ${entity_tags.consul.hashicorp.com.service-name}: its selector is an operator's", "updated ACL token anonymous",
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
	method, _, err := client.ACL().AuthMethodRead("iam-ecs-service-token", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"BoundIAMPrincipalARNs": []any{"arn:aws:iam::999999999999:role/other", "arn:aws:iam::123456789012:role/consul-ecs/*"}, "EnableIAMEntityDetails": true,
		"IAMEntityTags": []any{
			"team", "consul.hashicorp.com.service-name", "consul.hashicorp.com.gateway-kind", "consul.hashicorp.com.namespace",
			"consul.hashicorp.com.service-name-2", "consul.hashicorp.com.service-name-3", "consul.hashicorp.com.service-name-4", "consul.hashicorp.com.service-name-5",
		},
		"ServerIDHeaderValue": "consul.example.com", "MaxRetries": 5.0, "STSEndpoint": "http://127.0.0.1:5000", "IAMEndpoint": "http://127.0.0.1:5000",
	}
	if diff := cmp.Diff(want, method.Config); diff != "" {
		t.Errorf("auth method's configuration (-want +got):\n%s", diff)
	}
	if method.DisplayName != "ours" || method.Description != "by hand" || method.MaxTokenTTL != 3600e9 {
		t.Errorf("auth method is %+v, want the operator's names and TTL", method)
	}
	role, _, err := client.ACL().RoleReadByName(meshGatewayRole, nil)
	if err != nil {
		t.Fatal(err)
	}
	anonymous, _, err := client.ACL().TokenRead(anonymousAccessorID, nil)
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
	policy, _, err := client.ACL().PolicyReadByName(apiGatewayPolicy, nil)
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
	_, _, err := client.ACL().AuthMethodCreate(&api.ACLAuthMethod{
		Name: "iam-ecs-service-token", Type: "jwt",
		Config: map[string]any{"JWTValidationPubKeys": []string{publicKey(t)}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Ensure(t.Context(), client, wanted()); err == nil || !strings.Contains(err.Error(), "has type jwt, not aws-iam\nhint: ") {
		t.Errorf("Ensure = %v, want the type and a hint", err)
	}
}

func publicKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}
