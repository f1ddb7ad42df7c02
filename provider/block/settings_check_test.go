package block_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
)

func TestALoginThatIsNotSwitchedOnIsDoubtful(t *testing.T) {
	t.Parallel()
	const want = "login.enabled: is missing, so the agents do not log in and the rest of login does nothing: set it to true where Consul's ACLs are on, else to false"
	for name, c := range map[string]struct {
		login *block.Login
		want  string
	}{
		"none":          {nil, ""},
		"nothing said":  {&block.Login{}, ""},
		"a method":      {&block.Login{AuthMethod: aws.String("ecs")}, want},
		"metadata":      {&block.Login{Meta: map[string]string{"a": "b"}}, want},
		"switched on":   {&block.Login{AuthMethod: aws.String("ecs"), Enabled: aws.Bool(true)}, ""},
		"switched off":  {&block.Login{AuthMethod: aws.String("ecs"), Enabled: aws.Bool(false)}, ""},
		"only switched": {&block.Login{Enabled: aws.Bool(true)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var found problem.List
			c.login.Check(&found)
			got := ""
			for _, p := range found {
				got += p.Error()
				if !p.Warning {
					t.Error("is an error, want a warning")
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestGivenRolesHaveNoNamesOfOurs(t *testing.T) {
	t.Parallel()
	clash := map[string]string{"Team": "a", "team": "b"}
	arn := aws.String("arn:aws:iam::123456789012:role/x")
	for name, c := range map[string]struct {
		iam  *block.IAM
		want int
	}{
		"both made":      {nil, 1},
		"one made":       {&block.IAM{TaskRole: &block.TaskRole{ARN: arn}}, 1},
		"both given":     {&block.IAM{TaskRole: &block.TaskRole{ARN: arn}, ExecutionRole: &block.ExecutionRole{TaskRole: block.TaskRole{ARN: arn}}}, 0},
		"one name, made": {&block.IAM{TaskRole: &block.TaskRole{Name: aws.String("web-execution")}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var found problem.List
			c.iam.Check("web", clash, &found)
			if len(found) != c.want {
				t.Errorf("%d problems, want %d: %v", len(found), c.want, found.Err())
			}
		})
	}
}
