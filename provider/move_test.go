package provider_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// source is what Terraform tells of the resource that a moved block names.
type source struct {
	provider, typ, json string
	version             int64
}

func definitionSource(json string) source {
	return source{"registry.terraform.io/hashicorp/aws", "aws_ecs_task_definition", json, 1}
}

// moved is what becomes of a source, or what is said in its stead.
func (p protocol) moved(t *testing.T, target string, from source) (identified, string) {
	t.Helper()
	state := &tfprotov6.RawState{JSON: []byte(from.json)}
	if from.json == "" {
		state = &tfprotov6.RawState{Flatmap: map[string]string{"family": "web"}}
	}
	got, err := p.MoveResourceState(t.Context(), &tfprotov6.MoveResourceStateRequest{
		TargetTypeName: target, SourceProviderAddress: from.provider, SourceTypeName: from.typ, SourceSchemaVersion: from.version, SourceState: state,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Diagnostics) > 0 {
		return identified{}, inOneLine(strings.Join(detailsOf(got.Diagnostics), "\n"))
	}
	return identified{got.TargetState, got.TargetPrivate, got.TargetIdentity}, ""
}

func TestOnlyTaskDefinitionsMoveToAMeshTask(t *testing.T) {
	t.Parallel()
	const good = `{"arn":"arn:aws:ecs:us-east-1:123456789012:task-definition/web:4","family":"web","revision":4,"id":"web","a_later_attribute":[{}]}`
	p := speak(t) // as Terraform asks, before the provider has its configuration
	for name, c := range map[string]struct {
		target string
		source source
		want   string // in what is said; "" = it moves
	}{
		"of Terraform's registry":   {"consulecs_mesh_task", definitionSource(good), ""},
		"of the first schema":       {"consulecs_mesh_task", source{"registry.terraform.io/hashicorp/aws", "aws_ecs_task_definition", good, 0}, ""},
		"of OpenTofu's registry":    {"consulecs_mesh_task", source{"registry.opentofu.org/hashicorp/aws", "aws_ecs_task_definition", good, 1}, ""},
		"of a mirror":               {"consulecs_mesh_task", source{"mirror.example.com/hashicorp/aws", "aws_ecs_task_definition", good, 1}, ""},
		"of OpenTofu 1.10":          {"consulecs_mesh_task", source{"aws", "aws_ecs_task_definition", good, 1}, ""},
		"another type":              {"consulecs_mesh_task", source{"registry.terraform.io/hashicorp/aws", "aws_ecs_service", good, 1}, "aws_ecs_service of the provider registry.terraform.io/hashicorp/aws cannot become that of a consulecs_mesh_task: aws_ecs_task_definition of the provider hashicorp/aws alone can."},
		"another provider":          {"consulecs_mesh_task", source{"registry.terraform.io/example/aws", "aws_ecs_task_definition", good, 1}, "registry.terraform.io/example/aws"},
		"no JSON":                   {"consulecs_mesh_task", definitionSource(""), "it is not JSON"},
		"other JSON":                {"consulecs_mesh_task", definitionSource(`{"family":1}`), "its arn and family are not to be read"},
		"without a family":          {"consulecs_mesh_task", definitionSource(`{"arn":"arn:aws:ecs:us-east-1:123456789012:task-definition/web:4"}`), `its family is ""`},
		"without an ARN":            {"consulecs_mesh_task", definitionSource(`{"family":"web"}`), `its arn is "", want that of a task definition`},
		"with the ARN of a service": {"consulecs_mesh_task", definitionSource(`{"family":"web","arn":"arn:aws:ecs:us-east-1:123456789012:service/mesh/web"}`), "want that of a task definition"},
		"to a controller":           {"consulecs_controller", definitionSource(good), "cannot become that of a consulecs_controller. Use an import block"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, said := p.moved(t, c.target, c.source)
			if c.want != "" {
				if !strings.Contains(said, c.want) {
					t.Errorf("it says %q, want %q", said, c.want)
				}
				return
			}
			if said != "" {
				t.Fatal(said)
			}
			if is := p.texts(t, c.target, got.state); is["family"] != "web" || is["id"] != "web" || !strings.HasSuffix(is["arn"], "/web:4") {
				t.Errorf("the state is %v", is)
			}
		})
	}
}

// texts are the attributes of a state that are texts and not null; nil where there is no state.
func (p protocol) texts(t *testing.T, resource string, state *tfprotov6.DynamicValue) map[string]string {
	t.Helper()
	value, err := state.Unmarshal(p.block(resource).ValueType())
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]tftypes.Value
	if err := value.As(&all); err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for name, v := range all {
		var text string
		if v.Type().Is(tftypes.String) && v.IsKnown() && !v.IsNull() && v.As(&text) == nil {
			texts[name] = text
		}
	}
	if value.IsNull() {
		return nil
	}
	return texts
}

// What the first refresh after a move makes of what ECS has of the family.
func TestAMovedStateIsReadByItsFamily(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	p := speak(t)
	p.configure(t, c.ours())
	arrive := func(arn, family string) *tfprotov6.ReadResourceResponse {
		t.Helper()
		was, said := p.moved(t, "consulecs_mesh_task", definitionSource(fmt.Sprintf(`{"arn":%q,"family":%q}`, arn, family)))
		if said != "" {
			t.Fatal(said)
		}
		got, err := p.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{TypeName: "consulecs_mesh_task", CurrentState: was.state, Private: was.private, CurrentIdentity: was.identity})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	c.register(t, "moved-plain")
	c.register(t, "moved-gone")
	if _, err := c.ecs.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: aws.String("moved-gone:1")}); err != nil {
		t.Fatal(err)
	}
	const here = "arn:aws:ecs:us-east-1:123456789012:task-definition/"
	for _, family := range []string{"moved-gone", "moved-never"} {
		if got := arrive(here+family+":1", family); len(got.Diagnostics) > 0 || p.texts(t, "consulecs_mesh_task", got.NewState) != nil {
			t.Errorf("of %s, %v is read and %v said, want nothing", family, p.texts(t, "consulecs_mesh_task", got.NewState), detailsOf(got.Diagnostics))
		}
	}
	for arn, want := range map[string]string{
		"arn:aws:ecs:eu-west-1:123456789012:task-definition/moved-plain:1": "is of the region eu-west-1, the provider works in us-east-1",
		"arn:aws:ecs:us-east-1:210987654321:task-definition/moved-plain:1": "is of the account 210987654321",
	} {
		if said := inOneLine(strings.Join(detailsOf(arrive(arn, "moved-plain").Diagnostics), "\n")); !strings.Contains(said, want) {
			t.Errorf("of %s it says %q, want %q", arn, said, want)
		}
	}
	c.register(t, "moved-plain") // not by Terraform: the move goes on with the newest
	is := p.texts(t, "consulecs_mesh_task", arrive(here+"moved-plain:1", "moved-plain").NewState)
	if is["arn"] != here+"moved-plain:2" || is["content_hash"] == "" {
		t.Errorf("a definition outside the mesh is read as %v", is)
	}
}

// A definition that is not in the mesh gets there by a move, without a refresh, too: one revision more, and nothing to do after it.
func TestADefinitionMovesIntoTheMesh(t *testing.T) {
	t.Parallel()
	const family = "moved-into"
	c := startMoto(t)
	p := speak(t)
	p.configure(t, c.ours())
	c.register(t, family)
	moved, said := p.moved(t, "consulecs_mesh_task", definitionSource(`{"arn":"arn:aws:ecs:us-east-1:123456789012:task-definition/moved-into:1","family":"moved-into"}`))
	if said != "" {
		t.Fatal(said)
	}
	config := meshTask(fields{"family": family})
	made := p.change(t, "consulecs_mesh_task", moved, config)
	if got := c.active(t, family); len(got) != 2 {
		t.Errorf("ACTIVE are the revisions %v, want the one of before and one more", got)
	}
	read := p.refresh(t, "consulecs_mesh_task", made)
	if was, is := p.texts(t, "consulecs_mesh_task", made.state), p.texts(t, "consulecs_mesh_task", read.state); was["arn"] != is["arn"] || was["owner_id"] == "" || was["owner_id"] != is["owner_id"] {
		t.Errorf("a refresh after the apply makes\n%v\nof\n%v", is, was)
	}
	c.wantNewest(t, family, "agent:1")
}

// change plans and applies a change of a resource to a configuration.
func (p protocol) change(t *testing.T, resource string, was identified, config fields) identified {
	t.Helper()
	written := object(t, p.block(resource), config)
	text := dynamic(t, written)
	planned, err := p.PlanResourceChange(t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: resource, Config: text, PriorState: was.state, PriorPrivate: was.private, PriorIdentity: was.identity, ProposedNewState: dynamic(t, proposed(t, p.block(resource), written)),
	})
	if err != nil || len(planned.RequiresReplace) > 0 {
		t.Fatal(err, planned.RequiresReplace)
	}
	for _, d := range planned.Diagnostics {
		if isError(d) {
			t.Fatal(detailsOf(planned.Diagnostics))
		}
	}
	applied, err := p.ApplyResourceChange(t.Context(), &tfprotov6.ApplyResourceChangeRequest{
		TypeName: resource, Config: text, PriorState: was.state, PlannedState: planned.PlannedState, PlannedPrivate: planned.PlannedPrivate, PlannedIdentity: planned.PlannedIdentity,
	})
	if err != nil || len(applied.Diagnostics) > 0 {
		t.Fatal(err, detailsOf(applied.Diagnostics))
	}
	return identified{applied.NewState, applied.Private, applied.NewIdentity}
}

// wantNewest wants the newest revision of a family to have the agents of an image.
func (c cloud) wantNewest(t *testing.T, family, image string) {
	t.Helper()
	newest, err := c.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: &family})
	if err != nil {
		t.Fatal(err)
	}
	for _, container := range newest.TaskDefinition.ContainerDefinitions {
		if aws.ToString(container.Image) == image {
			return
		}
	}
	t.Errorf("no container of %s has the image %s: %v", family, image, newest.TaskDefinition.ContainerDefinitions)
}
