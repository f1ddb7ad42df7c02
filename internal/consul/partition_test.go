package consul

import (
	"net/netip"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/front"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/meshstage"
)

// controlInScope does through the front all that a controller does with services and tokens. What it removes is not there.
func controlInScope(t *testing.T, consul *front.Consul, node string, scope mesh.Scope) {
	t.Helper()
	c := mustConnect(t, Settings{
		Hosts: "127.0.0.1", Token: stage.Consul.BootstrapToken, SkipServerWatch: true, Scope: scope,
		HTTP: agentconfig.Endpoint{Port: consul.HTTPPort}, GRPC: agentconfig.Endpoint{Port: consul.GRPCPort},
	})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	_, err := c.EnsureNode(t.Context(), node, netip.MustParseAddr("10.0.0.7"))
	must(err)
	_, _, err = c.NodeServices(t.Context(), node)
	must(err)
	_, _, err = c.ServicesOf(t.Context(), node, []string{"dead"})
	must(err)
	services := []NodeService{{ID: "web-dead", Name: "web", TaskID: "dead", Namespace: "team"}, {ID: "api-dead", Name: "api", TaskID: "dead", Namespace: "default"}}
	if scope == (mesh.Scope{}) {
		services = []NodeService{{ID: "web-dead", Name: "web", TaskID: "dead"}, {ID: "api-dead", Name: "api", TaskID: "dead"}}
	}
	list, _, err := c.LoginTokens(t.Context(), mesh.AuthMethod, node)
	must(err)
	if n := len(front.Namespaces); c.partitioned() && (len(list) != n || list[0].Namespace != front.Namespaces[0] || list[n-1].Namespace != front.Namespaces[n-1]) {
		t.Errorf("the tokens %v are found, want the task's in each of %v", list, front.Namespaces)
	}
	_, err = c.LoginTokensOf(t.Context(), mesh.AuthMethod, node, []string{"dead"}, services)
	must(err)
	lease := lead(t, c, node)
	must(c.DeregisterServices(lease.Context(), node, services).Err())
	must(c.DeleteTokens(lease.Context(), []LoginToken{{AccessorID: "5e7c5b4f-0000-4000-8000-000000000001", Namespace: services[0].Namespace}}).Err())
	must(lease.Release(t.Context()))
	c.narrow.Store(true)
	must(c.DeregisterServices(t.Context(), node, services[:1]).Err())
}

// controlled are where the controller sends a scope, each with the scope that belongs there. In the community edition they are all
// empty.
func controlled(node string, partition mesh.Scope) []front.Sent {
	at := func(namespace string) mesh.Scope {
		if partition == (mesh.Scope{}) {
			return partition
		}
		return mesh.Scope{Partition: partition.Partition, Namespace: namespace}
	}
	key := mesh.ControllerKey(node)
	list := []front.Sent{
		{Call: "GET /v1/catalog/nodes", Place: "query", Scope: partition},
		{Call: "PUT /v1/catalog/register", Place: "query", Scope: partition},
		{Call: "PUT /v1/catalog/register", Place: "body ", Scope: partition},
		{Call: "GET /v1/catalog/node-services/" + node, Place: "query", Scope: at("*")},
		{Call: "GET /v1/acl/tokens", Place: "query", Scope: at("default")},
		{Call: "GET /v1/acl/tokens", Place: "query", Scope: at("team")},
		{Call: "GET /v1/kv/" + key, Place: "query", Scope: partition},
		{Call: "GET /v1/session/node/" + node, Place: "query", Scope: partition},
		{Call: "PUT /v1/session/create", Place: "query", Scope: partition},
		{Call: "PUT /v1/session/create", Place: "body "}, // the query counts
		{Call: "PUT /v1/txn", Place: "query", Scope: partition},
		{Call: "PUT /v1/txn", Place: "body KV", Scope: partition},
		{Call: "PUT /v1/txn", Place: "body Service.Service", Scope: at("default")},
		{Call: "PUT /v1/txn", Place: "body Service.Service", Scope: at("team")},
		{Call: "DELETE /v1/acl/token/5e7c5b4f-0000-4000-8000-000000000001", Place: "query", Scope: at("team")},
		{Call: "PUT /v1/session/destroy", Place: "query", Scope: partition},
		{Call: "PUT /v1/catalog/deregister", Place: "query", Scope: at("team")},
		{Call: "PUT /v1/catalog/deregister", Place: "body ", Scope: at("team")},
	}
	if partition != (mesh.Scope{}) {
		list = append(list,
			front.Sent{Call: "GET /v1/namespaces", Place: "query", Scope: partition},
			front.Sent{Call: "GET /v1/acl/tokens", Place: "query authmethod-ns", Scope: mesh.Scope{Namespace: "default"}},
		)
	}
	return list
}

func TestAControllerLooksAfterAllNamespacesOfItsPartition(t *testing.T) {
	for name, scope := range map[string]mesh.Scope{"community edition": {}, "partition": {Partition: "retail"}} {
		t.Run(name, func(t *testing.T) {
			asRole(t, mesh.RolePath, "scoped")
			mustConnect(t, settings(t, taskOf(t, "t1"), nil)) // as a task, which so has a token
			node := meshstage.ClusterARN(clusterName(t))
			consul := front.Start(t, stage.Consul)
			controlInScope(t, consul, node, scope)
			checkSent(t, consul, controlled(node, scope))
		})
	}
}
