package provider_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// In an account that the provider may not work in, nothing is planned, read or deleted: a resource would seem to be gone there.
func TestNothingIsDoneInAnotherAccount(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	const resource = "consulecs_mesh_task"
	for name, r := range map[string]struct {
		accounts fields
		want     string // "" means that it is allowed
	}{
		"allowed":        {fields{"allowed_account_ids": []any{"123456789012", "210987654321"}}, ""},
		"another":        {fields{"allowed_account_ids": []any{"210987654321"}}, "not one of the provider's allowed_account_ids: 210987654321"},
		"forbidden":      {fields{"forbidden_account_ids": []any{"123456789012"}}, "the provider's forbidden_account_ids has"},
		"not forbidden":  {fields{"forbidden_account_ids": []any{"210987654321"}}, ""},
		"nothing at all": {nil, ""},
	} {
		p := speak(t)
		p.configure(t, with(c.frame(nil)["provider"].(fields)["consulecs"].(fields), r.accounts))
		block := p.block(resource)
		config := object(t, block, meshTask(fields{"family": "account-" + strings.ReplaceAll(name, " ", "-"), "adopt_existing": true}))
		said, _ := p.plan(t, resource, config)
		wantRefusal(t, name+": plan", r.want, said)
		if r.want == "" {
			continue
		}
		state := dynamic(t, config)
		read, err := p.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{TypeName: resource, CurrentState: state})
		if err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, name+": read", r.want, read.Diagnostics)
		if is, err := read.NewState.Unmarshal(block.ValueType()); err != nil || is.IsNull() {
			t.Errorf("%s: the state is gone, %v", name, err)
		}
		nothing := dynamic(t, tftypes.NewValue(block.ValueType(), nil))
		deleted, err := p.ApplyResourceChange(t.Context(), &tfprotov6.ApplyResourceChangeRequest{TypeName: resource, PriorState: state, PlannedState: nothing, Config: nothing})
		if err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, name+": delete", r.want, deleted.Diagnostics)
	}
}

func wantRefusal(t *testing.T, what, want string, said []*tfprotov6.Diagnostic) {
	t.Helper()
	text := saidOf(said)
	if refused := slices.ContainsFunc(said, isError); refused != (want != "") || !strings.Contains(text, want) {
		t.Errorf("%s: want %q, got %q", what, want, text)
	}
}

// The provider's own block is refused where no AWS would take it, at the attribute.
func TestProvidersAreRefusedAtTheirAttributes(t *testing.T) {
	t.Parallel()
	const role = "arn:aws:iam::123456789012:role/ci"
	for name, r := range map[string]struct {
		config fields
		want   string
	}{
		"an account by its name":    {fields{"allowed_account_ids": []any{"prod"}}, "12 digits"},
		"two lists":                 {fields{"allowed_account_ids": []any{"123456789012"}, "forbidden_account_ids": []any{"210987654321"}}, "allowed_account_ids"},
		"no token":                  {fields{"assume_role_with_web_identity": fields{"role_arn": role}}, "assume_role_with_web_identity.web_identity_token is missing"},
		"two tokens":                {fields{"assume_role_with_web_identity": fields{"role_arn": role, "web_identity_token": "hunter-2", "web_identity_token_file": "/x"}}, "web_identity_token is not allowed together with assume_role_with_web_identity.web_identity_token_file"},
		"a token for nobody":        {fields{"assume_role_with_web_identity": fields{"web_identity_token": "hunter-2"}}, "role_arn is missing"},
		"a role by its name":        {fields{"assume_role_with_web_identity": fields{"role_arn": "ci", "web_identity_token": "hunter-2"}}, "ARN of an IAM role"},
		"FIPS of others":            {fields{"use_fips_endpoint": true, "endpoints": fields{"ecs": "http://127.0.0.1:1"}}, "endpoints is not allowed together with use_fips_endpoint"},
		"two stacks of others":      {fields{"use_dualstack_endpoint": true, "endpoints": fields{"ecs": "http://127.0.0.1:1"}}, "endpoints is not allowed together with use_dualstack_endpoint"},
		"a key of the mesh":         {fields{"ignore_tags": fields{"keys": []any{"consul.hashicorp.com/mesh"}}}, "a key of the mesh"},
		"a prefix of the mesh":      {fields{"ignore_tags": fields{"key_prefixes": []any{"consul"}}}, "with which keys of the mesh begin"},
		"every key":                 {fields{"ignore_tags": fields{"key_prefixes": []any{""}}}, "with which keys of the mesh begin"},
		"a key that it sets itself": {fields{"default_tags": fields{"tags": fields{"cost": "1"}}, "ignore_tags": fields{"key_prefixes": []any{"co"}}}, `default_tags.tags["cost"] is a key that ignore_tags names`},
		"all of it": {fields{
			"allowed_account_ids": []any{"123456789012"}, "use_fips_endpoint": true, "use_dualstack_endpoint": true, "default_tags": fields{"tags": fields{"team": "a"}},
			"ignore_tags": fields{"keys": []any{"cost"}, "key_prefixes": []any{"aws-"}}, "assume_role_with_web_identity": fields{"role_arn": role, "web_identity_token": "hunter-2", "duration": "15m"},
		}, ""},
	} {
		said, wrong := speak(t).tryProvider(t, with(fields{"region": "us-east-1"}, r.config))
		wantRefusal(t, name, r.want, said)
		if wrong != "" || strings.Contains(saidOf(said), "hunter") {
			t.Errorf("%s: %s%s", name, wrong, saidOf(said))
		}
	}
}
