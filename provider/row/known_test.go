package row_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

func TestUnknownValuesAreReplacedAndNamed(t *testing.T) {
	t.Parallel()
	texts := tftypes.List{ElementType: tftypes.String}
	byName := tftypes.Map{ElementType: tftypes.String}
	object := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"a": tftypes.String}}
	objects := tftypes.List{ElementType: object}
	text := func(v any) tftypes.Value { return tftypes.NewValue(tftypes.String, v) }
	whole := func(v tftypes.Value) tftypes.Value {
		return tftypes.NewValue(tftypes.Object{AttributeTypes: map[string]tftypes.Type{"x": v.Type()}}, map[string]tftypes.Value{"x": v})
	}
	for name, c := range map[string]struct {
		raw, want tftypes.Value
		unknown   []string
	}{
		"all is known":      {text("v"), text("v"), nil},
		"null is known":     {text(nil), text(nil), nil},
		"an attribute":      {text(tftypes.UnknownValue), text(nil), []string{"x"}},
		"a list":            {tftypes.NewValue(texts, tftypes.UnknownValue), tftypes.NewValue(texts, nil), []string{"x"}},
		"an element":        {tftypes.NewValue(texts, []tftypes.Value{text("v"), text(tftypes.UnknownValue)}), tftypes.NewValue(texts, []tftypes.Value{text("v"), text("")}), []string{"x[1]"}},
		"a null element":    {tftypes.NewValue(texts, []tftypes.Value{text(nil)}), tftypes.NewValue(texts, []tftypes.Value{text("")}), []string{"x[0]"}},
		"a value of a map":  {tftypes.NewValue(byName, map[string]tftypes.Value{"k": text(tftypes.UnknownValue)}), tftypes.NewValue(byName, map[string]tftypes.Value{"k": text("")}), []string{`x["k"]`}},
		"a block of a list": {tftypes.NewValue(objects, []tftypes.Value{tftypes.NewValue(object, tftypes.UnknownValue)}), tftypes.NewValue(objects, []tftypes.Value{tftypes.NewValue(object, map[string]tftypes.Value{"a": text(nil)})}), []string{"x[0]"}},
	} {
		got, places, err := row.Known(whole(c.raw))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var unknown []string
		for _, place := range places {
			unknown = append(unknown, place.String())
		}
		if !got.Equal(whole(c.want)) || !cmp.Equal(c.unknown, unknown) {
			t.Errorf("%s: got %s with %v unknown, want %s with %v", name, got, unknown, whole(c.want), c.unknown)
		}
	}
}

func TestAnUnknownValueAffectsWhatHoldsItAndWhatItHolds(t *testing.T) {
	t.Parallel()
	unknown := []problem.Path{problem.At("iam", "task_role", "name")}
	for attribute, want := range map[string]bool{"iam": true, "iam.task_role": true, "iam.task_role.name": true, "iam.task_role.name.x": true, "iam.path": false, "tags": false} {
		if got := row.Affects(unknown, attribute); got != want {
			t.Errorf("%s is affected: %t, want %t", attribute, got, want)
		}
	}
}
