package consul

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/hashicorp/consul/api"
)

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
		return &Refusal{Err: err, Tries: 1, Hint: "tasks log in through ACLs: set acl.enabled in the configuration of Consul's servers"}
	case strings.Contains(err.Error(), "ACL not found"):
		return &Refusal{Err: err, Tries: briefly, Hint: "Consul does not know the controller's token: it was deleted, or is another datacenter's"}
	case hasStatus(err, http.StatusForbidden):
		return &Refusal{Err: err, Tries: 1, Hint: "the controller's token needs acl = \"write\", agent_prefix \"\" read, node_prefix \"\" write and service_prefix \"\" write"}
	default:
		return err
	}
}

func hasStatus(err error, code int) bool {
	var status api.StatusError
	return errors.As(err, &status) && status.Code == code
}
