package acl

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

func TestTheAuthMethodKeepsWhatOperatorsSet(t *testing.T) {
	t.Parallel()
	tags := []string{mesh.RoleTagGatewayKind, mesh.RoleTagNamespace, mesh.RoleTagServiceName}
	allTags := []any{tags[0], tags[1], tags[2]}
	for name, tc := range map[string]struct {
		have map[string]any
		want Method
		then map[string]any // nil: unchanged
	}{
		"nothing new": {
			have: map[string]any{"BoundIAMPrincipalARNs": []any{"a", "b"}, "EnableIAMEntityDetails": true, "IAMEntityTags": allTags, "STSEndpoint": "https://sts"},
			want: Method{BoundPrincipals: []string{"b"}},
		},
		"another ECS cluster's account": {
			have: map[string]any{
				"BoundIAMPrincipalARNs": []any{"z", "a"}, "EnableIAMEntityDetails": true, "IAMEntityTags": append([]any{"team"}, allTags...),
				"STSEndpoint": "https://sts", "IAMEndpoint": "https://iam", "ServerIDHeaderValue": "id", "MaxRetries": 3,
			},
			want: Method{BoundPrincipals: []string{"b"}},
			then: map[string]any{
				"BoundIAMPrincipalARNs": []string{"z", "a", "b"}, "EnableIAMEntityDetails": true, "IAMEntityTags": append([]any{"team"}, allTags...),
				"STSEndpoint": "https://sts", "IAMEndpoint": "https://iam", "ServerIDHeaderValue": "id", "MaxRetries": 3,
			},
		},
		"made by hand with too little": {
			have: map[string]any{"BoundIAMPrincipalARNs": "a"},
			want: Method{BoundPrincipals: []string{"b"}},
			then: map[string]any{
				"BoundIAMPrincipalARNs": []string{"a", "b"}, "EnableIAMEntityDetails": true,
				"IAMEntityTags": []string{mesh.RoleTagGatewayKind, mesh.RoleTagNamespace, mesh.RoleTagServiceName},
			},
		},
		"endpoints that we are told": {
			have: map[string]any{"BoundIAMPrincipalARNs": []any{"a"}, "EnableIAMEntityDetails": true, "IAMEntityTags": allTags, "STSEndpoint": "old"},
			want: Method{BoundPrincipals: []string{"a"}, STSEndpoint: "new", IAMEndpoint: "iam", ServerIDHeaderValue: "id"},
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
			got, changed := method{Method: tc.want, tags: tags}.merge(have)
			if changed != (tc.then != nil) {
				t.Errorf("changed is %v", changed)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("merged (-want +got):\n%s", diff)
			}
		})
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
	wanted := taskRules("m")[0]
	want := wanted.ACLBindingRule
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
		if got := findRule(tc.have, wanted); got != tc.want {
			t.Errorf("%s: found %v, want %v", name, got, tc.want)
		}
	}
}

func TestAnOperatorsEndpointsAreKept(t *testing.T) {
	t.Parallel()
	fallback := Replay{"https://sts.cn-north-1.amazonaws.com.cn", "https://iam.cn-north-1.amazonaws.com.cn"}
	for name, tc := range map[string]struct {
		have     map[string]any
		want     Method
		sts, iam any
	}{
		"none yet":   {nil, Method{Fallback: fallback}, fallback.STSEndpoint, fallback.IAMEndpoint},
		"operator's": {map[string]any{configSTSEndpoint: "https://own"}, Method{Fallback: fallback}, "https://own", fallback.IAMEndpoint},
		"ours":       {map[string]any{configSTSEndpoint: "https://own"}, Method{STSEndpoint: "https://given", Fallback: fallback}, "https://given", fallback.IAMEndpoint},
		"no need":    {nil, Method{}, nil, nil},
	} {
		merged, _ := method{Method: tc.want}.merge(api.ACLAuthMethod{Config: tc.have})
		if sts, iam := merged.Config[configSTSEndpoint], merged.Config[configIAMEndpoint]; sts != tc.sts || iam != tc.iam {
			t.Errorf("%s: STS %v, IAM %v; want %v, %v", name, sts, iam, tc.sts, tc.iam)
		}
	}
}
