// Package holdings is what Consul holds for the tasks of an ECS cluster, in the words of package reap: for the controller, and for
// whoever removes the leavings of dead tasks from outside.
package holdings

import (
	"context"
	"errors"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/reap"
)

// Sort sorts services and tokens by their tasks. What has no task at all stands under "", and is nobody's here.
func Sort(services []consul.NodeService, tokens []consul.LoginToken) map[string]reap.Holding {
	held := map[string]reap.Holding{}
	for _, s := range services {
		h := held[s.TaskID]
		h.TaskID = s.TaskID
		h.Services = append(h.Services, reap.Service{ID: s.ID, Name: s.Name, Namespace: s.Namespace})
		held[s.TaskID] = h
	}
	for _, t := range tokens {
		h := held[t.TaskID]
		h.TaskID = t.TaskID
		h.Tokens = append(h.Tokens, reap.Token{AccessorID: t.AccessorID, Namespace: t.Namespace})
		held[t.TaskID] = h
	}
	return held
}

// Remove takes services off the node, so that traffic stops, and then deletes tokens. It does what reap.Catalog promises of its Remove.
func Remove(ctx context.Context, c *consul.Connection, node string, removals []reap.Removal) (removed []reap.Removal, err error) {
	var services []consul.NodeService
	var tokens []consul.LoginToken
	for _, r := range removals {
		for _, s := range r.Services {
			services = append(services, consul.NodeService{ID: s.ID, Name: s.Name, TaskID: r.TaskID, Namespace: s.Namespace})
		}
		for _, t := range r.Tokens {
			tokens = append(tokens, consul.LoginToken{AccessorID: t.AccessorID, TaskID: r.TaskID, Namespace: t.Namespace})
		}
	}
	left := map[string]bool{}
	gone := c.DeregisterServices(ctx, node, services)
	for i, s := range services {
		left[s.TaskID] = left[s.TaskID] || gone[i] != nil
	}
	deleted := c.DeleteTokens(ctx, tokens)
	for i, t := range tokens {
		left[t.TaskID] = left[t.TaskID] || deleted[i] != nil
	}
	for _, r := range removals {
		if !left[r.TaskID] {
			removed = append(removed, r)
		}
	}
	return removed, errors.Join(gone.Err(), deleted.Err())
}

// Catalog is all of that for one look from outside, which remembers nothing. It implements reap.Catalog.
type Catalog struct {
	Consul *consul.Connection
	Node   string // ARN of the ECS cluster, which the synthetic node is named by
	Method string // auth method whose tokens are removed, too; "": none are
}

// All implements reap.Catalog. A node that is not there holds nothing.
func (c Catalog) All(ctx context.Context) (map[string]reap.Holding, error) {
	services, _, err := c.Consul.NodeServices(ctx, c.Node)
	if err != nil || c.Method == "" {
		return Sort(services, nil), err
	}
	tokens, _, err := c.Consul.LoginTokens(ctx, c.Method, c.Node)
	if err != nil {
		return nil, err
	}
	return Sort(services, tokens), nil
}

// Of implements reap.Catalog.
func (c Catalog) Of(ctx context.Context, taskIDs []string) (map[string]reap.Holding, error) {
	services, _, err := c.Consul.ServicesOf(ctx, c.Node, taskIDs)
	if err != nil || c.Method == "" {
		return Sort(services, nil), err
	}
	tokens, err := c.Consul.LoginTokensOf(ctx, c.Method, c.Node, taskIDs, services)
	if err != nil {
		return nil, err
	}
	return Sort(services, tokens), nil
}

// Remove implements reap.Catalog.
func (c Catalog) Remove(ctx context.Context, removals []reap.Removal) ([]reap.Removal, error) {
	return Remove(ctx, c.Consul, c.Node, removals)
}
