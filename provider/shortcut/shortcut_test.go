package shortcut_test

import (
	"context"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/mapplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/consulecs/terraform-provider-consulecs/provider"
	"github.com/consulecs/terraform-provider-consulecs/provider/shortcut"
)

// A resource that cannot take it would be planned all the same, and slowly, without a word.
func TestEveryResourceTakesTheShortcut(t *testing.T) {
	t.Parallel()
	for _, make := range provider.New("test")().Resources(t.Context()) {
		if _, err := shortcut.Of(t.Context(), make); err != nil {
			t.Errorf("%T: %v", make(), err)
		}
	}
}

// plain is a resource of a schema.
type plain struct {
	resource.Resource
	of schema.Schema
}

// Schema implements resource.Resource.
func (p plain) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = p.of
}

// What the walks do not know is left to the framework, wherever it is.
func TestASchemaWithSomethingElseIsLeftToTheFramework(t *testing.T) {
	t.Parallel()
	text := schema.StringAttribute{Optional: true}
	inBlock := func(a schema.Attribute) schema.Schema {
		return schema.Schema{Blocks: map[string]schema.Block{"a": schema.SingleNestedBlock{Blocks: map[string]schema.Block{
			"b": schema.ListNestedBlock{NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{"c": a}}},
		}}}}
	}
	block := func(b schema.Block) schema.Schema { return schema.Schema{Blocks: map[string]schema.Block{"a": b}} }
	for name, c := range map[string]struct {
		of    schema.Schema
		taken bool
	}{
		"nothing else":         {inBlock(text), true},
		"a default":            {inBlock(schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString("x")}), false},
		"what is write-only":   {inBlock(schema.StringAttribute{Optional: true, WriteOnly: true}), false},
		"what is deprecated":   {inBlock(schema.StringAttribute{Optional: true, DeprecationMessage: "x"}), false},
		"a list of decimals":   {inBlock(schema.ListAttribute{Optional: true, ElementType: types.Float64Type}), false},
		"a modifier of maps":   {inBlock(schema.MapAttribute{Optional: true, ElementType: types.StringType, PlanModifiers: []planmodifier.Map{mapplanmodifier.UseStateForUnknown()}}), false},
		"a modifier of blocks": {block(schema.ListNestedBlock{PlanModifiers: []planmodifier.List{listplanmodifier.RequiresReplace()}}), false},
		"a nested attribute":   {inBlock(schema.SingleNestedAttribute{Optional: true, Attributes: map[string]schema.Attribute{"d": schema.StringAttribute{Computed: true}}}), false},
		"a set of blocks":      {block(schema.SetNestedBlock{}), false},
		"a deprecated block":   {block(schema.SingleNestedBlock{DeprecationMessage: "x"}), false},
		"a deprecated whole":   {schema.Schema{DeprecationMessage: "x"}, false},
	} {
		_, err := shortcut.Of(t.Context(), func() resource.Resource { return plain{of: c.of} })
		if (err == nil) != c.taken {
			t.Errorf("%s: %v", name, err)
		}
	}
}
