package consul

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/consul/api"
)

// AuthMethod is what the controller wants Consul's aws-iam auth method to say. Empty fields leave an operator's own
// values alone.
type AuthMethod struct {
	Name                string
	BoundPrincipals     []string // ARNs of IAM roles that may log in; a trailing * is a wildcard
	STSEndpoint         string   // where Consul's servers replay a login's requests
	IAMEndpoint         string
	Fallback            Replay // where neither STSEndpoint and IAMEndpoint nor an operator say so
	ServerIDHeaderValue string
}

// Change is something that EnsureACL wrote, or an object that differs from the usual and was left as it is.
type Change struct {
	Verb string // one of the Change constants
	Kind string // "ACL policy", "ACL role", "auth method", "binding rule", "ACL token"
	Name string
}

// Verbs of a Change.
const (
	ChangeCreated = "created"
	ChangeUpdated = "updated"
	ChangeKept    = "kept" // an operator's version differs from ours and stays
)

// ErrNoACLs means that Consul's ACL system is off: nobody logs in, and there is nothing to prepare for it.
var ErrNoACLs = errors.New("the ACL system of Consul is off")

// EnsureACL brings policies, roles, the auth method and its binding rules to what the agents and gateways of tasks need.
// It writes only what is missing, so that a second run writes nothing and an operator's additions stay.
func (c *Connection) EnsureACL(ctx context.Context, method AuthMethod) ([]Change, error) {
	var changes []Change
	err := c.callACL(ctx, func(client *api.Client) (err error) {
		changes, err = ensureACL(ctx, client, method)
		return err
	})
	return changes, err
}

func ensureACL(ctx context.Context, client *api.Client, method AuthMethod) ([]Change, error) {
	var changes []Change
	note := func(change Change, err error) error {
		if change.Verb != "" {
			changes = append(changes, change)
		}
		return err
	}
	for _, policy := range meshPolicies() {
		if err := note(ensurePolicy(ctx, client.ACL(), policy)); err != nil {
			return changes, err
		}
	}
	for _, role := range meshRoles() {
		if err := note(ensureRole(ctx, client.ACL(), role)); err != nil {
			return changes, err
		}
	}
	if err := note(ensureAuthMethod(ctx, client.ACL(), method)); err != nil {
		return changes, err
	}
	rules, err := ensureBindingRules(ctx, client.ACL(), method.Name)
	changes = append(changes, rules...)
	if err != nil {
		return changes, err
	}
	anonymous, err := ensureAnonymousReads(ctx, client)
	return append(changes, anonymous...), err
}

func ensurePolicy(ctx context.Context, acl *api.ACL, want api.ACLPolicy) (Change, error) {
	have, _, err := acl.PolicyReadByName(want.Name, query(ctx))
	if err != nil {
		return Change{}, fmt.Errorf("read ACL policy %s: %w", want.Name, err)
	}
	change := Change{Kind: "ACL policy", Name: want.Name}
	if have != nil {
		if !sameRules(have.Rules, want.Rules) {
			change.Verb = ChangeKept
		}
		return change, nil
	}
	if _, _, err := acl.PolicyCreate(&want, write(ctx)); err != nil {
		return Change{}, fmt.Errorf("create ACL policy %s: %w", want.Name, err)
	}
	change.Verb = ChangeCreated
	return change, nil
}

func ensureRole(ctx context.Context, acl *api.ACL, want api.ACLRole) (Change, error) {
	have, _, err := acl.RoleReadByName(want.Name, query(ctx))
	if err != nil {
		return Change{}, fmt.Errorf("read ACL role %s: %w", want.Name, err)
	}
	if have == nil {
		if _, _, err := acl.RoleCreate(&want, write(ctx)); err != nil {
			return Change{}, fmt.Errorf("create ACL role %s: %w", want.Name, err)
		}
		return Change{ChangeCreated, "ACL role", want.Name}, nil
	}
	links := linkPolicies(have.Policies, want.Policies)
	if len(links) == len(have.Policies) {
		return Change{}, nil
	}
	have.Policies = links
	if _, _, err := acl.RoleUpdate(have, write(ctx)); err != nil {
		return Change{}, fmt.Errorf("update ACL role %s: %w", want.Name, err)
	}
	return Change{ChangeUpdated, "ACL role", want.Name}, nil
}

func ensureAuthMethod(ctx context.Context, acl *api.ACL, want AuthMethod) (Change, error) {
	have, _, err := acl.AuthMethodRead(want.Name, query(ctx))
	if err != nil {
		return Change{}, fmt.Errorf("read auth method %s: %w", want.Name, err)
	}
	if have == nil {
		method, _ := mergeAuthMethod(newAuthMethod(want.Name), want)
		if _, _, err := acl.AuthMethodCreate(&method, write(ctx)); err != nil {
			return Change{}, fmt.Errorf("create auth method %s: %w", want.Name, err)
		}
		return Change{ChangeCreated, "auth method", want.Name}, nil
	}
	if have.Type != authMethodType {
		return Change{}, fmt.Errorf("auth method %s has type %s, not %s\nhint: name another one in controller.authMethod.name, or remove it",
			want.Name, have.Type, authMethodType)
	}
	method, changed := mergeAuthMethod(*have, want)
	if !changed {
		return Change{}, nil
	}
	if _, _, err := acl.AuthMethodUpdate(&method, write(ctx)); err != nil {
		return Change{}, fmt.Errorf("update auth method %s: %w", want.Name, err)
	}
	return Change{ChangeUpdated, "auth method", want.Name}, nil
}

func ensureBindingRules(ctx context.Context, acl *api.ACL, method string) ([]Change, error) {
	have, _, err := acl.BindingRuleList(method, query(ctx))
	if err != nil {
		return nil, fmt.Errorf("list binding rules of %s: %w", method, err)
	}
	var changes []Change
	for _, want := range meshBindingRules(method) {
		switch found := findRule(have, want); {
		case found == nil:
			if _, _, err := acl.BindingRuleCreate(&want, write(ctx)); err != nil {
				return changes, fmt.Errorf("create binding rule to %s: %w", want.BindName, err)
			}
			changes = append(changes, Change{ChangeCreated, "binding rule", want.BindName})
		case found.Selector != want.Selector:
			changes = append(changes, Change{ChangeKept, "binding rule", want.BindName})
		}
	}
	return changes, nil
}

// ensureAnonymousReads lets anonymous requests read nodes and services, as Consul DNS and cross-datacenter look-ups
// need. Only the primary datacenter may: the anonymous token is global.
func ensureAnonymousReads(ctx context.Context, client *api.Client) ([]Change, error) {
	primary, err := inPrimaryDatacenter(ctx, client)
	if err != nil || !primary {
		return nil, err
	}
	token, _, err := client.ACL().TokenRead(anonymousAccessorID, query(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the anonymous ACL token: %w", err)
	}
	links := linkPolicies(token.Policies, []*api.ACLLink{{Name: anonymousPolicy}})
	if len(links) == len(token.Policies) {
		return nil, nil
	}
	var changes []Change
	change, err := ensurePolicy(ctx, client.ACL(), anonymousReadPolicy())
	if err != nil {
		return nil, err
	}
	if change.Verb != "" {
		changes = append(changes, change)
	}
	token.Policies = links
	if _, _, err := client.ACL().TokenUpdate(token, write(ctx)); err != nil {
		return changes, fmt.Errorf("update the anonymous ACL token: %w", err)
	}
	return append(changes, Change{ChangeUpdated, "ACL token", "anonymous"}), nil
}

func inPrimaryDatacenter(ctx context.Context, client *api.Client) (bool, error) {
	var self map[string]map[string]any
	if _, err := client.Raw().Query("/v1/agent/self", &self, query(ctx)); err != nil {
		return false, fmt.Errorf("read the Consul server's configuration: %w", err)
	}
	return isPrimary(self)
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
	case strings.Contains(err.Error(), "ACL not found"):
		return &Refusal{Err: err, Tries: briefly, Hint: "Consul does not know the controller's token: it was deleted, or is another datacenter's"}
	case strings.Contains(err.Error(), plainToTLS):
		return &Refusal{Err: err, Tries: 1, Hint: hintHTTPS}
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
