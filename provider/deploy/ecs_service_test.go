package deploy

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// A service whose capacity providers are no longer asked for gets those of its ECS cluster, in a new deployment; what it has
// without ever having asked is left to others.
func TestCapacityProvidersGoBackToTheClusters(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	spot := []ecstypes.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE_SPOT"), Weight: 1}}
	standard := []ecstypes.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE"), Base: 1, Weight: 2}}
	for name, test := range map[string]struct {
		byDefault, want []ecstypes.CapacityProviderStrategyItem
		asked           bool // before
	}{
		"providers-default": {standard, standard, true},
		"providers-none":    {nil, []ecstypes.CapacityProviderStrategyItem{}, true},
		"providers-same":    {spot, spot, true},
		"providers-others":  {standard, spot, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := c.sure.ecs.CreateCluster(t.Context(), &ecs.CreateClusterInput{
				ClusterName: &name, CapacityProviders: []string{"FARGATE", "FARGATE_SPOT"}, DefaultCapacityProviderStrategy: test.byDefault,
			}); err != nil {
				t.Fatal(err)
			}
			d := wanted(t, name, "web:1")
			d.Service.Cluster, d.Service.LaunchType = &name, nil
			before := *d.Service
			if test.asked {
				before.CapacityProviderStrategy = []block.CapacityProvider{{CapacityProvider: aws.String("FARGATE_SPOT"), Weight: aws.Int32(1)}}
			}
			first := d
			first.Service = &before
			out := &Progress{}
			if err := c.Create(t.Context(), first, out); err != nil {
				t.Fatal(err)
			}
			// The emulator forgets what a create says of them.
			updated, err := c.sure.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: &name, Service: &name, CapacityProviderStrategy: spot})
			if err != nil {
				t.Fatal(err)
			}
			had := out.was(first)
			if err := c.Apply(t.Context(), d, had, had.Begin()); err != nil {
				t.Fatal(err)
			}
			found, err := c.sure.findService(t.Context(), name, name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, found.CapacityProviderStrategy, cmpopts.IgnoreUnexported(ecstypes.CapacityProviderStrategyItem{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
			deployed := row.Value(found.Deployments[0].Id) != row.Value(updated.Service.Deployments[0].Id)
			if changed := !sameProviders(test.want, spot); deployed != changed {
				t.Errorf("deployed anew: %v", deployed)
			}
		})
	}
}
