package deploy

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

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
