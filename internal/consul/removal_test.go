package consul

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/lock"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// aServer starts a real Consul.
func aServer(t testing.TB, cfg testenv.ConsulConfig) *testenv.Consul {
	t.Helper()
	cfg.Plaintext = true
	server := testenv.ConsulDuring(t, cfg)
	return server
}

// under is a connection to the server with a token that has a policy of these rules.
func under(t *testing.T, server *testenv.Consul, rules string) *Connection {
	t.Helper()
	policy, _, err := server.API.ACL().PolicyCreate(&api.ACLPolicy{Name: "under", Rules: rules}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := server.API.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: policy.ID}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return mustConnect(t, reach(server, func(s *Settings) { s.Token = token.SecretID }))
}

// taskID is a task's, in the shape of ECS's.
func taskID(n int) string { return fmt.Sprintf("%032x", n*7919) }

// hang puts n services of a task each on the node, in transactions. Their names come again after a hundred.
func hang(t testing.TB, client *api.Client, n int) (services []NodeService) {
	t.Helper()
	want := api.CatalogRegistration{Node: nodeARN, Address: netip.MustParseAddr("10.0.0.7").String()}
	if _, err := ensureNode(t.Context(), client, want); err != nil {
		t.Fatal(err)
	}
	var ops api.TxnOps
	for i := range n {
		name := fmt.Sprintf("web-%d", i%100)
		s := NodeService{ID: mesh.ServiceID(name, taskID(i)), Name: name, TaskID: taskID(i)}
		services = append(services, s)
		ops = append(ops, &api.TxnOp{Service: &api.ServiceTxnOp{Verb: api.ServiceSet, Node: nodeARN, Service: api.AgentService{
			ID: s.ID, Service: s.Name, Meta: map[string]string{mesh.MetaTaskID: s.TaskID, mesh.MetaTaskARN: nodeARN + "/" + s.TaskID, mesh.MetaSource: mesh.Source},
		}}})
	}
	for batch := range slices.Chunk(ops, 128) {
		if ok, answer, _, err := client.Txn().Txn(batch, nil); err != nil || !ok {
			t.Fatal(answer, err)
		}
	}
	slices.SortFunc(services, byID)
	return services
}

func byID(a, b NodeService) int { return cmp.Compare(a.ID, b.ID) }

// tokens makes n tokens, some at a time.
func tokens(t testing.TB, client *api.Client, n int) []LoginToken {
	t.Helper()
	l := newLogins(t, client, fmt.Sprintf("logins-%d", n))
	list := make([]LoginToken, n)
	var group errgroup.Group
	group.SetLimit(8)
	for i := range list {
		group.Go(func() (err error) {
			list[i], err = l.token(fmt.Sprintf("web-%d", i%100), taskID(i), nodeARN)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return list
}

// wantLeft wants exactly these services on the node.
func wantLeft(t *testing.T, server *testenv.Consul, want []NodeService) {
	t.Helper()
	left, _, err := operated(t, server).NodeServices(t.Context(), nodeARN)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(left, byID)
	if diff := gocmp.Diff(want, left); diff != "" {
		t.Errorf("services left (-want +got):\n%s", diff)
	}
}

func TestServicesLeaveInTransactionsAndGoneOnesDoNotMatter(t *testing.T) {
	t.Parallel()
	server := aServer(t, testenv.ConsulConfig{})
	services := hang(t, server.API, 600)
	conn := operated(t, server)
	outcomes := conn.DeregisterServices(t.Context(), nodeARN, append([]NodeService{{ID: "gone", Name: "gone"}}, services[1:]...))
	if err := outcomes.Err(); err != nil || len(outcomes) != 600 {
		t.Fatalf("%d outcomes, %v", len(outcomes), err)
	}
	wantLeft(t, server, services[:1])
}

func TestARefusedServiceDoesNotKeepTheOthers(t *testing.T) {
	t.Parallel()
	server := aServer(t, testenv.ConsulConfig{})
	services := hang(t, server.API, 3)
	weak := under(t, server, `service_prefix "web" { policy = "write" } service "web-1" { policy = "read" } node_prefix "" { policy = "read" }`)
	outcomes := weak.DeregisterServices(t.Context(), nodeARN, services)
	err := outcomes.Err()
	if err == nil || outcomes[0] != nil || outcomes[2] != nil || !strings.Contains(err.Error(), "deregister service "+services[1].ID) {
		t.Errorf("outcomes %v, want the refusal of %s alone", outcomes, services[1].ID)
	}
	wantLeft(t, server, services[1:2])
}

func TestARightOnTheNodeIsEnoughToDeregister(t *testing.T) {
	t.Parallel()
	server := aServer(t, testenv.ConsulConfig{})
	services := hang(t, server.API, 300)
	narrow := under(t, server, fmt.Sprintf(`node %q { policy = "write" } service_prefix "" { policy = "read" }`, nodeARN))
	if err := narrow.DeregisterServices(t.Context(), nodeARN, services[:150]).Err(); err != nil {
		t.Fatal(err)
	}
	if !narrow.narrow.Load() {
		t.Error("it will try transactions again")
	}
	if err := narrow.DeregisterServices(t.Context(), nodeARN, append(services[150:290:290], NodeService{ID: "gone", Name: "gone"})).Err(); err != nil {
		t.Error(err)
	}
	wantLeft(t, server, services[290:])
}

func TestTokensAreDeletedEachForItself(t *testing.T) {
	t.Parallel()
	server := aServer(t, testenv.ConsulConfig{})
	list := tokens(t, server.API, 20)
	conn := operated(t, server)
	outcomes := conn.DeleteTokens(t.Context(), append([]LoginToken{{AccessorID: "not-a-uuid"}, {AccessorID: "5e7c5b4f-0000-4000-8000-000000000000"}}, list...))
	if outcomes[0] == nil || !strings.Contains(outcomes[0].Error(), "not-a-uuid") || outcomes[1:].Err() != nil {
		t.Errorf("outcomes %v, want the refusal of not-a-uuid alone", outcomes)
	}
	for _, token := range list {
		if _, _, err := server.API.ACL().TokenRead(token.AccessorID, nil); err == nil {
			t.Errorf("token %s is still there", token.AccessorID)
		}
	}
	if err := conn.DeleteTokens(t.Context(), nil).Err(); err != nil {
		t.Errorf("no tokens to delete: %v", err)
	}
}

func TestOutcomesTellEachCauseOnce(t *testing.T) {
	t.Parallel()
	outcomes := Outcomes{nil, errors.New("a"), errors.New("b"), errors.New("a")}
	if got := outcomes.Err(); got == nil || got.Error() != "a\nb\n3 of 4 removals failed" {
		t.Errorf("got %v", got)
	}
	for i := range 40 {
		outcomes = append(outcomes, fmt.Errorf("%d", i))
	}
	if n := strings.Count(outcomes.Err().Error(), "\n"); n != saidFailures {
		t.Errorf("%d lines follow the first", n)
	}
	if err := (Outcomes{nil, nil}).Err(); err != nil {
		t.Error(err)
	}
}

// lead has the connection lead by a lease.
func lead(t *testing.T, conn *Connection, node string) *lock.Lease {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	lease, err := conn.Campaign(ctx, lock.Settings{Node: node, Key: mesh.ControllerKey(node), Holder: "a", Log: hclog.NewNullLogger()})
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func TestWhoHasLostTheLockRemovesNothing(t *testing.T) {
	t.Parallel()
	server := aServer(t, testenv.ConsulConfig{})
	services, list := hang(t, server.API, 300), tokens(t, server.API, 30)
	conn := operated(t, server)
	lease := lead(t, conn, nodeARN)
	if err := conn.DeregisterServices(lease.Context(), nodeARN, services[:100]).Err(); err != nil {
		t.Errorf("while it leads: %v", err)
	}
	leader, found, err := conn.Leader(t.Context(), mesh.ControllerKey(nodeARN))
	if err != nil || !found || leader.Holder != "a" {
		t.Errorf("%v leads (%v, %v)", leader, found, err)
	}
	sessions, _, err := server.API.Session().Node(nodeARN, nil)
	if err != nil || len(sessions) != 1 {
		t.Fatal(sessions, err)
	}
	if _, err := server.API.Session().Destroy(sessions[0].ID, nil); err != nil {
		t.Fatal(err)
	}
	for i, err := range conn.DeregisterServices(lease.Context(), nodeARN, services[100:]) { // it does not know yet
		if !errors.Is(err, lock.ErrLost) {
			t.Fatalf("service %d: %v, want Consul's word that the lock is lost", i, err)
		}
	}
	if err := lease.Context().Err(); err == nil {
		t.Error("the lease goes on, though Consul has said that the lock is lost: tokens would be deleted until the next beat")
	}
	for i, err := range slices.Concat(conn.DeregisterServices(lease.Context(), nodeARN, services[100:]), conn.DeleteTokens(lease.Context(), list)) {
		if !errors.Is(err, lock.ErrLost) {
			t.Fatalf("%d: %v, want the end of the lease", i, err)
		}
	}
	wantLeft(t, server, services[100:])
	if left, _, err := conn.LoginTokens(t.Context(), "logins-30", nodeARN); err != nil || len(left) != 30 {
		t.Errorf("%d tokens are left, %v", len(left), err)
	}
}

func TestRemovalsOutliveAServersRestart(t *testing.T) {
	t.Parallel()
	server := aServer(t, testenv.ConsulConfig{})
	services, list := hang(t, server.API, 1000), tokens(t, server.API, 200)
	conn := mustConnect(t, reach(server, func(s *Settings) { s.MaxWritesPerSecond = 100 }))
	done := make(chan error, 1)
	go func() {
		done <- errors.Join(conn.DeleteTokens(t.Context(), list).Err(), conn.DeregisterServices(t.Context(), nodeARN, services).Err())
	}()
	time.Sleep(500 * time.Millisecond)
	server.Kill()
	select {
	case err := <-done:
		t.Fatal("it was done before the server ended: ", err)
	case <-time.After(2 * time.Second):
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	wantLeft(t, server, nil)
}
