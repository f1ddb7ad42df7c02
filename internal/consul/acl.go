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
	changes, err := acl.Ensure(ctx, c.http, want)
	return changes, aclRefusal(err)
}

// EnsureNamespaces makes sure of the namespaces that tasks name, in the partition that is wanted.
func (c *Connection) EnsureNamespaces(ctx context.Context, want acl.Wanted, names []string) ([]acl.Change, error) {
	changes, err := acl.EnsureNamespaces(ctx, c.http, want, names)
	return changes, aclRefusal(err)
}

func query(ctx context.Context) *api.QueryOptions { return (&api.QueryOptions{}).WithContext(ctx) }

func write(ctx context.Context) *api.WriteOptions { return (&api.WriteOptions{}).WithContext(ctx) }

func hasStatus(err error, code int) bool {
	var status api.StatusError
	return errors.As(err, &status) && status.Code == code
}
