package deploy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/incumbent"
)

func TestOnlyAPolicyThatAllowsIsRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy string
		want   []string
	}{
		"one action":     {`{"Statement":[{"Effect":"Allow","Action":"iam:GetRole","Resource":"*"}]}`, []string{"iam:GetRole"}},
		"several":        {`{"Statement":[{"Effect":"Allow","Action":["a:b","c:d"]},{"Effect":"Allow","Action":"e:f"}]}`, []string{"a:b", "c:d", "e:f"}},
		"a denial":       {`{"Statement":[{"Effect":"Allow","Action":"a:b"},{"Effect":"Deny","Action":"c:d"}]}`, nil},
		"all but":        {`{"Statement":[{"Effect":"Allow","NotAction":"a:b"}]}`, nil},
		"no list":        {`{"Statement":{"Effect":"Allow","Action":"a:b"}}`, nil}, // IAM takes one statement so: it is not the module's
		"nothing":        {`{"Statement":[]}`, nil},
		"no JSON at all": {`x`, nil},
	} {
		if diff := cmp.Diff(c.want, grants(json.RawMessage(c.policy))); diff != "" {
			t.Errorf("%s: want -, got +:\n%s", name, diff)
		}
	}
}

// module makes the incumbent's roles of a family.
func (c cloud) module(t *testing.T, family string) incumbent.Roles {
	t.Helper()
	task := incumbent.Task{Family: family, Servers: incumbent.Servers{CASecretARN: "arn:aws:secretsmanager:us-east-1:123456789012:secret:ca"}}
	roles, err := task.MakeRoles(t.Context(), c.sure.iam)
	if err != nil {
		t.Fatal(err)
	}
	return roles
}

// superseded are the policies of a role that its own ones supersede.
func (c cloud) superseded(t *testing.T, with *Client, role string) []string {
	t.Helper()
	view, err := c.sure.readRole(t.Context(), role)
	if err != nil {
		t.Fatal(err)
	}
	got, err := with.supersededPolicies(t.Context(), *view)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAPolicyThatIsMoreThanTheModulesStays(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	const grown = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:GetRole","s3:GetObject"],"Resource":"*"}]}`
	for name, change := range map[string]func(family string, roles incumbent.Roles) error{
		"stays-shared": func(family string, roles incumbent.Roles) error {
			_, err := c.sure.iam.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{RoleName: aws.String(family + "-execution"), PolicyArn: &roles.TaskPolicy})
			return err
		},
		"stays-grown": func(_ string, roles incumbent.Roles) error {
			_, err := c.sure.iam.CreatePolicyVersion(t.Context(), &iam.CreatePolicyVersionInput{PolicyArn: &roles.TaskPolicy, PolicyDocument: aws.String(grown), SetAsDefault: true})
			return err
		},
		"stays-not": func(_ string, roles incumbent.Roles) error { // an earlier version was more
			_, err := c.sure.iam.CreatePolicyVersion(t.Context(), &iam.CreatePolicyVersionInput{PolicyArn: &roles.TaskPolicy, PolicyDocument: aws.String(grown)})
			return err
		},
	} {
		roles := c.module(t, name)
		if got := c.superseded(t, c.sure, name+"-task"); !slices.Equal(got, []string{roles.TaskPolicy}) {
			t.Errorf("%s: superseded are %v, want %s", name, got, roles.TaskPolicy)
		}
		if err := change(name, roles); err != nil {
			t.Fatal(err)
		}
		got := c.superseded(t, c.sure, name+"-task")
		if stays := len(got) == 0; stays != (name != "stays-not") {
			t.Errorf("%s: superseded are %v", name, got)
		}
		if name == "stays-not" {
			c.proxy.Inject(awsfault.Rule{Action: "GetPolicy", Times: 1, Fault: awsfault.Refuse(403, "AccessDenied", "not authorized")})
			if got := c.superseded(t, c.Client, name+"-task"); len(got) > 0 {
				t.Errorf("what may not be read is superseded: %v", got)
			}
			if err := c.sure.dropPolicy(t.Context(), name+"-task", roles.TaskPolicy); err != nil || c.hasPolicy(t, roles.TaskPolicy) {
				t.Errorf("a policy of two versions is not deleted: %v", err)
			}
			if err := c.sure.dropPolicy(t.Context(), name+"-task", roles.TaskPolicy); err != nil {
				t.Errorf("a policy that is gone: %v", err)
			}
		}
	}
}

func (c cloud) hasPolicy(t *testing.T, arn string) bool {
	t.Helper()
	_, err := c.sure.iam.GetPolicy(t.Context(), &iam.GetPolicyInput{PolicyArn: &arn})
	return err == nil
}

// However far an apply gets, the roles have rights: those of the module until the new definition is there, and their own from before
// that. What it did not come to, the next apply does.
func TestThePoliciesOfTheModuleGoLast(t *testing.T) {
	t.Parallel()
	const family = "taken-over"
	c := startCloud(t)
	roles := c.module(t, family)
	d := wanted(t, family, "app:1")
	d.Adopt, d.Service = true, nil
	said, err := c.TakenOver(t.Context(), d, Before{}, Named{TaskRole: true, ExecutionRole: true, Service: true})
	if err != nil || len(said) != 2 || !strings.Contains(said[0], roles.TaskPolicy+" goes when") || !strings.Contains(said[1], roles.ExecutionPolicy+" goes when") {
		t.Errorf("taken over are %q, %v", said, err)
	}
	out := &Progress{}
	c.proxy.Inject(awsfault.Rule{Action: "RegisterTaskDefinition", Times: 1, Fault: awsfault.Refuse(400, "ClientException", "Too many tags.")})
	if err := c.Apply(t.Context(), d, out.was(d), out); err == nil {
		t.Fatal("the definition was registered")
	}
	for role, has := range map[string]struct {
		policy string
		inline int // the definition asks for nothing of the execution role
	}{family + "-task": {roles.TaskPolicy, 1}, family + "-execution": {roles.ExecutionPolicy, 0}} {
		view, err := c.sure.readRole(t.Context(), role)
		if err != nil || !slices.Contains(view.PolicyARNs, has.policy) || len(view.Policies) != has.inline {
			t.Errorf("after half an apply role %s has the policies %v and, in it, %v, %v", role, view.PolicyARNs, view.Policies, err)
		}
		if !strings.Contains(aws.ToString(out.Roles), fmt.Sprintf(`"supersededPolicyArns":[%q]`, has.policy)) {
			t.Errorf("the state does not know of %s: %s", has.policy, aws.ToString(out.Roles))
		}
	}
	if _, err := c.lookAtRoles(t.Context(), d.Owner, &out.Outcome); err != nil || !strings.Contains(aws.ToString(out.Roles), roles.TaskPolicy) {
		t.Errorf("after a refresh the state says %s, %v", aws.ToString(out.Roles), err)
	}
	if err := c.Apply(t.Context(), d, out.was(d), out); err != nil {
		t.Fatal(err)
	}
	for _, policy := range []string{roles.TaskPolicy, roles.ExecutionPolicy} {
		if c.hasPolicy(t, policy) {
			t.Errorf("policy %s is left", policy)
		}
	}
	if strings.Contains(aws.ToString(out.Roles), "superseded") {
		t.Errorf("the state still says %s", aws.ToString(out.Roles))
	}
}

// A destroy after half a takeover finds the policies, too.
func TestADestroyAfterHalfATakeoverLeavesNothing(t *testing.T) {
	t.Parallel()
	const family = "half-taken"
	c := startCloud(t)
	roles := c.module(t, family)
	d, out := wanted(t, family, "app:1"), &Progress{}
	d.Adopt, d.Service = true, nil
	c.proxy.Inject(awsfault.Rule{Action: "RegisterTaskDefinition", Times: 1, Fault: awsfault.Refuse(400, "ClientException", "Too many tags.")})
	if err := c.Apply(t.Context(), d, out.was(d), out); err == nil {
		t.Fatal("the definition was registered")
	}
	if err := c.Remove(t.Context(), d.Family, d.Owner, out.was(d)); err != nil {
		t.Fatal(err)
	}
	if err := c.isGone(t.Context(), d); err != nil {
		t.Error(err)
	}
	for _, policy := range []string{roles.TaskPolicy, roles.ExecutionPolicy} {
		if c.hasPolicy(t, policy) {
			t.Errorf("policy %s is left", policy)
		}
	}
}
