package consul

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

func TestTheAuthMethodKeepsWhatOperatorsSet(t *testing.T) {
	t.Parallel()
	allTags := []any{mesh.RoleTagGatewayKind, mesh.RoleTagNamespace, mesh.RoleTagServiceName}
	for name, tc := range map[string]struct {
		have map[string]any
		want AuthMethod
		then map[string]any // nil: unchanged
	}{
		"nothing new": {
			have: map[string]any{"BoundIAMPrincipalARNs": []any{"a", "b"}, "EnableIAMEntityDetails": true, "IAMEntityTags": allTags, "STSEndpoint": "https://sts"},
			want: AuthMethod{BoundPrincipals: []string{"b"}},
		},
		"another ECS cluster's account": {
			have: map[string]any{
				"BoundIAMPrincipalARNs": []any{"z", "a"}, "EnableIAMEntityDetails": true, "IAMEntityTags": append([]any{"team"}, allTags...),
				"STSEndpoint": "https://sts", "IAMEndpoint": "https://iam", "ServerIDHeaderValue": "id", "MaxRetries": 3,
			},
			want: AuthMethod{BoundPrincipals: []string{"b"}},
			then: map[string]any{
				"BoundIAMPrincipalARNs": []string{"z", "a", "b"}, "EnableIAMEntityDetails": true, "IAMEntityTags": append([]any{"team"}, allTags...),
				"STSEndpoint": "https://sts", "IAMEndpoint": "https://iam", "ServerIDHeaderValue": "id", "MaxRetries": 3,
			},
		},
		"made by hand with too little": {
			have: map[string]any{"BoundIAMPrincipalARNs": "a"},
			want: AuthMethod{BoundPrincipals: []string{"b"}},
			then: map[string]any{
				"BoundIAMPrincipalARNs": []string{"a", "b"}, "EnableIAMEntityDetails": true,
				"IAMEntityTags": []string{mesh.RoleTagGatewayKind, mesh.RoleTagNamespace, mesh.RoleTagServiceName},
			},
		},
		"endpoints that we are told": {
			have: map[string]any{"BoundIAMPrincipalARNs": []any{"a"}, "EnableIAMEntityDetails": true, "IAMEntityTags": allTags, "STSEndpoint": "old"},
			want: AuthMethod{BoundPrincipals: []string{"a"}, STSEndpoint: "new", IAMEndpoint: "iam", ServerIDHeaderValue: "id"},
			then: map[string]any{
				"BoundIAMPrincipalARNs": []any{"a"}, "EnableIAMEntityDetails": true, "IAMEntityTags": allTags,
				"STSEndpoint": "new", "IAMEndpoint": "iam", "ServerIDHeaderValue": "id",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			have := api.ACLAuthMethod{Name: "m", Type: "aws-iam", Description: "ours", DisplayName: "d", TokenLocality: "global", Config: tc.have}
			want := have
			if tc.then != nil {
				want.Config = tc.then
			}
			got, changed := mergeAuthMethod(have, tc.want)
			if changed != (tc.then != nil) {
				t.Errorf("changed is %v", changed)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("merged (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnlyTokensOfThisECSClustersTasksAreFound(t *testing.T) {
	t.Parallel()
	const cluster = "arn:aws:ecs:us-east-1:123456789012:cluster/mesh"
	meta := func(cluster string) string {
		return `{"consul.hashicorp.com/cluster":"` + cluster + `","consul.hashicorp.com/task-id":"abc","team":"x"}`
	}
	for description, want := range map[string]string{
		"token created via login: " + meta(cluster):                                   "abc",
		"token created via login: " + meta(cluster+"-2"):                              "",
		"token created via login":                                                     "",
		"token created via login: {":                                                  "",
		`token created via login: {"pod":"web"}`:                                      "",
		"copied: token created via login: " + meta(cluster):                           "",
		`token created via login: {"consul.hashicorp.com/cluster":"` + cluster + `"}`: "",
		"Bootstrap Token (Global Management)":                                         "",
	} {
		got, ok := taskOfToken(description, cluster)
		if ok != (want != "") || ok && got != want {
			t.Errorf("task of %q is %q, %v; want %q", description, got, ok, want)
		}
	}
}

func TestThePrimaryDatacenterIsRecognised(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		config, debug map[string]any
		want, wantErr bool
	}{
		"alone":     {config: map[string]any{"Datacenter": "dc1"}, want: true},
		"primary":   {config: map[string]any{"Datacenter": "dc1", "PrimaryDatacenter": "dc1"}, want: true},
		"secondary": {config: map[string]any{"Datacenter": "dc2", "PrimaryDatacenter": "dc1"}},
		"in debug":  {config: map[string]any{"Datacenter": "dc2"}, debug: map[string]any{"PrimaryDatacenter": "dc1"}},
		"no answer": {wantErr: true},
	} {
		got, err := isPrimary(map[string]map[string]any{"Config": tc.config, "DebugConfig": tc.debug})
		if got != tc.want || (err != nil) != tc.wantErr {
			t.Errorf("%s: primary is %v, %v; want %v", name, got, err, tc.want)
		}
	}
}

func TestABindingRuleIsFoundUnderAnOperatorsSelector(t *testing.T) {
	t.Parallel()
	want := meshBindingRules("m")[0]
	narrowed, other, renamed := want, want, want
	narrowed.Selector = `entity_path matches "/prod/"`
	other.BindName = "web"
	renamed.Description = "mine"
	for name, tc := range map[string]struct {
		have []*api.ACLBindingRule
		want *api.ACLBindingRule
	}{
		"none":               {nil, nil},
		"another bind name":  {[]*api.ACLBindingRule{&other}, nil},
		"narrowed":           {[]*api.ACLBindingRule{&other, &narrowed}, &narrowed},
		"narrowed and exact": {[]*api.ACLBindingRule{&narrowed, &renamed}, &renamed},
	} {
		if got := findRule(tc.have, want); got != tc.want {
			t.Errorf("%s: found %v, want %v", name, got, tc.want)
		}
	}
}
