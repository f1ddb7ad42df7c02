package acl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// ErrNotEnterprise means that Consul has neither admin partitions nor namespaces.
var ErrNotEnterprise = errors.New("this Consul is not Consul Enterprise")

// byNamespaceTag puts a login's token into the namespace that the tag of the IAM role says.
var byNamespaceTag = api.ACLAuthMethodNamespaceRule{
	Selector:      `entity_tags["` + mesh.RoleTagNamespace + `"] != ""`,
	BindNamespace: "${entity_tags." + mesh.RoleTagNamespace + "}",
}

// partition makes sure that the partition is there. A token of a partition other than the default one cannot see the list,
// but then its partition is there.
func (r *run) partition(ctx context.Context) error {
	name := r.want.Partition
	if name == "" {
		return nil
	}
	have, _, err := r.client.Partitions().List(ctx, (&api.QueryOptions{Partition: defaultPartition}).WithContext(ctx))
	switch {
	case hasStatus(err, http.StatusForbidden) && name != defaultPartition:
		return nil
	case hasStatus(err, http.StatusNotFound), hasStatus(err, http.StatusBadRequest):
		return fmt.Errorf("%w: list admin partitions: %w", ErrNotEnterprise, err)
	case err != nil:
		return fmt.Errorf("list admin partitions: %w", err)
	case slices.ContainsFunc(have, func(p *api.Partition) bool { return p.Name == name }):
		return nil
	}
	return r.create(kindPartition, name, func() error {
		return only(r.client.Partitions().Create(ctx, &api.Partition{Name: name, Description: "Tasks of ECS"}, (&api.WriteOptions{Partition: defaultPartition}).WithContext(ctx)))
	})
}

func (w Wanted) crossNamespacePolicy() policy {
	return policy{
		Name: crossNamespacePolicy, Description: "Allow service and node reads across namespaces within the partition",
		Rules: within(`partition "`+w.Partition+`"`, within(anyNamespace, "service_prefix \"\" {\n  policy = \"read\"\n}\nnode_prefix \"\" {\n  policy = \"read\"\n}\n")),
	}
}

// EnsureNamespaces makes sure of the namespaces of the partition that tasks name, and that tokens of each may read the
// services and nodes of the others, as tasks need that call each other.
func EnsureNamespaces(ctx context.Context, client *api.Client, want Wanted, names []string) ([]Change, error) {
	r := &run{client: client, want: want}
	err := r.namespaces(ctx, names)
	return r.changes, err
}

func (r *run) namespaces(ctx context.Context, names []string) error {
	if err := r.policy(ctx, r.want.crossNamespacePolicy()); err != nil {
		return err
	}
	have, _, err := r.client.Namespaces().List(r.queries(ctx))
	if err != nil {
		return fmt.Errorf("list namespaces: %w", err)
	}
	for _, n := range have {
		if n.Name == defaultNamespace {
			if err := r.crossRead(ctx, *n); err != nil {
				return err
			}
		}
	}
	for _, name := range union(nil, names) {
		if name == "" || slices.ContainsFunc(have, func(n *api.Namespace) bool { return n.Name == name }) {
			continue
		}
		created := api.Namespace{Name: name, Description: "Tasks of ECS", ACLs: &api.NamespaceACLConfig{PolicyDefaults: []api.ACLLink{{Name: crossNamespacePolicy}}}}
		if err := r.create(kindNamespace, name, func() error { return only(r.client.Namespaces().Create(&created, r.writes(ctx))) }); err != nil {
			return err
		}
	}
	return nil
}

// crossRead makes the policy a default of the namespace.
func (r *run) crossRead(ctx context.Context, n api.Namespace) error {
	var acls api.NamespaceACLConfig
	if n.ACLs != nil {
		acls = *n.ACLs
	}
	if slices.ContainsFunc(acls.PolicyDefaults, func(l api.ACLLink) bool { return l.Name == crossNamespacePolicy }) {
		return nil
	}
	acls.PolicyDefaults = append(slices.Clone(acls.PolicyDefaults), api.ACLLink{Name: crossNamespacePolicy})
	n.ACLs = &acls
	return r.update(kindNamespace, n.Name, func() error { return only(r.client.Namespaces().Update(&n, r.writes(ctx))) })
}
