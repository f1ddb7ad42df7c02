package provider_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// binFolder holds the provider, built once for all tests that run the real Terraform on it.
var binFolder = sync.OnceValues(func() (string, error) {
	build := exec.CommandContext(context.Background(), "go", "build", "-o", filepath.Join(scratch, "terraform-provider-consulecs"), "..")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return scratch, nil
})

// scratch is a folder for all tests of the process.
var scratch = filepath.Join(os.TempDir(), fmt.Sprintf("consulecs-provider-test-%d", os.Getpid()))

// requirements say where Terraform finds the provider.
func requirements() fields {
	return fields{"required_providers": fields{"consulecs": fields{"source": "consulecs/consulecs"}}}
}

// configDir is a folder with a configuration in Terraform's JSON syntax.
type configDir string

func workDir(t *testing.T) configDir { return configDir(t.TempDir()) }

// write puts a file of the configuration down.
func (d configDir) write(t *testing.T, name string, config fields) {
	t.Helper()
	text, err := json.MarshalIndent(config, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(string(d), name), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// terraform is the Terraform, or OpenTofu, that works on the folder.
func (d configDir) terraform(t *testing.T) *testenv.Terraform {
	t.Helper()
	return (&binary{os.Getenv("TF_ACC_TERRAFORM_PATH")}).terraform(t, d)
}

// shownResource is a resource in a state, or as a plan would leave it.
type shownResource struct {
	Address string
	Tainted bool
	Values  fields
}

// shownIn are the resources of a state's or of a plan's file.
func shownIn(t *testing.T, tf *testenv.Terraform, file string) []shownResource {
	t.Helper()
	text, err := tf.Output(t.Context(), "show", "-json", file)
	if err != nil {
		t.Fatal(err)
	}
	type values struct {
		Root struct{ Resources []shownResource } `json:"root_module"`
	}
	var document struct {
		Values  values // of a state
		Planned values `json:"planned_values"` // of a plan
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return append(document.Values.Root.Resources, document.Planned.Root.Resources...)
}
