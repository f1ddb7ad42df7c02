package names_test

import (
	"regexp"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
)

func TestARNs(t *testing.T) {
	t.Parallel()
	us, cn := names.Account{Region: "us-east-1", ID: "123456789012"}, names.Account{Region: "cn-north-1", ID: "123456789012"}
	for got, want := range map[string]string{
		us.Cluster("demo"):               "arn:aws:ecs:us-east-1:123456789012:cluster/demo",
		cn.Service("demo", "web"):        "arn:aws-cn:ecs:cn-north-1:123456789012:service/demo/web",
		us.Task("demo", "1f"):            "arn:aws:ecs:us-east-1:123456789012:task/demo/1f",
		us.TaskDefinition("web", 3):      "arn:aws:ecs:us-east-1:123456789012:task-definition/web:3",
		us.Role("task"):                  "arn:aws:iam::123456789012:role/task",
		us.Role("arn:aws:iam::1:role/x"): "arn:aws:iam::1:role/x",
		names.Kind(us.Task("demo", "1")): "task",
		names.Kind("arn:aws:sqs:a:b:c"):  "",
		names.Last(us.Task("demo", "1")): "1",
		names.Last("web"):                "web",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestFamilyRevision(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]struct {
		family   string
		revision int32
		ok       bool
	}{
		"web":   {"web", 0, true},
		"web:3": {"web", 3, true},
		"arn:aws:ecs:us-east-1:123456789012:task-definition/web:12": {"web", 12, true},
		"web:x": {"web", 0, false},
		"web:0": {"web", 0, false},
	} {
		family, revision, ok := names.FamilyRevision(ref)
		if family != want.family || revision != want.revision || ok != want.ok {
			t.Errorf("%s: got %s, %d, %t, want %+v", ref, family, revision, ok, want)
		}
	}
}

func TestIDsHaveTheFormOfECS(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		names.TaskID():       `^[0-9a-f]{32}$`,
		names.UUID():         `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$`,
		names.DeploymentID(): `^ecs-svc/[0-9]{19}$`,
	} {
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
