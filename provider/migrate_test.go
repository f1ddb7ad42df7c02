package provider_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// migrations are the folders of documents, and the functions that convert them.
var migrations = map[string]string{"colour-teller": "from_app_mesh", "edges": "from_app_mesh", "shop": "from_service_connect"}

func migrationFolder(t *testing.T, name string) string {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join("..", "internal", "migrate", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// TestMigratedTasksCanBePlanned has the real binaries convert documents, and plan what they are converted to.
func TestMigratedTasksCanBePlanned(t *testing.T) {
	t.Parallel()
	onEveryBinary(t, func(t *testing.T, on *binary) {
		c := on.startMoto(t)
		folder := t.TempDir()
		files := map[string]string{"frame.tf": "terraform {\n  required_providers {\n    consulecs = { source = \"consulecs/consulecs\" }\n  }\n}\n" + c.provider()}
		want, resources := map[string]string{}, 0
		for name, function := range migrations {
			golden, err := os.ReadFile(filepath.Join(migrationFolder(t, name), "main.tf.golden"))
			if err != nil {
				t.Fatal(err)
			}
			want[name], files[name+".tf"] = string(golden), string(golden)
			resources += strings.Count(string(golden), `resource "consulecs_mesh_task"`)
			files[name+"-output.tf"] = fmt.Sprintf(`output %q {
  value = provider::consulecs::%s([for name in sort(fileset(%q, "*.json")) : file("%[3]s/${name}")]).hcl
}
`, name, function, migrationFolder(t, name))
		}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		bin, err := binFolder()
		if err != nil {
			t.Fatal(err)
		}
		work := t.TempDir()
		tf, err := testenv.NewTerraform(testenv.TerraformConfig{Folder: folder, Work: work, Provider: bin, Binary: on.path, Env: []string{"AWS_ENDPOINT_URL=" + c.url}})
		if err != nil {
			t.Fatal(err)
		}
		changes, err := tf.PlanChanges(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(changes) != resources {
			t.Errorf("the plan changes %v, want %d tasks", changes, resources)
		}
		shown, err := tf.Output(t.Context(), "show", "-json", filepath.Join(work, "plan"))
		if err != nil {
			t.Fatal(err)
		}
		var plan struct {
			Planned struct {
				Outputs map[string]struct{ Value string }
			} `json:"planned_values"`
		}
		if err := json.Unmarshal(shown, &plan); err != nil {
			t.Fatal(err)
		}
		for name, text := range want {
			if diff := cmp.Diff(text, plan.Planned.Outputs[name].Value); diff != "" {
				t.Errorf("%s: want -, got +:\n%s", name, diff)
			}
		}
	})
}

func TestFunctionsOfMigrationsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	p := speak(t)
	const node = `{"virtualNode": {"meshName": "m", "virtualNodeName": "a", "spec": {%s}}}`
	for name, c := range map[string]struct {
		function  string
		documents []string
		want      string
	}{
		"nothing":             {"from_app_mesh", nil, "no document tells of a task: want the virtual nodes"},
		"no services":         {"from_service_connect", nil, "want services with Service Connect"},
		"no JSON":             {"from_app_mesh", []string{"{"}, "documents[0]: is no JSON: unexpected EOF"},
		"two documents":       {"from_app_mesh", []string{"{} {}"}, "documents[0]: is no JSON: there is more behind its end"},
		"a list":              {"from_app_mesh", []string{"[]"}, "documents[0]: is a list, want an object"},
		"an empty document":   {"from_app_mesh", []string{`{"virtualNode": {}}`}, "documents[0].virtualNode: is empty"},
		"another document":    {"from_app_mesh", []string{`{"clusters": []}`}, "documents[0]: has none of the keys mesh, virtualNode,"},
		"a type":              {"from_app_mesh", []string{fmt.Sprintf(node, `"listeners": {"port": 1}`)}, "documents[0].virtualNode.spec.listeners: is an object, want a list"},
		"a port":              {"from_app_mesh", []string{fmt.Sprintf(node, `"listeners": [{"portMapping": {"port": 80.5}}]`)}, "documents[0].virtualNode.spec.listeners[0].portMapping.port: is 80.5, want a whole number"},
		"no port":             {"from_app_mesh", []string{fmt.Sprintf(node, `"listeners": [{"portMapping": {}}, {"portMapping": {"port": 80}}]`)}, "documents[0].virtualNode.spec.listeners[0].portMapping.port: is missing, want a port, 1 to 65535"},
		"port 0":              {"from_app_mesh", []string{fmt.Sprintf(node, `"listeners": [{"portMapping": {"port": 0}}]`)}, "documents[0].virtualNode.spec.listeners[0].portMapping.port: is 0, want a port, 1 to 65535"},
		"a port twice":        {"from_app_mesh", []string{fmt.Sprintf(node, `"listeners": [{"portMapping": {"port": 80}}, {"portMapping": {"port": 80}}]`)}, "documents[0].virtualNode.spec.listeners[1].portMapping.port: is 80, as another listener of the virtual node has"},
		"port 0 of ECS":       {"from_service_connect", []string{`{"services": [{"serviceName": "a", "taskDefinition": "arn:a", "serviceConnectConfiguration": {"enabled": true, "services": [{"portName": "p"}]}}]}`, `{"taskDefinition": {"taskDefinitionArn": "arn:a", "containerDefinitions": [{"portMappings": [{"name": "p", "containerPort": 0}]}]}}`}, "documents[1].taskDefinition.containerDefinitions[0].portMappings[0].containerPort: is 0, want a port, 1 to 65535"},
		"a split of a name":   {"from_app_mesh", split("v-8080"), "documents[4].route.routeName: makes the service v-8080 in Consul"},
		"a unit":              {"from_app_mesh", []string{fmt.Sprintf(node, `"listeners": [{"outlierDetection": {"interval": {"unit": "h", "value": 1}}}]`)}, `documents[0].virtualNode.spec.listeners[0].outlierDetection.interval.unit: is "h", want s or ms`},
		"a node twice":        {"from_app_mesh", []string{fmt.Sprintf(node, ""), fmt.Sprintf(node, "")}, "documents[1].virtualNode: is the virtual node a a second time"},
		"one name of two":     {"from_app_mesh", []string{fmt.Sprintf(node, ""), strings.Replace(fmt.Sprintf(node, ""), `"a"`, `"A"`, 1)}, "becomes the service a in Consul, as the virtual node"},
		"two meshes":          {"from_app_mesh", []string{fmt.Sprintf(node, ""), `{"virtualNode": {"meshName": "n", "virtualNodeName": "b"}}`}, "documents[1].virtualNode.meshName: is n, another document's is m: convert one mesh at a time"},
		"a route of nobody":   {"from_app_mesh", []string{fmt.Sprintf(node, ""), `{"route": {"meshName": "m", "virtualRouterName": "r"}}`}, "documents[1].route.virtualRouterName: is r, which no document describes"},
		"no definition":       {"from_service_connect", []string{`{"services": [{"serviceName": "a", "taskDefinition": "arn:a", "serviceConnectConfiguration": {"enabled": true}}]}`}, "documents[0].services[0].taskDefinition: is arn:a, which no document describes"},
		"a port without name": {"from_service_connect", []string{`{"services": [{"serviceName": "a", "taskDefinition": "arn:a", "serviceConnectConfiguration": {"enabled": true, "services": [{"portName": "p"}]}}]}`, `{"taskDefinition": {"taskDefinitionArn": "arn:a"}}`}, "serviceConnectConfiguration.services[0].portName: is p, which no port of task definition arn:a has"},
	} {
		_, said, argument := p.call(t, c.function, textList(c.documents))
		if !strings.Contains(said, c.want) || argument != 0 {
			t.Errorf("%s: %s (argument %d), want %s", name, said, argument, c.want)
		}
	}
}

// split is a mesh with a virtual service v, one route of which shares the traffic between two virtual nodes. There is a third.
func split(third string) []string {
	const node = `{"virtualNode": {"meshName": "m", "virtualNodeName": %q, "spec": {"listeners": [{"portMapping": {"port": 80, "protocol": "http"}}]}}}`
	return []string{
		fmt.Sprintf(node, "a"), fmt.Sprintf(node, "b"), fmt.Sprintf(node, third), `{"virtualRouter": {"meshName": "m", "virtualRouterName": "r", "spec": {}}}`,
		`{"route": {"meshName": "m", "virtualRouterName": "r", "routeName": "8080", "spec": {"httpRoute": {"match": {"prefix": "/x"}, "action": {"weightedTargets": [{"virtualNode": "a", "weight": 1}, {"virtualNode": "b", "weight": 1}]}}}}}`,
		`{"virtualService": {"meshName": "m", "virtualServiceName": "v.local", "spec": {"provider": {"virtualRouter": {"virtualRouterName": "r"}}}}}`,
	}
}

// TestAMigrationIsOpenWhileADocumentIs holds for OpenTofu, which calls a function with what is not known yet.
func TestAMigrationIsOpenWhileADocumentIs(t *testing.T) {
	t.Parallel()
	p := speak(t)
	open := textList([]string{"{}"})
	got, said, _ := p.call(t, "from_app_mesh", tftypes.NewValue(open.Type(), []tftypes.Value{tftypes.NewValue(tftypes.String, tftypes.UnknownValue)}))
	if said != "" || got.IsKnown() {
		t.Errorf("%v, %s", got, said)
	}
}

func textList(texts []string) tftypes.Value {
	all := []tftypes.Value{}
	for _, text := range slices.Clone(texts) {
		all = append(all, tftypes.NewValue(tftypes.String, text))
	}
	return tftypes.NewValue(tftypes.List{ElementType: tftypes.String}, all)
}
