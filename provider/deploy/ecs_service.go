package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/lag"
	"github.com/consulecs/terraform-provider-consulecs/provider/ownership"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Statuses of an ECS service, which the SDK has no names for.
const (
	serviceActive   = "ACTIVE"
	serviceDraining = "DRAINING"
	serviceInactive = "INACTIVE"
)

// ensureService makes the ECS service so and returns its ARN, also with an error if there is one. known says that the resource
// made it before; one that is not known is taken on only if it bears the owner's ID, or is to be adopted.
func (c *Client) ensureService(ctx context.Context, d Design, definitionARN string, had Before, known bool) (string, error) {
	want, tags, name := d.Service, d.tags(), row.Value(d.Service.Name)
	found, err := c.serviceFinder(known)(ctx, row.Value(want.Cluster), name)
	if err != nil {
		return "", err
	}
	if found != nil && aws.ToString(found.Status) == serviceDraining {
		if err := c.awaitServiceGone(ctx, row.Value(want.Cluster), name); err != nil {
			return "", err
		}
		found = nil
	}
	if found == nil {
		arn, err := c.createService(ctx, want.CreateInput(definitionARN, tags))
		if !awsapi.IsTaken(err) {
			return arn, err
		}
		// By others, or by a call of ours whose answer was lost.
		if found, err = c.findKnownService(ctx, row.Value(want.Cluster), name); err != nil || found == nil {
			return "", errors.Join(fmt.Errorf("create service %s: its name is taken", name), err)
		}
		known = false
	}
	if is := awsapi.TagMap(found.Tags); !known && !d.mayTake(is[ownership.TagECSID]) {
		return "", ownership.Taken(ownership.Clash{What: whatService(want), Tags: is})
	}
	return aws.ToString(found.ServiceArn), c.updateService(ctx, want, had, *found, definitionARN, tags)
}

func (c *Client) createService(ctx context.Context, input *ecs.CreateServiceInput) (string, error) {
	var created *ecs.CreateServiceOutput
	err := lag.Through(ctx, func() error {
		var err error
		created, err = c.ecs.CreateService(ctx, input)
		return err
	}, roleRefused, unattached)
	if err != nil {
		return "", fmt.Errorf("create service %s: %w", aws.ToString(input.ServiceName), err)
	}
	tflog.Info(ctx, "ecs service created", map[string]any{"arn": aws.ToString(created.Service.ServiceArn)})
	return aws.ToString(created.Service.ServiceArn), nil
}

func (c *Client) updateService(ctx context.Context, want *block.ECSService, had Before, found ecstypes.Service, definitionARN string, tags map[string]string) error {
	input := want.UpdateInput(definitionARN)
	want.ResetInput(input, found, had.Service)
	if dropsProviders(want, had.Service) {
		var err error
		if input.CapacityProviderStrategy, err = c.defaultProviders(ctx, row.Value(want.Cluster)); err != nil {
			return err
		}
	}
	input.ForceNewDeployment = !sameProviders(input.CapacityProviderStrategy, found.CapacityProviderStrategy) || // ECS wants it so
		want.Redeploys(had.Service)
	if err := lag.Through(ctx, func() error { _, err := c.ecs.UpdateService(ctx, input); return err }, roleRefused, unattached); err != nil {
		return fmt.Errorf("update service %s: %w", row.Value(want.Name), err)
	}
	tflog.Info(ctx, "ecs service updated", map[string]any{"arn": aws.ToString(found.ServiceArn)})
	return c.tagResource(ctx, aws.ToString(found.ServiceArn), tags, ownTags(awsapi.TagMap(found.Tags), tags, had.Outcome.TagsAll))
}

// deleteService scales the service down, deletes it and waits until its tasks have stopped: a role or a definition that they
// still use must not go before them. known says that the service was there. One that bears another owner's
// ID is left alone, and one that is not known to be the resource's if it bears none.
func (c *Client) deleteService(ctx context.Context, s *block.ECSService, owner ownership.Owner, known bool) error {
	ecsCluster, name := row.Value(s.Cluster), row.Value(s.Name)
	found, err := c.serviceFinder(known)(ctx, ecsCluster, name)
	if err != nil || found == nil {
		return err
	}
	if id := awsapi.TagMap(found.Tags)[ownership.TagECSID]; owner.IsNot(id) || !known && !owner.Is(id) {
		return nil
	}
	tasks, err := c.serviceTasks(ctx, ecsCluster, name)
	if err != nil {
		return err
	}
	if aws.ToString(found.Status) == serviceActive {
		if err := c.scaleDown(ctx, *found); err != nil {
			return err
		}
		if _, err := c.ecs.DeleteService(ctx, &ecs.DeleteServiceInput{Cluster: &ecsCluster, Service: &name, Force: aws.Bool(true)}); err != nil && !awsapi.IsNotFound(err) {
			return fmt.Errorf("delete service %s: %w", name, err)
		}
		tflog.Info(ctx, "ecs service deleted", map[string]any{"arn": aws.ToString(found.ServiceArn)})
	}
	if err := c.awaitServiceGone(ctx, ecsCluster, name); err != nil {
		return err
	}
	return c.awaitTasksStopped(ctx, ecsCluster, tasks)
}

// scaleDown has the tasks of a service stop. Those of a daemon have no count: they stop when the service is deleted.
func (c *Client) scaleDown(ctx context.Context, s ecstypes.Service) error {
	if s.SchedulingStrategy == ecstypes.SchedulingStrategyDaemon {
		return nil
	}
	_, err := c.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: s.ClusterArn, Service: s.ServiceName, DesiredCount: aws.Int32(0)})
	if err != nil && !awsapi.IsNotFound(err) {
		return fmt.Errorf("scale service %s down: %w", aws.ToString(s.ServiceName), err)
	}
	return nil
}

// serviceTasks are the ARNs of the service's tasks that are to run.
func (c *Client) serviceTasks(ctx context.Context, ecsCluster, name string) ([]string, error) {
	var arns []string
	pages := ecs.NewListTasksPaginator(c.ecs, &ecs.ListTasksInput{Cluster: &ecsCluster, ServiceName: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if awsapi.IsNotFound(err) {
			return arns, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list tasks of service %s: %w", name, err)
		}
		arns = append(arns, page.TaskArns...)
	}
	return arns, nil
}

// tagsOfBoth are the tags that the definition and the ECS service, which bears the same, have in common: what the service lacks is
// left out, and of what it has otherwise, its value counts. So whatever was changed of the one or the other shows in a plan. The
// version of the provider that made them is kept from one apply to the next, hence a wrong one is left out.
func tagsOfBoth(definition, service map[string]string) map[string]string {
	both := maps.Clone(definition)
	maps.DeleteFunc(both, func(key, value string) bool {
		has, ok := service[key]
		return !ok || key == mesh.TaskTagModuleVersion && has != value
	})
	for key := range both {
		both[key] = service[key]
	}
	return both
}

// ownTags are those of a service's tags that the resource wants or once set. The others are others'.
func ownTags(service, want, had map[string]string) map[string]string {
	own := maps.Clone(service)
	maps.DeleteFunc(own, func(key, _ string) bool {
		_, wanted := want[key]
		_, set := had[key]
		return !wanted && !set
	})
	return own
}

// defaultProviders are the capacity providers that a service of the ECS cluster gets which asks for none. UpdateService has no word
// for them: where the list is left out it keeps what there is, and an empty one means the launch type instead, which is what a
// service gets whose cluster has no default.
func (c *Client) defaultProviders(ctx context.Context, ecsCluster string) ([]ecstypes.CapacityProviderStrategyItem, error) {
	described, err := c.describeECSCluster(ctx, ecsCluster)
	if err != nil {
		return nil, err
	}
	items := []ecstypes.CapacityProviderStrategyItem{}
	for _, found := range described {
		items = append(items, found.DefaultCapacityProviderStrategy...)
	}
	return items, nil
}

// dropsProviders reports whether the user no longer asks for the capacity providers that the service was made with.
func dropsProviders(want, had *block.ECSService) bool {
	return had != nil && len(had.CapacityProviderStrategy) > 0 && len(want.CapacityProviderStrategy) == 0
}

// sameProviders reports whether an update changes no capacity providers; nil keeps what there is.
func sameProviders(asked, is []ecstypes.CapacityProviderStrategyItem) bool {
	return asked == nil || slices.EqualFunc(asked, is, func(a, b ecstypes.CapacityProviderStrategyItem) bool {
		return row.Value(a.CapacityProvider) == aws.ToString(b.CapacityProvider) && a.Base == b.Base && a.Weight == b.Weight
	})
}
