package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

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
	CreateTime time.Time
	Namespace  string
}

// LoginTokens lists the tokens that tasks of the ECS cluster got through the auth method, of all namespaces where there are some.
func (c *Connection) LoginTokens(ctx context.Context, method, ecsClusterARN string) ([]LoginToken, error) {
	namespaces, err := c.namespaces(ctx)
	if err != nil {
		return nil, err
	}
	query := url.Values{"authmethod": {method}}
	if c.partitioned() {
		query.Set("authmethod-ns", methodNamespace)
	}
	var tokens []LoginToken
	for _, namespace := range namespaces {
		err := c.loginTokens(ctx, namespace, query, method, ecsClusterARN, func(t LoginToken) { tokens = append(tokens, t) })
		if err != nil {
			return nil, fmt.Errorf("list ACL tokens of auth method %s: %w", method, err)
		}
	}
	return tokens, nil
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
		err := c.loginTokens(ctx, s.namespace, url.Values{"servicename": {s.name}}, method, ecsClusterARN, func(t LoginToken) {
			if slices.Contains(taskIDs, t.TaskID) {
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
func (c *Connection) loginTokens(ctx context.Context, namespace string, query url.Values, method, ecsClusterARN string, each func(LoginToken)) error {
	err := c.stream(c.inNamespace(ctx, namespace), "/v1/acl/tokens", query, func(d *json.Decoder) error {
		return elements(d, func(entry struct {
			AccessorID, Description, AuthMethod, Namespace string
			CreateTime                                     time.Time
		}) {
			taskID, ok := taskOfToken(entry.Description, ecsClusterARN)
			if ok && entry.AuthMethod == method {
				each(LoginToken{entry.AccessorID, taskID, entry.CreateTime, entry.Namespace})
			}
		})
	})
	return aclRefusal(err)
}

// taskOfToken reads the task out of a token's description. Tokens of people, of other ECS clusters and of logins
// without the meta of a task are nobody's.
func taskOfToken(description, ecsClusterARN string) (taskID string, ok bool) {
	text, ok := strings.CutPrefix(description, loginDescription)
	if !ok {
		return "", false
	}
	var meta map[string]string
	if err := json.Unmarshal([]byte(text), &meta); err != nil {
		return "", false
	}
	taskID = meta[mesh.LoginMetaTaskID]
	return taskID, taskID != "" && meta[mesh.LoginMetaCluster] == ecsClusterARN
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
