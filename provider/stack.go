package provider

import (
	"context"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
)

// stack is what the resources have in common: a task definition, its roles and its ECS service, planned and applied as one.
// M is the model.
type stack[M any] struct {
	kind   kind[M]
	client *client
}

// kind is what tells one resource from the other.
type kind[M any] struct {
	typeName string
	title    string   // in diagnostics
	content  []string // attributes, of the resource and of the provider, that the task definition and the roles follow from
	places   []place

	problems func(*M, defaults) problem.List // at places of the Spec
	design   func(*M, defaults, iamrole.Home) (design, error)
	check    func(context.Context, *client, *M, design, *diag.Diagnostics) // against what is in AWS already
	parts    func(*M) parts
	name     func(m *M, home iamrole.Home, unknown []problem.Path) (names any, open map[string]bool) // sets the further computed attributes
	observe  func(m *M, service *ecstypes.Service)                                                   // takes over what the ECS service is; nil: there is none
	adopt    func(m, other *M)                                                                       // takes other's ECS service over
}

// parts are what the shared steps need of a model.
type parts struct {
	id, family, owner string // owner without kind and region
	outcome           *outcomeModel
	service           *ecsServiceModel // with its name filled in
	timeouts          timeouts.Value
}

// Metadata implements resource.Resource.
func (s *stack[M]) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = s.kind.typeName
}

// Configure implements resource.ResourceWithConfigure.
func (s *stack[M]) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	s.client = clientOf(req.ProviderData, &resp.Diagnostics)
}

// ValidateConfig implements resource.ResourceWithValidateConfig. The provider's defaults are not known here: what they may
// still supply is checked when the plan is made.
func (s *stack[M]) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m M
	unknown, ok := decode(ctx, req.Config, &m, &resp.Diagnostics)
	if !ok {
		return
	}
	found := inResource(s.kind.problems(&m, defaults{}), s.kind.places).Without(unknown...)
	report(req.Config, withoutMissing(withoutDefaulted(found, req.Config.Raw), req.Config), &resp.Diagnostics)
}

// ModifyPlan implements resource.ResourceWithModifyPlan: it works the whole design out, so that the plan shows what the apply
// will make.
func (s *stack[M]) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || s.client == nil { // a destroy, or a provider that is not configured
		return
	}
	var m, state M
	unknown, ok := decode(ctx, req.Config, &m, &resp.Diagnostics)
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	}
	if !ok || resp.Diagnostics.HasError() {
		return
	}
	unknown = append(unknown, s.client.defaults.unknown...)
	report(req.Config, inResource(s.kind.problems(&m, s.client.defaults), s.kind.places).Without(unknown...), &resp.Diagnostics)
	home, ok := s.client.homeOrReport(ctx, &resp.Diagnostics)
	if !ok || resp.Diagnostics.HasError() {
		return
	}
	p := allOpen()
	if !affects(unknown, s.kind.content...) {
		p = s.planDesign(ctx, &m, &state, home, &resp.Diagnostics)
		p.openUnknownTags(unknown)
	}
	id := s.kind.parts(&m).id
	p.ID, p.open["id"] = &id, affects(unknown, "family", "cluster", "name")
	names, open := s.kind.name(&m, home, unknown)
	resp.Diagnostics.Append(writePlan(ctx, &resp.Plan, p.outcomeModel, p.open)...)
	resp.Diagnostics.Append(writePlan(ctx, &resp.Plan, names, open)...)
}

func (s *stack[M]) planDesign(ctx context.Context, m, state *M, home iamrole.Home, diags *diag.Diagnostics) planned {
	want, err := s.kind.design(m, s.client.defaults, home)
	if err != nil {
		diags.AddError(s.kind.title+" cannot be built", err.Error())
		return allOpen()
	}
	p, err := want.plan(s.before(state))
	if err != nil {
		diags.AddError(s.kind.title+" cannot be planned", err.Error())
		return allOpen()
	}
	refuseMovedRoles(want, *s.kind.parts(state).outcome, diags)
	s.kind.check(ctx, s.client, m, want, diags)
	return p
}

// Create implements resource.Resource. The state tells how far it got, also after an error.
func (s *stack[M]) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m M
	if _, ok := decode(ctx, tfsdk.Config(req.Plan), &m, &resp.Diagnostics); !ok {
		return
	}
	limit, diags := s.kind.parts(&m).timeouts.Create(ctx, defaultTimeout)
	resp.Diagnostics.Append(diags...)
	want, ok := s.prepare(ctx, &m, &resp.Diagnostics)
	if !ok {
		return
	}
	out := outcomeModel{}
	err := withTimeout(ctx, limit, func(ctx context.Context) error { return s.client.apply(ctx, want, before{}, &out) })
	if err != nil {
		resp.Diagnostics.AddError(s.kind.title+" was not created", err.Error())
	}
	s.settle(&m, out)
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
}

// Read implements resource.Resource.
func (s *stack[M]) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m M
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	p := s.kind.parts(&m)
	service, exists, err := s.client.look(ctx, p.family, p.outcome, p.service)
	switch {
	case err != nil:
		resp.Diagnostics.AddError(s.kind.title+" was not read", err.Error())
	case !exists:
		resp.State.RemoveResource(ctx)
	default:
		s.kind.observe(&m, service)
		resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
	}
}

// Update implements resource.Resource: a change of content registers a new revision, the resource stays. After an error the
// state keeps the attributes that it had, so that the next plan shows what was not applied.
func (s *stack[M]) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m, state M
	_, ok := decode(ctx, tfsdk.Config(req.Plan), &m, &resp.Diagnostics)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if !ok || resp.Diagnostics.HasError() {
		return
	}
	limit, diags := s.kind.parts(&m).timeouts.Update(ctx, defaultTimeout)
	resp.Diagnostics.Append(diags...)
	want, ok := s.prepare(ctx, &m, &resp.Diagnostics)
	if !ok {
		return
	}
	had := s.before(&state)
	out := had.outcome
	err := withTimeout(ctx, limit, func(ctx context.Context) error { return s.client.apply(ctx, want, had, &out) })
	if err != nil {
		resp.Diagnostics.AddError(s.kind.title+" was not updated", err.Error())
		if want.service.isAt(value(out.ECSServiceARN)) && !want.service.sameService(had.service) { // the former service is gone
			s.kind.adopt(&state, &m)
		}
		m = state
	}
	s.settle(&m, out)
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
}

// Delete implements resource.Resource.
func (s *stack[M]) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m M
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	p := s.kind.parts(&m)
	limit, diags := p.timeouts.Delete(ctx, defaultTimeout)
	resp.Diagnostics.Append(diags...)
	err := withTimeout(ctx, limit, func(ctx context.Context) error {
		return s.client.remove(ctx, p.family, owner(s.kind.typeName, s.client.region, p.owner), s.before(&m))
	})
	if err != nil {
		resp.Diagnostics.AddError(s.kind.title+" was not deleted", err.Error())
	}
}

// prepare works out the design of an apply and names what the resource computes from its attributes alone.
func (s *stack[M]) prepare(ctx context.Context, m *M, diags *diag.Diagnostics) (design, bool) {
	home, ok := s.client.homeOrReport(ctx, diags)
	if !ok {
		return design{}, false
	}
	want, err := s.kind.design(m, s.client.defaults, home)
	if err != nil {
		diags.AddError(s.kind.title+" cannot be built", err.Error())
	}
	s.kind.name(m, home, nil)
	return want, !diags.HasError()
}

func (s *stack[M]) before(state *M) before {
	p := s.kind.parts(state)
	return before{outcome: *p.outcome, service: p.service}
}

// settle writes an outcome into the model.
func (s *stack[M]) settle(m *M, out outcomeModel) {
	p := s.kind.parts(m)
	*p.outcome = out
	p.outcome.ID = &p.id
}
