package row_test

import (
	"testing"

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
