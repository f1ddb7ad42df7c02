package consul

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
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
		if wrote, err := ensureNode(ctx, client, nodeARN, address); err != nil || wrote != want {
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
	if _, found, err := nodeServices(ctx, client, nodeARN); err != nil || found {
		t.Errorf("a lost node: found %v, %v", found, err)
	}
	must("after the loss", second, true)
}

// registerMany hangs n services of a task on the node.
func registerMany(t *testing.T, client *api.Client, n int) (services []NodeService) {
	t.Helper()
	ctx := t.Context()
	if _, err := ensureNode(ctx, client, nodeARN, netip.MustParseAddr("10.0.0.7")); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		s := NodeService{ID: fmt.Sprintf("web-%d", i), Name: "web", TaskID: fmt.Sprint(i)}
		_, err := client.Catalog().Register(&api.CatalogRegistration{
			Node: nodeARN, SkipNodeUpdate: true, Service: &api.AgentService{ID: s.ID, Service: s.Name, Meta: map[string]string{"task-id": s.TaskID}},
		}, write(ctx))
		if err != nil {
			t.Fatal(err)
		}
		services = append(services, s)
	}
	return services
}

func TestServicesLeaveInTransactionsAndGoneOnesDoNotMatter(t *testing.T) {
	t.Parallel()
	client, _ := startConsul(t)
	ctx := t.Context()
	services := registerMany(t, client, 130)
	conn := &Connection{http: client}
	leave := append([]NodeService{{ID: "gone", Name: "gone"}}, services[1:]...)
	if err := conn.DeregisterServices(ctx, nodeARN, leave); err != nil {
		t.Fatal(err)
	}
	left, _, err := conn.NodeServices(ctx, nodeARN)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(services[:1], left); diff != "" {
		t.Errorf("services left (-want +got):\n%s", diff)
	}
}

func TestARefusedServiceDoesNotKeepTheOthers(t *testing.T) {
	t.Parallel()
	client, address := startConsul(t)
	ctx := t.Context()
	services := registerMany(t, client, 3)
	_, err := client.Catalog().Register(&api.CatalogRegistration{
		Node: nodeARN, SkipNodeUpdate: true, Service: &api.AgentService{ID: "api-1", Service: "api"},
	}, write(ctx))
	if err != nil {
		t.Fatal(err)
	}
	policy, _, err := client.ACL().PolicyCreate(&api.ACLPolicy{
		Name: "web-only", Rules: `service "web" { policy = "write" } service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }`,
	}, write(ctx))
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := client.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: policy.ID}}}, write(ctx))
	if err != nil {
		t.Fatal(err)
	}
	weak, err := api.NewClient(&api.Config{Address: address, Token: token.SecretID})
	if err != nil {
		t.Fatal(err)
	}
	err = (&Connection{http: weak}).DeregisterServices(ctx, nodeARN, append([]NodeService{{ID: "api-1", Name: "api"}}, services...))
	if err == nil || !strings.Contains(err.Error(), "deregister service api-1") || strings.Contains(err.Error(), "web-") {
		t.Errorf("DeregisterServices = %v, want api-1's refusal alone", err)
	}
	left, _, err := nodeServices(ctx, client, nodeARN)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]NodeService{{ID: "api-1", Name: "api"}}, left); diff != "" {
		t.Errorf("services left (-want +got):\n%s", diff)
	}
}

func TestTokensAreDeletedEachForItself(t *testing.T) {
	t.Parallel()
	client, _ := startConsul(t)
	ctx := t.Context()
	var ids []string
	for range 20 {
		token, _, err := client.ACL().TokenCreate(&api.ACLToken{}, write(ctx))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, token.AccessorID)
	}
	const gone = "5e7c5b4f-0000-4000-8000-000000000000"
	err := (&Connection{http: client}).DeleteTokens(ctx, slices.Concat([]string{"not-a-uuid", gone}, ids))
	if err == nil || !strings.Contains(err.Error(), "not-a-uuid") || strings.Contains(err.Error(), gone) {
		t.Errorf("DeleteTokens = %v, want the refusal of not-a-uuid alone", err)
	}
	for _, id := range ids {
		if _, _, err := client.ACL().TokenRead(id, query(ctx)); err == nil {
			t.Errorf("token %s is still there", id)
		}
	}
	if err := (&Connection{http: client}).DeleteTokens(context.WithoutCancel(ctx), nil); err != nil {
		t.Errorf("no tokens to delete: %v", err)
	}
}

func TestOnlyTokensOfThisECSClustersTasksAreFound(t *testing.T) {
	t.Parallel()
	const cluster = "arn:aws:ecs:us-east-1:123456789012:cluster/mesh"
	meta := func(cluster string) string {
		return `{"consul.hashicorp.com/cluster":"` + cluster + `","consul.hashicorp.com/task-id":"abc","team":"x"}`
	}
	for description, want := range map[string]string{
		"token created via login: " + meta(cluster):                                   "abc",
		"token created via login: " + meta(cluster+"-2"):                              "",
		"token created via login":                                                     "",
		"token created via login: {":                                                  "",
		`token created via login: {"pod":"web"}`:                                      "",
		"copied: token created via login: " + meta(cluster):                           "",
		`token created via login: {"consul.hashicorp.com/cluster":"` + cluster + `"}`: "",
		"Bootstrap Token (Global Management)":                                         "",
	} {
		got, ok := taskOfToken(description, cluster)
		if ok != (want != "") || ok && got != want {
			t.Errorf("task of %q is %q, %v; want %q", description, got, ok, want)
		}
	}
}
