package provider_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/world"
)

// Every folder with a configuration under examples can be planned, so what the documentation shows works. Those with tests of their own
// are planned by these.
func TestExamplesPlan(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	bin, err := binFolder()
	if err != nil {
		t.Fatal(err)
	}
	clusterOf(t, c, "prod") // which a data source reads
	for _, folder := range configurations(t, filepath.Join("..", "examples")) {
		t.Run(filepath.ToSlash(folder), func(t *testing.T) {
			t.Parallel()
			changes := planned(t, c, bin, folder)
			if changesNothing(folder) != (len(changes) == 0) {
				t.Errorf("plan changes %v", changes)
			}
		})
	}
}

// changesNothing reports whether the examples of a folder make nothing.
func changesNothing(folder string) bool {
	return slices.ContainsFunc([]string{"provider", "functions", "data-sources", "ephemeral-resources"}, func(kind string) bool {
		return strings.Contains(filepath.ToSlash(folder), "examples/"+kind)
	})
}

// unplanned are the examples that other tests run: two take a provider other than ours, which would have to come from a registry
// (agents/bootstrap looks whether the one says what the agent makes, a test below what the other reads), one logs in to Consul, and
// actions take a Terraform that knows them.
var unplanned = []string{
	filepath.Join("..", "examples", "scheduled-task", "schedule"),
	filepath.Join("..", "examples", "consul-bootstrap"),
	filepath.Join("..", "examples", "ephemeral-resources", "consulecs_consul_token"),
	filepath.Join("..", "examples", "migrating", "app-mesh"), // which reads what is not there
	filepath.Join("..", "examples", "actions", "consulecs_drain_service"),
	filepath.Join("..", "examples", "actions", "consulecs_reap_cluster"),
}

// configurations are the folders below root that hold Terraform files to plan.
func configurations(t *testing.T, root string) []string {
	t.Helper()
	folders := map[string]bool{}
	err := filepath.WalkDir(root, func(name string, _ fs.DirEntry, err error) error {
		if filepath.Ext(name) == ".tf" && !slices.Contains(unplanned, filepath.Dir(name)) && !hasTests(filepath.Dir(name)) {
			folders[planFolder(name)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(folders))
}

// planFolder is the folder that a file is planned with: all functions are one plan, since their examples are a line or two.
func planFolder(name string) string {
	if kind := filepath.Dir(filepath.Dir(name)); filepath.Base(kind) == "functions" {
		return kind
	}
	return filepath.Dir(name)
}

// planned copies a folder, adds what an excerpt leaves out, and returns what a plan of it would change.
func planned(t *testing.T, c cloud, bin, folder string) []string {
	t.Helper()
	copied, work := t.TempDir(), t.TempDir()
	files, err := filepath.Glob(filepath.Join(folder, "*.tf"))
	if filepath.Base(folder) == "functions" {
		files, err = filepath.Glob(filepath.Join(folder, "*", "*.tf"))
	}
	if err != nil {
		t.Fatal(err)
	}
	whole := false
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		whole = whole || strings.Contains(string(text), "required_providers")
		if err := os.WriteFile(filepath.Join(copied, filepath.Base(filepath.Dir(name))+"-"+filepath.Base(name)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !whole {
		frame := "terraform {\n  required_providers {\n    consulecs = { source = \"consulecs/consulecs\" }\n  }\n}\n" + c.provider()
		if err := os.WriteFile(filepath.Join(copied, "frame.tf"), []byte(frame), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var variables map[string]string
	if filepath.Base(folder) == "local" {
		variables = world.Address{
			AWS: c.url, Region: "us-east-1", Cluster: "arn:aws:ecs:us-east-1:123456789012:cluster/mesh", ConsulHost: "10.0.0.1", ConsulServerName: "server.dc1.consul",
			CASecretARN:    "arn:aws:secretsmanager:us-east-1:123456789012:secret:ca",
			TokenSecretARN: "arn:aws:secretsmanager:us-east-1:123456789012:secret:token",
		}.Variables()
	}
	tf, err := testenv.NewTerraform(testenv.TerraformConfig{Folder: copied, Work: work, Provider: bin, Variables: variables, Env: []string{"AWS_ENDPOINT_URL=" + c.url}})
	if err != nil {
		t.Fatal(err)
	}
	changes, err := tf.PlanChanges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return changes
}
