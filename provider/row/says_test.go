package row_test

import (
	"testing"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

func TestWhatAModelSaysIsFoundByItsAttribute(t *testing.T) {
	t.Parallel()
	type Below struct {
		Port *int32 `tfsdk:"port"`
	}
	type Embedded struct {
		Tags map[string]string `tfsdk:"tags"`
		Near *Below            `tfsdk:"near"`
	}
	type model struct {
		Name *string  `tfsdk:"name"`
		List []string `tfsdk:"list"`
		Far  *Below   `tfsdk:"far"`
		Embedded
	}
	name, port := "", int32(0)
	m := &model{Name: &name, List: []string{"x"}, Embedded: Embedded{Near: &Below{Port: &port}}}
	for place, want := range map[string]struct {
		at   problem.Path
		says bool
	}{
		"an empty text":        {problem.At("name"), true},
		"a list":               {problem.At("list"), true},
		"an element":           {problem.At("list", 0), true},
		"no map":               {problem.At("tags"), false},
		"a block":              {problem.At("near"), true},
		"an attribute in it":   {problem.At("near", "port"), true},
		"no block":             {problem.At("far"), false},
		"an attribute of none": {problem.At("far", "port"), false},
		"no attribute":         {problem.At("nowhere"), false},
	} {
		if got := row.Says(m, want.at); got != want.says {
			t.Errorf("%s: %t, want %t", place, got, want.says)
		}
	}
}
