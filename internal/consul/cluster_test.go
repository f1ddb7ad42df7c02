package consul

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/lock"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// threeServers are one datacenter. The first is the leader.
func threeServers(t *testing.T, addresses ...string) []*testenv.Consul {
	t.Helper()
	servers, err := testenv.StartConsulCluster(t.Context(), testenv.ConsulConfig{Plaintext: true, UsualPorts: true}, addresses...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, s := range servers {
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
		}
	})
	return servers
}

// toAll is a connection to all the servers.
func toAll(t *testing.T, servers []*testenv.Consul) *Connection {
	t.Helper()
	var addresses []string
	for _, s := range servers {
		addresses = append(addresses, s.Address)
	}
	return mustConnect(t, Settings{
		Hosts: "exec=echo " + strings.Join(addresses, " "), Token: servers[0].BootstrapToken, MaxWritesPerSecond: 400,
		HTTP: agentconfig.Endpoint{Port: mesh.PortConsulHTTP}, GRPC: agentconfig.Endpoint{Port: mesh.PortConsulGRPC},
	})
}

// leaders are contenders in this process that campaign again and again.
type leaders struct {
	mu      sync.Mutex
	current *lock.Lease
	two     bool // at the same time
	changed chan string
}

// join has one more contender campaign until ctx ends.
func (l *leaders) join(ctx context.Context, t *testing.T, conn *Connection, holder string) {
	log := hclog.New(&hclog.LoggerOptions{Name: holder, Output: t.Output()})
	for {
		lease, err := conn.Campaign(ctx, lock.Settings{Node: nodeARN, Key: mesh.ControllerKey(nodeARN), Holder: holder, Log: log})
		if err != nil {
			return
		}
		l.mu.Lock()
		l.two = l.two || l.current != nil && lock.Check(l.current.Context()) == nil && l.current.Context().Err() == nil
		l.current = lease
		l.mu.Unlock()
		l.changed <- holder
		<-lease.Context().Done()
		l.changed <- ""
		_ = lease.Release(context.WithoutCancel(ctx)) // Consul may be gone
	}
}

// await waits for a leader, or for its end, and tells how long it took.
func (l *leaders) await(t *testing.T, what string, leads bool, limit time.Duration) {
	t.Helper()
	start := time.Now()
	for {
		select {
		case holder := <-l.changed:
			t.Logf("%s: %q leads after %s", what, holder, time.Since(start).Round(time.Millisecond))
			if (holder != "") == leads {
				return
			}
		case <-time.After(limit - time.Since(start)):
			t.Fatalf("%s: waited for %s", what, limit)
		}
	}
}

func TestConsulsOwnTroublesMakeNoTwoLeaders(t *testing.T) {
	t.Parallel()
	servers := threeServers(t, "127.0.0.41", "127.0.0.42", "127.0.0.43")
	services := hang(t, servers[0].API, 2000)
	contenders := &leaders{changed: make(chan string, 100)}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for _, holder := range []string{"a", "b"} {
		conn := toAll(t, servers)
		running.Go(func() { contenders.join(ctx, t, conn, holder) })
	}
	contenders.await(t, "at the start", true, 20*time.Second)

	lease := contenders.current
	servers[0].Kill() // Raft's leader
	outcomes := toAll(t, servers[1:]).DeregisterServices(lease.Context(), nodeARN, services)
	if err := outcomes.Err(); err != nil && lease.Context().Err() == nil {
		t.Errorf("the loss of Raft's leader made removals fail: %v", err)
	}
	t.Logf("after the loss of Raft's leader: removals %v, lease %v", outcomes.Err(), context.Cause(lease.Context()))

	servers[1].Kill() // now there is no majority
	if lease.Context().Err() == nil {
		contenders.await(t, "without a majority", false, 12*time.Second)
	}
	var back errgroup.Group // together: the others may have taken the first for dead and voted it out, so that it has no leader alone
	for _, s := range servers[:2] {
		back.Go(func() error { return s.Restart(t.Context()) })
	}
	if err := back.Wait(); err != nil {
		t.Fatal(err)
	}
	contenders.await(t, "after the restart", true, 60*time.Second)
	if contenders.two {
		t.Error("two led at the same time")
	}
}
