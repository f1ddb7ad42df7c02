package acl

import (
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// The objects below have the incumbent's names, descriptions, rules and selectors: its controller may run on the same
// Consul, and gateways that it set up keep their roles.
const (
	apiGatewayPolicy       = "consul-ecs-api-gateway-policy"
	meshGatewayPolicy      = "consul-ecs-mesh-gateway-policy"
	anonymousPolicy        = "anonymous-token-policy"
	crossNamespacePolicy   = "cross-namespace-read"
	apiGatewayRole         = "consul-ecs-api-gateway-role"
	meshGatewayRole        = "consul-ecs-mesh-gateway-role"
	terminatingGatewayRole = "consul-ecs-terminating-gateway-role"

	anonymousAccessorID = "00000000-0000-0000-0000-000000000002"

	defaultPartition = "default"
	defaultNamespace = "default"
)

// Kinds of a Change.
const (
	kindPolicy    = "ACL policy"
	kindRole      = "ACL role"
	kindMethod    = "auth method"
	kindRule      = "binding rule"
	kindToken     = "ACL token"
	kindPartition = "partition"
	kindNamespace = "namespace"
)

// policy is an ACL policy of ours. What was once ours is brought up to date; a text that is replaced here goes to the former
// ones, by which Consul's copies of it are known.
type policy struct {
	Name, Description, Rules   string
	former, formerDescriptions []string
}

// role is an ACL role of ours.
type role struct {
	Name, Description            string
	policies                     []string
	unlinked, formerDescriptions []string // what the role must not link to any more: policies of ours alone
}

// bindingRule is a binding rule of ours.
type bindingRule struct {
	api.ACLBindingRule
	formerSelectors, formerDescriptions []string
}

const readCatalogRules = `node_prefix "" {
  policy = "read"
}
service_prefix "" {
  policy = "read"
}
`

const meshGatewayRules = "mesh = \"write\"\npeering = \"read\"\n"

// within puts rules into a block, as Consul Enterprise wants it for those about namespaces and partitions.
func within(block, rules string) string {
	return block + " {\n  " + strings.ReplaceAll(strings.TrimSuffix(rules, "\n"), "\n", "\n  ") + "\n}\n"
}

const anyNamespace = `namespace_prefix ""`

// policies are those of the partition.
func (w Wanted) policies() []policy {
	apiGateway := policy{Name: apiGatewayPolicy, Description: "API Gateway token Policy", Rules: "mesh = \"read\"\n" + readCatalogRules}
	meshGateway := policy{Name: meshGatewayPolicy, Description: "Mesh Gateway token Policy", Rules: meshGatewayRules}
	if w.Partition != "" { // what they say without partitions is out of date
		apiGateway.former = []string{apiGateway.Rules}
		apiGateway.Rules = "mesh = \"read\"\n" + within(anyNamespace, readCatalogRules)
	}
	if w.Partition == defaultPartition {
		meshGateway.former = []string{meshGateway.Rules}
		meshGateway.Rules += within(`partition_prefix ""`, "peering = \"read\"\n")
	}
	return append([]policy{apiGateway, meshGateway}, w.controllerPolicies()...)
}

func (w Wanted) anonymousPolicy() policy {
	p := policy{Name: anonymousPolicy, Description: "Anonymous token Policy", Rules: readCatalogRules}
	if w.Partition != "" {
		p.former = []string{p.Rules}
		p.Rules = within(`partition_prefix ""`, within(anyNamespace, readCatalogRules))
	}
	return p
}

// roles are those of gateways and controllers. The terminating gateway's has no policy of ours: operators attach what its
// services need.
func (w Wanted) roles() []role {
	return append([]role{
		{Name: apiGatewayRole, Description: "API Gateway Role for ECS", policies: []string{apiGatewayPolicy}},
		{Name: meshGatewayRole, Description: "Mesh Gateway Role for ECS", policies: []string{meshGatewayPolicy}},
		{Name: terminatingGatewayRole, Description: "Terminating Gateway Role for ECS"},
	}, w.controllerRoles()...)
}

// taskRules are the binding rules for tasks. That of the service identity has no selector, as the incumbent's has none, which
// writes it anew at each start: so whoever logs in by the method needs the tag, and controllers have a method of their own.
func taskRules(method string) []bindingRule {
	gateway := func(kind, described, role string) bindingRule {
		return bindingRule{ACLBindingRule: api.ACLBindingRule{
			Description: "Bind a Consul role from IAM role tag for ECS based " + described,
			AuthMethod:  method,
			BindType:    api.BindingRuleBindTypeRole,
			BindName:    role,
			Selector:    `entity_tags["` + mesh.RoleTagGatewayKind + `"] == "` + kind + `"`,
		}}
	}
	all := []bindingRule{
		{ACLBindingRule: api.ACLBindingRule{
			Description: "Bind a service identity from IAM role tag for ECS",
			AuthMethod:  method,
			BindType:    api.BindingRuleBindTypeService,
			BindName:    "${entity_tags." + mesh.RoleTagServiceName + "}",
		}},
		gateway("api-gateway", "API gateways", apiGatewayRole),
		gateway("terminating-gateway", "Terminating gateways", terminatingGatewayRole),
		gateway("mesh-gateway", "mesh gateways", meshGatewayRole),
	}
	for n := 1; n < mesh.MaxServices; n++ {
		all = append(all, furtherRule(method, mesh.RoleTagOfService(n)))
	}
	return all
}

// furtherRule binds the identity of a further service of a task, by the tag that names it. Consul takes a tag that a role lacks for
// an empty one, but only where the selector asks for its value: one that asks whether the tag is there (in) matches always, and each
// login of a role without the tag is then refused (Consul 1.22.7).
func furtherRule(method, tag string) bindingRule {
	return bindingRule{ACLBindingRule: api.ACLBindingRule{
		Description: "Bind a service identity from IAM role tag " + tag + " for ECS",
		AuthMethod:  method,
		BindType:    api.BindingRuleBindTypeService,
		BindName:    "${entity_tags." + tag + "}",
		Selector:    `entity_tags["` + tag + `"] != ""`,
	}}
}

// taskTags are the tags of task roles that the rules name.
func taskTags() []string {
	all := []string{mesh.RoleTagGatewayKind, mesh.RoleTagNamespace}
	for n := range mesh.MaxServices {
		all = append(all, mesh.RoleTagOfService(n))
	}
	return all
}
