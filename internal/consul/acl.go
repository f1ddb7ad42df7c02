package consul

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
)

// ErrNoACLs means that Consul's ACL system is off: nobody logs in, and there is nothing to prepare for it.
var ErrNoACLs = errors.New("the ACL system of Consul is off")

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

// callACL is call for what only the controller does: it explains what Consul's ACLs refuse.
func (c *Connection) callACL(ctx context.Context, do func(*api.Client) error) error {
	return aclRefusal(c.call(ctx, do))
}

// aclRefusal explains an answer of the HTTP API to the controller.
func aclRefusal(err error) error {
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "ACL support disabled"):
		return &Refusal{Err: fmt.Errorf("%w: %w", ErrNoACLs, err), Tries: 1, Hint: "tasks log in through ACLs: set acl.enabled in the configuration of Consul's servers"}
	case errors.Is(err, acl.ErrNotEnterprise):
		return &Refusal{Err: err, Tries: 1, Hint: "controller.partitionsEnabled takes Consul Enterprise: leave it out"}
	case strings.Contains(err.Error(), "ACL not found"):
		return &Refusal{Err: err, Tries: briefly, Hint: "Consul does not know the controller's token: it was deleted, or is another datacenter's"}
	case strings.Contains(err.Error(), plainToTLS):
		return &Refusal{Err: err, Tries: 1, Hint: hintHTTPS}
	case hasStatus(err, http.StatusForbidden):
		return &Refusal{Err: err, Tries: 1, Hint: "the token needs acl = \"write\" and what else consulecs-agent bootstrap -print -controller-writes-acl prints"}
	default:
		return err
	}
}

func hasStatus(err error, code int) bool {
	var status api.StatusError
	return errors.As(err, &status) && status.Code == code
}
