package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// mayTake reports whether the resource may make something its own that bears an owner's ID, or "".
func (d Design) mayTake(id string) bool { return d.Adopt || d.Owner.Is(id) }

// mayTakeRevision is mayTake for a revision: those of a resource of the same name are adopted, to be retired; others stay theirs.
func (d Design) mayTakeRevision(tags map[string]string) bool {
	return d.Owner.Registered(tags) || d.Adopt && tags[ownership.TagECS] == d.Owner.Name
}

// Named says which names of a design are known. Its zero value is that none is.
type Named struct{ Family, TaskRole, ExecutionRole, Service bool }

// Clashes asks, before anything is made, for what has the names that the resource does not have yet. What may not be looked at is
// left to the apply. replaced is the ID of the resource that this one is to replace; what bears it, or that of a resource that
// Terraform has in its state and may replace for being tainted, will be gone.
func (c *Client) Clashes(ctx context.Context, d Design, had Before, named Named, replaced string) ([]ownership.Clash, error) {
	if d.Adopt {
		return nil, nil
	}
	var found []ownership.Clash
	note := func(what, id string, tags map[string]string) {
		if tags != nil && !d.Owner.Is(id) && (id == "" || id != replaced && !c.run.hasRead(id)) {
			found = append(found, ownership.Clash{What: what, Tags: tags})
		}
	}
	var errs []error
	for _, name := range d.newRoles(had, named) {
		tags, err := c.roleTags(ctx, name)
		note(whatRole(name), tags[ownership.TagRoleID], tags)
		errs = append(errs, err)
	}
	if named.Family && had.Outcome.ARN == nil {
		tags, err := c.familyTags(ctx, d.Family)
		if tags[ownership.TagECSID] != "" { // on top of what bears none, as CI's revisions do, the resource registers its own
			note("task definition "+d.Family, tags[ownership.TagECSID], tags)
		}
		errs = append(errs, err)
	}
	if named.Family {
		there, err := c.eventClashes(ctx, d.Events, had.Events)
		for _, clash := range there {
			note(clash.What, clash.Tags[ownership.TagECSID], clash.Tags)
		}
		errs = append(errs, err)
	}
	if named.Family {
		there, err := c.secretClashes(ctx, d.Secrets, had.Secrets)
		for _, clash := range there {
			note(clash.What, clash.Tags[ownership.TagECSID], clash.Tags)
		}
		errs = append(errs, err)
	}
	if named.Service && d.Service != nil && !d.Service.SameName(had.Service) {
		tags, err := c.serviceTags(ctx, d.Service)
		note(whatService(d.Service), tags[ownership.TagECSID], tags)
		errs = append(errs, err)
	}
	return found, errors.Join(errs...)
}

// whatRole and whatService name what may clash.
func whatRole(name string) string { return "role " + name }

func whatService(s *block.ECSService) string {
	return fmt.Sprintf("service %s of ECS cluster %s", row.Value(s.Name), block.EcsClusterName(row.Value(s.Cluster)))
}

// newRoles are the names of roles that are to be made.
func (d Design) newRoles(had Before, named Named) []string {
	kept, err := decodeRoles(had.Outcome.Roles)
	if err != nil {
		return nil // reported where the plan is made
	}
	var names []string
	for _, role := range d.roles() {
		known := role.Name == d.TaskRole.Name() && named.TaskRole || role.Name == d.ExecutionRole.Name() && named.ExecutionRole
		if known && !slices.ContainsFunc(kept, func(v RoleView) bool { return v.Name == role.Name }) {
			names = append(names, role.Name)
		}
	}
	return names
}

// roleTags, familyTags and serviceTags are the tags of what has the name; nil if there is nothing.
func (c *Client) roleTags(ctx context.Context, name string) (map[string]string, error) {
	if c.run.asksForAll() {
		names, err := c.run.roles(func() (map[string]bool, error) { return c.roleNames(context.WithoutCancel(ctx)) })
		if !awsapi.IsAccessDenied(err) && (err != nil || !names[strings.ToLower(name)]) {
			return nil, err
		}
	}
	role, err := c.getRole(ctx, name)
	if err != nil || role == nil {
		return nil, unlessDenied(err)
	}
	return role.Tags, nil
}

// roleNames are the names of all roles of the account, in lower case, as IAM tells them apart.
func (c *Client) roleNames(ctx context.Context) (map[string]bool, error) {
	names := map[string]bool{}
	pages := iam.NewListRolesPaginator(c.iam, &iam.ListRolesInput{MaxItems: aws.Int32(mostRolesList)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list roles: %w", err)
		}
		for _, role := range page.Roles {
			names[strings.ToLower(aws.ToString(role.RoleName))] = true
		}
	}
	return names, nil
}

func (c *Client) familyTags(ctx context.Context, family string) (map[string]string, error) {
	newest, err := c.active(ctx, &family)
	if err != nil || newest == nil {
		return nil, unlessDenied(err)
	}
	return newest.Tags, nil
}

func (c *Client) serviceTags(ctx context.Context, service *block.ECSService) (map[string]string, error) {
	found, err := c.findService(ctx, row.Value(service.Cluster), row.Value(service.Name))
	if err != nil || found == nil || aws.ToString(found.Status) == serviceDraining {
		return nil, unlessDenied(err)
	}
	return awsapi.TagMap(found.Tags), nil
}

func unlessDenied(err error) error {
	if awsapi.IsAccessDenied(err) {
		return nil
	}
	return err
}

// IsECSClusterActive reports whether ECS has the cluster, as far as it tells: one that may not be looked at is taken for active.
func (c *Client) IsECSClusterActive(ctx context.Context, nameOrARN string) (bool, error) {
	return c.run.isActive(nameOrARN, func() (bool, error) {
		found, err := c.describeECSCluster(ctx, nameOrARN)
		if err != nil {
			return awsapi.IsAccessDenied(err), unlessDenied(err)
		}
		return slices.ContainsFunc(found, func(cluster ecstypes.Cluster) bool { return aws.ToString(cluster.Status) == serviceActive }), nil
	})
}

// describeECSCluster is the ECS cluster as ECS shows it, which may be as inactive; none if it shows none.
func (c *Client) describeECSCluster(ctx context.Context, nameOrARN string) ([]ecstypes.Cluster, error) {
	described, err := c.ecs.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: []string{nameOrARN}})
	if err != nil {
		return nil, fmt.Errorf("describe ECS cluster %s: %w", nameOrARN, err)
	}
	return described.Clusters, nil
}

// PlannedTwice are the names that another resource of the same run is to have, too. One that is to be replaced is planned once with
// what it was and once without: the second time does not count.
func (c *Client) PlannedTwice(d Design, had Before, named Named) []string {
	var names []string
	if named.Family {
		names = append(names, "task definition "+d.Family)
	}
	for _, name := range d.newRoles(Before{}, named) {
		names = append(names, whatRole(strings.ToLower(name))) // IAM takes no account of case
	}
	if named.Service && d.Service != nil {
		names = append(names, whatService(d.Service))
	}
	return c.run.plan(names, had.Outcome.ID == nil)
}
