package deploy

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/canonical"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Look reads what is there of a resource into its outcome and returns the ECS service, nil if there is none. exists is false when
// nothing is left of the resource. What another resource has adopted does not show, and counts as left: the plan tells of it.
func (c *Client) Look(ctx context.Context, family string, owner ownership.Owner, out *Outcome, service *block.ECSService) (seen *block.Seen, exists bool, err error) {
	defer func() { err = withCause(ctx, err) }()
	if service != nil {
		c.services.expect(ctx, row.Value(service.Cluster), row.Value(service.Name))
	}
	c.run.reads(owner.ID)
	definition, err := c.lookAtDefinition(ctx, family, owner, out)
	if err != nil {
		return nil, false, err
	}
	roles, err := c.lookAtRoles(ctx, owner, out)
	if err != nil {
		return nil, false, err
	}
	var found *ecstypes.Service
	if service != nil {
		if found, err = c.serviceFinder(out.ECSServiceARN != nil)(ctx, row.Value(service.Cluster), row.Value(service.Name)); err != nil {
			return nil, false, err
		}
	}
	exists = definition || roles || found != nil
	if found != nil && owner.IsNot(awsapi.TagMap(found.Tags)[ownership.TagECSID]) {
		found = nil
	}
	out.ECSServiceARN, out.ECSServiceRunning = nil, nil
	if found != nil {
		out.ECSServiceARN, out.ECSServiceRunning = found.ServiceArn, found.TaskDefinition
		out.TagsAll = tagsOfBoth(out.TagsAll, awsapi.TagMap(found.Tags))
		seen = &block.Seen{Service: *found}
		if service.HasUnshown() {
			seen.Revision, err = c.serviceRevision(ctx, *found)
		}
	}
	return seen, exists, err
}

// Owned is what there is of an owner whose ID follows from a name, so that no state has to remember it. former is a design that it may
// have been made by: it tells what of a role the owner keeps.
func (c *Client) Owned(ctx context.Context, want, former Design) (had Before, err error) {
	defer func() { err = withCause(ctx, err) }()
	had = Before{Outcome: Outcome{OwnerID: &want.Owner.ID}, Revisions: NoRevisions()}
	var kept []RoleView
	for _, d := range []Design{former, want} {
		if d.IsFinished() {
			kept = append(kept, d.roles()...)
		}
	}
	arns, err := c.activeRevisions(ctx, want.Family)
	if err != nil {
		return had, err
	}
	for _, arn := range arns {
		found, err := c.DescribeRevision(ctx, arn)
		if awsapi.IsClientException(err) { // gone in the meantime
			continue
		}
		if err != nil {
			return had, err
		}
		if want.Owner.Registered(found.Tags) {
			had.Revisions = had.Revisions.with(int64(found.Definition.Revision))
			for _, role := range []*string{found.Definition.TaskRoleArn, found.Definition.ExecutionRoleArn} {
				kept = append(kept, RoleView{Name: RoleDesign{Given: aws.ToString(role)}.Name()})
			}
		}
	}
	if had.Outcome.Roles, err = c.ownedRoles(ctx, want.Owner, kept); err != nil {
		return had, err
	}
	if had.Events, err = c.ownedEvents(ctx, want); err != nil {
		return had, err
	}
	found, _, err := c.Look(ctx, want.Family, want.Owner, &had.Outcome, want.Service)
	if err != nil || found == nil {
		return had, err
	}
	had.Service = &block.ECSService{Cluster: want.Service.Cluster, Name: want.Service.Name}
	row.FromSpec(&had.Service.CapacityProviderStrategy, found.CapacityProviderStrategy)
	if want.Service.LaunchType != nil {
		had.Service.LaunchType = aws.String(string(found.LaunchType))
	}
	return had, nil
}

// ownedRoles are those of the roles that there are and that bear the owner's ID, each once.
func (c *Client) ownedRoles(ctx context.Context, owner ownership.Owner, kept []RoleView) (*string, error) {
	var own []RoleView
	for _, role := range kept {
		if role.Name == "" || slices.ContainsFunc(own, func(v RoleView) bool { return v.Name == role.Name }) {
			continue
		}
		found, err := c.getRole(ctx, role.Name)
		if err != nil {
			return nil, err
		}
		if found != nil && owner.Is(found.Tags[ownership.TagRoleID]) {
			own = append(own, role.shownTo(owner))
		}
	}
	return encodedRoles(own)
}

// lookAtDefinition takes over the newest ACTIVE revision, whoever registered it but another resource of the provider: what differs
// from the design shows in the plan, and the next apply registers a newer one.
func (c *Client) lookAtDefinition(ctx context.Context, family string, owner ownership.Owner, out *Outcome) (exists bool, err error) {
	newest, err := c.latest(ctx, family)
	exists = newest != nil
	if err == nil && newest != nil && owner.IsNot(newest.Tags[ownership.TagECSID]) {
		newest, err = c.active(ctx, out.ARN)
	}
	if err != nil {
		return false, err
	}
	if newest == nil {
		out.ARN, out.Revision, out.AgentConfig, out.Definition, out.Containers, out.ContentHash = nil, nil, nil, nil, nil, nil
		return exists, nil
	}
	content, err := canonical.Of(newest.Definition)
	if err != nil {
		return false, err
	}
	shown, err := content.ShownTo(owner.Name)
	if err != nil {
		return false, err
	}
	out.ARN, out.Revision = newest.Definition.TaskDefinitionArn, aws.Int64(int64(newest.Definition.Revision))
	out.Definition, out.Containers, out.ContentHash = &shown.Frame, shown.Containers, &shown.Hash
	out.AgentConfig = aws.String(block.AgentConfig(newest.Definition.ContainerDefinitions))
	newest.Tags = ownership.WithoutID(newest.Tags)
	if out.TagsAll != nil { // tags that others added are theirs
		maps.DeleteFunc(newest.Tags, func(key, _ string) bool { _, ours := out.TagsAll[key]; return !ours })
	}
	out.TagsAll = newest.Tags
	return true, nil
}

// lookAtRoles reads the roles that the resource keeps, as far as it keeps them.
func (c *Client) lookAtRoles(ctx context.Context, owner ownership.Owner, out *Outcome) (exist bool, err error) {
	kept, err := decodeRoles(out.Roles)
	if err != nil {
		return false, err
	}
	var views []RoleView
	for _, role := range kept {
		found, err := c.seeRole(ctx, role)
		if err != nil {
			return false, err
		}
		exist = exist || found != nil
		if found != nil && !owner.IsNot(found.Tags[ownership.TagRoleID]) {
			views = append(views, found.within(role).shownTo(owner))
		}
	}
	out.Roles, err = encodedRoles(views)
	return exist, err
}
