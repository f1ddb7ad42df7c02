package provider_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/incumbent"
)

// moduleTask is a task that the incumbent's module has made.
type moduleTask struct {
	incumbent.Task
	definition *ecstypes.TaskDefinition
	roleIDs    map[string]string // by the role's name
}

// applyModule makes in AWS what an apply of the incumbent's module makes. Its first revision was replaced by a second one.
func (c cloud) applyModule(t *testing.T, m incumbent.Task) moduleTask {
	t.Helper()
	var err error
	if m.Roles, err = m.MakeRoles(t.Context(), c.iam); err != nil {
		t.Fatal(err)
	}
	made := moduleTask{Task: m, roleIDs: c.roleIDs(t, m.Family)}
	for range 2 {
		if made.definition != nil {
			if _, err := c.ecs.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: made.definition.TaskDefinitionArn}); err != nil {
				t.Fatal(err)
			}
		}
		registered, err := c.ecs.RegisterTaskDefinition(t.Context(), m.Definition())
		if err != nil {
			t.Fatal(err)
		}
		made.definition = registered.TaskDefinition
	}
	return made
}

// roleIDs tell the roles of a family from others of their names.
func (c cloud) roleIDs(t *testing.T, family string) map[string]string {
	t.Helper()
	ids := map[string]string{}
	for _, name := range []string{family + "-task", family + "-execution"} {
		role, err := c.iam.GetRole(t.Context(), &iam.GetRoleInput{RoleName: &name})
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = aws.ToString(role.Role.RoleId)
	}
	return ids
}

// attached are the managed policies of a role, by ARN, and inline those in it, by name.
func (c cloud) policies(t *testing.T, role string) (attached, inline []string) {
	t.Helper()
	managed, err := c.iam.ListAttachedRolePolicies(t.Context(), &iam.ListAttachedRolePoliciesInput{RoleName: &role})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range managed.AttachedPolicies {
		attached = append(attached, aws.ToString(p.PolicyArn))
	}
	own, err := c.iam.ListRolePolicies(t.Context(), &iam.ListRolePoliciesInput{RoleName: &role})
	if err != nil {
		t.Fatal(err)
	}
	return attached, own.PolicyNames
}

// policiesNamed are the managed policies of the account whose names begin with the family.
func (c cloud) policiesNamed(t *testing.T, family string) []string {
	t.Helper()
	var names []string
	pages := iam.NewListPoliciesPaginator(c.iam, &iam.ListPoliciesInput{Scope: "Local"})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.WithoutCancel(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Policies {
			if strings.HasPrefix(aws.ToString(p.PolicyName), family+"-") {
				names = append(names, aws.ToString(p.PolicyName))
			}
		}
	}
	return names
}

// registry is where this binary's providers come from.
func (b *binary) registry() string {
	if b.name() == "tofu" {
		return "registry.opentofu.org"
	}
	return "registry.terraform.io"
}

// beside is a Terraform that also finds the stand-in for HashiCorp's provider for AWS, and has the state.
func (b *binary) beside(t *testing.T, dir configDir, state *incumbent.State) *testenv.Terraform {
	t.Helper()
	cfg := b.config(t, dir)
	rc := filepath.Join(t.TempDir(), "terraform.rc")
	cfg.Env = append(cfg.Env, "TF_CLI_CONFIG_FILE="+rc)
	text := fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"consulecs/consulecs\" = %q\n    \"hashicorp/aws\" = %q\n  }\n  direct {}\n}\n", cfg.Provider, standInFolder(t))
	if err := os.WriteFile(rc, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tf := newTerraform(t, cfg)
	file, err := state.JSON()
	if err == nil {
		err = os.WriteFile(tf.State(), file, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tf
}

// letGo takes a module out of the state without destroying anything.
func letGo(from string) fields {
	return fields{"from": from, "lifecycle": fields{"destroy": false}}
}

// sourceOf is the module's task definition in a state.
func sourceOf(module string) string {
	return "module." + module + ".aws_ecs_task_definition.this"
}

// incumbentTask is the module's task that the configuration of takenOver asks for.
func incumbentTask(family string) incumbent.Task {
	return incumbent.Task{
		Family: family, Port: 8080, Image: "public.ecr.aws/hashicorp/consul-ecs:0.10.0", LaunchType: ecstypes.CompatibilityFargate, Delay: "5s",
		App:     ecstypes.ContainerDefinition{Name: aws.String("app"), Image: aws.String("app:1"), Essential: aws.Bool(true), Command: []string{"/app"}},
		Servers: incumbent.Servers{Hosts: "consul.example.com", CASecretARN: "arn:aws:secretsmanager:us-east-1:123456789012:secret:ca-Ab12Cd"},
	}
}

// takenOver is a mesh task that takes such a task over.
func takenOver(family string, changes fields) fields {
	return meshTask(with(fields{
		"family": family, "service": fields{"port": 8080, "tags": []any{"blue"}}, "login": fields{"enabled": true}, "adopt_existing": true,
		"consul_servers": fields{"hosts": "consul.example.com", "tls": fields{"ca_secret_arn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:ca-Ab12Cd"}},
		"container":      []any{fields{"name": "app", "image": "app:1", "essential": true, "command": []any{"/app"}, "entry_point": []any{}, "mesh": fields{"shutdown_delay": "5s"}}},
		"task":           fields{"launch_types": []any{"FARGATE"}},
	}, changes))
}

// An applied module of mesh-task becomes a consulecs_mesh_task by a moved block: the family goes on with one revision more, the roles are
// the same ones, and of the policies that the module had made for them nothing is left.
func TestAModulesTaskMovesToAMeshTask(t *testing.T) {
	t.Parallel()
	onEveryBinary(t, func(t *testing.T, on *binary) {
		const family = "Moved"
		c := on.startMoto(t)
		was := c.applyModule(t, incumbentTask(family))
		state := incumbent.NewState(on.registry())
		if err := state.AddTask("web", was.definition, was.Roles); err != nil {
			t.Fatal(err)
		}
		frame := c.frame(fields{"consulecs_mesh_task": fields{"web": takenOver(family, nil)}})
		frame["moved"] = []any{fields{"from": sourceOf("web"), "to": "consulecs_mesh_task.web"}}
		frame["removed"] = []any{letGo("module.web")}
		dir := workDir(t)
		dir.write(t, "main.tf.json", frame)
		tf := on.beside(t, dir, state)

		said, err := tf.Output(t.Context(), "plan", "-input=false", "-no-color", "-state="+tf.State())
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"consulecs_mesh_task.web will be updated in-place", "(moved from " + sourceOf("web") + ")", "0 to add, 1 to change, 0 to destroy",
			"Existing objects taken over", "role Moved-task; its policy arn:aws:iam::123456789012:policy/consul-ecs/Moved-task goes when the tasks run with the role's own",
			"role Moved-execution; its policy", "task definition Moved:2 was not registered by this resource",
		} {
			if !strings.Contains(strings.ToLower(inOneLine(string(said))), strings.ToLower(want)) {
				t.Errorf("the plan does not say %q:\n%s", want, said)
			}
		}
		applied(t, tf)
		delete(frame, "moved")
		delete(frame, "removed")
		dir.write(t, "main.tf.json", frame)
		nothingToDo(t, tf)
		if got := c.wantTakenOver(t, was); got != "3" {
			t.Errorf("the newest revision is %s, want 3", got)
		}

		destroyed(t, tf)
		if left := slices.Concat(c.roles(t, family), c.policiesNamed(t, family)); len(left) > 0 {
			t.Errorf("after the destroy there are still %v", left)
		}
		if got := c.active(t, family); !slices.Equal(got, []string{"2"}) {
			t.Errorf("after the destroy the revisions %v are ACTIVE, want the module's", got)
		}
	})
}

// Without the module's state, an import takes over the same.
func TestAModulesTaskIsImportedAndTakenOver(t *testing.T) {
	t.Parallel()
	const family = "imported-module"
	c := startMoto(t)
	was := c.applyModule(t, incumbentTask(family))
	frame := c.frame(fields{"consulecs_mesh_task": fields{"web": takenOver(family, nil)}})
	frame["import"] = []any{fields{"to": "consulecs_mesh_task.web", "id": family}}
	dir := workDir(t)
	dir.write(t, "main.tf.json", frame)
	tf := dir.terraform(t)
	applied(t, tf)
	if got := c.wantTakenOver(t, was); got != "3" {
		t.Errorf("the newest revision is %s, want 3", got)
	}
	destroyed(t, tf)
}

// wantTakenOver wants the roles of before with rights of their own, and one ACTIVE revision more than the module's, which is there, too.
// It returns the number of that one: the next, unless ECS's answer was lost, and the provider registered it once more.
func (c cloud) wantTakenOver(t *testing.T, was moduleTask) (newest string) {
	t.Helper()
	got, kept := c.active(t, was.Family), fmt.Sprint(was.definition.Revision)
	if at := slices.Index(got, kept); len(got) != 2 || at < 0 {
		t.Errorf("ACTIVE are the revisions %v, want %s and one more", got, kept)
	} else {
		newest = got[1-at]
	}
	if got := c.roleIDs(t, was.Family); !maps.Equal(got, was.roleIDs) {
		t.Errorf("the roles are %v, want those of before, %v", got, was.roleIDs)
	}
	for name := range was.roleIDs {
		if attached, inline := c.policies(t, name); len(attached) > 0 || len(inline) != 1 {
			t.Errorf("role %s has the policies %v and, in it, %v, want one in it", name, attached, inline)
		}
	}
	if left := c.policiesNamed(t, was.Family); len(left) > 0 {
		t.Errorf("the policies %v are left", left)
	}
	return newest
}
