package acl

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"
)

const clusterARN = "arn:aws:ecs:us-east-1:123456789012:cluster/mesh"

func withController(writesACL bool) Wanted {
	want := wanted()
	want.Controller = &Controller{
		Method: ControllerMethod, Role: IAMRole{"aws", "123456789012", "controller"}, ECSClusters: []string{clusterARN}, WritesACL: writesACL,
	}
	return want
}

// upgraded runs one step of Ensure.
func upgraded(t *testing.T, client *api.Client, step func(*run) error) []string {
	t.Helper()
	r := &run{client: client, want: wanted()}
	if err := step(r); err != nil {
		t.Fatal(err)
	}
	var did []string
	for _, c := range r.changes {
		did = append(did, c.String())
	}
	return did
}

func TestWhatWasOursIsBroughtUpToDate(t *testing.T) {
	t.Parallel()
	client, _ := startConsul(t)
	v1 := policy{Name: "p", Description: "once", Rules: "mesh = \"read\"\n"}
	v2 := policy{Name: "p", Description: "now", Rules: "mesh = \"write\"\n", former: []string{"mesh=\"read\""}, formerDescriptions: []string{"once"}}
	upgrade := func(p policy) []string {
		return upgraded(t, client, func(r *run) error { return r.policy(t.Context(), p) })
	}
	for i, step := range []struct {
		want policy
		did  []string
	}{
		{v1, []string{"created ACL policy p"}},
		{v1, nil},
		{v2, []string{"updated ACL policy p"}},
		{v2, nil},
		{v1, []string{"kept ACL policy p: its rules are an operator's", "kept ACL policy p: its description is an operator's"}},
	} {
		if diff := cmp.Diff(step.did, upgrade(step.want)); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
	have, _, err := client.ACL().PolicyReadByName("p", nil)
	if err != nil || have.Rules != v2.Rules || have.Description != "now" {
		t.Errorf("the policy is %+v (%v), want the second version", have, err)
	}
}

func TestLinksAndDescriptionsOfRolesAreBroughtUpToDate(t *testing.T) {
	t.Parallel()
	client, _ := startConsul(t)
	for _, name := range []string{"a", "b", "operators"} {
		if _, _, err := client.ACL().PolicyCreate(&api.ACLPolicy{Name: name}, nil); err != nil {
			t.Fatal(err)
		}
	}
	ensureRole := func(want role) []string {
		return upgraded(t, client, func(r *run) error { return r.role(t.Context(), want) })
	}
	ensureRole(role{Name: "r", Description: "once", policies: []string{"a"}})
	have, _, err := client.ACL().RoleReadByName("r", nil)
	if err != nil {
		t.Fatal(err)
	}
	have.Policies = append(have.Policies, &api.ACLLink{Name: "operators"})
	if _, _, err := client.ACL().RoleUpdate(have, nil); err != nil {
		t.Fatal(err)
	}
	next := role{Name: "r", Description: "now", policies: []string{"b"}, unlinked: []string{"a"}, formerDescriptions: []string{"once"}}
	for i, want := range [][]string{{"updated ACL role r"}, nil} {
		if diff := cmp.Diff(want, ensureRole(next)); diff != "" {
			t.Errorf("run %d (-want +got):\n%s", i, diff)
		}
	}
	if have, _, err = client.ACL().RoleReadByName("r", nil); err != nil {
		t.Fatal(err)
	}
	var links []string
	for _, l := range have.Policies {
		links = append(links, l.Name)
	}
	if diff := cmp.Diff([]string{"operators", "b"}, links); diff != "" || have.Description != "now" {
		t.Errorf("the role %q links to (-want +got):\n%s", have.Description, diff)
	}
}

func TestSelectorsOfBindingRulesAreBroughtUpToDate(t *testing.T) {
	t.Parallel()
	client, _ := startConsul(t)
	ensure(t, client, wanted())
	rule := taskRules(wanted().Method.Name)[1]
	before := rule.Selector
	rule.Selector, rule.formerSelectors = before+` or entity_name == "gateway"`, []string{before}
	m := method{Method: wanted().Method, rules: []bindingRule{rule}}
	for i, want := range [][]string{{"updated binding rule " + apiGatewayRole}, nil} {
		if diff := cmp.Diff(want, upgraded(t, client, func(r *run) error { return r.rules(t.Context(), m) })); diff != "" {
			t.Errorf("run %d (-want +got):\n%s", i, diff)
		}
	}
	rules, _, err := client.ACL().BindingRuleList(m.Name, nil)
	if err != nil || len(rules) != len(taskRules(m.Name)) || !slices.ContainsFunc(rules, func(r *api.ACLBindingRule) bool { return r.Selector == rule.Selector }) {
		t.Errorf("%d rules (%v), want as many as there were, with the new selector among them", len(rules), err)
	}
}

func TestSettingsOfTheAuthMethodAreWrittenOnce(t *testing.T) {
	t.Parallel()
	client, _ := startConsul(t)
	ensure(t, client, wanted())
	want, retries := wanted(), 4
	want.Method.TokenTTL, want.Method.MaxRetries, want.Method.ServerIDHeaderValue = 90*time.Minute, &retries, "consul.example"
	for i, did := range [][]string{{"updated auth method iam-ecs-service-token"}, nil} {
		if diff := cmp.Diff(did, ensure(t, client, want)); diff != "" {
			t.Errorf("run %d (-want +got):\n%s", i, diff)
		}
	}
	have, _, err := client.ACL().AuthMethodRead(want.Method.Name, nil)
	if err != nil {
		t.Fatal(err)
	}
	if have.MaxTokenTTL != 90*time.Minute || fmt.Sprint(have.Config[configMaxRetries]) != "4" || have.Config[configServerID] != "consul.example" {
		t.Errorf("the auth method is %+v", have)
	}
	if did := ensure(t, client, wanted()); did != nil { // a controller that says nothing of it leaves it alone
		t.Errorf("without the settings: %q", did)
	}
}

func TestAnonymousRequestsAreLeftAloneUnlessTheyAreToRead(t *testing.T) {
	t.Parallel()
	client, _ := startConsul(t)
	want := wanted()
	want.AnonymousReads = false
	ensure(t, client, want)
	token, _, err := client.ACL().TokenRead(anonymousAccessorID, nil)
	if err != nil || len(token.Policies) != 0 {
		t.Errorf("the anonymous token is %+v (%v), want it without policies", token, err)
	}
}

func TestADryRunTellsWhatARunWouldWrite(t *testing.T) {
	t.Parallel()
	client, by := startConsul(t)
	want := withController(true)
	want.DryRun = true
	told := ensure(t, client, want)
	if wrote := by.since(0); len(wrote) > 0 {
		t.Errorf("a dry run wrote %q", wrote)
	}
	want.DryRun = false
	if diff := cmp.Diff(told, ensure(t, client, want)); diff != "" || len(told) < 15 {
		t.Errorf("told and then done (-told +done):\n%s", diff)
	}
}

func TestAControllerLosesTheRightOverACLsWhenItIsToHaveNone(t *testing.T) {
	t.Parallel()
	client, _ := startConsul(t)
	ensure(t, client, withController(true))
	name := ControllerName(clusterARN)
	links := func() (names []string) {
		role, _, err := client.ACL().RoleReadByName(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range role.Policies {
			names = append(names, l.Name)
		}
		return names
	}
	if diff := cmp.Diff([]string{name, rightsPolicy}, links()); diff != "" {
		t.Errorf("with the right (-want +got):\n%s", diff)
	}
	for i, want := range [][]string{{"updated ACL role " + name}, nil} {
		if diff := cmp.Diff(want, ensure(t, client, withController(false))); diff != "" {
			t.Errorf("run %d (-want +got):\n%s", i, diff)
		}
	}
	if diff := cmp.Diff([]string{name}, links()); diff != "" {
		t.Errorf("without it (-want +got):\n%s", diff)
	}
	both := withController(false)
	both.Controller.Method = both.Method.Name
	if _, err := Ensure(t.Context(), client, both); err == nil {
		t.Error("controllers may log in by the auth method of tasks")
	}
}

func TestRolesAreReadFromTheirARNs(t *testing.T) {
	t.Parallel()
	for arn, want := range map[string]string{
		"arn:aws:iam::123456789012:role/ctl":                     "arn:aws:iam::123456789012:role/ctl",
		"arn:aws-cn:iam::123456789012:role/team/a/ctl":           "arn:aws-cn:iam::123456789012:role/ctl",
		"arn:aws:sts::123456789012:assumed-role/ctl/0f5b8c3a1d2": "arn:aws:iam::123456789012:role/ctl",
		"arn:aws:iam::123456789012:user/ctl":                     "",
		"ctl":                                                    "",
	} {
		role, err := RoleOf(arn)
		if (err != nil) != (want == "") || err == nil && role.ARN() != want {
			t.Errorf("%s: %+v, %v; want %q", arn, role, err, want)
		}
	}
}

func TestNamesOfControllersAreConsulsAndDiffer(t *testing.T) {
	t.Parallel()
	long := clusterARN
	for range 240 {
		long += "x"
	}
	names := map[string]bool{}
	for _, arn := range []string{clusterARN, "arn:aws:ecs:eu-west-1:123456789012:cluster/mesh", long, long + "y"} {
		name := ControllerName(arn)
		if len(name) > 128 || names[name] {
			t.Errorf("%s is called %s", arn, name)
		}
		names[name] = true
	}
}
