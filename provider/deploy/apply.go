package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/canonical"
	"github.com/consulecs/terraform-provider-consulecs/provider/events"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
	"github.com/consulecs/terraform-provider-consulecs/provider/secrets"
)

// Before is what a resource had made before an apply. Its zero value is that of a resource of which nothing is known.
type Before struct {
	Outcome   Outcome
	Events    events.Outputs
	Secrets   secrets.Outputs
	Service   *block.ECSService // with its name filled in
	Revisions Revisions
	Foreign   bool // the newest revision, that of the outcome, is one of others
}

// Progress tells how far an apply got. It begins as what there was before.
type Progress struct {
	Outcome
	Events    events.Outputs
	Secrets   secrets.Outputs
	Revisions Revisions
	Left      bool // a create failed, and something that it made may be left
	begun     begun
	obsolete  bool // there are roles or events that go when no task uses them any more
}

// begun is what an apply began to make that was not there before: a call whose answer was lost may have made it or not.
type begun struct {
	roles      []string
	events     *events.Progress
	secrets    *secrets.Progress
	definition bool
	service    bool
}

// Begin is the progress of an apply that has done nothing yet.
func (b Before) Begin() *Progress {
	return &Progress{Outcome: b.Outcome, Events: b.Events, Secrets: b.Secrets, Revisions: b.Revisions}
}

// Apply makes AWS as the design wants it. It is the same for a new resource, a changed one and one whose first apply was
// interrupted: each step looks at what is there. out tells how far the steps got.
func (c *Client) Apply(ctx context.Context, d Design, had Before, out *Progress) error {
	err := c.apply(ctx, d, had, out)
	if err == nil {
		c.Remade(d.Owner)
	}
	return withCause(ctx, err)
}

// Remade notes that others have made again what an owner, whose ID is always the same, had removed.
func (c *Client) Remade(owner ownership.Owner) { c.run.makes(owner.ID) }

func (c *Client) apply(ctx context.Context, d Design, had Before, out *Progress) error {
	d = d.withVersionOf(had.Outcome)
	kept, err := decodeRoles(had.Outcome.Roles)
	if err != nil {
		return err
	}
	if err := c.refuseNewer(ctx, d, had); err != nil {
		return err
	}
	listed, err := c.applyRoles(ctx, d, kept, out)
	if err != nil {
		return err
	}
	gone := obsoleteOf(listed, d.roles())
	out.obsolete = !gone.isEmpty() || d.Events == nil && out.Events.Rendered != nil
	if gone.isEmpty() { // they are as they will stay, however a wait for the service ends
		if out.Roles, err = encodedRoles(d.shownRoles()); err != nil {
			return err
		}
	}
	if err := c.applyEvents(ctx, d, out); err != nil {
		return err
	}
	var set secrets.Set
	if d.Service, set, err = c.applySecrets(ctx, d, out); err != nil {
		return err
	}
	if err := c.applyDefinition(ctx, d, had, out); err != nil {
		return err
	}
	err = c.applyService(ctx, d, had, out)
	if d.Secrets != nil && (err == nil || errors.As(err, new(*unsteady))) { // the tasks are replaced, whether or not they are waited for
		out.Secrets.Version, out.Secrets.CACertificate = &set.Version, &set.CACertificate
	}
	if err != nil {
		return err
	}
	if err := c.dropEvents(ctx, d, out); err != nil {
		return err
	}
	if err := c.drop(ctx, d, gone, out.Outcome); err != nil {
		return err
	}
	if out.Roles, err = encodedRoles(d.shownRoles()); err != nil {
		return err
	}
	if !slices.Contains(out.Revisions, revisionOf(out.Outcome)) { // a foreign one: none of the resource's own takes over from the earlier ones
		return nil
	}
	own, earlier := out.Revisions.split(revisionOf(out.Outcome), d.Keep)
	left, err := c.retire(ctx, d.Family, earlier)
	for _, number := range left {
		own = own.with(number)
	}
	out.Revisions = own
	return err
}

// drop deletes what is no longer wanted, once no task of the service uses it.
func (c *Client) drop(ctx context.Context, d Design, gone obsolete, out Outcome) error {
	switch {
	case d.Service == nil && len(gone.policies) > 0: // who runs the tasks is not known, nor when they have begun anew
		if !sleep.For(ctx, policiesKnown) {
			return fmt.Errorf("wait until IAM knows the policies that take the place of %s: %w", gone, context.Cause(ctx))
		}
	case gone.isEmpty() || d.Service == nil:
	case d.Service.ByCodeDeploy():
		if runs := row.Value(out.ECSServiceRunning); runs != row.Value(out.ARN) {
			return fmt.Errorf("%s stay, as the service %s still runs %s, which uses them\nhint: deploy %s by CodeDeploy, then apply again",
				gone, row.Value(d.Service.Name), runs, row.Value(out.ARN))
		}
	default:
		if err := c.awaitSteadyState(ctx, row.Value(d.Service.Cluster), row.Value(d.Service.Name), row.Value(out.ECSServiceRunning)); err != nil {
			return err
		}
	}
	for _, policy := range gone.policies {
		if err := c.dropPolicy(ctx, policy.role, policy.arn); err != nil {
			return err
		}
	}
	for _, name := range gone.roles {
		if err := c.deleteRole(ctx, name, d.Owner); err != nil {
			return err
		}
	}
	return nil
}

// applyRoles makes the roles. The outcome lists each before it is made, together with those that are to go, so that whatever
// becomes of the rest, a destroy finds them.
func (c *Client) applyRoles(ctx context.Context, d Design, kept []RoleView, out *Progress) (listed []RoleView, err error) {
	decided, err := d.Decided()
	if err != nil {
		return nil, err
	}
	out.TaskRoleARN, out.TaskRoleName = decided.TaskRoleARN, decided.TaskRoleName
	out.ExecutionRoleARN, out.ExecutionRoleName = decided.ExecutionRoleARN, decided.ExecutionRoleName
	listed = slices.Clone(kept)
	for _, want := range d.roles() {
		var had RoleView
		at := slices.IndexFunc(listed, func(v RoleView) bool { return v.Name == want.Name })
		if at >= 0 {
			had = listed[at]
		}
		found, err := c.ownRole(ctx, d, want, had)
		if err != nil {
			return nil, err
		}
		if at < 0 {
			view := want.shownTo(d.Owner)
			if found != nil {
				if view, err = c.takenOver(ctx, *found, view); err != nil {
					return nil, err
				}
			}
			listed = append(listed, view)
			if out.Roles, err = encodedRoles(listed); err != nil {
				return nil, err
			}
		}
		if found == nil {
			out.begun.roles = append(out.begun.roles, want.Name)
		}
		if err := c.ensureRole(ctx, d, want, had, found); err != nil {
			return nil, err
		}
	}
	return listed, nil
}

// applyDefinition registers a revision if the content changed; tags alone are changed in place.
func (c *Client) applyDefinition(ctx context.Context, d Design, before Before, out *Progress) error {
	decided, err := d.Decided()
	if err != nil {
		return err
	}
	if d.Adopt && before.Outcome.ARN == nil {
		out.Revisions, err = c.searchRevisions(ctx, d.Family, d.mayTakeRevision)
	} else {
		out.Revisions, err = c.ownRevisions(ctx, d.Family, d.Owner, before)
	}
	if err != nil {
		return err
	}
	if !d.follows(before) && !d.keeps(before, decided) { // an earlier registration may have lost its answer
		if before.Outcome, err = c.abandoned(ctx, d, before.Outcome, out); err != nil {
			return err
		}
	}
	had, keeps := before.Outcome, d.keeps(before, decided)
	switch {
	case keeps && d.follows(before):
		out.ARN, out.Revision = had.ARN, had.Revision
	case keeps:
		if err := c.tagResource(ctx, *had.ARN, d.tags(), had.tags()); err != nil {
			return err
		}
		out.ARN, out.Revision, out.Revisions = had.ARN, had.Revision, out.Revisions.with(revisionOf(had))
	default:
		if err := c.registerNew(ctx, d, before, out); err != nil {
			return err
		}
		out.Revisions = out.Revisions.with(revisionOf(out.Outcome))
	}
	out.OwnerID, out.AgentConfig, out.Definition, out.Containers = decided.OwnerID, decided.AgentConfig, decided.Definition, decided.Containers
	out.ContentHash, out.TagsAll = decided.ContentHash, decided.TagsAll
	return nil
}

// registerNew registers a revision. What calls before registered whose answers were lost goes again: nothing ever ran it.
func (c *Client) registerNew(ctx context.Context, d Design, before Before, out *Progress) error {
	out.begun.definition = true
	registered, lost, err := c.register(ctx, d.definition)
	if err != nil {
		return err
	}
	out.ARN, out.Revision = registered.TaskDefinitionArn, aws.Int64(int64(registered.Revision))
	if err := c.refuseBetween(ctx, d, before, out, lost); err != nil {
		return err
	}
	unused, err := c.lostRevisions(ctx, d, *out.Revision, lost)
	if err != nil {
		return err
	}
	unused = slices.DeleteFunc(unused, func(number int64) bool { return slices.Contains(out.Revisions, number) })
	_, err = c.retire(ctx, d.Family, unused)
	return err
}

// abandoned finds the revision that an apply registered and could not report. It is taken on instead of registering it again.
func (c *Client) abandoned(ctx context.Context, d Design, had Outcome, out *Progress) (Outcome, error) {
	newest, err := c.latest(ctx, d.Family)
	if err != nil || newest == nil || !d.Owner.Registered(newest.Tags) || int64(newest.Definition.Revision) == revisionOf(had) {
		return had, err
	}
	out.Revisions = out.Revisions.with(int64(newest.Definition.Revision))
	content, err := canonical.Of(newest.Definition)
	if err != nil || content.Hash() != d.canonical.Hash() {
		return had, err
	}
	had.ARN, had.Revision = aws.String(newest.arn()), aws.Int64(int64(newest.Definition.Revision))
	had.ContentHash, had.TagsAll, had.OwnerID = &d.shown.Hash, ownership.WithoutID(newest.Tags), &d.Owner.ID
	return had, nil
}

// applyService makes, changes, moves or removes the ECS service, and waits if asked to.
func (c *Client) applyService(ctx context.Context, d Design, had Before, out *Progress) error {
	want, was := d.Service, had.Service
	moved := was != nil && !want.SameService(was)
	if moved && (want == nil || want.SameName(was)) {
		if err := c.deleteService(ctx, was, d.Owner, had.Outcome.ECSServiceARN != nil); err != nil {
			return err
		}
		out.ECSServiceARN, out.ECSServiceRunning = nil, nil
	}
	if want == nil {
		return nil
	}
	out.begun.service = true
	runs := d.runs(had, out.ARN)
	arn, err := c.ensureService(ctx, d, row.Value(runs), had, was != nil && !moved)
	if arn != "" {
		out.ECSServiceARN, out.ECSServiceRunning = &arn, runs
	}
	if err != nil {
		return err
	}
	if moved && !want.SameName(was) {
		if err := c.deleteService(ctx, was, d.Owner, had.Outcome.ECSServiceARN != nil); err != nil {
			return err
		}
	}
	if !row.Value(want.WaitForSteadyState) {
		return nil
	}
	return c.awaitSteadyState(ctx, row.Value(want.Cluster), row.Value(want.Name), row.Value(runs))
}

// Remove takes down whatever the resource made: the service with its tasks, the revisions, the roles. What is gone already
// is no error.
func (c *Client) Remove(ctx context.Context, family string, owner ownership.Owner, had Before) error {
	return withCause(ctx, c.remove(ctx, family, owner, had))
}

func (c *Client) remove(ctx context.Context, family string, owner ownership.Owner, had Before) error {
	if had.Service != nil {
		if err := c.deleteService(ctx, had.Service, owner, had.Outcome.ECSServiceARN != nil); err != nil {
			return err
		}
	}
	c.run.removes(owner.ID)
	errs := []error{c.removeEvents(ctx, owner, had.Events), c.secrets.Remove(ctx, secrets.Claim{Owner: owner}, had.Secrets), c.removeRevisions(ctx, family, owner, had)}
	kept, err := decodeRoles(had.Outcome.Roles)
	errs = append(errs, err)
	for _, role := range kept {
		for _, arn := range role.Superseded {
			errs = append(errs, c.dropPolicy(ctx, role.Name, arn))
		}
		errs = append(errs, c.deleteRole(ctx, role.Name, owner))
	}
	return errors.Join(errs...)
}

func (c *Client) removeRevisions(ctx context.Context, family string, owner ownership.Owner, had Before) error {
	own, err := c.ownRevisions(ctx, family, owner, had)
	if err != nil {
		return err
	}
	if _, err := c.retire(ctx, family, own); err != nil {
		return err
	}
	c.deleteRevisions(ctx, family, own)
	return nil
}

func encodedRoles(views []RoleView) (*string, error) {
	text, err := encodeRoles(views)
	if err != nil {
		return nil, fmt.Errorf("record roles: %w", err)
	}
	return &text, nil
}
