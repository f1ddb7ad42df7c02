package deploy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
)

func TestTheStateHidesPoliciesOfTheUsersAlone(t *testing.T) {
	t.Parallel()
	shown := func(action string) string {
		role, err := iamrole.Task(iamrole.TaskSpec{Home: home, Family: "web", ACLs: true, Settings: iamrole.Settings{InlinePolicies: map[string]string{"own": `{"Action":"` + action + `"}`}}})
		if err != nil {
			t.Fatal(err)
		}
		text, err := encodeRoles([]RoleView{viewOf(role).shownTo(ownership.Owner{Name: "a"})})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	first, second := shown("hunter2"), shown("hunter3")
	if strings.Contains(first, "hunter2") || !strings.Contains(first, "iam:GetRole") {
		t.Errorf("shown is %s", first)
	}
	if first == second {
		t.Error("a change of the policy does not show")
	}
}

func TestBoundariesAreImportedOnceWhereTheyAreOne(t *testing.T) {
	t.Parallel()
	type boundaries struct{ Both, Task, Execution string }
	view := func(boundary string) *RoleView { return &RoleView{PermissionsBoundary: boundary} }
	text := func(p *string) string {
		if p == nil {
			return ""
		}
		return *p
	}
	for name, c := range map[string]struct {
		task, execution *RoleView
		want            boundaries
	}{
		"one for both":    {view("a"), view("a"), boundaries{Both: "a"}},
		"none":            {view(""), view(""), boundaries{}},
		"two":             {view("a"), view("b"), boundaries{Task: "a", Execution: "b"}},
		"one has one":     {view(""), view("b"), boundaries{Execution: "b"}},
		"one is a guest":  {nil, view("b"), boundaries{Both: "b"}},
		"both are guests": {nil, nil, boundaries{}},
	} {
		var m block.IAM
		var task, execution block.TaskRole
		importBoundaries(&m, map[*block.TaskRole]*RoleView{&task: c.task, &execution: c.execution})
		got := boundaries{text(m.PermissionsBoundary), text(task.PermissionsBoundary), text(execution.PermissionsBoundary)}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
