package provider_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// identified is a resource as Terraform 1.12 keeps it.
type identified struct {
	state    *tfprotov6.DynamicValue
	private  []byte
	identity *tfprotov6.ResourceIdentityData
}

// identityType is the type of a resource's identity.
func (p protocol) identityType(t *testing.T, resource string) tftypes.Type {
	t.Helper()
	got, err := p.GetResourceIdentitySchemas(t.Context(), &tfprotov6.GetResourceIdentitySchemasRequest{})
	if err != nil || len(got.Diagnostics) > 0 {
		t.Fatal(err, detailsOf(got.Diagnostics))
	}
	return got.IdentitySchemas[resource].ValueType()
}

func (p protocol) identity(t *testing.T, resource string, values fields) *tfprotov6.ResourceIdentityData {
	t.Helper()
	typ := p.identityType(t, resource).(tftypes.Object)
	all := map[string]tftypes.Value{}
	for name, of := range typ.AttributeTypes {
		all[name] = value(t, of, values[name])
	}
	return &tfprotov6.ResourceIdentityData{IdentityData: dynamic(t, tftypes.NewValue(typ, all))}
}

// values are those of an identity.
func (p protocol) values(t *testing.T, resource string, identity *tfprotov6.ResourceIdentityData) map[string]string {
	t.Helper()
	if identity == nil {
		t.Fatalf("%s has no identity", resource)
	}
	raw, err := identity.IdentityData.Unmarshal(p.identityType(t, resource))
	var all map[string]tftypes.Value
	if err == nil {
		err = raw.As(&all)
	}
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for name, v := range all {
		texts[name] = textOf(t, v)
	}
	return texts
}

// create plans and applies a new resource.
func (p protocol) create(t *testing.T, resource string, config fields) identified {
	t.Helper()
	written := object(t, p.block(resource), config)
	text, none := dynamic(t, written), dynamic(t, tftypes.NewValue(written.Type(), nil))
	planned, err := p.PlanResourceChange(t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: resource, Config: text, PriorState: none, ProposedNewState: dynamic(t, proposed(t, p.block(resource), written)),
	})
	if err != nil || len(planned.Diagnostics) > 0 {
		t.Fatal(err, detailsOf(planned.Diagnostics))
	}
	applied, err := p.ApplyResourceChange(t.Context(), &tfprotov6.ApplyResourceChangeRequest{
		TypeName: resource, Config: text, PriorState: none, PlannedState: planned.PlannedState, PlannedPrivate: planned.PlannedPrivate, PlannedIdentity: planned.PlannedIdentity,
	})
	if err != nil || len(applied.Diagnostics) > 0 {
		t.Fatal(err, detailsOf(applied.Diagnostics))
	}
	return identified{applied.NewState, applied.Private, applied.NewIdentity}
}

// refresh reads a resource anew.
func (p protocol) refresh(t *testing.T, resource string, was identified) identified {
	t.Helper()
	got, err := p.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{TypeName: resource, CurrentState: was.state, Private: was.private, CurrentIdentity: was.identity})
	if err != nil || len(got.Diagnostics) > 0 {
		t.Fatal(err, detailsOf(got.Diagnostics))
	}
	return identified{got.NewState, got.Private, got.NewIdentity}
}

// imported is what an import makes, or what is said in its stead.
func (p protocol) imported(t *testing.T, resource, id string, identity *tfprotov6.ResourceIdentityData) (identified, string) {
	t.Helper()
	got, err := p.ImportResourceState(t.Context(), &tfprotov6.ImportResourceStateRequest{TypeName: resource, ID: id, Identity: identity})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Diagnostics) > 0 {
		return identified{}, strings.Join(detailsOf(got.Diagnostics), "\n")
	}
	one := got.ImportedResources[0]
	return identified{one.State, one.Private, one.Identity}, ""
}

// listed is a resource of the name that is shown, if it is listed. Others may be, too.
func (p protocol) listed(t *testing.T, resource, name string, whole bool) (found tfprotov6.ListResourceResult, ok bool) {
	t.Helper()
	none := dynamic(t, tftypes.NewValue(tftypes.Object{}, map[string]tftypes.Value{}))
	lister := p.ProviderServer.(interface {
		ListResource(context.Context, *tfprotov6.ListResourceRequest) (*tfprotov6.ListResourceServerStream, error)
	})
	stream, err := lister.ListResource(t.Context(), &tfprotov6.ListResourceRequest{TypeName: resource, Config: none, IncludeResource: whole})
	if err != nil {
		t.Fatal(err)
	}
	for one := range stream.Results {
		if one.DisplayName != name {
			continue
		}
		if len(one.Diagnostics) > 0 {
			t.Fatal(detailsOf(one.Diagnostics))
		}
		found, ok = one, true
	}
	return found, ok
}

func TestResourcesAreImportedByTheirIdentity(t *testing.T) {
	t.Parallel()
	c := cloudAt(testenv.MotoDuring(t).URL) // its own: whoever lists reads all that there is
	made := clusterOf(t, c, "identified")
	for resource, r := range map[string]struct {
		config, identity fields
		id               string
	}{
		"consulecs_mesh_task": {meshTask(fields{"family": "identified"}), fields{"family": "identified"}, "identified"},
		"consulecs_controller": {controller(fields{"cluster": made, "name": "watch", "wait_for_steady_state": false, "subnets": []any{c.subnet(t)}, "security_groups": []any{c.securityGroup(t)}}),
			fields{"cluster": "identified", "name": "watch"}, "identified/watch"},
		"consulecs_dev_server": {devServer(surroundings{ecsCluster: made, subnet: c.subnet(t), group: c.securityGroup(t)}, nil), fields{"cluster": "identified", "name": "consul-dev-server"}, "identified/consul-dev-server"},
	} {
		t.Run(resource, func(t *testing.T) {
			t.Parallel()
			p := speak(t)
			ours := c.ours()
			for _, service := range []string{"sqs", "events", "secretsmanager"} {
				ours["endpoints"].(fields)[service] = c.url
			}
			p.configure(t, with(ours, fields{"max_retries": 3}))
			want := map[string]string{"account_id": "123456789012", "region": "us-east-1"}
			for name, v := range r.identity {
				want[name] = v.(string)
			}
			expect := func(what string, got identified) {
				t.Helper()
				if diff := cmp.Diff(want, p.values(t, resource, got.identity)); diff != "" {
					t.Errorf("%s: want -, got +:\n%s", what, diff)
				}
			}
			created := p.create(t, resource, r.config)
			expect("create", created)
			expect("read", p.refresh(t, resource, created))
			old := created
			old.identity = nil // a state of before, or of an older Terraform
			expect("read of an old state", p.refresh(t, resource, old))
			for what, identity := range map[string]fields{"import": r.identity, "import, of the account": with(fields{"account_id": "123456789012", "region": "us-east-1"}, r.identity)} {
				got, said := p.imported(t, resource, "", p.identity(t, resource, identity))
				if said != "" {
					t.Fatalf("%s: %s", what, said)
				}
				expect(what, got)
				expect(what+", read", p.refresh(t, resource, got))
			}
			got, said := p.imported(t, resource, r.id, nil)
			if said != "" {
				t.Fatal(said)
			}
			expect("import by ID", got)
			for what, wrong := range map[string]struct {
				identity fields
				want     string
			}{
				"another account": {with(fields{"account_id": "1"}, r.identity), `identity.account_id is "1", the provider works in 123456789012`},
				"another Region":  {with(fields{"region": "eu-west-1"}, r.identity), `identity.region is "eu-west-1", the provider works in us-east-1`},
				"nothing":         {fields{"region": "us-east-1"}, "is missing"},
			} {
				if _, said := p.imported(t, resource, "", p.identity(t, resource, wrong.identity)); !strings.Contains(said, wrong.want) {
					t.Errorf("%s: %s, want %s", what, said, wrong.want)
				}
			}
			for _, whole := range []bool{false, true} {
				one, found := p.listed(t, resource, r.id, whole)
				if !found {
					t.Fatalf("%s is not listed", r.id)
				}
				expect("list", identified{identity: one.Identity})
				if whole {
					state := attributesOf(t, one.Resource, p.block(resource))
					if id := textOf(t, state["id"]); id != r.id {
						t.Errorf("%s is listed as %s", r.id, id)
					}
				}
			}
			destroy(t, p, resource, created)
			if _, found := p.listed(t, resource, r.id, false); found {
				t.Error("what was destroyed is listed")
			}
			for _, was := range []identified{created, old} { // somebody else has removed it, as this state has it
				gone := p.refresh(t, resource, was)
				if state, err := gone.state.Unmarshal(p.block(resource).ValueType()); err != nil || !state.IsNull() {
					t.Errorf("%v, %v", state, err)
				}
			}
		})
	}
}

func destroy(t *testing.T, p protocol, resource string, was identified) {
	t.Helper()
	none := dynamic(t, tftypes.NewValue(p.block(resource).ValueType(), nil))
	got, err := p.ApplyResourceChange(t.Context(), &tfprotov6.ApplyResourceChangeRequest{
		TypeName: resource, Config: none, PriorState: was.state, PlannedState: none, PlannedPrivate: was.private, PlannedIdentity: was.identity,
	})
	if err != nil || len(got.Diagnostics) > 0 {
		t.Fatal(err, detailsOf(got.Diagnostics))
	}
}

// clusterOf makes an ECS cluster, and returns its ARN.
func clusterOf(t *testing.T, c cloud, name string) string {
	t.Helper()
	made, err := c.ecs.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: &name})
	if err != nil {
		t.Fatal(err)
	}
	return *made.Cluster.ClusterArn
}
