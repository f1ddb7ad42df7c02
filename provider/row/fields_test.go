package row_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

type pair struct{ Name, ValueFrom *string }

type spec struct {
	Text    string
	Renamed *int
	Pairs   []pair
	Labels  map[string]string
	Inner   *innerSpec
	List    []innerSpec
	Ours    string // which no model has
}

type innerSpec struct{ Flag *bool }

type model struct {
	Text   *string
	Number *int32 `spec:"Renamed"`
	Pairs  map[string]string
	Labels map[string]string
	inline
	List   []innerModel
	ByHand *string `spec:"-"`
}

type inline struct{ Inner *innerModel }

type innerModel struct{ Flag *bool }

func of[T any](v T) *T { return &v }

func TestModelsAreTranslatedThereAndBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		model model
		spec  spec
	}{
		"nothing":           {model{}, spec{}},
		"said, though zero": {model{Number: of(int32(0)), inline: inline{&innerModel{of(false)}}}, spec{Renamed: of(0), Inner: &innerSpec{of(false)}}},
		"plain values":      {model{Text: of("a"), Number: of(int32(7))}, spec{Text: "a", Renamed: of(7)}},
		"pairs, sorted":     {model{Pairs: map[string]string{"b": "2", "a": "1"}}, spec{Pairs: []pair{{of("a"), of("1")}, {of("b"), of("2")}}}},
		"maps":              {model{Labels: map[string]string{"a": "b"}}, spec{Labels: map[string]string{"a": "b"}}},
		"structs, embedded": {model{inline: inline{&innerModel{of(true)}}}, spec{Inner: &innerSpec{of(true)}}},
		"lists":             {model{List: []innerModel{{of(true)}, {}}}, spec{List: []innerSpec{{of(true)}, {}}}},
	} {
		var forth spec
		row.ToSpec(&forth, c.model)
		if diff := cmp.Diff(c.spec, forth); diff != "" {
			t.Errorf("%s: to the Spec (-want +got):\n%s", name, diff)
		}
		var back model
		row.FromSpec(&back, c.spec)
		if diff := cmp.Diff(c.model, back, cmp.AllowUnexported(model{}, inline{})); diff != "" {
			t.Errorf("%s: from the Spec (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatAModelLeavesOutStays(t *testing.T) {
	t.Parallel()
	s := spec{Text: "kept", Ours: "kept"}
	row.ToSpec(&s, model{Number: of(int32(1)), ByHand: of("x")})
	if want := (spec{Text: "kept", Ours: "kept", Renamed: of(1)}); !cmp.Equal(want, s) {
		t.Errorf("got %s", cmp.Diff(want, s))
	}
}

func TestEmptyIsReadAsLeftOut(t *testing.T) {
	t.Parallel()
	var m model
	row.FromSpec(&m, spec{Pairs: []pair{}, Labels: map[string]string{}, Inner: &innerSpec{}})
	if want := (model{}); !cmp.Equal(want, m, cmp.AllowUnexported(model{}, inline{})) {
		t.Errorf("got %s", cmp.Diff(want, m, cmp.AllowUnexported(model{}, inline{})))
	}
}

func TestTheResourceWinsOverTheProviderFieldByField(t *testing.T) {
	t.Parallel()
	type settings struct {
		A, B   *string
		Labels map[string]string
		Inner  *innerModel
	}
	base := &settings{A: of("provider"), B: of("provider"), Labels: map[string]string{"p": "1"}, Inner: &innerModel{of(false)}}
	for name, c := range map[string]struct{ base, over, want *settings }{
		"neither":          {nil, nil, nil},
		"the provider":     {base, nil, base},
		"the resource":     {nil, base, base},
		"a field":          {base, &settings{A: of("resource")}, &settings{of("resource"), of("provider"), base.Labels, base.Inner}},
		"a map as a whole": {base, &settings{Labels: map[string]string{"r": "2"}}, &settings{base.A, base.B, map[string]string{"r": "2"}, base.Inner}},
		"a field below":    {base, &settings{Inner: &innerModel{of(true)}}, &settings{base.A, base.B, base.Labels, &innerModel{of(true)}}},
	} {
		if got := row.Overlay(c.base, c.over); !cmp.Equal(c.want, got) {
			t.Errorf("%s (-want +got):\n%s", name, cmp.Diff(c.want, got))
		}
	}
	if *base.Inner.Flag {
		t.Error("the provider's own settings were changed")
	}
}
