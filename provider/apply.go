package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// before is what a resource had made before an apply. Its zero value is that of a new resource.
type before struct {
	outcome outcomeModel
	service *ecsServiceModel // with its name filled in
}

// apply makes AWS as the design wants it. It is the same for a new resource, a changed one and one whose first apply was
// interrupted: each step looks at what is there. out, which begins as the outcome before, tells how far the steps got.
func (c *client) apply(ctx context.Context, d design, had before, out *outcomeModel) error {
	d = d.withVersionOf(had.outcome)
	kept, err := decodeRoles(had.outcome.Roles)
	if err != nil {
		return err
	}
	if err := c.applyRoles(ctx, d, kept, out); err != nil {
		return err
	}
	if err := c.applyDefinition(ctx, d, had.outcome, out); err != nil {
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
	return c.retire(ctx, d.family, d.owner, value(out.ARN), d.keep)
}

// dropRoles deletes roles that are no longer wanted, once no task of the service uses them.
func (c *client) dropRoles(ctx context.Context, d design, names []string, out outcomeModel) error {
	if len(names) > 0 && d.service != nil {
		if err := c.awaitSteadyState(ctx, value(d.service.Cluster), value(d.service.Name), value(out.ARN)); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := c.deleteRole(ctx, name, d.owner); err != nil {
			return err
		}
	}
	return nil
}

// applyRoles makes the roles. The outcome lists each before it is made, together with those that are to go, so that whatever
// becomes of the rest, a destroy finds them.
func (c *client) applyRoles(ctx context.Context, d design, kept []roleView, out *outcomeModel) error {
	decided, err := d.decided()
	if err != nil {
		return err
	}
	out.TaskRoleARN, out.TaskRoleName = decided.TaskRoleARN, decided.TaskRoleName
	out.ExecutionRoleARN, out.ExecutionRoleName = decided.ExecutionRoleARN, decided.ExecutionRoleName
	listed := slices.Clone(kept)
	for _, want := range d.roles() {
		var had roleView
		at := slices.IndexFunc(listed, func(v roleView) bool { return v.Name == want.Name })
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
func (c *client) applyDefinition(ctx context.Context, d design, had outcomeModel, out *outcomeModel) error {
	decided, err := d.decided()
	if err != nil {
		return err
	}
	if had.ARN == nil {
		if had, err = c.abandoned(ctx, d, had); err != nil {
			return err
		}
	}
	if had.ARN != nil && value(had.ContentHash) == value(decided.ContentHash) {
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
func (c *client) abandoned(ctx context.Context, d design, had outcomeModel) (outcomeModel, error) {
	newest, err := c.latest(ctx, d.family)
	if err != nil || newest == nil || newest.tags[tagECSOwner] != d.owner {
		return had, err
	}
	content, err := canonical(newest.definition)
	if err != nil || content.hash() != d.canonical.hash() {
		return had, err
	}
	had.ARN, had.Revision = aws.String(newest.arn()), aws.Int64(int64(newest.definition.Revision))
	had.ContentHash, had.TagsAll = aws.String(content.hash()), newest.tags
	return had, nil
}

// applyService makes, changes, moves or removes the ECS service, and waits if asked to.
func (c *client) applyService(ctx context.Context, d design, had before, out *outcomeModel) error {
	want, was := d.service, had.service
	moved := was != nil && !want.sameService(was)
	if moved && (want == nil || want.sameName(was)) {
		if err := c.deleteService(ctx, value(was.Cluster), value(was.Name)); err != nil {
			return err
		}
		out.ECSServiceARN, out.ECSServiceRunning = nil, nil
	}
	if want == nil {
		return nil
	}
	arn, err := c.ensureService(ctx, want, value(out.ARN), d.tags(), was != nil && !moved)
	if arn != "" {
		out.ECSServiceARN, out.ECSServiceRunning = &arn, out.ARN
	}
	if err != nil {
		return err
	}
	if moved && !want.sameName(was) {
		if err := c.deleteService(ctx, value(was.Cluster), value(was.Name)); err != nil {
			return err
		}
	}
	if !value(want.WaitForSteadyState) {
		return nil
	}
	return c.awaitSteadyState(ctx, value(want.Cluster), value(want.Name), value(out.ARN))
}

// remove takes down whatever the resource made: the service with its tasks, the revisions, the roles. What is gone already
// is no error.
func (c *client) remove(ctx context.Context, family, owner string, had before) error {
	if s := had.service; s != nil {
		if err := c.deleteService(ctx, value(s.Cluster), value(s.Name)); err != nil {
			return err
		}
	}
	errs := []error{c.retire(ctx, family, owner, "", 0)}
	kept, err := decodeRoles(had.outcome.Roles)
	errs = append(errs, err)
	for _, role := range kept {
		errs = append(errs, c.deleteRole(ctx, role.Name, owner))
	}
	return errors.Join(errs...)
}

// obsoleteRoles are the names of the roles that the resource made and no longer wants.
func obsoleteRoles(kept, want []roleView) []string {
	var obsolete []string
	for _, v := range kept {
		if !slices.ContainsFunc(want, func(w roleView) bool { return w.Name == v.Name }) {
			obsolete = append(obsolete, v.Name)
		}
	}
	return obsolete
}

func encodedRoles(views []roleView) (*string, error) {
	text, err := encodeRoles(views)
	if err != nil {
		return nil, fmt.Errorf("record roles: %w", err)
	}
	return &text, nil
}
