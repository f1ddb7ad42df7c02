package iamrole_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

func TestPairsOfRolesThatIAMWouldRefuse(t *testing.T) {
	t.Parallel()
	named := func(task, execution string) iamrole.Pair {
		return iamrole.Pair{Family: "web", Task: &iamrole.Settings{Name: task}, Execution: &iamrole.Settings{Name: execution}}
	}
	policies := func(arns ...string) iamrole.Pair { return iamrole.Pair{Task: &iamrole.Settings{PolicyARNs: arns}} }
	inline := func(name string) iamrole.Pair {
		return iamrole.Pair{Task: &iamrole.Settings{InlinePolicies: map[string]string{name: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"a:b","Resource":"*"}]}`}}}
	}
	keys := func(arn string) iamrole.Pair {
		return iamrole.Pair{Execution: &iamrole.Settings{}, KMSKeyARNs: []string{arn}}
	}
	tagged := func(keys ...string) *iamrole.Settings {
		tags := map[string]string{}
		for _, key := range keys {
			tags[key] = "x"
		}
		return &iamrole.Settings{Tags: tags}
	}
	const (
		wantPolicy = ", want ARNs of IAM policies: arn:<partition>:iam::<account>:policy/<name>"
		wantKey    = ", want ARNs of KMS keys: arn:<partition>:kms:<region>:<account>:key/<id> (a policy cannot name a key by its alias)"
	)
	for name, c := range map[string]struct {
		refused, passes iamrole.Pair
		want            string
	}{
		"a policy of the mesh's name":   {inline("start-task"), inline("start-tasks"), `iam.taskRole.inlinePolicies["start-task"]: has the name of a policy of the mesh: choose another`},
		"one name":                      {named("app", "app"), named("app", "app-execution"), `iam.executionRole.name: is "app", the name of the other role, too: want a role for each, so choose another name or leave iam.executionRole.name out`},
		"one name but for its case":     {named("app", "APP"), named("app", "APP2"), `iam.executionRole.name: is "app", the name of the other role, too: want a role for each, so choose another name or leave iam.executionRole.name out`},
		"the other's default":           {named("web-execution", ""), named("web-Execution2", ""), `iam.taskRole.name: is "web-execution", the name of the other role, too: want a role for each, so choose another name or leave iam.taskRole.name out`},
		"the role for a policy":         {policies("arn:aws:iam::123456789012:role/x"), policies("arn:aws:iam::123456789012:policy/a/x", "arn:aws-cn:iam::aws:policy/ReadOnlyAccess"), `iam.taskRole.policyArns: has "arn:aws:iam::123456789012:role/x"` + wantPolicy},
		"a policy's name":               {policies("ReadOnlyAccess"), policies(), `iam.taskRole.policyArns: has "ReadOnlyAccess"` + wantPolicy},
		"a key's ID":                    {keys("1234abcd-12ab"), keys("arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab"), `iam.executionRole.kmsKeyArns: has "1234abcd-12ab"` + wantKey},
		"a key's alias":                 {keys("arn:aws:kms:eu-west-1:123456789012:alias/db"), keys("arn:aws:kms:*:123456789012:key/*"), `iam.executionRole.kmsKeyArns: has "arn:aws:kms:eu-west-1:123456789012:alias/db"` + wantKey},
		"keys of one letter's case":     {iamrole.Pair{Task: tagged("Team", "team")}, iamrole.Pair{Task: tagged("Team", "teams")}, `tags["team"]: differs from tags["Team"] by its case alone, and IAM takes both keys for one: leave one of them out`},
		"of the execution role":         {iamrole.Pair{Execution: tagged("Team", "team")}, iamrole.Pair{}, `tags["team"]: differs from tags["Team"] by its case alone, and IAM takes both keys for one: leave one of them out`},
		"a key of the mesh in capitals": {iamrole.Pair{Task: tagged("Consul.HashiCorp.com.service-name")}, iamrole.Pair{Task: tagged("Consul")}, `tags["Consul.HashiCorp.com.service-name"]: is a key of the mesh for IAM, which takes no account of case: choose another`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.refused.Check().Err()
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if err := c.passes.Check().Err(); err != nil {
				t.Errorf("the neighbour is refused: %v", err)
			}
		})
	}
}

func TestNamesOfRolesThatFollowFromUnknownOnesAreNotReported(t *testing.T) {
	t.Parallel()
	pair := iamrole.Pair{Task: &iamrole.Settings{Name: "-execution"}, Execution: &iamrole.Settings{}}
	for _, unknown := range []problem.Path{problem.At("family"), problem.At("iam", "executionRole", "name"), problem.At("iam", "taskRole", "arn"), problem.At("iam")} {
		if err := pair.Check().Without(unknown).Err(); err != nil {
			t.Errorf("%s unknown: %v", unknown, err)
		}
	}
}

// TestInlinePoliciesShareALimit wants the user's to be counted with the mesh's own, as IAM does, without white space.
func TestInlinePoliciesShareALimit(t *testing.T) {
	t.Parallel()
	const around = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"%s","Resource":"*"}]}`
	task := func(action string, acls bool) error {
		_, err := iamrole.Task(iamrole.TaskSpec{Home: home, Family: "web", ACLs: acls, Settings: iamrole.Settings{InlinePolicies: map[string]string{"own": fmt.Sprintf(around, action)}}})
		return err
	}
	room := 10240 - len(fmt.Sprintf(around, ""))
	for name, c := range map[string]struct {
		action string
		acls   bool
		want   string
	}{
		"all of it":       {strings.Repeat("a", room), false, ""},
		"and blanks":      {strings.Repeat("a", room) + "   ", false, ""},
		"one more":        {strings.Repeat("a", room+1), false, "make role web-task: its inline policies have 10241 characters together, 0 of them the mesh's own, IAM takes 10240: put yours into managed policies"},
		"beside the mesh": {strings.Repeat("a", room), true, "make role web-task: its inline policies have 10407 characters together, 167 of them the mesh's own, IAM takes 10240: put yours into managed policies"},
	} {
		got := ""
		if err := task(c.action, c.acls); err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
