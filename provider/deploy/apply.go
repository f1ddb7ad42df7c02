package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Before is what a resource had made before an apply. Its zero value is that of a new resource.
type Before struct {
	Outcome Outcome
	Service *block.ECSService // with its name filled in
}

// apply makes AWS as the design wants it. It is the same for a new resource, a changed one and one whose first apply was
// interrupted: each step looks at what is there. out, which begins as the outcome before, tells how far the steps got.
func (c *Client) Apply(ctx context.Context, d Design, had Before, out *Outcome) error {
	d = d.withVersionOf(had.Outcome)
	kept, err := decodeRoles(had.Outcome.Roles)
	if err != nil {
		return err
	}
	if err := c.applyRoles(ctx, d, kept, out); err != nil {
		return err
	}
	if err := c.applyDefinition(ctx, d, had.Outcome, out); err != nil {
		return err
	}
	if err := c.applyService(ctx, d, had, out); err != nil {
		return err
	}
	if err := c.dropRoles(ctx, d, obsoleteRoles(kept, d.roles()), *out); err != nil {
		return err
	}
	if out.Roles, err = encodedRoles(d.roles()); err != nil {
		return err
	}
	return c.retire(ctx, d.Family, d.Owner, row.Value(out.ARN), d.Keep)
}

// dropRoles deletes roles that are no longer wanted, once no task of the service uses them.
func (c *Client) dropRoles(ctx context.Context, d Design, names []string, out Outcome) error {
	if len(names) > 0 && d.Service != nil {
		if err := c.awaitSteadyState(ctx, row.Value(d.Service.Cluster), row.Value(d.Service.Name), row.Value(out.ARN)); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := c.deleteRole(ctx, name, d.Owner); err != nil {
			return err
		}
	}
	return nil
}

// applyRoles makes the roles. The outcome lists each before it is made, together with those that are to go, so that whatever
// becomes of the rest, a destroy finds them.
func (c *Client) applyRoles(ctx context.Context, d Design, kept []RoleView, out *Outcome) error {
	decided, err := d.Decided()
	if err != nil {
		return err
	}
	out.TaskRoleARN, out.TaskRoleName = decided.TaskRoleARN, decided.TaskRoleName
	out.ExecutionRoleARN, out.ExecutionRoleName = decided.ExecutionRoleARN, decided.ExecutionRoleName
	listed := slices.Clone(kept)
	for _, want := range d.roles() {
		var had RoleView
		at := slices.IndexFunc(listed, func(v RoleView) bool { return v.Name == want.Name })
		if at >= 0 {
			had = listed[at]
		}
		found, err := c.ownRole(ctx, want, had)
		if err != nil {
			return err
		}
		if at < 0 {
			listed = append(listed, want)
			if out.Roles, err = encodedRoles(listed); err != nil {
				return err
			}
		}
		if err := c.ensureRole(ctx, want, had, found); err != nil {
			return err
		}
	}
	return nil
}

// applyDefinition registers a revision if the content changed; tags alone are changed in place.
func (c *Client) applyDefinition(ctx context.Context, d Design, had Outcome, out *Outcome) error {
	decided, err := d.Decided()
	if err != nil {
		return err
	}
	if had.ARN == nil {
		if had, err = c.abandoned(ctx, d, had); err != nil {
			return err
		}
	}
	if had.ARN != nil && row.Value(had.ContentHash) == row.Value(decided.ContentHash) {
		if err := c.tagResource(ctx, *had.ARN, decided.TagsAll, had.TagsAll); err != nil {
			return err
		}
		out.ARN, out.Revision = had.ARN, had.Revision
	} else {
		registered, err := c.register(ctx, d.definition)
		if err != nil {
			return err
		}
		out.ARN, out.Revision = registered.TaskDefinitionArn, aws.Int64(int64(registered.Revision))
	}
	out.AgentConfig, out.Definition, out.Containers = decided.AgentConfig, decided.Definition, decided.Containers
	out.ContentHash, out.TagsAll = decided.ContentHash, decided.TagsAll
	return nil
}

// abandoned finds the revision that an apply registered and could not report. It is taken on instead of registering it again.
func (c *Client) abandoned(ctx context.Context, d Design, had Outcome) (Outcome, error) {
	newest, err := c.latest(ctx, d.Family)
	if err != nil || newest == nil || newest.Tags[tagECSOwner] != d.Owner {
		return had, err
	}
	content, err := canonical(newest.Definition)
	if err != nil || content.hash() != d.canonical.hash() {
		return had, err
	}
	had.ARN, had.Revision = aws.String(newest.arn()), aws.Int64(int64(newest.Definition.Revision))
	had.ContentHash, had.TagsAll = aws.String(content.hash()), newest.Tags
	return had, nil
}

// applyService makes, changes, moves or removes the ECS service, and waits if asked to.
func (c *Client) applyService(ctx context.Context, d Design, had Before, out *Outcome) error {
	want, was := d.Service, had.Service
	moved := was != nil && !want.SameService(was)
	if moved && (want == nil || want.SameName(was)) {
		if err := c.deleteService(ctx, row.Value(was.Cluster), row.Value(was.Name)); err != nil {
			return err
		}
		out.ECSServiceARN, out.ECSServiceRunning = nil, nil
	}
	if want == nil {
		return nil
	}
	arn, err := c.ensureService(ctx, want, row.Value(out.ARN), d.tags(), was != nil && !moved)
	if arn != "" {
		out.ECSServiceARN, out.ECSServiceRunning = &arn, out.ARN
	}
	if err != nil {
		return err
	}
	if moved && !want.SameName(was) {
		if err := c.deleteService(ctx, row.Value(was.Cluster), row.Value(was.Name)); err != nil {
			return err
		}
	}
	if !row.Value(want.WaitForSteadyState) {
		return nil
	}
	return c.awaitSteadyState(ctx, row.Value(want.Cluster), row.Value(want.Name), row.Value(out.ARN))
}

// remove takes down whatever the resource made: the service with its tasks, the revisions, the roles. What is gone already
// is no error.
func (c *Client) Remove(ctx context.Context, family, owner string, had Before) error {
	if s := had.Service; s != nil {
		if err := c.deleteService(ctx, row.Value(s.Cluster), row.Value(s.Name)); err != nil {
			return err
		}
	}
	errs := []error{c.retire(ctx, family, owner, "", 0)}
	kept, err := decodeRoles(had.Outcome.Roles)
	errs = append(errs, err)
	for _, role := range kept {
		errs = append(errs, c.deleteRole(ctx, role.Name, owner))
	}
	return errors.Join(errs...)
}

// obsoleteRoles are the names of the roles that the resource made and no longer wants.
func obsoleteRoles(kept, want []RoleView) []string {
	var obsolete []string
	for _, v := range kept {
		if !slices.ContainsFunc(want, func(w RoleView) bool { return w.Name == v.Name }) {
			obsolete = append(obsolete, v.Name)
		}
	}
	return obsolete
}

func encodedRoles(views []RoleView) (*string, error) {
	text, err := encodeRoles(views)
	if err != nil {
		return nil, fmt.Errorf("record roles: %w", err)
	}
	return &text, nil
}
