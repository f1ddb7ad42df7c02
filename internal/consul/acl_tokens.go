package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// loginDescription is how Consul begins the description of a token that a login made; the login's meta follows as JSON.
const loginDescription = "token created via login: "

// methodNamespace is where the auth method lies in each admin partition. The tokens of its logins may lie elsewhere.
const methodNamespace = "default"

// LoginToken is a token that a task got by logging in. Its SecretID is not kept. Namespace is "" where Consul has none.
type LoginToken struct {
	AccessorID string
	TaskID     string
	Namespace  string
}

// LoginTokens lists the tokens that tasks of the ECS cluster got through the auth method, of all namespaces where there are some.
// others is how many more tokens of the auth method there are.
func (c *Connection) LoginTokens(ctx context.Context, method, ecsClusterARN string) (tokens []LoginToken, others int, err error) {
	namespaces, err := c.namespaces(ctx)
	if err != nil {
		return nil, 0, err
	}
	query := url.Values{"authmethod": {method}}
	if c.partitioned() {
		query.Set("authmethod-ns", methodNamespace)
	}
	for _, namespace := range namespaces {
		err := c.loginTokens(ctx, namespace, query, method, func(t LoginToken, description string) {
			if t.TaskID = taskOfToken(description, ecsClusterARN); t.TaskID == "" {
				others++
				return
			}
			tokens = append(tokens, t)
		})
		if err != nil {
			return nil, 0, fmt.Errorf("list ACL tokens of auth method %s: %w", method, err)
		}
	}
	return tokens, others, nil
}

// LoginTokensOf is LoginTokens for the tasks with the IDs alone. Consul has no query for those: it is asked for the tokens of each
// of the services that the tasks are of, so that what is sent does not grow with other services. Tokens for other things than
// services, such as those of gateways, are not found.
func (c *Connection) LoginTokensOf(ctx context.Context, method, ecsClusterARN string, taskIDs []string, services []NodeService) ([]LoginToken, error) {
	type scoped struct{ name, namespace string }
	asked := map[scoped]bool{}
	for _, s := range services {
		asked[scoped{s.Name, s.Namespace}] = true
	}
	for s := range asked {
		delete(asked, scoped{mesh.ProxyName(s.name), s.namespace}) // nobody logs in as a proxy
	}
	var tokens []LoginToken
	for s := range asked {
		err := c.loginTokens(ctx, s.namespace, url.Values{"servicename": {s.name}}, method, func(t LoginToken, description string) {
			if t.TaskID = taskOfToken(description, ecsClusterARN); t.TaskID != "" && slices.Contains(taskIDs, t.TaskID) {
				tokens = append(tokens, t)
			}
		})
		if err != nil {
			return nil, fmt.Errorf("list ACL tokens of service %s: %w", s.name, err)
		}
	}
	return tokens, nil
}

// namespaces lists those of the partition. Where Consul has none, that is the one without a name.
func (c *Connection) namespaces(ctx context.Context) ([]string, error) {
	if !c.partitioned() {
		return []string{""}, nil
	}
	list, _, err := c.http.Namespaces().List(query(ctx))
	if err != nil {
		return nil, fmt.Errorf("list namespaces of partition %s: %w", c.settings.Scope.Partition, aclRefusal(err))
	}
	var names []string
	for _, n := range list {
		names = append(names, n.Name)
	}
	return names, nil
}

// loginTokens hands each token of the list that a task of the ECS cluster got through the auth method to each.
func (c *Connection) loginTokens(ctx context.Context, namespace string, query url.Values, method string, each func(t LoginToken, description string)) error {
	err := c.stream(c.inNamespace(ctx, namespace), "/v1/acl/tokens", query, func(d *json.Decoder) error {
		return elements(d, func(entry struct {
			AccessorID, Description, AuthMethod, Namespace string
		}) {
			if entry.AuthMethod == method {
				each(LoginToken{AccessorID: entry.AccessorID, Namespace: entry.Namespace}, entry.Description)
			}
		})
	})
	return aclRefusal(err)
}

// taskOfToken reads the task out of a token's description. Tokens of people, of other ECS clusters and of logins
// without the meta of a task are nobody's, which is "".
func taskOfToken(description, ecsClusterARN string) (taskID string) {
	text, ok := strings.CutPrefix(description, loginDescription)
	if !ok {
		return ""
	}
	var meta map[string]string
	if err := json.Unmarshal([]byte(text), &meta); err != nil || meta[mesh.LoginMetaCluster] != ecsClusterARN {
		return ""
	}
	return meta[mesh.LoginMetaTaskID]
}

// deleteToken deletes one that may be gone already: its task may have logged out meanwhile.
func (c *Connection) deleteToken(ctx context.Context, t LoginToken) error {
	ctx = c.inNamespace(ctx, t.Namespace)
	return c.insist(ctx, func(ctx context.Context) error {
		_, err := c.http.ACL().TokenDelete(t.AccessorID, write(ctx))
		if err == nil || isGone(err) {
			return nil
		}
		return fmt.Errorf("delete ACL token %s: %w", t.AccessorID, err)
	})
}
