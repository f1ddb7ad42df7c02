package row_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

func TestPlacesOfTheSpecAreFoundAtTheirAttributes(t *testing.T) {
	t.Parallel()
	type upstream struct {
		Name *string           `tfsdk:"destination_name"`
		Meta map[string]string `tfsdk:"meta"`
	}
	type grouped struct {
		Driver *string `tfsdk:"log_driver"`
	}
	places := row.PlacesOf(struct {
		Family    *string    `tfsdk:"family"`
		Count     *int32     `tfsdk:"how_many" spec:"Number"`
		Upstreams []upstream `tfsdk:"upstream" at:"/proxy.upstreams"`
		Log       *grouped   `tfsdk:"log" at:"."`
		Computed  *string    `tfsdk:"computed" at:"-"`
	}{})
	for want, at := range map[string]problem.Path{
		"family":                       problem.At("family"),
		"how_many":                     problem.At("number"),
		"upstream":                     problem.At("proxy", "upstreams"),
		"upstream[1].destination_name": problem.At("proxy", "upstreams", 1, "destinationName"),
		`upstream[0].meta["k"]`:        problem.At("proxy", "upstreams", 0, "meta", problem.Key("k")),
		"log.log_driver":               problem.At("logDriver"),
		"family[3]":                    problem.At("family", 3),
		"elsewhere.deep":               problem.At("elsewhere", "deep"),
	} {
		if got := places.Attribute(at).String(); got != want {
			t.Errorf("%s is found at %s, want %s", at, got, want)
		}
	}
}

// Of a block that is written once, whatever is said of it names it without an index.
func TestABlockThatIsAloneIsNamedWithoutItsIndex(t *testing.T) {
	t.Parallel()
	block := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"port": tftypes.Number}}
	typ := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"service": tftypes.List{ElementType: block}, "container": tftypes.List{ElementType: block}}}
	of := func(n int) tftypes.Value {
		var blocks []tftypes.Value
		for range n {
			blocks = append(blocks, tftypes.NewValue(block, map[string]tftypes.Value{"port": tftypes.NewValue(tftypes.Number, 80)}))
		}
		all := tftypes.NewValue(tftypes.List{ElementType: block}, blocks)
		return tftypes.NewValue(typ, map[string]tftypes.Value{"service": all, "container": all})
	}
	port := func(name string) *tftypes.AttributePath {
		return tftypes.NewAttributePath().WithAttributeName(name).WithElementKeyInt(0).WithAttributeName("port")
	}
	for name, c := range map[string]struct {
		of              tftypes.Value
		at              *tftypes.AttributePath
		written, spoken string
	}{
		"alone":             {of(1), port("service"), "service[0]", "service"},
		"one of two":        {of(2), port("service"), "service[0]", "service[0]"},
		"of another name":   {of(1), port("container"), "container[0]", "container[0]"},
		"all of the blocks": {of(1), tftypes.NewAttributePath().WithAttributeName("service"), "service", "service"},
	} {
		if written, spoken := row.Names(c.of, c.at); written != c.written || spoken != c.spoken {
			t.Errorf("%s: %s is %s, want %s to be %s", name, written, spoken, c.written, c.spoken)
		}
	}
}
