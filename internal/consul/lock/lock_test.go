package lock_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/lock"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

func TestMain(m *testing.M) {
	if os.Getenv(contending) != "" {
		contend()
		return
	}
	os.Exit(m.Run())
}

// ground is a Consul and what is campaigned for on it.
type ground struct {
	server   *testenv.Consul
	operator *api.Client
	orders   // with a token that may do no more than it has to
}

// aGround starts a Consul with a synthetic node.
func aGround(t *testing.T, cfg testenv.ConsulConfig) ground {
	t.Helper()
	cfg.Plaintext = true
	server := testenv.ConsulDuring(t, cfg)
	node := "arn:aws:ecs:us-east-1:123456789012:cluster/mesh"
	g := ground{server: server, operator: server.API, orders: orders{
		Address: fmt.Sprintf("%s:%d", server.Address, server.HTTPPort), Node: node, Key: mesh.ControllerKey(node),
	}}
	if err := g.makeNode(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !cfg.Open {
		rules := fmt.Sprintf(`session %q { policy = "write" } key %q { policy = "write" }`, node, g.Key)
		if _, _, err := server.API.ACL().PolicyCreate(&api.ACLPolicy{Name: "lock", Rules: rules}, nil); err != nil {
			t.Fatal(err)
		}
		token, _, err := server.API.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{Name: "lock"}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		g.Token = token.SecretID
	}
	return g
}

func (g ground) makeNode(ctx context.Context) error {
	_, err := g.operator.Catalog().Register(&api.CatalogRegistration{Node: g.Node, Address: "10.0.0.7"}, (&api.WriteOptions{}).WithContext(ctx))
	return err
}

// as is the orders for a holder.
func (g ground) as(holder string) orders {
	o := g.orders
	o.Holder = holder
	return o
}

// campaign is that of a contender in this process, until it leads.
func (g ground) campaign(t *testing.T, holder string) *lock.Lease {
	t.Helper()
	client, err := api.NewClient(&api.Config{Address: g.Address, Token: g.Token})
	if err != nil {
		t.Fatal(err)
	}
	lease, err := lock.Campaign(t.Context(), client, lock.Settings{
		Node: g.Node, Key: g.Key, Holder: holder, Address: "10.0.0.8", MakeNode: g.makeNode,
		Log: hclog.New(&hclog.LoggerOptions{Name: holder, Output: t.Output()}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

// ends waits for the lease's end, and returns how long it took.
func ends(t *testing.T, lease *lock.Lease, limit time.Duration, why error) time.Duration {
	t.Helper()
	start := time.Now()
	select {
	case <-lease.Context().Done():
	case <-time.After(limit):
		t.Fatalf("the lease has not ended after %s", limit)
	}
	if cause := context.Cause(lease.Context()); !errors.Is(cause, why) {
		t.Errorf("the lease ended for %v, want %v", cause, why)
	}
	return time.Since(start)
}

func (g ground) session(t *testing.T) string {
	t.Helper()
	pair, _, err := g.operator.KV().Get(g.Key, nil)
	if err != nil || pair == nil {
		t.Fatal("the key is not there: ", err)
	}
	return pair.Session
}

// bound is how soon after a leader's death another one has to lead.
const bound = 15 * time.Second

func TestALeaderThatIsKilledIsFollowedInTime(t *testing.T) {
	t.Parallel()
	g := aGround(t, testenv.ConsulConfig{})
	w := &witness{}
	contenders := map[string]*contender{}
	for _, holder := range []string{"a", "b", "c"} {
		contenders[holder] = w.start(t, g.as(holder))
	}
	first, _ := w.await(t, "", 2*bound)
	time.Sleep(rand.N(4 * time.Second)) // of one beat
	killed := now()
	contenders[first].end(syscall.SIGKILL)
	second, led := w.await(t, first, 2*bound)
	t.Logf("%s follows %s after %s", second, first, led-killed)
	if led-killed > bound {
		t.Errorf("it took more than %s", bound)
	}
	ended := now()
	contenders[second].signal(syscall.SIGTERM)
	third, led := w.await(t, second, bound)
	t.Logf("%s is handed the lock by %s after %s", third, second, led-ended)
	if led-ended > time.Second {
		t.Error("it took more than a second")
	}
	leader, found, err := lock.Look(t.Context(), g.operator, g.Key)
	if err != nil || !found || leader.Holder != third {
		t.Errorf("Consul says that %v leads (%v, %v), want %s", leader, found, err, third)
	}
	w.check(t)
}

func TestNobodyActsAfterAnotherHasBegunToLead(t *testing.T) {
	t.Parallel()
	g := aGround(t, testenv.ConsulConfig{Open: true})
	w := &witness{}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	names := []string{"a", "b", "c"}
	running := map[string]*contender{}
	for _, holder := range names {
		running[holder] = w.start(t, g.as(holder))
	}
	w.await(t, "", 2*bound)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Duration(dice.IntN(3000)) * time.Millisecond) {
		holder, _ := w.leader()
		if holder == "" || dice.IntN(4) == 0 {
			holder = names[dice.IntN(len(names))]
		}
		c := running[holder]
		switch dice.IntN(4) {
		case 0:
			c.end(syscall.SIGKILL)
			running[holder] = w.start(t, g.as(holder))
		case 1:
			c.end(syscall.SIGTERM)
			running[holder] = w.start(t, g.as(holder))
		default: // it is asleep for shorter and for longer than it may trust its lease
			c.signal(syscall.SIGSTOP)
			time.Sleep(time.Duration(dice.IntN(20000)) * time.Millisecond)
			c.signal(syscall.SIGCONT)
		}
	}
	for _, c := range running {
		c.end(syscall.SIGTERM)
	}
	terms, acts := w.check(t)
	t.Logf("%d terms, %d acts", terms, acts)
	if terms < 3 || acts < 500 {
		t.Error("too little has happened for this to say anything")
	}
}

func TestALeaderThatWasAsleepKnowsAtOnce(t *testing.T) {
	t.Parallel()
	g := aGround(t, testenv.ConsulConfig{})
	w := &witness{}
	a := w.start(t, g.as("a"))
	w.await(t, "", 2*bound)
	b := w.start(t, g.as("b"))
	a.signal(syscall.SIGSTOP)
	slept := now()
	_, led := w.await(t, "a", 2*bound)
	time.Sleep(20*time.Second - (now() - slept))
	woken := now()
	a.signal(syscall.SIGCONT)
	for start := time.Now(); time.Since(start) < 5*time.Second; time.Sleep(10 * time.Millisecond) {
		if notes := w.all(); notes[len(notes)-1].Verb == "ended" {
			break
		}
	}
	b.end(syscall.SIGTERM)
	fence := 0
	for _, n := range w.all() {
		if n.Holder == "a" && n.Verb == "acts" && n.At > led && n.At < led+30*time.Second && n.Term < termOf(w, "b") {
			fence++
		}
	}
	if terms, acts := w.check(t); fence != 0 || terms < 2 || acts == 0 {
		t.Errorf("a acted %d times between b's lead and its own next (asleep from %s to %s, b led at %s)", fence, slept, woken, led)
	}
}

// termOf is the holder's first term.
func termOf(w *witness, holder string) uint64 {
	for _, n := range w.all() {
		if n.Holder == holder && n.Verb == "leads" {
			return n.Term
		}
	}
	return 0
}

func TestWhatAnOperatorDoesEndsTheLease(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(*testing.T, ground) error{
		"session destroyed": func(t *testing.T, g ground) error {
			_, err := g.operator.Session().Destroy(g.session(t), nil)
			return err
		},
		"key deleted": func(t *testing.T, g ground) error {
			_, err := g.operator.KV().Delete(g.Key, nil)
			return err
		},
		"node deregistered": func(t *testing.T, g ground) error {
			_, err := g.operator.Catalog().Deregister(&api.CatalogDeregistration{Node: g.Node}, nil)
			return err
		},
		"key taken": func(t *testing.T, g ground) error {
			session := g.session(t)
			if _, _, err := g.operator.KV().Release(&api.KVPair{Key: g.Key, Session: session, Value: []byte("mine")}, nil); err != nil {
				return err
			}
			other, _, err := g.operator.Session().CreateNoChecks(&api.SessionEntry{Node: g.Node, LockDelay: time.Millisecond}, nil)
			if err != nil {
				return err
			}
			held, _, err := g.operator.KV().Acquire(&api.KVPair{Key: g.Key, Session: other, Value: []byte("mine")}, nil)
			if !held {
				t.Error("the operator does not get the key")
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := aGround(t, testenv.ConsulConfig{})
			lease := g.campaign(t, "a")
			follower := make(chan *lock.Lease, 1)
			go func() { follower <- g.campaign(t, "b") }()
			time.Sleep(time.Second) // b waits by now
			if err := do(t, g); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			t.Logf("the lease ends after %s", ends(t, lease, 8*time.Second, lock.ErrLost))
			if err := lease.Release(t.Context()); err != nil {
				t.Error(err)
			}
			select {
			case next := <-follower:
				t.Logf("b leads after %s", time.Since(start))
				if next.Term() <= lease.Term() {
					t.Errorf("term %d follows %d", next.Term(), lease.Term())
				}
				if err := next.Release(t.Context()); err != nil {
					t.Error(err)
				}
			case <-time.After(2 * bound):
				t.Fatal("nobody follows")
			}
		})
	}
}

func TestALostTokenEndsTheLeaseInTime(t *testing.T) {
	t.Parallel()
	g := aGround(t, testenv.ConsulConfig{})
	lease := g.campaign(t, "a")
	self, _, err := g.operator.ACL().TokenReadSelf(&api.QueryOptions{Token: g.Token})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.operator.ACL().TokenDelete(self.AccessorID, nil); err != nil {
		t.Fatal(err)
	}
	t.Logf("the lease ends after %s", ends(t, lease, 9*time.Second, lock.ErrUntrusted))
	if err := lease.Release(t.Context()); err == nil || !strings.Contains(err.Error(), "ACL not found") {
		t.Errorf("released with %v, want Consul's refusal", err)
	}
}

func TestAServerThatIsSilentEndsTheLeaseAndIsOutlived(t *testing.T) {
	t.Parallel()
	g := aGround(t, testenv.ConsulConfig{Open: true})
	lease := g.campaign(t, "a")
	g.server.Kill()
	t.Logf("the lease ends after %s", ends(t, lease, 9*time.Second, lock.ErrUntrusted))
	next := make(chan *lock.Lease, 1)
	go func() { next <- g.campaign(t, "a") }()
	time.Sleep(time.Second)
	if err := g.server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	again := <-next
	t.Logf("it leads again %s after Consul is back", time.Since(start))
	if took := time.Since(start); took > bound {
		t.Errorf("it took %s", took)
	}
	if err := again.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestALeaderSaysWhoItIsAndAHandedOverLockIsNobodys(t *testing.T) {
	t.Parallel()
	g := aGround(t, testenv.ConsulConfig{})
	if _, found, err := lock.Look(t.Context(), g.operator, g.Key); found || err != nil {
		t.Errorf("before anybody campaigned: %v, %v", found, err)
	}
	start := time.Now()
	lease := g.campaign(t, "arn:task/a")
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("the first of all waited for %s", took)
	}
	leader, found, err := lock.Look(t.Context(), g.operator, g.Key)
	if err != nil || !found || leader.Holder != "arn:task/a" || leader.Address != "10.0.0.8" || time.Since(leader.Since) > time.Minute {
		t.Errorf("%+v leads (%v, %v)", leader, found, err)
	}
	if condition, ok := lock.Fence(lease.Context()); !ok || condition.KV.Session != g.session(t) {
		t.Errorf("the fence is %+v", condition)
	}
	if err := lock.Check(lease.Context()); err != nil {
		t.Error(err)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if !errors.Is(context.Cause(lease.Context()), lock.ErrReleased) || lease.Context().Err() == nil {
		t.Error("the lease has not ended")
	}
	if _, found, err := lock.Look(t.Context(), g.operator, g.Key); found || err != nil {
		t.Errorf("after the hand-over: %v, %v", found, err)
	}
	sessions, _, err := g.operator.Session().Node(g.Node, nil)
	if err != nil || len(sessions) != 0 {
		t.Errorf("%d sessions are left, %v", len(sessions), err)
	}
	if _, ok := lock.Fence(t.Context()); ok || lock.Check(t.Context()) != nil {
		t.Error("a context that is no lease's has a condition")
	}
}

func TestACampaignEndsWithItsContext(t *testing.T) {
	t.Parallel()
	g := aGround(t, testenv.ConsulConfig{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	client, err := api.NewClient(&api.Config{Address: g.Address, Token: g.Token})
	if err != nil {
		t.Fatal(err)
	}
	_, err = lock.Campaign(ctx, client, lock.Settings{Node: g.Node + "-2", Key: g.Key, Holder: "a", Log: hclog.NewNullLogger()})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "session:write") {
		t.Errorf("Campaign = %v, want the deadline and Consul's refusal", err)
	}
}
