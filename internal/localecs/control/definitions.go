package control

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/definition"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
)

const maxDeletedAtOnce = 10

// RegisterTaskDefinition checks a definition and keeps it as the next revision of its family.
func (c *Control) RegisterTaskDefinition(in *ecs.RegisterTaskDefinitionInput) (*ecs.RegisterTaskDefinitionOutput, error) {
	def, err := definition.Complete(in)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.state.Families[*def.Family]
	if !ok {
		f = &family{Revisions: map[int32]*revision{}}
		c.state.Families[*def.Family] = f
	}
	f.Last++
	def.Revision = f.Last
	def.TaskDefinitionArn = aws.String(c.cfg.Account.TaskDefinition(*def.Family, def.Revision))
	def.Status = ecstypes.TaskDefinitionStatusActive
	def.RegisteredAt = aws.Time(time.Now().UTC())
	def.RegisteredBy = aws.String(c.cfg.Account.Caller())
	f.Revisions[def.Revision] = &revision{Definition: *def, Tags: in.Tags}
	c.touch()
	return &ecs.RegisterTaskDefinitionOutput{TaskDefinition: def, Tags: in.Tags}, nil
}

// revision finds what ref names: a family's newest active revision, or one revision of any status. nil means none.
func (c *Control) revision(ref *string) *revision {
	name, number, ok := names.FamilyRevision(aws.ToString(ref))
	f := c.state.Families[name]
	if !ok || f == nil {
		return nil
	}
	if number != 0 {
		return f.Revisions[number]
	}
	for _, n := range slices.Backward(slices.Sorted(maps.Keys(f.Revisions))) {
		if r := f.Revisions[n]; r.Definition.Status == ecstypes.TaskDefinitionStatusActive {
			return r
		}
	}
	return nil
}

// runnable finds a definition to start tasks from.
func (c *Control) runnable(ref *string) (*revision, error) {
	r := c.revision(ref)
	if r == nil {
		return nil, clientError("TaskDefinition not found.")
	}
	if r.Definition.Status != ecstypes.TaskDefinitionStatusActive {
		return nil, badParameter("TaskDefinition is inactive")
	}
	return r, nil
}

// DescribeTaskDefinition describes a revision, active or not.
func (c *Control) DescribeTaskDefinition(in *ecs.DescribeTaskDefinitionInput) (*ecs.DescribeTaskDefinitionOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.revision(in.TaskDefinition)
	if r == nil {
		return nil, clientError("Unable to describe task definition.")
	}
	def := r.Definition
	out := &ecs.DescribeTaskDefinitionOutput{TaskDefinition: &def}
	if slices.Contains(in.Include, ecstypes.TaskDefinitionFieldTags) {
		out.Tags = orEmpty(r.Tags)
	}
	return out, nil
}

// DeregisterTaskDefinition makes a revision inactive. Tasks and services that use it go on.
func (c *Control) DeregisterTaskDefinition(in *ecs.DeregisterTaskDefinitionInput) (*ecs.DeregisterTaskDefinitionOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, number, ok := names.FamilyRevision(aws.ToString(in.TaskDefinition)); !ok || number == 0 {
		return nil, clientError("Invalid revision number. Number: %s", aws.ToString(in.TaskDefinition))
	}
	r := c.revision(in.TaskDefinition)
	if r == nil {
		return nil, clientError("The specified task definition does not exist.")
	}
	if r.Definition.Status == ecstypes.TaskDefinitionStatusActive {
		r.Definition.Status = ecstypes.TaskDefinitionStatusInactive
		r.Definition.DeregisteredAt = aws.Time(time.Now().UTC())
		c.touch()
	}
	def := r.Definition
	return &ecs.DeregisterTaskDefinitionOutput{TaskDefinition: &def}, nil
}

// DeleteTaskDefinitions marks inactive revisions for deletion; they vanish once nothing runs from them.
func (c *Control) DeleteTaskDefinitions(in *ecs.DeleteTaskDefinitionsInput) (*ecs.DeleteTaskDefinitionsOutput, error) {
	if len(in.TaskDefinitions) == 0 || len(in.TaskDefinitions) > maxDeletedAtOnce {
		return nil, badParameter("Specify between 1 and %d task definitions.", maxDeletedAtOnce)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out := &ecs.DeleteTaskDefinitionsOutput{TaskDefinitions: []ecstypes.TaskDefinition{}, Failures: []ecstypes.Failure{}}
	for _, ref := range in.TaskDefinitions {
		r, reason := c.revision(&ref), ""
		_, number, _ := names.FamilyRevision(ref)
		switch {
		case number == 0 || r == nil:
			reason = "The specified task definition identifier is invalid. Specify a valid name or ARN and try again."
		case r.Definition.Status == ecstypes.TaskDefinitionStatusActive:
			reason = "The specified task definition is still in ACTIVE status. Please deregister the target and try again."
		}
		if reason != "" {
			out.Failures = append(out.Failures, ecstypes.Failure{Arn: &ref, Reason: &reason})
			continue
		}
		r.Definition.Status = ecstypes.TaskDefinitionStatusDeleteInProgress
		r.Definition.DeleteRequestedAt = aws.Time(time.Now().UTC())
		out.TaskDefinitions = append(out.TaskDefinitions, r.Definition)
		c.touch()
	}
	return out, nil
}

// sweepDefinitions removes the deleted revisions that nothing uses any more. A family keeps its count, so that a
// number is never given twice.
func (c *Control) sweepDefinitions() {
	used := map[string]bool{}
	for _, t := range c.state.Tasks {
		used[*t.TaskDefinitionArn] = used[*t.TaskDefinitionArn] || !t.hasStopped()
	}
	for _, s := range c.state.Services {
		for _, r := range s.Rollouts {
			used[*r.TaskDefinition] = used[*r.TaskDefinition] || *s.Status != inactive
		}
	}
	for _, f := range c.state.Families {
		for n, r := range f.Revisions {
			if r.Definition.Status == ecstypes.TaskDefinitionStatusDeleteInProgress && !used[*r.Definition.TaskDefinitionArn] {
				delete(f.Revisions, n)
				c.dirty = true
			}
		}
	}
}

// ListTaskDefinitions lists the ARNs of revisions of a status, by family and revision.
func (c *Control) ListTaskDefinitions(in *ecs.ListTaskDefinitionsInput) (*ecs.ListTaskDefinitionsOutput, error) {
	status := cmp.Or(in.Status, ecstypes.TaskDefinitionStatusActive)
	if !slices.Contains(status.Values(), status) {
		return nil, clientError("Invalid status '%s'.", status)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var arns []string
	for _, name := range slices.Sorted(maps.Keys(c.state.Families)) {
		if in.FamilyPrefix != nil && *in.FamilyPrefix != name { // "prefix" is a misnomer: ECS wants the full name
			continue
		}
		f := c.state.Families[name]
		for _, n := range slices.Sorted(maps.Keys(f.Revisions)) {
			if f.Revisions[n].Definition.Status == status {
				arns = append(arns, *f.Revisions[n].Definition.TaskDefinitionArn)
			}
		}
	}
	if in.Sort == ecstypes.SortOrderDesc {
		slices.Reverse(arns)
	}
	list, next, err := page(arns, in.MaxResults, in.NextToken, maxPage)
	return &ecs.ListTaskDefinitionsOutput{TaskDefinitionArns: list, NextToken: next}, err
}

// ListTaskDefinitionFamilies lists families, by default those with and those without an active revision.
func (c *Control) ListTaskDefinitionFamilies(in *ecs.ListTaskDefinitionFamiliesInput) (*ecs.ListTaskDefinitionFamiliesOutput, error) {
	prefix := aws.ToString(in.FamilyPrefix)
	c.mu.Lock()
	defer c.mu.Unlock()
	var families []string
	for _, name := range slices.Sorted(maps.Keys(c.state.Families)) {
		if len(c.state.Families[name].Revisions) == 0 || len(name) < len(prefix) || name[:len(prefix)] != prefix {
			continue
		}
		isActive := c.revision(&name) != nil
		switch in.Status {
		case "", ecstypes.TaskDefinitionFamilyStatusAll:
		case ecstypes.TaskDefinitionFamilyStatusActive:
			if !isActive {
				continue
			}
		case ecstypes.TaskDefinitionFamilyStatusInactive:
			if isActive {
				continue
			}
		default:
			return nil, clientError("Invalid status '%s'.", in.Status)
		}
		families = append(families, name)
	}
	list, next, err := page(families, in.MaxResults, in.NextToken, maxPage)
	return &ecs.ListTaskDefinitionFamiliesOutput{Families: list, NextToken: next}, err
}
