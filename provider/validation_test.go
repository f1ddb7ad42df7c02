package provider_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// fields is an object of a configuration.
type fields = map[string]any

// meshTask is a good mesh task with changes: a nil value leaves an attribute out.
func meshTask(changes fields) fields {
	return with(fields{
		"family":         "web",
		"service":        fields{"port": 8080},
		"consul_servers": fields{"hosts": "consul.example.com"},
		"container":      []any{fields{"name": "app", "image": "app:1"}},
		"sidecars":       fields{"image": "agent:1"},
	}, changes)
}

// controller is a good controller with changes.
func controller(changes fields) fields {
	return with(fields{
		"cluster":          "mesh",
		"token_secret_arn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:token",
		"consul_servers":   fields{"hosts": "consul.example.com"},
		"image":            "agent:1",
		"subnets":          []any{"subnet-1"},
	}, changes)
}

func with(all, changes fields) fields {
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

func container(changes fields) []any {
	return []any{with(fields{"name": "app", "image": "app:1"}, changes)}
}

func upstream(changes fields) []any {
	return []any{with(fields{"destination_name": "api", "local_bind_port": 1234}, changes)}
}

// validate asks the provider what is wrong with a configuration. Places named in unknown are not known.
func validate(t *testing.T, resource string, config fields, unknown ...string) []*tfprotov6.Diagnostic {
	t.Helper()
	server, err := factories()["consulecs"]()
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	value, err := configValue(schemas.ResourceSchemas[resource].ValueType(), config, unknown...)
	if err != nil {
		return []*tfprotov6.Diagnostic{{Severity: tfprotov6.DiagnosticSeverityError, Summary: "type", Detail: err.Error()}}
	}
	resp, err := server.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{TypeName: resource, Config: value})
	if err != nil {
		t.Fatal(err)
	}
	return resp.Diagnostics
}

// configValue is a configuration as Terraform sends it.
func configValue(typ tftypes.Type, config fields, unknown ...string) (*tfprotov6.DynamicValue, error) {
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	//lint:ignore SA1019 the only reader of JSON that fills in absent attributes
	value, err := tftypes.ValueFromJSON(text, typ)
	if err != nil {
		return nil, err
	}
	value, err = tftypes.Transform(value, func(at *tftypes.AttributePath, v tftypes.Value) (tftypes.Value, error) {
		if slices.Contains(unknown, spelled(at)) {
			return tftypes.NewValue(v.Type(), tftypes.UnknownValue), nil
		}
		return v, nil
	})
	if err != nil {
		return nil, err
	}
	dynamic, err := tfprotov6.NewDynamicValue(typ, value)
	return &dynamic, err
}

// spelled writes a path as container[0].name, and as ["key"] below maps.
func spelled(at *tftypes.AttributePath) string {
	var b strings.Builder
	for _, step := range at.Steps() {
		switch s := step.(type) {
		case tftypes.AttributeName:
			b.WriteString("." + string(s))
		case tftypes.ElementKeyInt:
			fmt.Fprintf(&b, "[%d]", int(s))
		case tftypes.ElementKeyString:
			fmt.Fprintf(&b, "[%q]", string(s))
		}
	}
	return strings.TrimPrefix(b.String(), ".")
}

// said is all that the diagnostics say, each with its attribute.
func said(diags []*tfprotov6.Diagnostic) string {
	var b strings.Builder
	for _, d := range diags {
		fmt.Fprintf(&b, "at %s: %s: %s\n", spelled(d.Attribute), d.Summary, d.Detail)
	}
	return b.String()
}

// row is a case of the validation matrix: want is "" for what is accepted, else the attribute to blame and a part of
// what is said, with " | " between.
type row struct {
	config fields
	want   string
}

func checkRows(t *testing.T, resource string, rows map[string]row) {
	t.Helper()
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			diags := validate(t, resource, r.config)
			if r.want == "" {
				if len(diags) > 0 {
					t.Errorf("refused:\n%s", said(diags))
				}
				return
			}
			place, text, _ := strings.Cut(r.want, " | ")
			for _, d := range diags {
				if spelled(d.Attribute) == place && strings.Contains(d.Detail, text) {
					return
				}
			}
			t.Errorf("want a complaint about %q with %q, got:\n%s", place, text, said(diags))
		})
	}
}
