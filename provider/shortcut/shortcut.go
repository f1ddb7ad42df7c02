// Package shortcut takes plans, refreshes and upgrades of states past the plugin framework's walks through a schema. For a plan, the
// framework copies the whole of a resource for each attribute and block at the root of its schema, and goes down from the root for
// each value: with hundreds of resources that is most of a plan's time. Here a schema is prepared once, and one walk does what those do.
//
// The framework still takes each call, keeps the private data, the identity and the diagnostics, and calls the resource. It is shown
// a resource that is null, as for a destroy, for which it walks nowhere. The values go beside it, in the context: the resource takes
// them by TakePlan or TakeState, and answers the same way. A schema with something that the walk here does not know is refused by Of,
// and its resource is then planned by the framework alone, to the same end.
package shortcut

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Kind is a type of resources, prepared.
type Kind struct {
	make    func() resource.Resource
	schema  schema.Schema
	typ     tftypes.Type
	root    *node
	checked *checked
}

// Of prepares the type of resources that make makes.
func Of(ctx context.Context, make func() resource.Resource) (*Kind, error) {
	r := make()
	var resp resource.SchemaResponse
	r.Schema(ctx, resource.SchemaRequest{}, &resp)
	if resp.Diagnostics.HasError() {
		return nil, fmt.Errorf("no schema: %v", resp.Diagnostics)
	}
	if _, has := r.(resource.ResourceWithConfigValidators); has || resp.Schema.DeprecationMessage != "" {
		return nil, errors.New("validators of a whole resource, or its deprecation, are not known")
	}
	root, err := prepare(ctx, resp.Schema.Attributes, resp.Schema.Blocks)
	checked, checkedErr := prepareChecks(resp.Schema.Attributes, resp.Schema.Blocks)
	return &Kind{make, resp.Schema, resp.Schema.Type().TerraformType(ctx), root, checked}, errors.Join(err, checkedErr)
}

// call is what goes beside the framework in one call.
type call struct {
	config, plan, state tftypes.Value
	replace             path.Paths
	diags               diag.Diagnostics

	answered bool
	answer   tftypes.Value
}

type key struct{}

func (c *call) give(v tftypes.Value) { c.answer, c.answered = v, true }

// TakePlan has a resource plan what was given beside the framework. The function that it returns gives the answer back. In a call that
// came by the framework alone both do nothing.
func TakePlan(ctx context.Context, req *resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) (answer func()) {
	c, ok := ctx.Value(key{}).(*call)
	if !ok {
		return func() {}
	}
	null := resp.Plan.Raw
	req.Config.Raw, req.Plan.Raw, req.State.Raw, resp.Plan.Raw = c.config, c.plan, c.state, c.plan
	resp.Diagnostics.Append(c.diags...)
	resp.RequiresReplace = append(resp.RequiresReplace, c.replace...)
	return func() {
		c.give(resp.Plan.Raw)
		resp.Plan.Raw = null
	}
}

// TakeState is TakePlan for a state that is refreshed.
func TakeState(ctx context.Context, req *resource.ReadRequest, resp *resource.ReadResponse) (answer func()) {
	c, ok := ctx.Value(key{}).(*call)
	if !ok {
		return func() {}
	}
	null := resp.State.Raw
	req.State.Raw, resp.State.Raw = c.state, c.state
	return func() {
		c.give(resp.State.Raw)
		resp.State.Raw = null
	}
}

// null is a resource that is null, in the protocol.
func null() *tfprotov6.DynamicValue { return &tfprotov6.DynamicValue{MsgPack: []byte{0xc0}} }

// Plan plans, by a framework that is called by through. What is removed and what cannot be read is the framework's alone.
func (k *Kind) Plan(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest, through func(context.Context, *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error)) (*tfprotov6.PlanResourceChangeResponse, error) {
	config, ok := k.decode(req.Config)
	state, stateOK := k.decode(req.PriorState)
	proposed, proposedOK := k.decode(req.ProposedNewState)
	if !ok || !stateOK || !proposedOK || config.IsNull() || proposed.IsNull() {
		return through(ctx, req)
	}
	c := k.planned(ctx, config, state, proposed)
	if c.diags.HasError() { // at which the framework stops
		return through(ctx, req)
	}
	beside := *req
	beside.Config, beside.PriorState, beside.ProposedNewState = null(), null(), null()
	resp, err := through(context.WithValue(ctx, key{}, c), &beside)
	switch {
	case err != nil || !c.answered && slices.ContainsFunc(resp.Diagnostics, isError):
		return resp, err
	case !c.answered: // the resource was not asked, as where the plan is put off: what was said is about a resource that is null
		return through(ctx, req)
	}
	if resp.PlannedState, err = k.encode(c.answer); err != nil {
		resp.Diagnostics = append(resp.Diagnostics, unencoded(err))
	}
	return resp, nil
}

// Read refreshes a state, by a framework that is called by through.
func (k *Kind) Read(ctx context.Context, req *tfprotov6.ReadResourceRequest, through func(context.Context, *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error)) (*tfprotov6.ReadResourceResponse, error) {
	state, ok := k.decode(req.CurrentState)
	if !ok || state.IsNull() {
		return through(ctx, req)
	}
	c, beside := &call{state: state}, *req
	beside.CurrentState = null()
	resp, err := through(context.WithValue(ctx, key{}, c), &beside)
	switch {
	case err != nil || !c.answered && slices.ContainsFunc(resp.Diagnostics, isError):
		return resp, err
	case !c.answered: // the resource was not asked: a null state would be lost
		return through(ctx, req)
	}
	next, _ := k.root.keepDecimals(state, c.answer)
	if resp.NewState, err = k.encode(next); err != nil {
		resp.NewState, resp.Diagnostics = req.CurrentState, append(resp.Diagnostics, unencoded(err))
	}
	return resp, nil
}

func isError(d *tfprotov6.Diagnostic) bool { return d.Severity == tfprotov6.DiagnosticSeverityError }

// unencoded says that a resource's answer does not fit its schema, beside what the resource said.
func unencoded(err error) *tfprotov6.Diagnostic {
	return &tfprotov6.Diagnostic{
		Severity: tfprotov6.DiagnosticSeverityError, Summary: "Answer not to be encoded",
		Detail: fmt.Sprintf("The resource's values do not fit its schema: %v.\n\nThis is always a problem with the provider, and should be reported to its developers.", err),
	}
}

// Upgrade is a stored state as the protocol has it, if it is of the schema's own version; nil if the framework has to see to it.
func (k *Kind) Upgrade(req *tfprotov6.UpgradeResourceStateRequest) *tfprotov6.UpgradeResourceStateResponse {
	if req.RawState == nil || req.Version != k.schema.Version {
		return nil
	}
	stored, err := req.RawState.UnmarshalWithOpts(k.typ, tfprotov6.UnmarshalOpts{ValueFromJSONOpts: tftypes.ValueFromJSONOpts{IgnoreUndefinedAttributes: true}})
	if err != nil {
		return nil
	}
	upgraded, err := k.encode(stored)
	if err != nil {
		return nil
	}
	return &tfprotov6.UpgradeResourceStateResponse{UpgradedState: upgraded}
}

// decode reads what the protocol carries. For resources, no blocks of a name are null, and not an empty list, as the framework has it.
func (k *Kind) decode(from *tfprotov6.DynamicValue) (tftypes.Value, bool) {
	if from == nil {
		return tftypes.Value{}, false
	}
	v, err := from.Unmarshal(k.typ)
	if err != nil {
		return v, false
	}
	v, _ = k.root.noBlocks(v, nil)
	return v, true
}

// encode is the way back.
func (k *Kind) encode(v tftypes.Value) (*tfprotov6.DynamicValue, error) {
	v, _ = k.root.noBlocks(v, []tftypes.Value{})
	d, err := tfprotov6.NewDynamicValue(k.typ, v)
	if err != nil {
		return nil, err
	}
	return &d, nil
}
