package controller

import (
	"context"
	"sync"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/holdings"
	"github.com/consulecs/terraform-provider-consulecs/internal/reap"
)

// How many instances a service may have for its tokens to be listed when a few of its tasks die. Consul lists tokens by what they
// are for, not by their tasks, so what a list costs grows with the service. Where the last full look knows a task's tokens, only those
// of a small service are listed besides (70 KB), for the task may have logged in again since; else more is worth it (0.7 MB).
const (
	fewInstances  = 50
	someInstances = 500
)

// catalog is what Consul holds for the tasks of one ECS cluster.
type catalog struct {
	keeper *keeper
	node   string // ARN of the ECS cluster, which the synthetic node is named by

	mu        sync.Mutex
	tokens    map[string][]reap.Token // by task ID, as the last full look found them
	instances map[string]int          // of services, by their names, at that look
}

// All reads everything that Consul holds. A node that is not there is put back: without it no task can register.
func (c *catalog) All(ctx context.Context) (map[string]reap.Holding, error) {
	services, found, err := c.keeper.consul.NodeServices(ctx, c.node)
	if err != nil {
		return nil, err
	}
	if !found { // where the node is lost, more may be
		if err := c.keeper.prepare(ctx); err != nil {
			return nil, err
		}
	}
	var tokens []consul.LoginToken
	others := 0
	if c.keeper.reapsTokens() {
		if tokens, others, err = c.keeper.consul.LoginTokens(ctx, c.keeper.rights.want.Method.Name, c.node); err != nil {
			return nil, err
		}
	}
	held := holdings.Sort(services, tokens)
	c.remember(services, held)
	c.keeper.knows(c.node, held, others)
	return held, nil
}

// Of reads what Consul holds for a few tasks. Tokens that were made since the last full look are left to the next one where
// their service is large, and where they are for something else than the service, as with a binding rule of an operator's.
func (c *catalog) Of(ctx context.Context, taskIDs []string) (map[string]reap.Holding, error) {
	services, _, err := c.keeper.consul.ServicesOf(ctx, c.node, taskIDs)
	if err != nil || !c.keeper.reapsTokens() {
		return holdings.Sort(services, nil), err
	}
	tokens, unsure := c.known(services, taskIDs)
	if len(unsure) > 0 {
		listed, err := c.keeper.consul.LoginTokensOf(ctx, c.keeper.rights.want.Method.Name, c.node, taskIDs, unsure)
		if err != nil {
			return nil, err
		}
		tokens = withOthers(tokens, listed)
	}
	return holdings.Sort(services, tokens), nil
}

// remember keeps of a full look what saves reading it again for a single task.
func (c *catalog) remember(services []consul.NodeService, held map[string]reap.Holding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.instances, c.tokens = map[string]int{}, map[string][]reap.Token{}
	for _, s := range services {
		c.instances[s.Name]++
	}
	for id, h := range held {
		if len(h.Tokens) > 0 {
			c.tokens[id] = h.Tokens
		}
	}
}

// known are the tokens that the last full look found of tasks, and the services whose tokens are to be listed besides.
func (c *catalog) known(services []consul.NodeService, taskIDs []string) (tokens []consul.LoginToken, unsure []consul.NodeService) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range taskIDs { // also of a task that has deregistered itself, or never registered
		for _, t := range c.tokens[id] {
			tokens = append(tokens, consul.LoginToken{AccessorID: t.AccessorID, TaskID: id, Namespace: t.Namespace})
		}
	}
	for _, s := range services {
		if n := c.instances[s.Name]; n <= fewInstances || n <= someInstances && len(c.tokens[s.TaskID]) == 0 {
			unsure = append(unsure, s)
		}
	}
	return tokens, unsure
}

// forget drops the tokens of tasks that nothing is left of: an event that comes twice finds nothing then.
func (c *catalog) forget(removed []reap.Removal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range removed {
		delete(c.tokens, r.TaskID)
	}
}

// withOthers are the tokens, and those of the others that are not among them.
func withOthers(tokens, others []consul.LoginToken) []consul.LoginToken {
	have := map[string]bool{}
	for _, t := range tokens {
		have[t.AccessorID] = true
	}
	for _, t := range others {
		if !have[t.AccessorID] {
			tokens = append(tokens, t)
		}
	}
	return tokens
}

// Remove takes services out of the catalog, so that traffic stops, and then deletes tokens.
func (c *catalog) Remove(ctx context.Context, removals []reap.Removal) (removed []reap.Removal, err error) {
	removed, err = holdings.Remove(ctx, c.keeper.consul, c.node, removals)
	c.forget(removed)
	return removed, err
}
