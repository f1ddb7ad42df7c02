// Package acl is what Consul's ACL system has to hold for a mesh on ECS: policies, roles, auth methods, binding rules and,
// in Consul Enterprise, an admin partition and its namespaces. It mends what is missing and brings up to date what is ours
// of an earlier version; what an operator has made of an object stays.
package acl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// Wanted is what Consul shall hold.
type Wanted struct {
	Method         Method
	Controller     *Controller // nil: no controller logs in
	AnonymousReads bool        // anonymous requests may read nodes and services
	Partition      string      // of Consul Enterprise; "" where partitions and namespaces are left alone
	DryRun         bool        // only tell what would be written
}

// Method is what the auth method of tasks shall say. Empty fields leave an operator's own values alone.
type Method struct {
	Name                string
	BoundPrincipals     []string // ARNs of IAM roles that may log in; a trailing * is a wildcard
	STSEndpoint         string   // where Consul's servers replay a login's requests
	IAMEndpoint         string
	Fallback            Replay // where neither STSEndpoint and IAMEndpoint nor an operator say so
	ServerIDHeaderValue string
	TokenTTL            time.Duration // of each token; Consul takes a minute to a day
	MaxRetries          *int          // of the requests to STS and IAM that fail
}

// Replay says to which endpoints Consul's servers send the requests that are signed in a bearer token. Where it is empty they
// send them to where they were signed for.
type Replay struct {
	STSEndpoint, IAMEndpoint string
}

// Change is something that was written, or an object that differs from ours and was left as it is.
type Change struct {
	Verb string // one of the constants below
	Kind string // "ACL policy", "ACL role", "auth method", "binding rule", "ACL token", "partition", "namespace"
	Name string
	What string // of an object that was kept: what differs
}

// Verbs of a Change.
const (
	Created = "created"
	Updated = "updated"
	Kept    = "kept" // an operator's version differs from ours and stays
)

// String is the change as a line for people.
func (c Change) String() string {
	line := c.Verb + " " + c.Kind + " " + c.Name
	if c.What != "" {
		line += ": " + c.What
	}
	return line
}

// run is one look at Consul, with what has come of it.
type run struct {
	client  *api.Client
	want    Wanted
	changes []Change
}

// Ensure brings Consul to what is wanted. It writes only what differs, so that a second run writes nothing. Its error goes
// with what was written until then.
func Ensure(ctx context.Context, client *api.Client, want Wanted) ([]Change, error) {
	r := &run{client: client, want: want}
	err := r.all(ctx)
	return r.changes, err
}

func (r *run) all(ctx context.Context) error {
	if c := r.want.Controller; c != nil && c.Method == r.want.Method.Name {
		return fmt.Errorf("auth method %s is that of tasks, by which no controller can log in\nhint: leave consulLogin.method of the controller's configuration out", c.Method)
	}
	if err := r.partition(ctx); err != nil {
		return err
	}
	for _, policy := range r.want.policies() {
		if err := r.policy(ctx, policy); err != nil {
			return err
		}
	}
	for _, role := range r.want.roles() {
		if err := r.role(ctx, role); err != nil {
			return err
		}
	}
	for _, m := range r.want.methods() {
		if err := r.method(ctx, m); err != nil {
			return err
		}
	}
	if !r.want.AnonymousReads {
		return nil
	}
	return r.anonymousReads(ctx)
}

// write notes the change and makes it, unless nothing is to be written.
func (r *run) write(change Change, do func() error) error {
	if !r.want.DryRun {
		if err := do(); err != nil {
			return fmt.Errorf("%s %s %s: %w", strings.TrimSuffix(change.Verb, "d"), change.Kind, change.Name, err)
		}
	}
	r.changes = append(r.changes, change)
	return nil
}

func (r *run) kept(kind, name, what string) {
	r.changes = append(r.changes, Change{Kept, kind, name, what})
}

func (r *run) queries(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{Partition: r.want.Partition}).WithContext(ctx)
}

func (r *run) writes(ctx context.Context) *api.WriteOptions {
	return (&api.WriteOptions{Partition: r.want.Partition}).WithContext(ctx)
}

// create and update have an object written that lacks, or differs.
func (r *run) create(kind, name string, do func() error) error {
	return r.write(Change{Verb: Created, Kind: kind, Name: name}, do)
}

func (r *run) update(kind, name string, do func() error) error {
	return r.write(Change{Verb: Updated, Kind: kind, Name: name}, do)
}

// only is the error of a write. What Consul says else is known.
func only[T any](_ T, _ *api.WriteMeta, err error) error { return err }

// text is one of an object of ours.
type text struct {
	what   string  // for an operator
	have   *string // as Consul has it, then as it is to be
	want   string
	former []string // of ours
	same   func(a, b string) bool
}

// settle brings texts of an object up to date and notes those that are an operator's. It reports whether any has changed.
func (r *run) settle(kind, name string, texts ...text) (changed bool) {
	for _, t := range texts {
		next, operators := settled(*t.have, t.want, t.former, t.same)
		if operators {
			r.kept(kind, name, t.what+" an operator's")
		}
		changed = changed || next != *t.have
		*t.have = next
	}
	return changed
}

// settled decides on a text of an object of ours, which Consul has as have: a former text of ours is brought up to date,
// any other is an operator's. It returns the text to have and whether it is an operator's.
func settled(have, want string, former []string, same func(a, b string) bool) (text string, operators bool) {
	if same(have, want) {
		return have, false
	}
	if slices.ContainsFunc(former, func(f string) bool { return same(have, f) }) {
		return want, false
	}
	return have, true
}

func equal(a, b string) bool { return a == b }

// sameRules compares two texts of rules but for white space outside of names.
func sameRules(a, b string) bool { return compact(a) == compact(b) }

func compact(rules string) string {
	var b strings.Builder
	for i, part := range strings.Split(rules, `"`) {
		if i > 0 {
			b.WriteByte('"')
		}
		if i%2 == 0 { // outside of quotes
			part = strings.Join(strings.Fields(part), "")
		}
		b.WriteString(part)
	}
	return b.String()
}

func (r *run) policy(ctx context.Context, want policy) error {
	return r.policyIn(ctx, want, r.queries(ctx), r.writes(ctx))
}

func (r *run) policyIn(ctx context.Context, want policy, queries *api.QueryOptions, writes *api.WriteOptions) error {
	have, _, err := r.client.ACL().PolicyReadByName(want.Name, queries)
	if err != nil {
		return fmt.Errorf("read ACL policy %s: %w", want.Name, err)
	}
	if have == nil {
		return r.create(kindPolicy, want.Name, func() error {
			return only(r.client.ACL().PolicyCreate(&api.ACLPolicy{Name: want.Name, Description: want.Description, Rules: want.Rules}, writes))
		})
	}
	next := *have
	if !r.settle(kindPolicy, want.Name,
		text{"its rules are", &next.Rules, want.Rules, want.former, sameRules},
		text{"its description is", &next.Description, want.Description, want.formerDescriptions, equal}) {
		return nil
	}
	return r.update(kindPolicy, want.Name, func() error { return only(r.client.ACL().PolicyUpdate(&next, writes)) })
}

func (r *run) role(ctx context.Context, want role) error {
	have, _, err := r.client.ACL().RoleReadByName(want.Name, r.queries(ctx))
	if err != nil {
		return fmt.Errorf("read ACL role %s: %w", want.Name, err)
	}
	if have == nil {
		return r.create(kindRole, want.Name, func() error {
			return only(r.client.ACL().RoleCreate(&api.ACLRole{Name: want.Name, Description: want.Description, Policies: linked(nil, want.policies, nil)}, r.writes(ctx)))
		})
	}
	next := *have
	next.Policies = linked(have.Policies, want.policies, want.unlinked)
	described := r.settle(kindRole, want.Name, text{"its description is", &next.Description, want.Description, want.formerDescriptions, equal})
	if len(next.Policies) == len(have.Policies) && !described {
		return nil
	}
	return r.update(kindRole, want.Name, func() error { return only(r.client.ACL().RoleUpdate(&next, r.writes(ctx))) })
}

// linked is have with links to the policies that it lacks, and without those that ours had once. No policy is both.
func linked(have []*api.ACLLink, policies, unlinked []string) []*api.ACLLink {
	links := slices.DeleteFunc(slices.Clone(have), func(l *api.ACLLink) bool { return slices.Contains(unlinked, l.Name) })
	for _, name := range policies {
		if !slices.ContainsFunc(have, func(l *api.ACLLink) bool { return l.Name == name }) {
			links = append(links, &api.ACLLink{Name: name})
		}
	}
	return links
}

// anonymousReads lets anonymous requests read nodes and services, as Consul DNS and cross-datacenter look-ups need. Only the
// primary datacenter may: the anonymous token is global. It lies in the default partition, where the token of a controller
// in another one has no say.
func (r *run) anonymousReads(ctx context.Context) error {
	err := r.anonymousToken(ctx)
	if r.want.Partition != "" && r.want.Partition != defaultPartition && hasStatus(err, http.StatusForbidden) {
		r.kept(kindToken, "anonymous", "it takes a token of the default partition to let it read")
		return nil
	}
	return err
}

func (r *run) anonymousToken(ctx context.Context) error {
	queries, writes := (&api.QueryOptions{}).WithContext(ctx), (&api.WriteOptions{}).WithContext(ctx)
	if r.want.Partition != "" {
		queries.Partition, queries.Namespace = defaultPartition, defaultNamespace
		writes.Partition, writes.Namespace = defaultPartition, defaultNamespace
	}
	var self map[string]map[string]any
	if _, err := r.client.Raw().Query("/v1/agent/self", &self, (&api.QueryOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("read the Consul server's configuration: %w", err)
	}
	if primary, err := isPrimary(self); err != nil || !primary {
		return err
	}
	token, _, err := r.client.ACL().TokenRead(anonymousAccessorID, queries)
	if err != nil {
		return fmt.Errorf("read the anonymous ACL token: %w", err)
	}
	if err := r.policyIn(ctx, r.want.anonymousPolicy(), queries, writes); err != nil {
		return err
	}
	links := linked(token.Policies, []string{anonymousPolicy}, nil)
	if len(links) == len(token.Policies) {
		return nil
	}
	token.Policies = links
	return r.update(kindToken, "anonymous", func() error { return only(r.client.ACL().TokenUpdate(token, writes)) })
}

// isPrimary reads /v1/agent/self. A datacenter that names no primary is its own.
func isPrimary(self map[string]map[string]any) (bool, error) {
	datacenter, _ := self["Config"]["Datacenter"].(string)
	if datacenter == "" {
		return false, errors.New("read the Consul server's configuration: it names no datacenter")
	}
	primary, _ := self["Config"]["PrimaryDatacenter"].(string)
	if primary == "" {
		primary, _ = self["DebugConfig"]["PrimaryDatacenter"].(string)
	}
	return primary == "" || primary == datacenter, nil
}

func hasStatus(err error, code int) bool {
	var status api.StatusError
	return errors.As(err, &status) && status.Code == code
}
