package provider_test

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/required"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// binary is a Terraform or an OpenTofu.
type binary struct{ path string }

// givenBinary is the one that the environment names.
var givenBinary = os.Getenv("TF_ACC_TERRAFORM_PATH")

// binaries are all that there are: one, where the environment names it.
func binaries() []*binary {
	tools, _ := toolcache.Find() // a missing tool fails or skips the tests that need it
	first := &binary{cmp.Or(givenBinary, tools.Terraform)}
	if givenBinary != "" || tools.OpenTofu == tools.Terraform { // or OpenTofu is all there is
		return []*binary{first}
	}
	return []*binary{first, {tools.OpenTofu}}
}

// onEveryBinary runs a test on Terraform and on OpenTofu, side by side: what either refuses, or plans otherwise, users meet.
func onEveryBinary(t *testing.T, test func(t *testing.T, on *binary)) {
	t.Helper()
	for _, b := range binaries() {
		t.Run(b.name(), func(t *testing.T) {
			t.Parallel()
			if b.path == "" {
				required.Missing(t, "there is no OpenTofu\nhint: run make setup")
			}
			test(t, b)
		})
	}
}

// name is terraform or tofu.
func (b *binary) name() string {
	if b.path == "" {
		return "tofu" // what make setup has not built
	}
	return filepath.Base(b.path)
}

// startMoto is an AWS for this test alone, so that what it makes meets nothing that the same test makes with another binary.
func (b *binary) startMoto(t *testing.T) cloud {
	t.Helper()
	emulator := testenv.MotoDuring(t)
	return cloudAt(emulator.URL)
}

// terraform works on the folder with this binary.
func (b *binary) terraform(t *testing.T, dir configDir) *testenv.Terraform {
	t.Helper()
	return newTerraform(t, b.config(t, dir))
}

func (b *binary) config(t *testing.T, dir configDir) testenv.TerraformConfig {
	t.Helper()
	bin, err := binFolder()
	if err != nil {
		t.Fatal(err)
	}
	return testenv.TerraformConfig{
		Folder: string(dir), Work: t.TempDir(), Provider: bin, Binary: b.path,
		Env: []string{"GOGC=400"}, // hundreds of resources in one process: else a third of its time goes into garbage collection
	}
}

func newTerraform(t *testing.T, cfg testenv.TerraformConfig) *testenv.Terraform {
	t.Helper()
	tf, err := testenv.NewTerraform(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return tf
}
