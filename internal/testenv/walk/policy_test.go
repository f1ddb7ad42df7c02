package walk

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// policy is a policy of IAM's, as far as the page's uses what there is: no Deny, no NotAction, and conditions of equality.
type policy struct {
	Statement []struct {
		Sid, Effect      string
		Action, Resource oneOrMany
		Condition        map[string]map[string]oneOrMany
	}
}

// oneOrMany is a text or a list of them.
type oneOrMany []string

// UnmarshalJSON implements json.Unmarshaler.
func (o *oneOrMany) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '[' {
		return json.Unmarshal(raw, (*[]string)(o))
	}
	*o = make(oneOrMany, 1)
	return json.Unmarshal(raw, &(*o)[0])
}

// right is what a call takes: an action on a resource, with what conditions ask of it.
type right struct {
	Action, Resource string
	context          map[string]string
}

// allows reports whether a statement grants the right.
func (p policy) allows(r right) bool {
	for _, s := range p.Statement {
		if s.Effect == "Allow" && fits(s.Action, r.Action) && fits(s.Resource, r.Resource) && holds(s.Condition, r.context) {
			return true
		}
	}
	return false
}

// actions are those that the statements name.
func (p policy) actions() []string {
	var all []string
	for _, s := range p.Statement {
		all = append(all, s.Action...)
	}
	return all
}

// fits reports whether one of the patterns is the name's.
func fits(patterns []string, name string) bool {
	for _, pattern := range patterns {
		expression := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
		if regexp.MustCompile("^" + expression + "$").MatchString(name) {
			return true
		}
	}
	return false
}

// holds reports whether all conditions are met. One of a kind that it does not know is not.
func holds(conditions map[string]map[string]oneOrMany, context map[string]string) bool {
	for operator, keys := range conditions {
		for key, values := range keys {
			if operator != "StringEquals" || !fits(values, context[key]) {
				return false
			}
		}
	}
	return true
}

func TestAPolicyAllowsWhatItSays(t *testing.T) {
	t.Parallel()
	var p policy
	err := json.Unmarshal([]byte(`{"Statement":[
		{"Effect":"Allow","Action":["iam:GetRole","iam:CreateRole"],"Resource":"arn:aws:iam::1:role/mesh/*"},
		{"Effect":"Allow","Action":"iam:PassRole","Resource":["arn:aws:iam::1:role/mesh/*"],"Condition":{"StringEquals":{"iam:PassedToService":"ecs-tasks.amazonaws.com"}}},
		{"Effect":"Allow","Action":"ecs:ListTasks","Resource":"*","Condition":{"NumericEquals":{"x":"1"}}}]}`), &p)
	if err != nil {
		t.Fatal(err)
	}
	toTasks := map[string]string{"iam:PassedToService": "ecs-tasks.amazonaws.com"}
	for _, test := range []struct {
		right right
		want  bool
	}{
		{right{"iam:GetRole", "arn:aws:iam::1:role/mesh/web", nil}, true},
		{right{"iam:GetRole", "arn:aws:iam::1:role/other/web", nil}, false},
		{right{"iam:DeleteRole", "arn:aws:iam::1:role/mesh/web", nil}, false},
		{right{"iam:PassRole", "arn:aws:iam::1:role/mesh/web", toTasks}, true},
		{right{"iam:PassRole", "arn:aws:iam::1:role/mesh/web", map[string]string{"iam:PassedToService": "ec2.amazonaws.com"}}, false},
		{right{"iam:PassRole", "arn:aws:iam::1:role/mesh/web", nil}, false},
		{right{"ecs:ListTasks", "*", nil}, false},
	} {
		if got := p.allows(test.right); got != test.want {
			t.Errorf("%v is allowed: %t, want %t", test.right, got, test.want)
		}
	}
}

// policyOf is the policy that a page writes, with the shell's variables in it.
func policyOf(t *testing.T, page string) policy {
	t.Helper()
	_, rest, _ := strings.Cut(page, "cat >terraform-rights.json <<END\n")
	text, _, found := strings.Cut(rest, "\nEND\n")
	var p policy
	if err := json.Unmarshal([]byte(text), &p); err != nil || !found {
		t.Fatalf("the page's policy: %v", err)
	}
	return p
}
