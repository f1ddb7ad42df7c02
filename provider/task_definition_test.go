package provider_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/provider/canonical"
)

// read reads a data source: its attributes, or what is said in their stead.
func (p protocol) read(t testing.TB, name string, config fields) (map[string]tftypes.Value, []*tfprotov6.Diagnostic) {
	t.Helper()
	block := p.schemas.DataSourceSchemas[name].Block
	text := dynamic(t, object(t, block, config))
	validated, err := p.ValidateDataResourceConfig(t.Context(), &tfprotov6.ValidateDataResourceConfigRequest{TypeName: name, Config: text})
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(validated.Diagnostics, isError) {
		return nil, validated.Diagnostics
	}
	got, err := p.ReadDataSource(t.Context(), &tfprotov6.ReadDataSourceRequest{TypeName: name, Config: text})
	if err != nil {
		t.Fatal(err)
	}
	said := slices.Concat(validated.Diagnostics, got.Diagnostics)
	if slices.ContainsFunc(said, isError) {
		return nil, said
	}
	return attributesOf(t, got.State, block), said
}

func attributesOf(t testing.TB, state *tfprotov6.DynamicValue, block *tfprotov6.SchemaBlock) map[string]tftypes.Value {
	t.Helper()
	value, err := state.Unmarshal(block.ValueType())
	var all map[string]tftypes.Value
	if err == nil {
		err = value.As(&all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// ours is the provider's configuration for an emulator.
func (c cloud) ours() fields {
	return fields{"region": "us-east-1", "endpoints": fields{"ecs": c.url, "iam": c.url, "sts": c.url}}
}

func TestARenderedDefinitionIsTheResources(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	given := fields{"task_role": fields{"arn": "arn:aws:iam::123456789012:role/consul-ecs/a"}, "execution_role": fields{"arn": "arn:aws:iam::123456789012:role/b"}}
	for name, config := range map[string]fields{
		"small":       meshTask(fields{"family": "rendered-small", "login": fields{"enabled": true}}),
		"whole":       with(fullMeshTask("rendered-whole", surroundings{"arn:aws:ecs:us-east-1:123456789012:cluster/x", "arn:aws:iam::123456789012:policy/x", "subnet-1", "sg-1"}), fields{"ecs_service": nil, "standalone_task": nil, "revision_policy": nil, "adopt_existing": nil, "timeouts": nil}),
		"given roles": meshTask(fields{"family": "rendered-given", "iam": given}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := speak(t)
			p.configure(t, with(c.ours(), fields{"default_tags": fields{"tags": fields{"team": "mesh"}}}))
			got, said := p.read(t, "consulecs_task_definition", config)
			if len(said) > 0 {
				t.Fatal(detailsOf(said))
			}
			if name != "given roles" { // which the resource looks at
				said, plan := p.plan(t, "consulecs_mesh_task", object(t, p.block("consulecs_mesh_task"), config))
				if plan == nil {
					t.Fatal(detailsOf(said))
				}
				planned := attributesOf(t, plan, p.block("consulecs_mesh_task"))
				for _, name := range []string{"agent_config_json", "service_name", "task_role_arn", "task_role_name", "execution_role_arn", "execution_role_name"} {
					if want, got := textOf(t, planned[name]), textOf(t, got[name]); got != want {
						t.Errorf("%s is %s, of the resource %s", name, got, want)
					}
				}
			}
			var definition ecs.RegisterTaskDefinitionInput
			if err := awsjson.UnmarshalStrict([]byte(textOf(t, got["definition_json"])), &definition); err != nil {
				t.Fatal(err)
			}
			registered, err := c.ecs.RegisterTaskDefinition(t.Context(), &definition)
			if err != nil {
				t.Fatal(err)
			}
			for i, d := range registered.TaskDefinition.ContainerDefinitions {
				if !strings.Contains(textOf(t, got["container_definitions_json"]), `"name":"`+*d.Name+`"`) {
					t.Errorf("container %d, %s, is not among container_definitions_json", i, *d.Name)
				}
			}
			for _, name := range []string{"task_role", "execution_role"} {
				if hasTrust := !got[name+"_trust_policy_json"].IsNull(); hasTrust != (config["iam"] == nil || config["iam"].(fields)["task_role"].(fields)["arn"] == nil) {
					t.Errorf("%s_trust_policy_json is there: %v", name, hasTrust)
				}
			}
		})
	}
}

// The roles of a rendered task are those that the resource makes, and a login with them is allowed.
func TestRenderedRolesAreTheResources(t *testing.T) {
	t.Parallel()
	onEveryBinary(t, func(t *testing.T, on *binary) {
		c := startMoto(t)
		config := meshTask(fields{"family": "rendered-" + on.name(), "login": fields{"enabled": true}, "container": container(fields{"environment": fields{"A": "${var.secret}"}})})
		dir := workDir(t)
		frame := c.frame(fields{"consulecs_mesh_task": fields{"web": config}})
		frame["variable"] = fields{"secret": fields{"default": "s3cret", "sensitive": true}}
		frame["data"] = fields{"consulecs_task_definition": fields{"web": config}}
		frame["output"] = fields{
			"policy": fields{"value": "${data.consulecs_task_definition.web.task_role_policy_json}"}, "trust": fields{"value": "${data.consulecs_task_definition.web.task_role_trust_policy_json}"},
			"name": fields{"value": "${data.consulecs_task_definition.web.task_role_name}"},
		}
		dir.write(t, "main.tf.json", frame)
		tf := on.terraform(t, dir)
		if err := tf.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, name := range []string{"policy", "trust", "name"} {
			text, err := tf.Output(t.Context(), "output", "-raw", "-state="+tf.State(), name)
			if err != nil {
				t.Fatal(err)
			}
			got[name] = string(text)
		}
		made := roleInAWS(t, c, got["name"])
		if diff := cmp.Diff(made, map[string]string{"policy": string(canonical.JSON(got["policy"])), "trust": string(canonical.JSON(got["trust"]))}); diff != "" {
			t.Errorf("made -, rendered +:\n%s", diff)
		}
		if changes, err := tf.PlanChanges(t.Context()); err != nil || len(changes) > 0 {
			t.Errorf("%v, %v", changes, err)
		}
	})
}

func TestADataSourceSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	p := speak(t)
	p.configure(t, c.ours())
	open := speak(t)
	open.configure(t, with(c.ours(), fields{"agent_image": unknown{}}))
	for name, r := range map[string]struct {
		with   protocol
		config fields
		want   string
	}{
		"no image":              {p, meshTask(fields{"sidecars": nil}), "sidecars.image is missing"},
		"a wrong port":          {p, meshTask(fields{"service": fields{"port": 70000}}), "service.port is 70000"},
		"a number that is none": {p, meshTask(fields{"task": fields{"cpu": 1 << 40}}), "task.cpu is 1.099511628e+12, want a whole number"},
		"a provider to come":    {open, meshTask(nil), "The provider's agent_image depends on a resource that does not exist yet"},
	} {
		_, said := r.with.read(t, "consulecs_task_definition", r.config)
		if !strings.Contains(strings.Join(detailsOf(said), "\n"), r.want) {
			t.Errorf("%s: %q, want %s", name, detailsOf(said), r.want)
		}
	}
}

// roleInAWS are the policies of a role.
func roleInAWS(t *testing.T, c cloud, name string) map[string]string {
	t.Helper()
	role, err := c.iam.GetRole(t.Context(), &iam.GetRoleInput{RoleName: &name})
	if err != nil {
		t.Fatal(err)
	}
	listed, err := c.iam.ListRolePolicies(t.Context(), &iam.ListRolePoliciesInput{RoleName: &name})
	if err != nil || len(listed.PolicyNames) != 1 {
		t.Fatal(err, listed)
	}
	policy, err := c.iam.GetRolePolicy(t.Context(), &iam.GetRolePolicyInput{RoleName: &name, PolicyName: &listed.PolicyNames[0]})
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for key, text := range map[string]*string{"policy": policy.PolicyDocument, "trust": role.Role.AssumeRolePolicyDocument} {
		decoded, err := url.QueryUnescape(*text)
		if err != nil {
			t.Fatal(err)
		}
		texts[key] = string(canonical.JSON(decoded))
	}
	return texts
}
