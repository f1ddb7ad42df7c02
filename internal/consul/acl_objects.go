package consul

import (
	"errors"
	"maps"
	"slices"
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
	apiGatewayRole         = "consul-ecs-api-gateway-role"
	meshGatewayRole        = "consul-ecs-mesh-gateway-role"
	terminatingGatewayRole = "consul-ecs-terminating-gateway-role"

	authMethodType      = "aws-iam"
	anonymousAccessorID = "00000000-0000-0000-0000-000000000002"
)

// Keys of an aws-iam auth method's configuration.
const (
	configPrincipals    = "BoundIAMPrincipalARNs"
	configEntityDetails = "EnableIAMEntityDetails"
	configEntityTags    = "IAMEntityTags"
	configSTSEndpoint   = "STSEndpoint"
	configIAMEndpoint   = "IAMEndpoint"
	configServerID      = "ServerIDHeaderValue"
)

const readCatalogRules = `node_prefix "" {
  policy = "read"
}
service_prefix "" {
  policy = "read"
}
`

func meshPolicies() []api.ACLPolicy {
	return []api.ACLPolicy{
		{Name: apiGatewayPolicy, Description: "API Gateway token Policy", Rules: "mesh = \"read\"\n" + readCatalogRules},
		{Name: meshGatewayPolicy, Description: "Mesh Gateway token Policy", Rules: "mesh = \"write\"\npeering = \"read\"\n"},
	}
}

func anonymousReadPolicy() api.ACLPolicy {
	return api.ACLPolicy{Name: anonymousPolicy, Description: "Anonymous token Policy", Rules: readCatalogRules}
}

// meshRoles are the roles of gateways. The terminating gateway's has no policy of ours: operators attach what its
// services need.
func meshRoles() []api.ACLRole {
	return []api.ACLRole{
		{Name: apiGatewayRole, Description: "API Gateway Role for ECS", Policies: []*api.ACLLink{{Name: apiGatewayPolicy}}},
		{Name: meshGatewayRole, Description: "Mesh Gateway Role for ECS", Policies: []*api.ACLLink{{Name: meshGatewayPolicy}}},
		{Name: terminatingGatewayRole, Description: "Terminating Gateway Role for ECS"},
	}
}

func meshBindingRules(method string) []api.ACLBindingRule {
	gateway := func(kind, described, role string) api.ACLBindingRule {
		return api.ACLBindingRule{
			Description: "Bind a Consul role from IAM role tag for ECS based " + described,
			AuthMethod:  method,
			BindType:    api.BindingRuleBindTypeRole,
			BindName:    role,
			Selector:    `entity_tags["` + mesh.RoleTagGatewayKind + `"] == "` + kind + `"`,
		}
	}
	return []api.ACLBindingRule{
		{
			Description: "Bind a service identity from IAM role tag for ECS",
			AuthMethod:  method,
			BindType:    api.BindingRuleBindTypeService,
			BindName:    "${entity_tags." + mesh.RoleTagServiceName + "}",
		},
		gateway("api-gateway", "API gateways", apiGatewayRole),
		gateway("terminating-gateway", "Terminating gateways", terminatingGatewayRole),
		gateway("mesh-gateway", "mesh gateways", meshGatewayRole),
	}
}

// findRule looks for want among have, also when an operator has given it another selector or description.
func findRule(have []*api.ACLBindingRule, want api.ACLBindingRule) *api.ACLBindingRule {
	var narrowed *api.ACLBindingRule
	for _, rule := range have {
		switch {
		case rule.BindType != want.BindType || rule.BindName != want.BindName:
		case rule.Selector == want.Selector:
			return rule
		case rule.Description == want.Description:
			narrowed = rule
		}
	}
	return narrowed
}

func newAuthMethod(name string) api.ACLAuthMethod {
	return api.ACLAuthMethod{Name: name, Type: authMethodType, Description: "AWS IAM auth method for ECS service tokens"}
}

// mergeAuthMethod adds to have what want asks for and keeps the rest: principals and tags of other ECS clusters, and
// every setting that want leaves empty.
func mergeAuthMethod(have api.ACLAuthMethod, want AuthMethod) (merged api.ACLAuthMethod, changed bool) {
	merged = have
	merged.Config = maps.Clone(have.Config)
	if merged.Config == nil {
		merged.Config = map[string]any{}
	}
	tags := []string{mesh.RoleTagGatewayKind, mesh.RoleTagNamespace, mesh.RoleTagServiceName}
	for key, values := range map[string][]string{configPrincipals: want.BoundPrincipals, configEntityTags: tags} {
		before := stringsIn(merged.Config[key])
		if after := union(before, values); len(after) > len(before) {
			merged.Config[key], changed = after, true
		}
	}
	if on, _ := merged.Config[configEntityDetails].(bool); !on {
		merged.Config[configEntityDetails], changed = true, true
	}
	for key, value := range map[string]string{
		configSTSEndpoint: want.STSEndpoint, configIAMEndpoint: want.IAMEndpoint, configServerID: want.ServerIDHeaderValue,
	} {
		if before, _ := merged.Config[key].(string); value != "" && before != value {
			merged.Config[key], changed = value, true
		}
	}
	for key, value := range map[string]string{configSTSEndpoint: want.Fallback.STSEndpoint, configIAMEndpoint: want.Fallback.IAMEndpoint} {
		if before, _ := merged.Config[key].(string); value != "" && before == "" {
			merged.Config[key], changed = value, true
		}
	}
	return merged, changed
}

// stringsIn reads a list out of a configuration that Consul takes in several shapes.
func stringsIn(value any) []string {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []string:
		return v
	case []any:
		var list []string
		for _, item := range v {
			if s, ok := item.(string); ok {
				list = append(list, s)
			}
		}
		return list
	default:
		return nil
	}
}

// union is have with what it lacks of more, in order.
func union(have, more []string) []string {
	all := slices.Clone(have)
	for _, s := range more {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

func linkPolicies(have, want []*api.ACLLink) []*api.ACLLink {
	links := slices.Clone(have)
	for _, link := range want {
		if !slices.ContainsFunc(have, func(l *api.ACLLink) bool { return l.Name == link.Name }) {
			links = append(links, link)
		}
	}
	return links
}

// sameRules compares two texts of rules but for white space.
func sameRules(a, b string) bool { return slices.Equal(strings.Fields(a), strings.Fields(b)) }

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
