package controller

import (
	"context"
	"errors"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
)

// How soon the ACL objects are looked at again: soon after something was written, as Consul's API lets two controllers
// overwrite each other's changes to the auth method they share.
const (
	prepareEvery = 10 * time.Minute
	prepareAgain = 5 * time.Second
)

// prepare makes sure of everything in Consul that tasks need.
func (k *keeper) prepare(ctx context.Context) error {
	changes, err := k.rights.ensure(ctx, k.consul)
	switch {
	case errors.Is(err, consul.ErrNoACLs):
		if !k.state.get().open {
			k.log.Warn("the ACL system of Consul is off: nothing to prepare for logins, only the services of dead tasks are removed",
				"hint", "set acl.enabled in the configuration of Consul's servers: now whoever reaches them can change everything")
		}
		k.state.set(func(s *standing) { s.open = true })
		err = nil
	case err == nil:
		k.state.set(func(s *standing) { s.open = false })
	}
	again := prepareEvery
	if tell(k.log, changes, k.said) {
		again = prepareAgain
	}
	k.counts.ACLPrepared(count(changes))
	if err != nil {
		return err
	}
	for _, ecsCluster := range k.ecsClusters() {
		if err := k.ensureNode(ctx, ecsCluster); err != nil {
			return err
		}
	}
	k.state.set(func(s *standing) { s.prepareAt = time.Now().Add(again) })
	return nil
}

// ensureNode registers the synthetic node of an ECS cluster, unless it is there. Its address is the leader's: it is the one that
// prepares Consul again and again.
func (k *keeper) ensureNode(ctx context.Context, ecsCluster string) error {
	wrote, err := k.consul.EnsureNode(ctx, ecsCluster, k.task.Address)
	if err != nil {
		return err
	}
	if wrote {
		k.log.Info("synthetic node registered", "ecs_cluster", ecsCluster, "address", k.task.Address)
	}
	return nil
}

// makesNamespaces reports whether namespaces are the controller's to make: where Consul has some, and it may.
func (k *keeper) makesNamespaces() bool { return k.settings.PartitionsEnabled && k.rights.managesACL }

// ensureNamespaces makes the namespaces that running tasks of an ECS cluster name. Tasks cannot log in to one that is not there.
func (k *keeper) ensureNamespaces(ctx context.Context, view ecsView, running map[string]bool) error {
	if k.state.get().open {
		return nil
	}
	names, err := view.Namespaces(ctx, running, k.settings.Partition)
	if err != nil {
		return err
	}
	changes, err := k.consul.EnsureNamespaces(ctx, k.rights.want, names)
	tell(k.log, changes, k.said)
	return err
}

// count tells how many objects were written, and how many differ from ours and were kept.
func count(changes []acl.Change) (written, kept int) {
	for _, c := range changes {
		if c.Verb == acl.Kept {
			kept++
		} else {
			written++
		}
	}
	return written, kept
}
