package consul

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

const (
	watchFor   = 5 * time.Minute         // how long a query waits for a change; Consul adds a sixteenth at the most
	watchSlack = 10 * time.Second        // for the answer after that
	watchPause = 1300 * time.Millisecond // between two rounds; from half of it to one and a half
	tellSpread = 500 * time.Millisecond  // over which the tasks tell what they have all seen at the same time
	nodeSpread = 2 * time.Second         // the same for a node that is back: each task now writes
)

// Watch calls changed when the checks of the registration have become others, or fewer, than they were, and when the node
// is back that they were lost with. It goes on until ctx ends. What it says is a hint from whichever server it asks;
// Lookup knows. It costs Consul reads alone.
//
// Consul has no blocking query for one instance of a service: those for a node wake with every task of the ECS cluster,
// those for a service with all of its instances, and a filter makes the answer smaller but no wake-up rarer. Of the latter,
// the checks of a service are the cheapest that miss nothing: a service that goes takes its checks with it, and so does a
// node. One answer costs a server 0.25 ms where the service has 500 instances with two checks each (Consul 1.22.7), a
// tenth of what the service's instances cost with theirs. Service and proxy have names of their own, so there are two
// queries; over HTTP/2 they share one connection with all other calls.
//
// While a large service is being replaced, every change wakes all of its tasks. So a round is two queries, one for what is
// there and one that waits, and then a pause. Asking after the pause for changes since the round before would not do: the
// index is one of all checks in the catalog, which in a busy mesh has always moved.
func (c *Connection) Watch(ctx context.Context, r Registration, changed func()) {
	var all sync.WaitGroup
	for _, s := range r.entries() {
		all.Go(func() { c.watchChecks(ctx, r, s, changed) })
	}
	all.Wait()
}

// watchChecks is Watch for one of the services or proxies.
func (c *Connection) watchChecks(ctx context.Context, r Registration, s api.AgentService, changed func()) {
	complete := 0
	for _, check := range r.Checks {
		if check.ServiceID == s.ID {
			complete++
		}
	}
	var last map[string]string
	compare := func(now map[string]string) {
		first := last == nil && len(now) == complete
		if !first && !maps.Equal(last, now) && sleep.For(ctx, rand.N(tellSpread)) {
			changed()
		}
		last = now
	}
	for pause := watchPause; sleep.For(ctx, pause/2+rand.N(pause)); {
		now, index, err := c.checksOf(ctx, r.Node, s, 0)
		if err == nil {
			compare(now)
			if len(now) == 0 && s.ID == r.ProxyID { // one of the two is enough
				err = c.awaitNode(ctx, r.Node, changed)
			}
		}
		if err == nil {
			if now, _, err = c.checksOf(ctx, r.Node, s, index); err == nil {
				compare(now)
			}
		}
		switch {
		case err == nil:
			pause = watchPause
		case ctx.Err() == nil:
			pause = min(2*pause, maxPause)
			c.log.Debug("registration not watched, will retry", agentlog.Fields(err)...)
		}
	}
}

// checksOf reads the statuses of the checks of the node's service, by ID. An index other than 0 makes it wait until
// something has changed since, among all instances of the service.
func (c *Connection) checksOf(ctx context.Context, node string, s api.AgentService, index uint64) (map[string]string, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience(index))
	defer cancel()
	list, meta, err := c.http.Health().Checks(s.Service, waiting(ctx, index, fmt.Sprintf("ServiceID == %q and Node == %q", s.ID, node)))
	if err != nil {
		return nil, 0, fmt.Errorf("watch the checks of %s: %w", s.ID, err)
	}
	statuses := map[string]string{}
	for _, check := range list {
		statuses[check.CheckID] = check.Status
	}
	return statuses, meta.LastIndex, nil
}

// awaitNode returns at once if the node is in the catalog. Else it waits until it is, and then calls changed.
func (c *Connection) awaitNode(ctx context.Context, node string, changed func()) error {
	for index := uint64(0); ; {
		found, next, err := c.nodeIs(ctx, node, index)
		switch {
		case err != nil:
			return err
		case found && index == 0:
			return nil
		case found:
			if sleep.For(ctx, rand.N(nodeSpread)) {
				changed()
			}
			return nil
		}
		if index = next; !sleep.For(ctx, rand.N(watchPause)) {
			return context.Cause(ctx)
		}
	}
}

// nodeIs reports whether the node is in the catalog. An index other than 0 makes it wait until some node has changed since.
func (c *Connection) nodeIs(ctx context.Context, node string, index uint64) (bool, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience(index))
	defer cancel()
	list, meta, err := c.http.Catalog().Nodes(waiting(ctx, index, fmt.Sprintf("Node == %q", node)))
	if err != nil {
		return false, 0, fmt.Errorf("watch node %s: %w", node, err)
	}
	return len(list) > 0, meta.LastIndex, nil
}

// patience is how long a query may take: one that waits is not held to the time of a call.
func patience(index uint64) time.Duration {
	if index == 0 {
		return callTimeout
	}
	return watchFor + watchFor/16 + watchSlack
}

// waiting is a query that any server may answer.
func waiting(ctx context.Context, index uint64, filter string) *api.QueryOptions {
	return (&api.QueryOptions{AllowStale: true, Filter: filter, WaitIndex: index, WaitTime: watchFor}).WithContext(ctx)
}
