// Package stack is what the resources have in common: a task definition, its roles and its ECS service, planned, applied and read
// as one.
package stack

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/events"
	"github.com/consulecs/terraform-provider-consulecs/provider/models"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
	"github.com/consulecs/terraform-provider-consulecs/provider/secrets"
	"github.com/consulecs/terraform-provider-consulecs/provider/shortcut"
)

// Stack is what the resources have in common: a task definition, its roles and its ECS service, planned and applied as one.
// M is the model.
type Stack[M any] struct {
	Kind   Kind[M]
	Client *deploy.Client
}

// Kind is what tells one resource from the other.
type Kind[M any] struct {
	TypeName string
	Title    string    // in diagnostics
	NameKey  string    // the attribute that names it
	Cluster  path.Path // of the attribute that names the ECS cluster
	Owner    func(m *M, region string) ownership.Owner
	Content  []string // attributes, of the resource and of the provider, that the task definition and the roles follow from
	Places   row.Places
	Own      []problem.Path // attributes that the provider does not supply, though it does those around them

	Problems func(*M, block.Defaults) problem.List // at places of the Spec
	Depends  map[string][]string                   // by computed attribute, what it follows from; the others follow from the content
	Local    func(*M, problem.Path) (Local, bool)
	Design   func(m *M, d block.Defaults, home iamrole.Home, draft bool) (deploy.Design, error)
	Check    func(context.Context, *deploy.Client, *M, deploy.Design, *diag.Diagnostics) // against what is in AWS already
	Parts    func(*M) Parts
	Name     func(m *M, d block.Defaults, home iamrole.Home, unknown []problem.Path) (names any, open map[string]bool) // sets the further computed attributes
	Observe  func(m *M, service *block.Seen)                                                                           // takes over what the ECS service is; nil: there is none
	Adopt    func(m, other *M)                                                                                         // takes other's ECS service over
	Release  func(context.Context, *deploy.Client, *M) error                                                           // waits until the resource may be removed; nil: it always may

	Companion *Companion[M]                                                      // nil: the resource has none
	Import    func(ctx context.Context, c *deploy.Client, id string) (*M, error) // reads what is there
	Identity  Identity[M]
	Following *Following[M] // nil: foreign revisions are reverted without a word
	Moving    *Moving[M]    // nil: it goes on with no other type's state
}

// Parts are what the shared steps need of a model.
type Parts struct {
	ID, Family string
	Outcome    *deploy.Outcome
	Events     *events.Outputs   // nil: the resource has none
	Secrets    *secrets.Outputs  // nil: the resource has none
	Service    *block.ECSService // with its name filled in
	Timeouts   timeouts.Value
}

// Metadata implements resource.Resource.
func (s *Stack[M]) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = s.Kind.TypeName
}

// Configure implements resource.ResourceWithConfigure.
func (s *Stack[M]) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	s.Client = deploy.ClientOf(req.ProviderData, &resp.Diagnostics)
}

// ValidateConfig implements resource.ResourceWithValidateConfig. The provider's defaults are not known here: what they may
// still supply is checked when the plan is made.
func (s *Stack[M]) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m M
	unknown, ok := row.Decode(ctx, req.Config, &m, &resp.Diagnostics)
	if !ok {
		return
	}
	found := s.problems(&m, block.Defaults{}).Without(unknown...)
	Report(req.Config, withoutMissing(withoutSupplied(found, req.Config.Raw, s.Kind.Own), req.Config), &resp.Diagnostics)
}

// problems is what is wrong, at the resource's attributes.
func (s *Stack[M]) problems(m *M, d block.Defaults) problem.List {
	return s.Kind.Problems(m, d).In(s.Kind.Places.Attribute)
}

// ModifyPlan implements resource.ResourceWithModifyPlan: it works the whole design out, so that the plan shows what the apply
// will make.
func (s *Stack[M]) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	defer shortcut.TakePlan(ctx, &req, resp)()
	if req.Plan.Raw.IsNull() || s.Client == nil { // a destroy, or a provider that is not configured
		return
	}
	var m, state M
	unknown, ok := row.Decode(ctx, req.Config, &m, &resp.Diagnostics)
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(models.Get(ctx, req.State, &state)...)
	}
	if !ok || resp.Diagnostics.HasError() {
		return
	}
	unknown = append(unknown, unknownHere(s.Client.Defaults.Unknown, req.Config.Raw, s.Kind.Own)...)
	Report(req.Config, s.problems(&m, s.Client.Defaults).Without(unknown...), &resp.Diagnostics)
	home, ok := s.Client.HomeOrReport(ctx, &resp.Diagnostics)
	if !ok || resp.Diagnostics.HasError() {
		return
	}
	had, diags := s.before(ctx, &state, req.Private)
	resp.Diagnostics.Append(diags...)
	s.Kind.Parts(&m).Outcome.OwnerID = had.Outcome.OwnerID
	awaited := s.follow(&m, &state, had, unknown)
	var want deploy.Design
	var p deploy.Planned
	if row.Affects(awaited, s.Kind.Content...) {
		want, p = s.planDraft(&m, had, home)
	} else {
		want, p = s.planDesign(ctx, &m, had, awaited, home, &resp.Diagnostics)
	}
	s.open(&p, &m, awaited)
	s.openForeign(&p, &m, had, unknown)
	s.warnOfReverted(p, &m, &state, had, unknown, &resp.Diagnostics)
	resp.Diagnostics.Append(s.checkNames(ctx, want, had, s.named(p, unknown), req.Private, resp.Private)...)
	id := s.Kind.Parts(&m).ID
	p.OwnerID = had.Outcome.OwnerID
	p.Open["owner_id"] = p.OwnerID == nil
	p.ID, p.Open["id"] = &id, row.Affects(unknown, "family", "cluster", "name")
	if s.Kind.Companion != nil {
		s.Kind.Companion.Plan(ctx, s.Client, &m, &state, unknown, &resp.Diagnostics)
	}
	names, open := s.Kind.Name(&m, s.Client.Defaults, home, unknown)
	resp.Diagnostics.Append(writePlan(&resp.Plan, p.Outcome, p.Open)...)
	if s.Kind.Parts(&m).Events != nil {
		resp.Diagnostics.Append(writePlan(&resp.Plan, p.Events, p.Open)...)
	}
	if s.Kind.Parts(&m).Secrets != nil {
		resp.Diagnostics.Append(writePlan(&resp.Plan, p.Secrets, p.Open)...)
	}
	resp.Diagnostics.Append(openContainers(ctx, &resp.Plan, p)...)
	resp.Diagnostics.Append(writePlan(&resp.Plan, names, open)...)
}

func (s *Stack[M]) planDesign(ctx context.Context, m *M, had deploy.Before, unknown []problem.Path, home iamrole.Home, diags *diag.Diagnostics) (deploy.Design, deploy.Planned) {
	want, err := s.Kind.Design(m, s.Client.Defaults, home, false)
	if err != nil && len(unknown) > 0 { // what is wrong follows from it: of all else, something was said
		return s.planDraft(m, had, home)
	}
	if err != nil {
		diags.AddError(s.Kind.Title+" cannot be built", err.Error())
		return want, deploy.AllOpen()
	}
	p, err := want.Plan(had)
	if err != nil {
		diags.AddError(s.Kind.Title+" cannot be planned", err.Error())
		return want, deploy.AllOpen()
	}
	deploy.RefuseMovedRoles(want, had.Outcome, diags)
	s.Kind.Check(ctx, s.Client, m, want, diags)
	return want, p
}

// Create implements resource.Resource. The state tells how far it got, also after an error.
func (s *Stack[M]) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m M
	if _, ok := row.Decode(ctx, tfsdk.Config(req.Plan), &m, &resp.Diagnostics); !ok {
		return
	}
	limit, diags := s.Kind.Parts(&m).Timeouts.Create(ctx, row.DefaultTimeout)
	resp.Diagnostics.Append(diags...)
	s.Kind.Parts(&m).Outcome.OwnerID = ownership.NewID()
	want, ok := s.prepare(ctx, &m, &resp.Diagnostics)
	if !ok {
		return
	}
	out := &deploy.Progress{}
	err := row.WithTimeout(ctx, limit, func(ctx context.Context) error {
		return s.accompanied(ctx, &m, new(M), func(ctx context.Context) error { return s.Client.Create(ctx, want, out) })
	})
	s.reportCreate(ctx, err, out, &resp.Diagnostics)
	if err != nil && out.ECSServiceARN == nil && !out.Left {
		return
	}
	s.settle(&m, out)
	resp.Diagnostics.Append(models.Set(ctx, &resp.State, &m)...)
	resp.Diagnostics.Append(s.Identify(ctx, &m, resp.Identity)...)
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, revisionsKey, out.Revisions.JSON())...)
}

// reportCreate says what became of a create that did not come to its end. An error taints the resource, which would have the next
// apply replace what runs: where the user ended the wait, nothing is wrong with it.
func (s *Stack[M]) reportCreate(ctx context.Context, err error, out *deploy.Progress, diags *diag.Diagnostics) {
	switch {
	case err == nil:
	case out.Left:
		diags.AddError(s.Kind.Title+" was not created", fmt.Sprintf(
			"%s\n\nThe state keeps the resource as tainted for the sake of what may be left: the next apply, or a destroy, removes that first.", err))
	case out.ECSServiceARN == nil:
		diags.AddError(s.Kind.Title+" was not created", err.Error())
	case deploy.IsInterrupted(ctx, err, out):
		warnOfInterruption(err, diags)
	default:
		diags.AddError(s.Kind.Title+" was created, with a problem", fmt.Sprintf(
			"%s\n\nECS service %s stays up, with its roles and its task definition. Terraform marks the resource as tainted, so that the next apply would replace it. "+
				"To keep it, run: terraform untaint <address>, where the address begins with %s. The next apply then changes what is still to be changed.",
			err, row.Value(out.ECSServiceARN), s.Kind.TypeName))
	}
}

func warnOfInterruption(err error, diags *diag.Diagnostics) {
	diags.AddWarning("ECS service not waited for", fmt.Sprintf(
		"Everything was made. The wait until the ECS service is steady was interrupted, so whether it becomes so is not known. %s", err))
}

// Read implements resource.Resource.
func (s *Stack[M]) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	defer shortcut.TakeState(ctx, &req, resp)()
	var m M
	resp.Diagnostics.Append(models.Get(ctx, req.State, &m)...)
	if resp.Diagnostics.HasError() || !s.Client.Admitted(ctx, &resp.Diagnostics) {
		return
	}
	resp.Diagnostics.Append(s.Identify(ctx, &m, resp.Identity)...) // of what is gone, too: the framework asks for it
	arrived, diags := s.arrive(ctx, &m, resp.Private)
	resp.Diagnostics.Append(diags...)
	switch {
	case diags.HasError():
		return
	case !arrived:
		resp.State.RemoveResource(ctx)
		return
	}
	p := s.Kind.Parts(&m)
	had, diags := s.before(ctx, &m, req.Private)
	resp.Diagnostics.Append(diags...)
	owner := s.Kind.Owner(&m, s.Client.Region)
	service, exists, err := s.Client.Look(ctx, p.Family, owner, p.Outcome, p.Service)
	if p.Events != nil && err == nil {
		var there bool
		there, err = s.Client.LookAtEvents(ctx, owner, p.Events)
		exists = exists || there
	}
	if p.Secrets != nil && err == nil {
		var there bool
		there, err = s.Client.LookAtSecrets(ctx, owner, p.Family, p.Secrets)
		exists = exists || there
	}
	if s.Kind.Companion != nil && err == nil && exists {
		err = s.Kind.Companion.Look(ctx, s.Client, &m)
	}
	switch {
	case err != nil:
		resp.Diagnostics.AddError(s.Kind.Title+" was not read", err.Error())
	case !exists:
		resp.State.RemoveResource(ctx)
	default:
		s.Kind.Observe(&m, service)
		resp.Diagnostics.Append(s.see(ctx, &m, had, resp.Private)...)
		resp.Diagnostics.Append(models.Set(ctx, &resp.State, &m)...)
	}
}

// Update implements resource.Resource: a change of content registers a new revision, the resource stays. After an error the
// state keeps the attributes that it had, so that the next plan shows what was not applied.
func (s *Stack[M]) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m, state M
	_, ok := row.Decode(ctx, tfsdk.Config(req.Plan), &m, &resp.Diagnostics)
	resp.Diagnostics.Append(models.Get(ctx, req.State, &state)...)
	if !ok || resp.Diagnostics.HasError() {
		return
	}
	s.Kind.Parts(&m).Outcome.OwnerID = cmp.Or(s.Kind.Parts(&state).Outcome.OwnerID, ownership.NewID()) // what was imported may have none
	limit, diags := s.Kind.Parts(&m).Timeouts.Update(ctx, row.DefaultTimeout)
	resp.Diagnostics.Append(diags...)
	want, ok := s.prepare(ctx, &m, &resp.Diagnostics)
	if !ok {
		return
	}
	want.Service = s.counted(ctx, want.Service, req.Config, &resp.Diagnostics)
	had, diags := s.before(ctx, &state, req.Private)
	resp.Diagnostics.Append(diags...)
	out := had.Begin()
	err := row.WithTimeout(ctx, limit, func(ctx context.Context) error {
		return s.accompanied(ctx, &m, &state, func(ctx context.Context) error { return s.Client.Apply(ctx, want, had, out) })
	})
	switch {
	case err == nil:
	case deploy.IsInterrupted(ctx, err, out):
		warnOfInterruption(err, &resp.Diagnostics)
	default:
		resp.Diagnostics.AddError(s.Kind.Title+" was not updated", err.Error())
		if want.Service.IsAt(row.Value(out.ECSServiceARN)) && !want.Service.SameService(had.Service) { // the former service is gone
			s.Kind.Adopt(&state, &m)
		}
		if s.Kind.Following != nil {
			s.Kind.Following.Keep(&state, &m)
		}
		m = state
	}
	s.settle(&m, out)
	resp.Diagnostics.Append(models.Set(ctx, &resp.State, &m)...)
	resp.Diagnostics.Append(s.Identify(ctx, &m, resp.Identity)...)
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, revisionsKey, out.Revisions.JSON())...)
	resp.Diagnostics.Append(s.arrived(ctx, resp.Private)...)
}

// Delete implements resource.Resource.
func (s *Stack[M]) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m M
	resp.Diagnostics.Append(models.Get(ctx, req.State, &m)...)
	if resp.Diagnostics.HasError() || !s.Client.Admitted(ctx, &resp.Diagnostics) {
		return
	}
	p := s.Kind.Parts(&m)
	limit, diags := p.Timeouts.Delete(ctx, row.DefaultTimeout)
	resp.Diagnostics.Append(diags...)
	had, diags := s.before(ctx, &m, req.Private)
	resp.Diagnostics.Append(diags...)
	err := row.WithTimeout(ctx, limit, func(ctx context.Context) error {
		if s.Kind.Release != nil && had.Outcome.ECSServiceARN != nil {
			if err := s.Kind.Release(ctx, s.Client, &m); err != nil {
				return err
			}
		}
		err := s.Client.Remove(ctx, p.Family, s.Kind.Owner(&m, s.Client.Region), had)
		if s.Kind.Companion == nil || err != nil {
			return err
		}
		return s.Kind.Companion.Leave(ctx, s.Client, &m)
	})
	if err != nil {
		resp.Diagnostics.AddError(s.Kind.Title+" was not deleted", err.Error())
	}
}

// prepare works out the design of an apply and names what the resource computes from its attributes alone.
func (s *Stack[M]) prepare(ctx context.Context, m *M, diags *diag.Diagnostics) (deploy.Design, bool) {
	home, ok := s.Client.HomeOrReport(ctx, diags)
	if !ok {
		return deploy.Design{}, false
	}
	want, err := s.Kind.Design(m, s.Client.Defaults, home, false)
	if err != nil {
		diags.AddError(s.Kind.Title+" cannot be built", err.Error())
	}
	s.Kind.Name(m, s.Client.Defaults, home, nil)
	return want, !diags.HasError()
}

func (s *Stack[M]) stateOf(state *M) deploy.Before {
	p := s.Kind.Parts(state)
	had := deploy.Before{Outcome: *p.Outcome, Service: p.Service}
	if p.Events != nil {
		had.Events = *p.Events
	}
	if p.Secrets != nil {
		had.Secrets = *p.Secrets
	}
	return had
}

// revisionsKey is the key of the resource's revisions beside its state.
const revisionsKey = "revisions"

// before is what there was: by the state, and by what is kept beside it.
func (s *Stack[M]) before(ctx context.Context, state *M, beside keyed) (deploy.Before, diag.Diagnostics) {
	had := s.stateOf(state)
	text, diags := beside.GetKey(ctx, revisionsKey)
	had.Revisions = deploy.RevisionsFrom(text)
	number, more := kept[int64](ctx, beside, foreignKey)
	had.Foreign = number != 0 && number == row.Value(had.Outcome.Revision) && !slices.Contains(had.Revisions, number)
	return had, append(diags, more...)
}

// settle writes what an apply came to into the model.
func (s *Stack[M]) settle(m *M, out *deploy.Progress) {
	p := s.Kind.Parts(m)
	*p.Outcome = out.Outcome
	p.Outcome.ID = &p.ID
	if p.Events != nil {
		*p.Events = out.Events
	}
	if p.Secrets != nil {
		*p.Secrets = out.Secrets
	}
}
