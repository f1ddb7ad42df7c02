package acl

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/consul/api"
)

const methodType = "aws-iam"

// Keys of an aws-iam auth method's configuration.
const (
	configPrincipals    = "BoundIAMPrincipalARNs"
	configEntityDetails = "EnableIAMEntityDetails"
	configEntityTags    = "IAMEntityTags"
	configSTSEndpoint   = "STSEndpoint"
	configIAMEndpoint   = "IAMEndpoint"
	configServerID      = "ServerIDHeaderValue"
	configMaxRetries    = "MaxRetries"
)

// method is an auth method of ours with its binding rules.
type method struct {
	Method
	Description string
	firstTTL    time.Duration // of a method that is created, where TokenTTL is not given
	tags        []string      // of the IAM role, for binding rules; none: the role's path and tags are not asked for
	namespaces  bool          // Consul Enterprise: tokens lie in the namespace that the role's tag says
	rules       []bindingRule
}

// methods are the one of tasks and, where there is a controller that logs in, that of controllers.
func (w Wanted) methods() []method {
	all := []method{{
		Method: w.Method, Description: "AWS IAM auth method for ECS service tokens",
		tags:       taskTags(),
		namespaces: w.Partition != "", rules: taskRules(w.Method.Name),
	}}
	if w.Controller != nil {
		all = append(all, w.controllerMethod())
	}
	return all
}

func (r *run) method(ctx context.Context, want method) error {
	have, _, err := r.client.ACL().AuthMethodRead(want.Name, r.queries(ctx))
	if err != nil {
		return fmt.Errorf("read auth method %s: %w", want.Name, err)
	}
	if have == nil {
		merged, _ := want.merge(api.ACLAuthMethod{Name: want.Name, Type: methodType, Description: want.Description, MaxTokenTTL: want.firstTTL})
		err := r.create(kindMethod, want.Name, func() error { return only(r.client.ACL().AuthMethodCreate(&merged, r.writes(ctx))) })
		if err != nil {
			return err
		}
		return r.rules(ctx, want)
	}
	if have.Type != methodType {
		return fmt.Errorf("auth method %s has type %s, not %s\nhint: name another one in controller.authMethod.name, or remove it",
			want.Name, have.Type, methodType)
	}
	if have.Description != want.Description {
		r.kept(kindMethod, want.Name, "its description is an operator's")
	}
	if merged, changed := want.merge(*have); changed {
		err := r.update(kindMethod, want.Name, func() error { return only(r.client.ACL().AuthMethodUpdate(&merged, r.writes(ctx))) })
		if err != nil {
			return err
		}
	}
	return r.rules(ctx, want)
}

// merge adds to have what is wanted and keeps the rest: principals and tags of other ECS clusters, and every setting that is
// left empty.
func (m method) merge(have api.ACLAuthMethod) (merged api.ACLAuthMethod, changed bool) {
	merged = have
	merged.Config = maps.Clone(have.Config)
	if merged.Config == nil {
		merged.Config = map[string]any{}
	}
	set := func(key string, value any) { merged.Config[key], changed = value, true }
	for key, values := range map[string][]string{configPrincipals: m.BoundPrincipals, configEntityTags: m.tags} {
		before := stringsIn(merged.Config[key])
		if after := union(before, values); len(after) > len(before) {
			set(key, after)
		}
	}
	if on, _ := merged.Config[configEntityDetails].(bool); !on && m.tags != nil {
		set(configEntityDetails, true)
	}
	text := func(key string) string {
		value, _ := merged.Config[key].(string)
		return value
	}
	for key, value := range map[string]string{
		configSTSEndpoint: m.STSEndpoint, configIAMEndpoint: m.IAMEndpoint, configServerID: m.ServerIDHeaderValue,
	} {
		if value != "" && text(key) != value {
			set(key, value)
		}
	}
	for key, value := range map[string]string{configSTSEndpoint: m.Fallback.STSEndpoint, configIAMEndpoint: m.Fallback.IAMEndpoint} {
		if value != "" && text(key) == "" {
			set(key, value)
		}
	}
	if m.MaxRetries != nil && fmt.Sprint(merged.Config[configMaxRetries]) != fmt.Sprint(*m.MaxRetries) { // JSON has made it a float64
		set(configMaxRetries, *m.MaxRetries)
	}
	if m.TokenTTL != 0 && merged.MaxTokenTTL != m.TokenTTL {
		merged.MaxTokenTTL, changed = m.TokenTTL, true
	}
	if m.namespaces && !slices.ContainsFunc(have.NamespaceRules, func(r *api.ACLAuthMethodNamespaceRule) bool { return *r == byNamespaceTag }) {
		merged.NamespaceRules, changed = append(slices.Clone(have.NamespaceRules), &byNamespaceTag), true
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

// rules makes sure of the binding rules of an auth method.
func (r *run) rules(ctx context.Context, m method) error {
	have, _, err := r.client.ACL().BindingRuleList(m.Name, r.queries(ctx))
	if err != nil {
		return fmt.Errorf("list binding rules of %s: %w", m.Name, err)
	}
	for _, want := range m.rules {
		found := findRule(have, want)
		if found == nil {
			err := r.create(kindRule, want.BindName, func() error { return only(r.client.ACL().BindingRuleCreate(&want.ACLBindingRule, r.writes(ctx))) })
			if err != nil {
				return err
			}
			continue
		}
		if err := r.upgradeRule(ctx, *found, want); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) upgradeRule(ctx context.Context, have api.ACLBindingRule, want bindingRule) error {
	if !r.settle(kindRule, want.BindName,
		text{"its selector is", &have.Selector, want.Selector, want.formerSelectors, equal},
		text{"its description is", &have.Description, want.Description, want.formerDescriptions, equal}) {
		return nil
	}
	return r.update(kindRule, want.BindName, func() error { return only(r.client.ACL().BindingRuleUpdate(&have, r.writes(ctx))) })
}

// findRule looks for want among have, also when an operator has given it another selector or description.
func findRule(have []*api.ACLBindingRule, want bindingRule) *api.ACLBindingRule {
	var narrowed *api.ACLBindingRule
	for _, rule := range have {
		switch {
		case rule.BindType != want.BindType || rule.BindName != want.BindName:
		case rule.Selector == want.Selector:
			return rule
		case rule.Description == want.Description, slices.Contains(want.formerDescriptions, rule.Description):
			narrowed = rule
		}
	}
	return narrowed
}
