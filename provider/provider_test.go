package provider_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/consulecs/terraform-provider-consulecs/provider"
)

// factories serve the provider to Terraform in this process.
func factories() map[string]func() (tfprotov6.ProviderServer, error) {
	return map[string]func() (tfprotov6.ProviderServer, error){
		"consulecs": func() (tfprotov6.ProviderServer, error) { return provider.Server("test"), nil },
	}
}

func TestTheProviderSaysWhatItLacks(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	for name, c := range map[string]struct {
		config fields
		want   string
	}{
		"no region":           {fields{}, "hint: set AWS_REGION"},
		"a profile of nobody": {fields{"region": "us-east-1", "profile": "nobody"}, "nobody"},
		"half a role":         {fields{"region": "us-east-1", "assume_role": fields{"session_name": "x"}}, "assume_role.role_arn is missing"},
		"half a log":          {fields{"region": "us-east-1", "log_configuration": fields{"options": fields{"a": "b"}}}, "log_configuration.log_driver is missing"},
		"a region to come":    {fields{"region": later}, "region depends on a resource that does not exist yet"},
	} {
		dir := workDir(t)
		dir.write(t, "main.tf.json", fields{
			"terraform": requirements(),
			"provider":  fields{"consulecs": c.config},
			"resource":  fields{"terraform_data": fields{"later": fields{"input": "x"}}, "consulecs_mesh_task": fields{"web": meshTask(nil)}},
		})
		_, err := dir.terraform(t).Output(t.Context(), "plan", "-input=false", "-no-color")
		if err == nil || !strings.Contains(strings.Join(strings.Fields(err.Error()), " "), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestSchemasAreWellFormed(t *testing.T) {
	t.Parallel()
	server, err := factories()["consulecs"]()
	if err != nil {
		t.Fatal(err)
	}
	got, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range got.Diagnostics {
		t.Errorf("%s: %s", d.Summary, d.Detail)
	}
}
