package provider_test

import (
	"maps"
	"math/big"
	"slices"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/provider"
)

// protocol speaks to the provider as Terraform does, in this process: for what is done more often than a Terraform could be started.
type protocol struct {
	tfprotov6.ProviderServer
	schemas *tfprotov6.GetProviderSchemaResponse
}

func speak(t testing.TB) protocol {
	t.Helper()
	server := provider.Server("test")
	schemas, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return protocol{server, schemas}
}

// configure gives the provider its configuration.
func (p protocol) configure(t testing.TB, config fields) {
	t.Helper()
	got, err := p.ConfigureProvider(t.Context(), &tfprotov6.ConfigureProviderRequest{
		TerraformVersion: "1.11.4", Config: dynamic(t, object(t, p.schemas.Provider.Block, config)),
	})
	if err != nil || len(got.Diagnostics) > 0 {
		t.Fatal(err, got.Diagnostics)
	}
}

// block is the schema of a resource.
func (p protocol) block(resource string) *tfprotov6.SchemaBlock {
	return p.schemas.ResourceSchemas[resource].Block
}

// plan is what the provider says of the configuration of a new resource, and its plan; nil if it does not come to that.
func (p protocol) plan(t testing.TB, resource string, config tftypes.Value) ([]*tfprotov6.Diagnostic, *tfprotov6.DynamicValue) {
	t.Helper()
	text := dynamic(t, config)
	validated, err := p.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{TypeName: resource, Config: text})
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(validated.Diagnostics, isError) {
		return validated.Diagnostics, nil
	}
	planned, err := p.PlanResourceChange(t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: resource, Config: text, PriorState: dynamic(t, tftypes.NewValue(config.Type(), nil)), ProposedNewState: dynamic(t, proposed(t, p.block(resource), config)),
	})
	if err != nil {
		t.Fatal(err)
	}
	said := slices.Concat(validated.Diagnostics, planned.Diagnostics)
	if slices.ContainsFunc(said, isError) {
		return said, nil
	}
	return said, planned.PlannedState
}

func isError(d *tfprotov6.Diagnostic) bool { return d.Severity == tfprotov6.DiagnosticSeverityError }

func dynamic(t testing.TB, v tftypes.Value) *tfprotov6.DynamicValue {
	t.Helper()
	d, err := tfprotov6.NewDynamicValue(v.Type(), v)
	if err != nil {
		t.Fatal(err)
	}
	return &d
}

// proposed is a configuration with the computed attributes open, as Terraform proposes a new resource.
func proposed(t testing.TB, schema *tfprotov6.SchemaBlock, config tftypes.Value) tftypes.Value {
	t.Helper()
	var written map[string]tftypes.Value
	if err := config.As(&written); err != nil {
		t.Fatal(err)
	}
	all := maps.Clone(written)
	for _, a := range schema.Attributes {
		if a.Computed && all[a.Name].IsNull() {
			all[a.Name] = tftypes.NewValue(a.Type, tftypes.UnknownValue)
		}
	}
	return tftypes.NewValue(config.Type(), all)
}

// unknown stands for a value that is not known yet, unknownBlocks for blocks of which it is not known yet how many there are.
type (
	unknown       struct{ kind string }
	unknownBlocks struct{ content fields }
)

// object is a block as Terraform sends it: what is not written is null, or an empty list of blocks.
func object(t testing.TB, schema *tfprotov6.SchemaBlock, written fields) tftypes.Value {
	t.Helper()
	all := map[string]tftypes.Value{}
	for _, a := range schema.Attributes {
		all[a.Name] = value(t, a.ValueType(), written[a.Name])
	}
	for _, nested := range schema.BlockTypes {
		all[nested.TypeName] = blocks(t, nested, written[nested.TypeName])
	}
	for name := range written {
		if _, ok := all[name]; !ok {
			t.Fatalf("no attribute or block %s", name)
		}
	}
	return tftypes.NewValue(schema.ValueType(), all)
}

// blocks are those of one name: one, or a list.
func blocks(t testing.TB, nested *tfprotov6.SchemaNestedBlock, written any) tftypes.Value {
	t.Helper()
	if _, ok := written.(unknownBlocks); ok {
		return tftypes.NewValue(nested.ValueType(), tftypes.UnknownValue)
	}
	if nested.Nesting == tfprotov6.SchemaNestedBlockNestingModeList {
		list, ok := written.([]any)
		if one, isOne := written.(fields); isOne && !ok {
			list = []any{one}
		}
		elements := []tftypes.Value{}
		for _, element := range list {
			content, _ := element.(fields)
			elements = append(elements, object(t, nested.Block, content))
		}
		return tftypes.NewValue(nested.ValueType(), elements)
	}
	if content, ok := written.(fields); ok {
		return object(t, nested.Block, content)
	}
	return tftypes.NewValue(nested.ValueType(), nil)
}

// value is a value of a type of attributes.
func value(t testing.TB, typ tftypes.Type, written any) tftypes.Value {
	t.Helper()
	switch v := written.(type) {
	case nil:
		return tftypes.NewValue(typ, nil)
	case unknown:
		return tftypes.NewValue(typ, tftypes.UnknownValue)
	case string, bool, *big.Float:
		return tftypes.NewValue(typ, v)
	case int:
		return tftypes.NewValue(typ, big.NewFloat(float64(v)))
	case float64:
		return tftypes.NewValue(typ, big.NewFloat(v))
	case []any:
		elements := make([]tftypes.Value, len(v))
		for i, element := range v {
			elements[i] = value(t, elementType(typ), element)
		}
		return tftypes.NewValue(typ, elements)
	case fields:
		elements := map[string]tftypes.Value{}
		for key, element := range v {
			elements[key] = value(t, elementType(typ), element)
		}
		return tftypes.NewValue(typ, elements)
	default:
		t.Fatalf("no value of Terraform's for %T", written)
		return tftypes.Value{}
	}
}

func elementType(of tftypes.Type) tftypes.Type {
	switch of := of.(type) {
	case tftypes.List:
		return of.ElementType
	case tftypes.Set:
		return of.ElementType
	case tftypes.Map:
		return of.ElementType
	default:
		return tftypes.DynamicPseudoType
	}
}
