package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"golang.org/x/sync/errgroup"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// loginDescription is how Consul begins the description of a token that a login made; the login's meta follows as JSON.
const loginDescription = "token created via login: "

// tokenDeletions is how many ACL tokens are deleted at a time, each in about a millisecond: no more than idle sockets are kept.
const tokenDeletions = 4

// LoginToken is a token that a task got by logging in. Its SecretID is not kept.
type LoginToken struct {
	AccessorID string
	TaskID     string
	CreateTime time.Time
}

// LoginTokens lists the tokens that tasks of the ECS cluster got through the auth method.
func (c *Connection) LoginTokens(ctx context.Context, method, ecsClusterARN string) ([]LoginToken, error) {
	var tokens []LoginToken
	err := c.callACL(ctx, func(client *api.Client) (err error) {
		tokens, err = loginTokens(ctx, client, method, ecsClusterARN)
		return err
	})
	return tokens, err
}

func loginTokens(ctx context.Context, client *api.Client, method, ecsClusterARN string) ([]LoginToken, error) {
	entries, _, err := client.ACL().TokenListFiltered(api.ACLTokenFilterOptions{AuthMethod: method}, query(ctx))
	if err != nil {
		return nil, fmt.Errorf("list ACL tokens of auth method %s: %w", method, err)
	}
	var tokens []LoginToken
	for _, entry := range entries {
		taskID, ok := taskOfToken(entry.Description, ecsClusterARN)
		if ok && entry.AuthMethod == method {
			tokens = append(tokens, LoginToken{entry.AccessorID, taskID, entry.CreateTime})
		}
	}
	return tokens, nil
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

// DeleteTokens deletes ACL tokens, a few at a time. One that Consul refuses to delete does not keep the others, and one
// that is gone already is no error: its task may have logged out meanwhile.
func (c *Connection) DeleteTokens(ctx context.Context, accessorIDs []string) error {
	var group errgroup.Group
	group.SetLimit(tokenDeletions)
	errs := make([]error, len(accessorIDs))
	for i, id := range accessorIDs {
		group.Go(func() error {
			errs[i] = c.callACL(ctx, func(client *api.Client) error { return deleteToken(ctx, client, id) })
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs, each for itself
	return errors.Join(errs...)
}

func deleteToken(ctx context.Context, client *api.Client, accessorID string) error {
	_, err := client.ACL().TokenDelete(accessorID, write(ctx))
	if err == nil || hasStatus(err, http.StatusNotFound) {
		return nil
	}
	return fmt.Errorf("delete ACL token %s: %w", accessorID, err)
}
