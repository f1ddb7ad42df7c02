package deploy

import (
	"context"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// look reads what is there of a resource into its outcome and returns the ECS service, nil if there is none. exists is
// false when nothing is left of the resource.
func (c *Client) Look(ctx context.Context, family, owner string, out *Outcome, service *block.ECSService) (found *ecstypes.Service, exists bool, err error) {
	defer func() { err = withCause(ctx, err) }()
	if service != nil {
		c.services.expect(ctx, row.Value(service.Cluster), row.Value(service.Name))
	}
	definition, err := c.lookAtDefinition(ctx, family, owner, out)
	if err != nil {
		return nil, false, err
	}
	roles, err := c.lookAtRoles(ctx, out)
	if err != nil {
		return nil, false, err
	}
	if service != nil {
		if found, err = c.serviceFinder(out.ECSServiceARN != nil)(ctx, row.Value(service.Cluster), row.Value(service.Name)); err != nil {
			return nil, false, err
		}
	}
	out.ECSServiceARN, out.ECSServiceRunning = nil, nil
	if found != nil {
		out.ECSServiceARN, out.ECSServiceRunning = found.ServiceArn, found.TaskDefinition
	}
	return found, definition || roles || found != nil, nil
}

// lookAtDefinition takes over the newest ACTIVE revision, whoever registered it: what differs from the design shows in the
// plan, and the next apply registers a newer one.
func (c *Client) lookAtDefinition(ctx context.Context, family, owner string, out *Outcome) (exists bool, err error) {
	newest, err := c.latest(ctx, family)
	if err != nil {
		return false, err
	}
	if newest == nil {
		out.ARN, out.Revision, out.AgentConfig, out.Definition, out.Containers, out.ContentHash = nil, nil, nil, nil, nil, nil
		return false, nil
	}
	content, err := canonical(newest.Definition)
	if err != nil {
		return false, err
	}
	shown, err := content.shownTo(owner)
	if err != nil {
		return false, err
	}
	out.ARN, out.Revision = newest.Definition.TaskDefinitionArn, aws.Int64(int64(newest.Definition.Revision))
	out.Definition, out.Containers, out.ContentHash = &shown.frame, shown.containers, &shown.hash
	out.AgentConfig = aws.String(block.AgentConfig(newest.Definition.ContainerDefinitions))
	if out.TagsAll != nil { // tags that others added are theirs
		maps.DeleteFunc(newest.Tags, func(key, _ string) bool { _, ours := out.TagsAll[key]; return !ours })
	}
	out.TagsAll = newest.Tags
	return true, nil
}

// lookAtRoles reads the roles that the resource keeps, as far as it keeps them.
func (c *Client) lookAtRoles(ctx context.Context, out *Outcome) (exist bool, err error) {
	kept, err := decodeRoles(out.Roles)
	if err != nil {
		return false, err
	}
	var views []RoleView
	for _, role := range kept {
		found, err := c.readKeptRole(ctx, role.Name, role)
		if err != nil {
			return false, err
		}
		if found != nil {
			views = append(views, found.within(role))
		}
	}
	out.Roles, err = encodedRoles(views)
	return len(views) > 0, err
}
