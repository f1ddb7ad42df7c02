package deploy

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/provider/canonical"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

// RoleView is a role as far as a resource keeps it: what others add to the role is theirs and does not show.
type RoleView struct {
	Name                string                     `json:"name"`
	Path                string                     `json:"path"`
	TrustPolicy         json.RawMessage            `json:"trustPolicy,omitempty"`
	Policies            map[string]json.RawMessage `json:"policies,omitempty"` // inline, by name
	PolicyARNs          []string                   `json:"policyArns,omitempty"`
	PermissionsBoundary string                     `json:"permissionsBoundary,omitempty"`
	Tags                map[string]string          `json:"tags,omitempty"`
	Superseded          []string                   `json:"supersededPolicyArns,omitempty"` // of others, to go with the next apply
}

// viewOf is the role as it is wanted.
func viewOf(r iamrole.Role) RoleView {
	v := RoleView{
		Name: r.Name, Path: r.Path, TrustPolicy: canonical.JSON(r.TrustPolicy),
		PolicyARNs: slices.Compact(slices.Sorted(slices.Values(r.PolicyARNs))), PermissionsBoundary: r.PermissionsBoundary, Tags: r.Tags,
	}
	v.Policies = map[string]json.RawMessage{}
	if r.Policy != "" {
		v.Policies[r.PolicyName] = canonical.JSON(r.Policy)
	}
	for name, policy := range r.InlinePolicies {
		v.Policies[name] = canonical.JSON(policy)
	}
	return v
}

// within is what v, a role as IAM has it, shows of the role that the resource keeps.
func (v RoleView) within(kept RoleView) RoleView {
	is := v
	v.Policies = maps.Clone(v.Policies)
	maps.DeleteFunc(v.Policies, func(name string, _ json.RawMessage) bool { _, ok := kept.Policies[name]; return !ok })
	v.PolicyARNs = slices.DeleteFunc(slices.Clone(v.PolicyARNs), func(arn string) bool { return !slices.Contains(kept.PolicyARNs, arn) })
	v.Superseded = slices.DeleteFunc(slices.Clone(kept.Superseded), func(arn string) bool { return !slices.Contains(is.PolicyARNs, arn) })
	v.Tags = maps.Clone(v.Tags)
	maps.DeleteFunc(v.Tags, func(key, _ string) bool { _, ok := kept.Tags[key]; return !ok })
	return v
}

// shownTo is the view as its owner's state shows it. A policy of the user's, who may have marked it sensitive, is a short hash.
func (v RoleView) shownTo(owner ownership.Owner) RoleView {
	v.Tags = owner.Shown(v.Tags)
	v.Policies = maps.Clone(v.Policies)
	for name, policy := range v.Policies {
		if !iamrole.IsOwnPolicy(name) {
			v.Policies[name] = json.RawMessage(`"` + canonical.Hidden(owner.Name, policy) + `"`)
		}
	}
	return v
}

// encodeRoles writes views for the state.
func encodeRoles(views []RoleView) (string, error) {
	if len(views) == 0 {
		return "[]", nil
	}
	text, err := ownership.Encode("roles", views)
	if err != nil {
		return "", err
	}
	return *text, nil
}

// decodeRoles reads what encodeRoles wrote; nothing from no text.
func decodeRoles(text *string) ([]RoleView, error) {
	return ownership.Decode[[]RoleView]("roles", text)
}
