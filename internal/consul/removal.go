package consul

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"golang.org/x/sync/errgroup"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/lock"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

// How much is removed at a time. Three servers on two busy cores (Consul 1.22.7) take 4,000 services off a node in 0.7 to 1.4 s
// however they are divided up, but a registration that comes meanwhile waits: for 19 ms with four transactions of 32 services
// under way, for 94 ms with four of 127, for 300 ms with eight of those. Of 1,000 tokens, 8 at a time go in 1.0 s, 4 in 1.1, 16 in 0.8.
const (
	txnServices  = 32 // Consul takes 128 operations
	txnsInFlight = 4
	removals     = 8 // of tokens, and of services that go one by one, at a time

	removalLimit = 30 * time.Second // for one write, its turn and all its tries included
	saidFailures = 10               // of many
)

// Outcomes say what became of each of a list of things that were to be removed, in its order: nil for what is gone.
type Outcomes []error

// Err joins what failed, of much that failed the first few. Causes that several have in common stand once.
func (o Outcomes) Err() error {
	var errs []error
	failed, said := 0, map[string]bool{}
	for _, err := range o {
		if err == nil {
			continue
		}
		failed++
		if text := err.Error(); !said[text] && len(said) < saidFailures {
			said[text] = true
			errs = append(errs, err)
		}
	}
	if failed > len(errs) {
		errs = append(errs, fmt.Errorf("%d of %d removals failed", failed, len(o)))
	}
	return errors.Join(errs...)
}

// DeregisterServices takes services off the node, some in one transaction. Those that Consul refuses do not
// keep the others, and those that are gone already have not failed. With a context that comes from a lease, Consul takes a
// transaction only while the lock is held. A token that may write the node but not the services has each go by itself.
func (c *Connection) DeregisterServices(ctx context.Context, node string, services []NodeService) Outcomes {
	outcomes := make(Outcomes, len(services))
	if c.narrow.Load() {
		c.each(ctx, outcomes, func(i int) error { return c.deregisterAlone(ctx, node, services[i]) })
		return outcomes
	}
	var group errgroup.Group
	group.SetLimit(txnsInFlight)
	batches := (len(services) + txnServices - 1) / txnServices
	alone := make([][]int, batches)
	for b := range batches {
		group.Go(func() error {
			alone[b] = c.deregister(ctx, node, services, b*txnServices, outcomes)
			return nil
		})
	}
	_ = group.Wait() // each outcome has its own error
	rest := slices.Concat(alone...)
	some := make(Outcomes, len(rest))
	c.each(ctx, some, func(at int) error { return c.deregisterAlone(ctx, node, services[rest[at]]) })
	for at, i := range rest {
		outcomes[i] = some[at]
		if some[at] == nil {
			c.narrow.Store(true)
		}
	}
	return outcomes
}

// DeleteTokens deletes ACL tokens. One that Consul refuses to delete does not keep the others, and those that are gone already have
// not failed.
func (c *Connection) DeleteTokens(ctx context.Context, tokens []LoginToken) Outcomes {
	outcomes := make(Outcomes, len(tokens))
	c.each(ctx, outcomes, func(i int) error { return c.deleteToken(ctx, tokens[i]) })
	return outcomes
}

// each has remove called for each outcome, some at a time. When ctx has ended, nothing more is begun.
func (c *Connection) each(ctx context.Context, outcomes Outcomes, remove func(i int) error) {
	var group errgroup.Group
	group.SetLimit(removals)
	for i := range outcomes {
		group.Go(func() error {
			if outcomes[i] = ended(ctx); outcomes[i] == nil {
				outcomes[i] = aclRefusal(remove(i))
			}
			return nil
		})
	}
	_ = group.Wait() // each outcome has its own error
}

// ended is why nothing may be sent any more; nil while something may.
func ended(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return lock.Check(ctx)
}

// deregister applies one transaction, of the batch of services that begins at first. Consul applies all of it or nothing, so it is
// sent again without the operations that were refused. It returns the indexes of the services that the token may not write.
func (c *Connection) deregister(ctx context.Context, node string, services []NodeService, first int, outcomes Outcomes) (alone []int) {
	var left []int // indexes of what is neither gone nor refused
	for i := first; i < min(first+txnServices, len(services)); i++ {
		left = append(left, i)
	}
	for len(left) > 0 {
		err := ended(ctx)
		var refused map[int]string
		if err == nil {
			refused, err = c.transact(ctx, c.deletions(ctx, node, services, left))
		}
		if err != nil {
			err = fmt.Errorf("deregister %d services of node %s: %w", len(left), node, aclRefusal(err))
			for _, i := range left {
				outcomes[i] = err
			}
			return alone
		}
		if len(refused) == 0 {
			return alone
		}
		var rest []int
		for at, i := range left {
			switch what, bad := refused[at]; {
			case !bad:
				rest = append(rest, i)
			case strings.Contains(what, "service:write"):
				alone = append(alone, i)
			default:
				outcomes[i] = fmt.Errorf("deregister service %s of node %s: %s", services[i].ID, node, what)
			}
		}
		left = rest
	}
	return alone
}

// deletions are the operations for those of the services that are left, and the fence of ctx's lease as the last.
func (c *Connection) deletions(ctx context.Context, node string, services []NodeService, left []int) api.TxnOps {
	var ops api.TxnOps
	for _, i := range left {
		service := api.AgentService{ID: services[i].ID, Service: services[i].Name}
		if c.partitioned() {
			service.Namespace, service.Partition = services[i].Namespace, c.settings.Scope.Partition
		}
		ops = append(ops, &api.TxnOp{Service: &api.ServiceTxnOp{Verb: api.ServiceDelete, Node: node, Service: service}})
	}
	if condition, ok := lock.Fence(ctx); ok {
		ops = append(ops, condition)
	}
	return ops
}

// transact writes all operations, or tells which of them were refused and why.
func (c *Connection) transact(ctx context.Context, ops api.TxnOps) (refused map[int]string, err error) {
	err = c.insist(ctx, func(ctx context.Context) error {
		ok, answer, _, err := c.http.Txn().Txn(ops, query(ctx))
		if err != nil || ok {
			return err
		}
		refused = map[int]string{}
		for _, e := range answer.Errors {
			refused[e.OpIndex] = e.What
			if ops[e.OpIndex].KV != nil {
				return lock.Lost(ctx, e.What)
			}
		}
		if len(refused) == 0 {
			return errors.New("refused without a reason")
		}
		return nil
	})
	return refused, err
}

// deregisterAlone takes one service off the node, for which a token needs no right on the service.
func (c *Connection) deregisterAlone(ctx context.Context, node string, s NodeService) error {
	entry := &api.CatalogDeregistration{Node: node, ServiceID: s.ID}
	if c.partitioned() {
		entry.Namespace, entry.Partition = s.Namespace, c.settings.Scope.Partition
	}
	return c.insist(c.inNamespace(ctx, s.Namespace), func(ctx context.Context) error {
		_, err := c.http.Catalog().Deregister(entry, write(ctx))
		if err == nil || isGone(err) {
			return nil
		}
		return fmt.Errorf("deregister service %s of node %s: %w", s.ID, node, err)
	})
}

// isGone reports whether Consul does not know what was to be removed.
func isGone(err error) bool {
	return hasStatus(err, http.StatusNotFound) || strings.Contains(err.Error(), "Unknown service ID")
}

// insist has a removal done again while there is no answer: that it may have been done already makes no difference to it.
func (c *Connection) insist(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, removalLimit)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		err := do(ctx)
		var refusal *Refusal
		if !isUnanswered(err) || errors.As(err, &refusal) && refusal.Tries != 0 || ended(ctx) != nil {
			return err
		}
		if c.pace != nil {
			c.pace.slower()
		}
		if !sleep.For(ctx, pause/2+rand.N(pause)) {
			return err
		}
	}
}
