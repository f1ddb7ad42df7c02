package migrate_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/migrate"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

var update = flag.Bool("update", false, "write the golden files anew")

// cases are the folders of documents, and what converts them.
var cases = map[string]func([]string) (migrate.Result, error){"colour-teller": migrate.AppMesh, "edges": migrate.AppMesh, "shop": migrate.ServiceConnect}

// documents are those of a folder.
func documents(t *testing.T, folder string) (texts []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}

func converted(t *testing.T, folder string) migrate.Result {
	t.Helper()
	result, err := cases[folder](documents(t, folder))
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// entriesOf are the entries, each with kind and name, as Consul's command takes them.
func entriesOf(t *testing.T, result migrate.Result) (texts []string) {
	t.Helper()
	for _, e := range result.Entries {
		whole := map[string]any{"Kind": e.Kind, "Name": e.Name}
		for key, v := range e.Config {
			whole[key] = v
		}
		text, err := json.MarshalIndent(whole, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}

func TestConversionsAreAsTheGoldenFilesSay(t *testing.T) {
	t.Parallel()
	for folder := range cases {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			result := converted(t, folder)
			var notes strings.Builder
			for _, n := range result.Notes {
				fmt.Fprintf(&notes, "%s %s\n", n.Path, n.What)
			}
			for name, got := range map[string]string{
				"main.tf.golden": result.HCL, "entries.golden": strings.Join(entriesOf(t, result), "\n") + "\n", "notes.golden": notes.String(),
			} {
				name := filepath.Join("testdata", folder, name)
				if *update {
					if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("%s: want -, got +:\n%s", name, diff)
				}
			}
		})
	}
}

// TestConsulTakesTheEntries writes what the conversions make to a real Consul, one after the other in their order.
func TestConsulTakesTheEntries(t *testing.T) {
	t.Parallel()
	for folder := range cases {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			consul := testenv.ConsulDuring(t, testenv.ConsulConfig{})
			for _, text := range entriesOf(t, converted(t, folder)) {
				entry, err := api.DecodeConfigEntryFromJSON([]byte(text))
				if err != nil {
					t.Fatalf("%v:\n%s", err, text)
				}
				if ok, _, err := consul.API.ConfigEntries().Set(entry, nil); err != nil || !ok {
					t.Errorf("%v, %v:\n%s", ok, err, text)
				}
			}
		})
	}
}

// TestNothingIsDroppedInSilence puts a key of no meaning into each object of the documents, and wants a note of each place.
func TestNothingIsDroppedInSilence(t *testing.T) {
	t.Parallel()
	for folder, convert := range cases {
		for i, text := range documents(t, folder) {
			decoder := json.NewDecoder(bytes.NewBufferString(text))
			decoder.UseNumber()
			var document any
			if err := decoder.Decode(&document); err != nil {
				t.Fatal(err)
			}
			for place, at := range objects(document, fmt.Sprintf("documents[%d]", i)) {
				at[meaningless] = "x"
				spoilt, err := json.Marshal(document)
				if err != nil {
					t.Fatal(err)
				}
				delete(at, meaningless)
				all := documents(t, folder)
				all[i] = string(spoilt)
				if result, err := convert(all); err != nil || !told(result, place) {
					t.Errorf("%s: a key in %s is neither told nor kept: %v", folder, place, err)
				}
			}
		}
	}
}

// TestATaskBecomesFiveServicesAtMost wants what is beyond them to be told, and nothing to be made of it.
func TestATaskBecomesFiveServicesAtMost(t *testing.T) {
	t.Parallel()
	var listeners, mappings, services []string
	for i := range 6 {
		listeners = append(listeners, fmt.Sprintf(`{"portMapping": {"port": %d, "protocol": "http"}}`, 8000+i))
		mappings = append(mappings, fmt.Sprintf(`{"containerPort": %d, "name": "p%d"}`, 8000+i, i))
		services = append(services, fmt.Sprintf(`{"portName": "p%d"}`, i))
	}
	for name, c := range map[string]struct {
		convert   func([]string) (migrate.Result, error)
		documents []string
		place     string
	}{
		"App Mesh": {migrate.AppMesh, []string{fmt.Sprintf(`{"virtualNode": {"meshName": "m", "virtualNodeName": "a", "spec": {"listeners": [%s]}}}`, strings.Join(listeners, ","))},
			"documents[0].virtualNode.spec.listeners[5]"},
		"Service Connect": {migrate.ServiceConnect, []string{
			fmt.Sprintf(`{"services": [{"serviceName": "a", "taskDefinition": "arn:a", "serviceConnectConfiguration": {"enabled": true, "services": [%s]}}]}`, strings.Join(services, ",")),
			fmt.Sprintf(`{"taskDefinition": {"taskDefinitionArn": "arn:a", "containerDefinitions": [{"name": "app", "portMappings": [%s]}]}}`, strings.Join(mappings, ",")),
		}, "documents[0].services[0].serviceConnectConfiguration.services[5]"},
	} {
		result, err := c.convert(c.documents)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(result.HCL, "\n  service {"); n != 5 {
			t.Errorf("%s: the task is %d services:\n%s", name, n, result.HCL)
		}
		if !slices.ContainsFunc(result.Notes, func(n migrate.Note) bool { return n.Path == c.place && strings.Contains(n.What, "one more") }) {
			t.Errorf("%s: the sixth is not told of: %v", name, result.Notes)
		}
		for _, e := range result.Entries {
			if strings.HasSuffix(e.Name, "8005") || e.Name == "p5" {
				t.Errorf("%s: there is an entry of the sixth: %v", name, e)
			}
		}
	}
}

// TestANodesOwnServiceIsNotLedAway has a virtual service of a node's name lead to another listener of the node.
func TestANodesOwnServiceIsNotLedAway(t *testing.T) {
	t.Parallel()
	for port, want := range map[int]string{80: "plain", 9443: "plain-local"} {
		result, err := migrate.AppMesh([]string{
			`{"virtualNode": {"meshName": "m", "virtualNodeName": "plain", "spec": {"listeners": [{"portMapping": {"port": 80}}, {"portMapping": {"port": 9443}}]}}}`,
			`{"virtualNode": {"meshName": "m", "virtualNodeName": "caller", "spec": {"backends": [{"virtualService": {"virtualServiceName": "plain.local"}}]}}}`,
			`{"virtualRouter": {"meshName": "m", "virtualRouterName": "r", "spec": {}}}`,
			fmt.Sprintf(`{"route": {"meshName": "m", "virtualRouterName": "r", "routeName": "all", "spec": {"tcpRoute": {"action": {"weightedTargets": [{"virtualNode": "plain", "port": %d, "weight": 1}]}}}}}`, port),
			`{"virtualService": {"meshName": "m", "virtualServiceName": "plain.local", "spec": {"provider": {"virtualRouter": {"virtualRouterName": "r"}}}}}`,
		})
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`destination_name *= "` + want + `"`).MatchString(result.HCL) {
			t.Errorf("at port %d, the caller does not call %s:\n%s", port, want, result.HCL)
		}
		for _, e := range result.Entries {
			if e.Kind == "service-resolver" && (e.Name != "plain-local" || port != 9443) {
				t.Errorf("at port %d, there is the resolver %v", port, e)
			}
		}
	}
}

// meaningless is a key that nobody knows.
const meaningless = "keyOfNoMeaning"

// told reports whether the key stands in what was made, or a note tells of it, or of a place around it that nothing was made of.
func told(result migrate.Result, place string) bool {
	if strings.Contains(result.HCL, meaningless) {
		return true
	}
	for _, n := range result.Notes {
		if strings.HasSuffix(n.Path, meaningless) || strings.HasPrefix(place, n.Path) && ofAWhole.MatchString(n.What) {
			return true
		}
	}
	return false
}

// ofAWhole matches notes that tell of all that is in a place.
var ofAWhole = regexp.MustCompile("othing was made of it|is a further listener")

// objects are all in a document that say something of a migration, by their places: not those that are dealt with as a whole.
func objects(v any, place string) map[string]map[string]any {
	all := map[string]map[string]any{}
	switch v := v.(type) {
	case map[string]any:
		all[place] = v
		for key, child := range v {
			if !asAWhole[key] {
				maps.Copy(all, objects(child, place+"."+key))
			}
		}
	case []any:
		for i, child := range v {
			maps.Copy(all, objects(child, fmt.Sprintf("%s[%d]", place, i)))
		}
	}
	return all
}

// asAWhole are the keys of what says nothing of a migration, or is told of by one note.
var asAWhole = map[string]bool{
	"metadata": true, "status": true, "requiresAttributes": true, "proxyConfiguration": true, "healthCheck": true, "logging": true, "serviceDiscovery": true, "tls": true, "clientPolicy": true,
	"virtualGateway": true, "events": true, "loadBalancers": true, "serviceRegistries": true, "idle": true, "perRetryTimeout": true, "tcp": true, "tags": true, "deployments": true, "deploymentController": true,
	"accessLogConfiguration": true, "testTrafficRules": true, "egressFilter": true, "range": true, "containerDefinitions": true,
}
