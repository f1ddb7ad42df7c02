package controller

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// How soon the ACL objects are looked at again: soon after something was written, as Consul's API lets two controllers
// overwrite each other's changes to the auth method they share.
const (
	ensureEvery = 10 * time.Minute
	ensureAgain = 5 * time.Second
)

// keeper keeps Consul in step with one ECS cluster.
type keeper struct {
	task   taskmeta.Task // the controller's own
	method consul.AuthMethod
	consul *consul.Connection
	ecs    ecsView
	log    hclog.Logger

	absent   map[string]time.Time // since when ECS has not known a task, by its ID
	ensureAt time.Time            // when to prepare Consul again
	open     bool                 // Consul's ACL system is off: there are no tokens
}

// pass compares Consul with ECS once and mends what differs. It reads Consul first: whatever is there then belongs to a
// task that ECS already knows.
func (k *keeper) pass(ctx context.Context) error {
	services, found, err := k.consul.NodeServices(ctx, k.task.ClusterARN)
	if err != nil {
		return err
	}
	if !found || !time.Now().Before(k.ensureAt) { // where the node is lost, more may be
		if err := k.prepare(ctx); err != nil {
			return err
		}
	}
	tokens, err := k.tokens(ctx)
	if err != nil {
		return err
	}
	held := holdings(services, tokens)
	delete(held, k.task.ID) // a controller that logged in removes its own token when it ends
	if len(held) == 0 {
		return nil
	}
	return k.reap(ctx, held)
}

// tokens are those of tasks. Where there are no ACLs, there are none.
func (k *keeper) tokens(ctx context.Context) ([]consul.LoginToken, error) {
	if k.open {
		return nil, nil
	}
	return k.consul.LoginTokens(ctx, k.method.Name, k.task.ClusterARN)
}

// prepare makes sure of everything in Consul that tasks need.
func (k *keeper) prepare(ctx context.Context) error {
	changes, err := k.consul.EnsureACL(ctx, k.method)
	switch {
	case errors.Is(err, consul.ErrNoACLs):
		if !k.open {
			k.log.Warn("the ACL system of Consul is off: nothing to prepare for logins, only the services of dead tasks are removed",
				"hint", "set acl.enabled in the configuration of Consul's servers: now whoever reaches them can change everything")
		}
		k.open, err = true, nil
	case err == nil:
		k.open = false
	}
	again := ensureEvery
	for _, change := range changes {
		if change.Verb == consul.ChangeKept {
			k.log.Info("ACL object differs from ours and was kept", "kind", change.Kind, "name", change.Name)
			continue
		}
		k.log.Info("ACL object written", "verb", change.Verb, "kind", change.Kind, "name", change.Name)
		again = ensureAgain
	}
	if err != nil {
		return err
	}
	wrote, err := k.consul.EnsureNode(ctx, k.task.ClusterARN, k.task.Address)
	if err != nil {
		return err
	}
	if wrote {
		k.log.Info("synthetic node registered", "ecs_cluster", k.task.ClusterARN, "address", k.task.Address)
	}
	k.ensureAt = time.Now().Add(again)
	return nil
}

// reap removes what dead tasks left behind.
func (k *keeper) reap(ctx context.Context, held map[string]*holding) error {
	verdicts, err := k.ecs.look(ctx, slices.Collect(maps.Keys(held)))
	if verdicts == nil {
		return err
	}
	now, budget := time.Now(), brake(len(held))
	absences(k.absent, held, verdicts, now)
	return errors.Join(
		err,
		k.remove(ctx, with(held, verdicts, stopped), &budget, "ECS says that the task has stopped"),
		k.remove(ctx, longAbsent(with(held, verdicts, missing), k.absent, now), &budget, "ECS has not known the task for a minute"),
	)
}

// remove takes as many tasks out of Consul as the budget has left, services before tokens so that traffic stops first.
func (k *keeper) remove(ctx context.Context, dead []*holding, budget *int, why string) error {
	if len(dead) > *budget {
		k.log.Warn("removals held back until the next pass", "removed", *budget, "held_back", len(dead)-*budget, "why", why)
		dead = dead[:*budget]
	}
	*budget -= len(dead)
	var services []consul.NodeService
	var tokens []consul.LoginToken
	for _, h := range dead {
		services = append(services, h.services...)
		tokens = append(tokens, h.tokens...)
		k.log.Info("dead task found", "task_id", h.taskID, "services", len(h.services), "tokens", len(h.tokens), "why", why)
	}
	return errors.Join(
		k.consul.DeregisterServices(ctx, k.task.ClusterARN, services).Err(),
		k.consul.DeleteTokens(ctx, tokens).Err(),
	)
}
