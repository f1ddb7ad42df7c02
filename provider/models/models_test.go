package models_test

import (
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/provider/models"
)

type named struct {
	Name *string `tfsdk:"name"`
}

type level string

type below struct {
	Plain string  `tfsdk:"plain"`
	Level *level  `tfsdk:"level"`
	Port  *int32  `tfsdk:"port"`
	Ports []int64 `tfsdk:"ports"`
}

type model struct {
	named
	Yes     *bool             `tfsdk:"yes"`
	Many    *int64            `tfsdk:"many"`
	Share   *float64          `tfsdk:"share"`
	Small   *uint16           `tfsdk:"small"`
	Texts   []string          `tfsdk:"texts"`
	Set     []string          `tfsdk:"set"`
	Tags    map[string]string `tfsdk:"tags"`
	One     *below            `tfsdk:"one"`
	Several []below           `tfsdk:"several"`
	Value   types.String      `tfsdk:"value"`
}

var inside = map[string]schema.Attribute{
	"plain": schema.StringAttribute{Optional: true}, "level": schema.StringAttribute{Optional: true}, "port": schema.Int32Attribute{Optional: true},
	"ports": schema.SetAttribute{Optional: true, ElementType: types.NumberType},
}

var of = schema.Schema{
	Attributes: map[string]schema.Attribute{
		"name": schema.StringAttribute{Optional: true}, "yes": schema.BoolAttribute{Optional: true}, "many": schema.Int64Attribute{Optional: true},
		"share": schema.Float64Attribute{Optional: true}, "small": schema.Int64Attribute{Optional: true}, "value": schema.StringAttribute{Optional: true},
		"texts": schema.ListAttribute{Optional: true, ElementType: types.StringType}, "set": schema.SetAttribute{Optional: true, ElementType: types.StringType},
		"tags": schema.MapAttribute{Optional: true, ElementType: types.StringType},
	},
	Blocks: map[string]schema.Block{
		"one":     schema.SingleNestedBlock{Attributes: inside},
		"several": schema.ListNestedBlock{NestedObject: schema.NestedBlockObject{Attributes: inside}},
	},
}

func text(v any) tftypes.Value { return tftypes.NewValue(tftypes.String, v) }

func texts(typ tftypes.Type, all ...tftypes.Value) tftypes.Value {
	return tftypes.NewValue(typ, append([]tftypes.Value{}, all...))
}

func number(v any) tftypes.Value { return tftypes.NewValue(tftypes.Number, v) }

// whole is a value of the schema: what fields do not name is null.
func whole(t *testing.T, fields map[string]tftypes.Value) tftypes.Value {
	t.Helper()
	return filled(of.Type().TerraformType(t.Context()), fields)
}

// digits is a number as Terraform reads it.
func digits(t *testing.T, text string) *big.Float {
	t.Helper()
	n, _, err := big.ParseFloat(text, 10, 512, big.ToNearestEven)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func filled(typ tftypes.Type, fields map[string]tftypes.Value) tftypes.Value {
	all := map[string]tftypes.Value{}
	for name, field := range typ.(tftypes.Object).AttributeTypes {
		if v, ok := fields[name]; ok {
			all[name] = v
		} else {
			all[name] = tftypes.NewValue(field, nil)
		}
	}
	return tftypes.NewValue(typ, all)
}

func TestModelsAreReadAndWrittenAsByTheFramework(t *testing.T) {
	t.Parallel()
	typ := of.Type().TerraformType(t.Context()).(tftypes.Object)
	block, list, set, stringMap := typ.AttributeTypes["one"], typ.AttributeTypes["texts"], typ.AttributeTypes["set"], typ.AttributeTypes["tags"]
	full := filled(block, map[string]tftypes.Value{
		"plain": text("x"), "level": text("high"), "port": number(8080), "ports": texts(block.(tftypes.Object).AttributeTypes["ports"], number(1), number(2)),
	})
	for name, fields := range map[string]map[string]tftypes.Value{
		"nothing":              {},
		"everything":           {"name": text("a"), "yes": tftypes.NewValue(tftypes.Bool, true), "many": number(1 << 40), "share": number(0.25), "small": number(65535), "value": text("v"), "texts": texts(list, text("b"), text("a")), "set": texts(set, text("a")), "tags": tftypes.NewValue(stringMap, map[string]tftypes.Value{"k": text("v")}), "one": full, "several": tftypes.NewValue(tftypes.List{ElementType: block}, []tftypes.Value{full, full})},
		"what is empty":        {"name": text(""), "many": number(0), "texts": texts(list), "set": texts(set), "tags": tftypes.NewValue(stringMap, map[string]tftypes.Value{}), "several": tftypes.NewValue(tftypes.List{ElementType: block}, []tftypes.Value{})},
		"the framework's null": {"value": text(nil)}, "the framework's unknown": {"value": text(tftypes.UnknownValue)},
		"an unknown text": {"name": text(tftypes.UnknownValue)}, "an unknown block": {"one": tftypes.NewValue(block, tftypes.UnknownValue)},
		"a null among texts": {"texts": texts(list, text(nil))}, "a null where a model has no place for it": {"one": filled(block, nil)},
		"a fraction where a model has no place for it": {"many": number(1.5)}, "a number out of reach": {"many": number(new(big.Float).SetMantExp(big.NewFloat(1), 80))},
		"a decimal with no exact double": {"share": number(digits(t, "0.1"))}, "a decimal of too many digits": {"share": number(digits(t, "0.1234567890123456789"))},
		"a decimal too great": {"share": number(digits(t, "1e400"))}, "a decimal too small": {"share": number(digits(t, "1e-400"))},
		"a number too great for a small one": {"small": number(65536)}, "a number below nothing": {"small": number(-1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := tfsdk.State{Raw: whole(t, fields), Schema: of}
			var is, want model
			said, wanted := models.Get(t.Context(), state, &is), state.Get(t.Context(), &want)
			if d := cmp.Diff(wanted, said); d != "" {
				t.Errorf("said of it (-by the framework +by us):\n%s", d)
			}
			if d := cmp.Diff(want, is, cmp.AllowUnexported(model{})); d != "" && !said.HasError() {
				t.Errorf("read (-by the framework +by us):\n%s", d)
			}
			empty := tftypes.NewValue(typ, nil)
			written, writtenByThem := tfsdk.State{Raw: empty, Schema: of}, tfsdk.State{Raw: empty, Schema: of}
			said, wanted = models.Set(t.Context(), &written, &want), writtenByThem.Set(t.Context(), &want)
			if d := cmp.Diff(wanted, said); d != "" || !written.Raw.Equal(writtenByThem.Raw) {
				t.Errorf("written %s\nthe framework writes %s\n%s", written.Raw, writtenByThem.Raw, d)
			}
		})
	}
}

func TestAModelThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	state := tfsdk.State{Raw: whole(t, nil), Schema: of}
	var few named
	if !models.Get(t.Context(), state, &few).HasError() || !models.Set(t.Context(), &state, &few).HasError() {
		t.Error("a model that lacks fields is taken")
	}
	type more struct {
		model
		Further *string `tfsdk:"further"`
	}
	var many more
	if !models.Get(t.Context(), state, &many).HasError() || !models.Set(t.Context(), &state, &many).HasError() {
		t.Error("a model with a field too many is taken")
	}
}
