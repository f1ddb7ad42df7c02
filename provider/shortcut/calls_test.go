package shortcut_test

import (
	"context"
	"math/big"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/provider/shortcut"
)

// These tests are about what the shortcut makes of the framework's answers, which they give themselves: the real framework does not
// give all of them to the provider's own resources.

var withDecimals = schema.Schema{
	Attributes: map[string]schema.Attribute{"name": schema.StringAttribute{Optional: true}, "share": schema.Float64Attribute{Optional: true}},
	Blocks: map[string]schema.Block{"part": schema.ListNestedBlock{NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
		"share": schema.Float64Attribute{Optional: true},
	}}}},
}

func prepared(t *testing.T, of schema.Schema) *shortcut.Kind {
	t.Helper()
	kind, err := shortcut.Of(t.Context(), func() resource.Resource { return plain{of: of} })
	if err != nil {
		t.Fatal(err)
	}
	return kind
}

// decimals is a value of the schema: a share at its root, and one in each of its blocks. A share may be null.
func decimals(t *testing.T, name string, shares ...any) tftypes.Value {
	t.Helper()
	typ := withDecimals.Type().TerraformType(t.Context()).(tftypes.Object)
	parts := typ.AttributeTypes["part"].(tftypes.List)
	blocks := []tftypes.Value{}
	for _, share := range shares[1:] {
		blocks = append(blocks, tftypes.NewValue(parts.ElementType, map[string]tftypes.Value{"share": tftypes.NewValue(tftypes.Number, share)}))
	}
	return tftypes.NewValue(typ, map[string]tftypes.Value{
		"name": tftypes.NewValue(tftypes.String, name), "share": tftypes.NewValue(tftypes.Number, shares[0]), "part": tftypes.NewValue(parts, blocks),
	})
}

func wire(t *testing.T, v tftypes.Value) *tfprotov6.DynamicValue {
	t.Helper()
	d, err := tfprotov6.NewDynamicValue(v.Type(), v)
	if err != nil {
		t.Fatal(err)
	}
	return &d
}

func sent(t *testing.T, d *tfprotov6.DynamicValue, of tftypes.Value) tftypes.Value {
	t.Helper()
	v, err := d.Unmarshal(of.Type())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// written is a decimal as Terraform reads it of a configuration.
func written(t *testing.T, text string) *big.Float {
	t.Helper()
	n, _, err := big.ParseFloat(text, 10, 512, big.ToNearestEven)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A framework that does not ask the resource, and finds nothing wrong, has put the call off.
func TestACallThatIsPutOffIsMadeAgainWithoutTheShortcut(t *testing.T) {
	t.Parallel()
	kind, v := prepared(t, withDecimals), decimals(t, "a", 1)
	for name, failed := range map[string]bool{"put off": false, "failed": true} {
		var said []*tfprotov6.Diagnostic
		if failed {
			said = []*tfprotov6.Diagnostic{{Severity: tfprotov6.DiagnosticSeverityError, Summary: "x"}}
		}
		reads, plans := 0, 0
		read, err := kind.Read(t.Context(), &tfprotov6.ReadResourceRequest{CurrentState: wire(t, v)}, func(_ context.Context, req *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
			reads++
			return &tfprotov6.ReadResourceResponse{NewState: req.CurrentState, Diagnostics: said}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		planned, err := kind.Plan(t.Context(), &tfprotov6.PlanResourceChangeRequest{Config: wire(t, v), PriorState: wire(t, v), ProposedNewState: wire(t, v)},
			func(_ context.Context, req *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
				plans++
				return &tfprotov6.PlanResourceChangeResponse{PlannedState: req.ProposedNewState, Diagnostics: said}, nil
			})
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case failed && (reads != 1 || plans != 1):
			t.Errorf("%s: asked %d and %d times, want once each", name, reads, plans)
		case !failed && (!sent(t, read.NewState, v).Equal(v) || !sent(t, planned.PlannedState, v).Equal(v)):
			t.Errorf("%s: the state is lost: %v, %v", name, sent(t, read.NewState, v), sent(t, planned.PlannedState, v))
		}
	}
}

// read refreshes a state, of which the resource makes another one, and says something.
func read(t *testing.T, kind *shortcut.Kind, was, next tftypes.Value) *tfprotov6.ReadResourceResponse {
	t.Helper()
	got, err := kind.Read(t.Context(), &tfprotov6.ReadResourceRequest{CurrentState: wire(t, was)}, func(ctx context.Context, _ *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
		shown, answered := resource.ReadRequest{State: tfsdk.State{Schema: withDecimals}}, resource.ReadResponse{State: tfsdk.State{Schema: withDecimals}}
		answer := shortcut.TakeState(ctx, &shown, &answered)
		if shown.State.Raw.IsNull() {
			t.Error("the resource is shown no state")
		}
		answered.State.Raw = next
		answer()
		return &tfprotov6.ReadResourceResponse{Diagnostics: []*tfprotov6.Diagnostic{{Severity: tfprotov6.DiagnosticSeverityWarning, Summary: "said before"}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestARefreshKeepsADecimalAsItWasWritten(t *testing.T) {
	t.Parallel()
	kind, tenth, third := prepared(t, withDecimals), written(t, "0.1"), written(t, "3.3")
	for name, c := range map[string]struct{ was, next, want tftypes.Value }{
		"the same":            {decimals(t, "a", tenth, third), decimals(t, "a", 0.1, 3.3), decimals(t, "a", tenth, third)},
		"beside a change":     {decimals(t, "a", tenth, third), decimals(t, "b", 0.1, 3.3), decimals(t, "b", tenth, third)},
		"another":             {decimals(t, "a", tenth, third), decimals(t, "a", 0.2, 3.3), decimals(t, "a", 0.2, third)},
		"a block more":        {decimals(t, "a", tenth, third), decimals(t, "a", 0.1, 3.3, 0.1), decimals(t, "a", tenth, third, 0.1)},
		"blocks changed":      {decimals(t, "a", tenth, third, tenth), decimals(t, "a", 0.1, 0.1), decimals(t, "a", tenth, 0.1)},
		"null and not before": {decimals(t, "a", tenth, nil), decimals(t, "a", nil, 3.3), decimals(t, "a", nil, 3.3)},
	} {
		if got := sent(t, read(t, kind, c.was, c.next).NewState, c.want); !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestAnAnswerThatDoesNotFitIsToldBesideTheRest(t *testing.T) {
	t.Parallel()
	was := decimals(t, "a", 1)
	typ := was.Type().(tftypes.Object)
	misfit := tftypes.NewValue(tftypes.Object{AttributeTypes: map[string]tftypes.Type{"name": tftypes.String, "share": tftypes.String, "part": typ.AttributeTypes["part"]}}, map[string]tftypes.Value{
		"name": tftypes.NewValue(tftypes.String, "a"), "share": tftypes.NewValue(tftypes.String, "x"), "part": tftypes.NewValue(typ.AttributeTypes["part"], nil),
	})
	got := read(t, prepared(t, withDecimals), was, misfit)
	var all []string
	for _, d := range got.Diagnostics {
		all = append(all, d.Severity.String()+" "+d.Summary)
	}
	if said := strings.Join(all, ", "); said != "WARNING said before, ERROR Answer not to be encoded" || !sent(t, got.NewState, was).Equal(was) {
		t.Errorf("%s, with the state %v", said, got.NewState)
	}
}

// refusing is a modifier that fails.
type refusing struct{ planmodifier.String }

// PlanModifyString implements planmodifier.String.
func (refusing) PlanModifyString(_ context.Context, _ planmodifier.StringRequest, resp *planmodifier.StringResponse) {
	resp.Diagnostics.AddError("x", "x")
}

// The framework asks no resource whose attributes cannot be planned.
func TestAFailedModifierLeavesAPlanToTheFramework(t *testing.T) {
	t.Parallel()
	of := schema.Schema{Attributes: map[string]schema.Attribute{"name": schema.StringAttribute{Optional: true, PlanModifiers: []planmodifier.String{refusing{}}}}}
	v := tftypes.NewValue(of.Type().TerraformType(t.Context()), map[string]tftypes.Value{"name": tftypes.NewValue(tftypes.String, "a")})
	plans := 0
	_, err := prepared(t, of).Plan(t.Context(), &tfprotov6.PlanResourceChangeRequest{Config: wire(t, v), PriorState: wire(t, v), ProposedNewState: wire(t, v)},
		func(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
			plans++
			var asked resource.ModifyPlanRequest
			shortcut.TakePlan(ctx, &asked, &resource.ModifyPlanResponse{})
			if !asked.Plan.Raw.IsNull() || !sent(t, req.ProposedNewState, v).Equal(v) {
				t.Errorf("the framework gets %v, and the resource %v beside it", sent(t, req.ProposedNewState, v), asked.Plan.Raw)
			}
			return &tfprotov6.PlanResourceChangeResponse{}, nil
		})
	if err != nil || plans != 1 {
		t.Errorf("the framework was asked %d times: %v", plans, err)
	}
}

// wanting is a validator that has something to say where there is nothing.
type wanting struct{ validator.String }

// ValidateString implements validator.String.
func (wanting) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() {
		resp.Diagnostics.AddError("x", "x")
	}
}

// asking is a resource that validates its configuration, and finds nothing wrong.
type asking struct{ plain }

// ValidateConfig implements resource.ResourceWithValidateConfig.
func (asking) ValidateConfig(context.Context, resource.ValidateConfigRequest, *resource.ValidateConfigResponse) {
}

func TestAValidatorIsAskedOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	of := schema.Schema{Attributes: map[string]schema.Attribute{
		"name": schema.StringAttribute{Optional: true, Validators: []validator.String{wanting{}}}, "other": schema.StringAttribute{Optional: true},
	}}
	kind, err := shortcut.Of(t.Context(), func() resource.Resource { return asking{plain{of: of}} })
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		given any
		asked int
	}{"there": {"a", 0}, "not there": {nil, 1}} {
		asked, v := 0, tftypes.NewValue(of.Type().TerraformType(t.Context()), map[string]tftypes.Value{
			"name": tftypes.NewValue(tftypes.String, c.given), "other": tftypes.NewValue(tftypes.String, "b"),
		})
		_, err := kind.Validate(t.Context(), &tfprotov6.ValidateResourceConfigRequest{Config: wire(t, v)}, func(context.Context, *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
			asked++
			return &tfprotov6.ValidateResourceConfigResponse{}, nil
		})
		if err != nil || asked != c.asked {
			t.Errorf("%s: the framework was asked %d times, want %d: %v", name, asked, c.asked, err)
		}
	}
}
