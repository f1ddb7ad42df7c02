package consul

import (
	"context"
	"errors"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
)

// EnsureACL brings policies, roles, auth methods and their binding rules to what the agents and gateways of tasks need. It
// writes only what differs, so that a second run writes nothing and an operator's additions stay.
func (c *Connection) EnsureACL(ctx context.Context, want acl.Wanted) ([]acl.Change, error) {
	var changes []acl.Change
	err := c.callACL(ctx, func(client *api.Client) (err error) {
		changes, err = acl.Ensure(ctx, client, want)
		return err
	})
	return changes, err
}

// EnsureNamespaces makes sure of the namespaces that tasks name, in the partition that is wanted.
func (c *Connection) EnsureNamespaces(ctx context.Context, want acl.Wanted, names []string) ([]acl.Change, error) {
	var changes []acl.Change
	err := c.callACL(ctx, func(client *api.Client) (err error) {
		changes, err = acl.EnsureNamespaces(ctx, client, want, names)
		return err
	})
	return changes, err
}

func query(ctx context.Context) *api.QueryOptions { return (&api.QueryOptions{}).WithContext(ctx) }

func write(ctx context.Context) *api.WriteOptions { return (&api.WriteOptions{}).WithContext(ctx) }

// callACL hands do the client for what only the controller does, and explains what Consul's ACLs refuse.
func (c *Connection) callACL(_ context.Context, do func(*api.Client) error) error {
	return aclRefusal(do(c.http))
}

func hasStatus(err error, code int) bool {
	var status api.StatusError
	return errors.As(err, &status) && status.Code == code
}
