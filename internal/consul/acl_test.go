package consul

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

const nodeARN = "arn:aws:ecs:us-east-1:123456789012:cluster/mesh"

// startConsul starts a real Consul with ACLs. The client has the bootstrap token.
func startConsul(t *testing.T) (client *api.Client, address string) {
	t.Helper()
	server := testenv.ConsulDuring(t, testenv.ConsulConfig{Plaintext: true})
	return server.API, fmt.Sprintf("%s:%d", server.Address, server.HTTPPort)
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
		"too weak": {reader.SecretID, `the token needs acl = "write"`},
		"unknown":  {"5e7c5b4f-0000-4000-8000-000000000000", "Consul does not know the controller's token"},
	} {
		weak, err := api.NewClient(&api.Config{Address: address, Token: tc.token})
		if err != nil {
			t.Fatal(err)
		}
		_, err = acl.Ensure(ctx, weak, acl.Wanted{Method: acl.Method{Name: "iam-ecs-service-token"}, AnonymousReads: true})
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
