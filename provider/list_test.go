package provider_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// ofLists are the arguments of a list block that Terraform 1.14 itself reads; config is the provider's.
var ofLists = map[string]bool{"provider": true, "include_resource": true, "limit": true}

func listExamples(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../examples/list-resources/*/*.tfquery.hcl")
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestExamplesOfListsAreValid reads them as Terraform 1.14 does: an earlier one cannot.
func TestExamplesOfListsAreValid(t *testing.T) {
	t.Parallel()
	p := speak(t)
	lister := p.ProviderServer.(interface {
		tfprotov6.ProviderServer
		tfprotov6.ListResourceServer
	})
	shown := map[string]bool{}
	for _, name := range listExamples(t) {
		file, diags := hclparse.NewParser().ParseHCLFile(name)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		for _, block := range file.Body.(*hclsyntax.Body).Blocks {
			if block.Type != "list" || len(block.Labels) != 2 || p.schemas.ListResourceSchemas[block.Labels[0]] == nil {
				t.Errorf("%s: %s %v is no list of a resource that can be listed", name, block.Type, block.Labels)
				continue
			}
			shown[block.Labels[0]] = true
			for key := range block.Body.Attributes {
				if !ofLists[key] {
					t.Errorf("%s: no list block has %s", name, key)
				}
			}
			if block.Body.Attributes["provider"] == nil || len(block.Body.Blocks) > 0 {
				t.Errorf("%s: a list block has to say its provider, and these have no config", name)
			}
			none := dynamic(t, tftypes.NewValue(p.schemas.ListResourceSchemas[block.Labels[0]].ValueType(), map[string]tftypes.Value{}))
			validated, err := lister.ValidateListResourceConfig(t.Context(), &tfprotov6.ValidateListResourceConfigRequest{TypeName: block.Labels[0], Config: none})
			if err != nil || len(validated.Diagnostics) > 0 {
				t.Errorf("%s: %v, %v", name, err, validated)
			}
		}
	}
	for name := range p.schemas.ListResourceSchemas {
		if !shown[name] {
			t.Errorf("there is no example of the list of %s", name)
		}
	}
}

// TestTerraformListsWhatThereIs runs the examples by a Terraform that has list blocks, where the machine has one.
func TestTerraformListsWhatThereIs(t *testing.T) {
	t.Parallel()
	for _, on := range binaries() {
		if !on.isLater(t) {
			continue // the protocol is spoken in TestResourcesAreImportedByTheirIdentity
		}
		c := on.startMoto(t)
		for _, name := range listExamples(t) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			dir := workDir(t)
			dir.write(t, "main.tf.json", fields{"terraform": requirements(), "provider": fields{"consulecs": c.ours()}})
			if err := os.WriteFile(filepath.Join(string(dir), "list.tfquery.hcl"), text, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := on.terraform(t, dir).Output(t.Context(), "query", "-no-color"); err != nil {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
		}
	}
}
