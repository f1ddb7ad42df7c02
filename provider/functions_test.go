package provider_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// natural is a value as Terraform makes it of an expression in a configuration: objects and tuples.
func natural(t testing.TB, written any) tftypes.Value {
	t.Helper()
	switch v := written.(type) {
	case nil:
		return tftypes.NewValue(tftypes.DynamicPseudoType, nil)
	case tftypes.Value:
		return v
	case string:
		return tftypes.NewValue(tftypes.String, v)
	case bool:
		return tftypes.NewValue(tftypes.Bool, v)
	case int:
		return tftypes.NewValue(tftypes.Number, big.NewFloat(float64(v)))
	case *big.Float:
		return tftypes.NewValue(tftypes.Number, v)
	case unknown:
		return tftypes.NewValue(tftypes.String, tftypes.UnknownValue)
	case []any:
		types, values := []tftypes.Type{}, []tftypes.Value{}
		for _, element := range v {
			value := natural(t, element)
			types, values = append(types, value.Type()), append(values, value)
		}
		return tftypes.NewValue(tftypes.Tuple{ElementTypes: types}, values)
	case fields:
		types, values := map[string]tftypes.Type{}, map[string]tftypes.Value{}
		for name, field := range v {
			value := natural(t, field)
			types[name], values[name] = value.Type(), value
		}
		return tftypes.NewValue(tftypes.Object{AttributeTypes: types}, values)
	default:
		t.Fatalf("no value of Terraform's for %T", written)
		return tftypes.Value{}
	}
}

// call calls a function and returns its result, or the error and the argument that it is about; -1 for none.
func (p protocol) call(t testing.TB, name string, args ...any) (result tftypes.Value, problem string, argument int64) {
	t.Helper()
	of := p.schemas.Functions[name]
	if of == nil {
		t.Fatalf("no function %s", name)
	}
	var given []*tfprotov6.DynamicValue
	for i, arg := range args {
		value, typ := natural(t, arg), tftypes.Type(tftypes.String)
		if i < len(of.Parameters) {
			typ = of.Parameters[i].Type
		}
		d, err := tfprotov6.NewDynamicValue(typ, value)
		if err != nil {
			t.Fatal(err)
		}
		given = append(given, &d)
	}
	got, err := p.CallFunction(t.Context(), &tfprotov6.CallFunctionRequest{Name: name, Arguments: given})
	if err != nil {
		t.Fatal(err)
	}
	if got.Error != nil {
		argument = -1
		if got.Error.FunctionArgument != nil {
			argument = *got.Error.FunctionArgument
		}
		return tftypes.Value{}, got.Error.Text, argument
	}
	result, err = got.Result.Unmarshal(of.Return.Type)
	if err != nil {
		t.Fatal(err)
	}
	return result, "", -1
}

// textOf is a known text, or the texts of a map in JSON.
func textOf(t testing.TB, v tftypes.Value) string {
	t.Helper()
	if !v.IsFullyKnown() {
		return "unknown"
	}
	if v.Type().Is(tftypes.String) {
		var text string
		if err := v.As(&text); err != nil {
			t.Fatal(err)
		}
		return text
	}
	var values map[string]tftypes.Value
	if err := v.As(&values); err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for key, value := range values {
		texts[key] = textOf(t, value)
	}
	text, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const taskNumber = "0123456789abcdef0123456789abcdef"

func TestFunctionsSayWhatIsWrongWithAnArgument(t *testing.T) {
	t.Parallel()
	p := speak(t)
	task := func(changes fields) []any { return []any{meshTask(changes)} }
	for name, c := range map[string]struct {
		function string
		args     []any
		argument int64
		want     string
	}{
		"no object":            {"container_definitions", []any{"web"}, 0, "(root): got a string, want an object"},
		"a misspelt attribute": {"container_definitions", task(fields{"famly": "web"}), 0, "famly: unknown key, want family"},
		"a misspelt block":     {"task_tags", task(fields{"consul_server": fields{}}), 0, "consul_server: unknown key, want consul_servers"},
		"a misspelt key below": {"container_definitions", task(fields{"login": fields{"enable": true}}), 0, "login.enable: unknown key, want enabled"},
		"a misspelt key in a list": {"container_definitions", task(fields{"container": container(fields{"healthCheck": fields{}, "port_mappings": []any{}})}), 0,
			"container[0].healthCheck: unknown key, want health_check\ncontainer[0].port_mappings: unknown key, want port_mapping"},
		"what only a resource has": {"container_definitions", task(fields{"ecs_service": fields{"cluster": "a"}}), 0, "ecs_service: belongs to the resource consulecs_mesh_task alone: leave it out"},
		"a computed attribute":     {"container_definitions", task(fields{"content_hash": "x"}), 0, "content_hash: belongs to the resource"},
		"a block for a list":       {"container_definitions", task(fields{"container": fields{"name": "app"}}), 0, "container: got an object, want a list"},
		"a list for a block":       {"container_definitions", task(fields{"proxy": []any{}}), 0, "proxy: got a list, want an object"},
		"a number of services":     {"container_definitions", task(fields{"service": 8080}), 0, "service: got a number, want a list"},
		"two services of one name": {"container_definitions", task(fields{"service": []any{fields{"name": "web", "port": 8080}, fields{"name": "web", "port": 8081}}}), 0,
			`service[1].name is "web", the name of another service of the task`},
		"a text for a number":      {"container_definitions", task(fields{"service": fields{"port": "http"}}), 0, "service.port: got a string, want a number"},
		"half a number":            {"container_definitions", task(fields{"service": fields{"port": big.NewFloat(80.5)}}), 0, "service.port is 80.5, want a whole number"},
		"a null in a list":         {"container_definitions", task(fields{"container": []any{nil}}), 0, "container[0]: is null: give it a value, or leave it out"},
		"a null in a map":          {"container_definitions", task(fields{"container": container(fields{"environment": fields{"A": nil}})}), 0, `container[0].environment["A"]: is null`},
		"a missing attribute":      {"container_definitions", []any{with(meshTask(nil), fields{"family": nil})}, 0, "family is missing"},
		"a missing one in a list":  {"container_definitions", task(fields{"upstream": []any{fields{"local_bind_port": 80}}}), 0, "upstream[0].destination_name is missing"},
		"a missing one in a block": {"container_definitions", task(fields{"container": container(fields{"log_configuration": fields{}})}), 0, "container[0].log_configuration.log_driver is missing"},
		"what a validator refuses": {"container_definitions", task(fields{"family": "my web"}), 0, "1 to 255 letters, digits, '-' and '_', got: my web"},
		"what a validator below refuses": {"container_definitions", task(fields{"iam": fields{"task_role": fields{"arn": "arn:aws:iam::123456789012:role/a", "name": "b"}}}), 0,
			`"iam.task_role.name" cannot be specified when`},
		"what the definition refuses": {"container_definitions", task(fields{"container": container(fields{"depends_on": []any{fields{"container_name": "db", "condition": "START"}}})}), 0,
			`container["app"].depends_on`},
		"what the provider would supply": {"container_definitions", task(fields{"sidecars": nil, "consul_servers": nil}), 0, "consul_servers.hosts is empty.\nsidecars.image is missing, and only a release of the provider has an image of its own"},

		"configuration, no object":     {"agent_config", []any{[]any{}}, 0, "(root): got a list, want an object"},
		"configuration, a wrong key":   {"agent_config", []any{fields{"bootstrapDir": "/consul", "consulServers": fields{"host": "a"}}}, 0, "consulServers.host: unknown key, want hosts"},
		"configuration, a wrong type":  {"agent_config", []any{fields{"bootstrapDir": "/consul", "consulServers": fields{"hosts": 1}}}, 0, "consulServers.hosts: got the number 1, want a string"},
		"configuration, a wrong value": {"agent_config", []any{fields{"bootstrapDir": "/consul", "consulServers": fields{"hosts": "a"}, "logLevel": "LOUD"}}, 0, "logLevel: is \"LOUD\""},
		"configuration, no JSON":       {"agent_config", []any{"{"}, 0, "no JSON"},

		"JSON that is none":         {"parse_container_definitions", []any{"["}, 0, "(root): is no JSON: line 1, column 2"},
		"JSON of one container":     {"parse_container_definitions", []any{`{"name":"app"}`}, 0, "(root): is an object, want a list"},
		"JSON of none":              {"parse_container_definitions", []any{"null"}, 0, "(root): is null, want a list"},
		"JSON with a wrong key":     {"parse_container_definitions", []any{`[{"name":"app","portMappings":[{"containrPort":80}]}]`}, 0, "[0].portMappings[0].containrPort: is no field of ECS's: did you mean containerPort?"},
		"JSON with a wrong type":    {"parse_container_definitions", []any{`[{"name":"app","cpu":"1"}]`}, 0, `[0].cpu: is the text "1", want a number`},
		"JSON with a name twice":    {"parse_container_definitions", []any{`[{"name":"app","environment":[{"name":"A","value":"1"},{"name":"A","value":"2"}]}]`}, 0, "[0].environment: has 2 elements, of which 1 have names of their own"},
		"a service in upper case":   {"service_id", []any{"Web", taskNumber}, 0, `service name "Web": want lower-case letters`},
		"no task":                   {"service_id", []any{"web", "task/1"}, 1, `"task/1" is neither the ID of an ECS task`},
		"the ARN of something else": {"proxy_id", []any{"web", "arn:aws:ecs:eu-central-1:123456789012:service/prod/" + taskNumber}, 1, "is neither the ID of an ECS task"},
		"a namespace of none":       {"task_role_tags", []any{"web", "a b"}, 1, `namespace is "a b", want 1 to 64 letters`},
		"two namespaces":            {"task_role_tags", []any{"web", "a", "b"}, 2, "got 2 namespaces, want one at the most"},
		"a role of nobody":          {"task_role_tags", []any{[]any{}}, 0, "got 0 names, want 1 to 5"},
		"a role of too many":        {"task_role_tags", []any{[]any{"a", "b", "c", "d", "e", "f"}}, 0, "got 6 names, want 1 to 5"},
		"a role of one twice":       {"task_role_tags", []any{[]any{"a", "a"}}, 0, `got the name "a" twice`},
		"a role of an object":       {"task_role_tags", []any{fields{"name": "a"}}, 0, "(root): got an object, want a string"},
		"a role of objects":         {"task_role_tags", []any{[]any{"a", fields{}}}, 0, "[1]: got an object, want a string"},
		"a role of null":            {"task_role_tags", []any{[]any{"a", nil}}, 0, "[1]: is null"},
		"a role in upper case":      {"task_role_tags", []any{[]any{"a", "B"}}, 0, `service name "B": want lower-case letters`},
	} {
		_, said, argument := p.call(t, c.function, c.args...)
		if !strings.Contains(said, c.want) || argument != c.argument {
			t.Errorf("%s: argument %d: %q, want argument %d: %q", name, argument, said, c.argument, c.want)
		}
	}
}

func TestWhatFunctionsMake(t *testing.T) {
	t.Parallel()
	p := speak(t)
	config := fields{"bootstrapDir": "/consul", "consulServers": fields{"hosts": "a", "http": fields{"port": 8501}}, "logLevel": nil}
	const configText = `{"bootstrapDir":"/consul","consulServers":{"hosts":"a","http":{"port":8501}}}`
	taskARN := "arn:aws-cn:ecs:cn-north-1:123456789012:task/prod/" + taskNumber
	for name, c := range map[string]struct {
		function string
		args     []any
		want     string
	}{
		"a service":               {"service_id", []any{"web", taskNumber}, "web-" + taskNumber},
		"a service, by the ARN":   {"service_id", []any{"web", taskARN}, "web-" + taskNumber},
		"a proxy":                 {"proxy_id", []any{"web", taskARN}, "web-" + taskNumber + "-sidecar-proxy"},
		"tags of a number":        {"task_role_tags", []any{8}, `{"consul.hashicorp.com.namespace":"","consul.hashicorp.com.service-name":"8"}`},
		"tags of a role":          {"task_role_tags", []any{"web"}, `{"consul.hashicorp.com.namespace":"","consul.hashicorp.com.service-name":"web"}`},
		"tags, in a namespace":    {"task_role_tags", []any{"web", "shop"}, `{"consul.hashicorp.com.namespace":"shop","consul.hashicorp.com.service-name":"web"}`},
		"tags, of two services":   {"task_role_tags", []any{[]any{"web", "web-admin"}}, `{"consul.hashicorp.com.namespace":"","consul.hashicorp.com.service-name":"web","consul.hashicorp.com.service-name-2":"web-admin"}`},
		"tags, of an unknown one": {"task_role_tags", []any{[]any{"web", unknown{}}}, "unknown"},
		"a configuration":         {"agent_config", []any{config}, configText},
		"a configuration as text": {"agent_config", []any{configText}, configText},
		"tags of a task": {"task_tags", []any{meshTask(fields{"family": "My-Web", "tags": fields{"team": "a"}})},
			`{"consul.hashicorp.com/mesh":"true","consul.hashicorp.com/module":"terraform-provider-consulecs","consul.hashicorp.com/module-version":"test","consul.hashicorp.com/service-name":"my-web","team":"a"}`},
		"something not known": {"task_tags", []any{meshTask(fields{"tags": fields{"a": unknown{}}})}, "unknown"},
		"an image not known":  {"container_definitions", []any{meshTask(fields{"container": container(fields{"image": unknown{}})})}, "unknown"},
		"a config not known":  {"agent_config", []any{fields{"bootstrapDir": unknown{}}}, "unknown"},
		"what says nothing":   {"agent_config", []any{with(maps.Clone(config), fields{"healthSyncContainers": []any{}, "consulLogin": nil})}, configText},
	} {
		got, said, _ := p.call(t, c.function, c.args...)
		if said != "" || textOf(t, got) != c.want {
			t.Errorf("%s: %q, %v; want %s", name, said, got, c.want)
		}
	}
}

// Terraform converts what a configuration says to what a schema asks for: so do functions.
func TestFunctionsConvertAsTerraformDoes(t *testing.T) {
	t.Parallel()
	p := speak(t)
	plain, said, _ := p.call(t, "container_definitions", meshTask(fields{
		"outbound_only": false, "service": fields{"port": 8080}, "container": container(fields{"environment": fields{"PORT": "8080", "DEBUG": "true"}, "command": []any{"1"}}),
	}))
	if said != "" {
		t.Fatal(said)
	}
	converted, said, _ := p.call(t, "container_definitions", meshTask(fields{
		"outbound_only": "false", "service": fields{"port": "8080", "name": nil}, "container": container(fields{"environment": fields{"PORT": 8080, "DEBUG": true}, "command": []any{1}}),
		"login": nil, "upstream": nil, "tags": nil,
	}))
	if diff := cmp.Diff(textOf(t, plain), textOf(t, converted)); said != "" || diff != "" {
		t.Errorf("%s\n%s", said, diff)
	}
}

// What the resource refuses at random the function refuses, and what the resource plans the function renders alike.
func TestFunctionsRenderWhatTheResourcePlans(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	seed := rand.Uint64()
	rendered, refused := 0, 0
	at := surroundings{"arn:aws:ecs:us-east-1:123456789012:cluster/x", "arn:aws:iam::123456789012:policy/x", "subnet-1", "sg-1"}
	for n := range uint64(60) {
		p, d := speak(t), dice{rand.New(rand.NewPCG(seed, n))} // a provider plans a name once
		p.configure(t, c.ours())
		config := d.vary(p.block("consulecs_mesh_task"), []fields{fullMeshTask("alike", at), meshTask(nil), severalServices("alike")}[n%3], []float64{0, 0.01, 0.03}[n/3%3])
		for _, name := range []string{"ecs_service", "standalone_task", "revision_policy", "adopt_existing", "timeouts"} {
			delete(config, name)
		}
		if strings.Contains(fmt.Sprintf("%#v", config), "provider_test.unknown") {
			continue
		}
		said, plan := p.plan(t, "consulecs_mesh_task", object(t, p.block("consulecs_mesh_task"), config))
		got, problem, _ := p.call(t, "container_definitions", config)
		if (plan == nil) != (problem != "") {
			t.Errorf("seed %d, %d: %s\nthe resource says %s, the function %q", seed, n, asText(config), detailsOf(said), problem)
			continue
		}
		if plan == nil {
			refused++
			continue
		}
		rendered++
		if want, got := plannedConfig(t, p, plan), configIn(t, textOf(t, got)); want != got {
			t.Errorf("seed %d, %d: the configuration is\n%s, of the resource\n%s", seed, n, got, want)
		}
	}
	if rendered < 10 || refused == 0 {
		t.Errorf("seed %d: %d were rendered and %d refused", seed, rendered, refused)
	}
}

func detailsOf(said []*tfprotov6.Diagnostic) (details []string) {
	for _, d := range said {
		details = append(details, d.Summary+": "+d.Detail)
	}
	return details
}

func plannedConfig(t *testing.T, p protocol, plan *tfprotov6.DynamicValue) string {
	t.Helper()
	return textOf(t, attributesOf(t, plan, p.block("consulecs_mesh_task"))["agent_config_json"])
}

// configIn is the agents' configuration in container definitions.
func configIn(t *testing.T, text string) string {
	t.Helper()
	var containers []struct {
		Name        string
		Environment []struct{ Name, Value string }
	}
	if err := json.Unmarshal([]byte(text), &containers); err != nil {
		t.Fatal(err)
	}
	for _, c := range containers {
		for _, e := range c.Environment {
			if c.Name == mesh.ContainerMeshInit && e.Name == mesh.ConfigVariable {
				return e.Value
			}
		}
	}
	return ""
}

// Containers that are parsed and rendered again are what they were, but for the wait for the proxy.
func TestParsedContainersSayWhatTheJSONSays(t *testing.T) {
	t.Parallel()
	p := speak(t)
	const text = `[{"name":"app","image":"app:1","essential":false,"cpu":128,"command":["/app","-v"],"environment":[{"name":"A","value":""},{"name":"B","value":"2"}],` +
		`"secrets":[{"name":"S","valueFrom":"arn:aws:ssm:us-east-1:123456789012:parameter/s"}],"portMappings":[{"containerPort":8080,"protocol":"tcp"}],` +
		`"healthCheck":{"command":["CMD","true"],"interval":5},"logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"g"}},"mountPoints":[{"sourceVolume":"v","containerPath":"/v","readOnly":false}],` +
		`"linuxParameters":{"initProcessEnabled":false,"maxSwap":0},"stopTimeout":0,"restartPolicy":{"enabled":false},"dockerLabels":{"x":""},"volumesFrom":[],"user":""},{"name":"web","image":"web:1","essential":true}]`
	parsed, said, _ := p.call(t, "parse_container_definitions", text)
	if said != "" {
		t.Fatal(said)
	}
	var list []tftypes.Value
	if err := parsed.As(&list); err != nil || len(list) != 2 {
		t.Fatal(err, parsed)
	}
	task := natural(t, meshTask(fields{"task": fields{"launch_types": []any{"EC2"}, "volume": []any{fields{"name": "v"}}}}))
	var all map[string]tftypes.Value
	if err := task.As(&all); err != nil {
		t.Fatal(err)
	}
	types := task.Type().(tftypes.Object).AttributeTypes
	all["container"], types["container"] = parsed, parsed.Type()
	argument, err := tfprotov6.NewDynamicValue(tftypes.DynamicPseudoType, tftypes.NewValue(tftypes.Object{AttributeTypes: types}, all))
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := p.CallFunction(t.Context(), &tfprotov6.CallFunctionRequest{Name: "container_definitions", Arguments: []*tfprotov6.DynamicValue{&argument}})
	if err != nil || rendered.Error != nil {
		t.Fatal(err, rendered.Error)
	}
	result, err := rendered.Result.Unmarshal(tftypes.String)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []map[string]any
	if err := json.Unmarshal([]byte(textOf(t, result)), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	delete(want[0], "volumesFrom") // which says nothing
	delete(got[0], "dependsOn")
	if diff := cmp.Diff(want[0], got[0]); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// The real binaries call functions, check what they are given and keep marks.
func TestFunctionsThroughTerraform(t *testing.T) {
	t.Parallel()
	onEveryBinary(t, func(t *testing.T, on *binary) {
		dir := workDir(t)
		dir.write(t, "main.tf.json", fields{"terraform": requirements(), "provider": fields{"consulecs": fields{"region": "us-east-1"}}}) // which OpenTofu asks for
		text := `
variable "secret" {
  default   = "s3cret"
  sensitive = true
}
resource "terraform_data" "later" { input = "x" }
locals {
  task = {
    family         = "web"
    service        = { port = 8080 }
    consul_servers = { hosts = "consul.example.com" }
    container      = provider::consulecs::parse_container_definitions(jsonencode([{ name = "app", image = "app:1", environment = [{ name = "A", value = "b" }] }]))
    sidecars       = { image = "agent:1" }
  }
}
output "names" { value = jsondecode(provider::consulecs::container_definitions(local.task))[*].name }
output "hidden" {
  value     = provider::consulecs::container_definitions(merge(local.task, { container = [{ name = "app", image = "app:1", environment = { A = var.secret } }] }))
  sensitive = true
}
output "later" { value = provider::consulecs::task_tags(merge(local.task, { tags = { a = terraform_data.later.id } })) }
output "id" { value = provider::consulecs::service_id("web", "` + taskNumber + `") }
`
		if err := os.WriteFile(filepath.Join(string(dir), "outputs.tf"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		tf := on.terraform(t, dir)
		if err := tf.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		shown, err := tf.Output(t.Context(), "output", "-json", "-state="+tf.State())
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"consul-ecs-mesh-init"`, "s3cret", `"consul.hashicorp.com/service-name": "web"`, "web-" + taskNumber} {
			if !strings.Contains(string(shown), want) {
				t.Errorf("the outputs lack %s:\n%s", want, shown)
			}
		}
		wrong := `output "wrong" { value = provider::consulecs::container_definitions({ famly = "web" }) }` + "\n" +
			`output "null" { value = provider::consulecs::container_definitions(null) }` + "\n" +
			`output "shown" { value = provider::consulecs::agent_config({ bootstrapDir = var.secret, consulServers = { hosts = "a" } }) }`
		if err := os.WriteFile(filepath.Join(string(dir), "wrong.tf"), []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = tf.PlanChanges(t.Context())
		said := strings.Join(strings.Fields(fmt.Sprint(err)), " ")
		for _, want := range []string{"famly: unknown key, want family", "argument must not be null", "Output refers to sensitive values"} {
			if err == nil || !strings.Contains(said, want) {
				t.Errorf("the plan lacks %q: %v", want, err)
			}
		}
	})
}
