package provider_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/consulecs/terraform-provider-consulecs/provider"
)

// factories serve the provider to Terraform in this process.
func factories() map[string]func() (tfprotov6.ProviderServer, error) {
	return map[string]func() (tfprotov6.ProviderServer, error){
		"consulecs": providerserver.NewProtocol6WithError(provider.New("test")()),
	}
}

// configure configures the provider and returns what it says. Places named in unknown are not known.
func configure(t *testing.T, config fields, unknown ...string) []*tfprotov6.Diagnostic {
	t.Helper()
	server, err := factories()["consulecs"]()
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	value, err := configValue(schemas.Provider.ValueType(), config, unknown...)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.ConfigureProvider(t.Context(), &tfprotov6.ConfigureProviderRequest{Config: value})
	if err != nil {
		t.Fatal(err)
	}
	return resp.Diagnostics
}

func TestTheProviderSaysWhatItLacks(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	for name, c := range map[string]struct {
		config  fields
		unknown []string
		want    string
	}{
		"no region":           {fields{}, nil, "hint: set AWS_REGION"},
		"a profile of nobody": {fields{"region": "us-east-1", "profile": "nobody"}, nil, "nobody"},
		"a region to come":    {fields{"region": "us-east-1"}, []string{"region"}, "region depends on a resource that does not exist yet"},
		"a host to come":      {fields{"region": "us-east-1", "consul_servers": fields{"hosts": "x"}}, []string{"consul_servers.hosts"}, ""},
	} {
		got := said(configure(t, c.config, c.unknown...))
		if !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", name, got, c.want)
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
