package block

import (
	"context"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

func ecsServiceName(description string, validators ...validator.String) schema.StringAttribute {
	a := row.Text(description, validators...)
	a.Computed, a.PlanModifiers = true, []planmodifier.String{row.Like{At: path.MatchRoot("family"), As: func(family string) string { return family }}}
	return a
}

func desiredCount() schema.Int32Attribute {
	a := row.Number("Number of tasks. Left out: 1 at first, then whatever autoscaling or others make of it.", row.AtLeast(0))
	a.Computed, a.PlanModifiers = true, []planmodifier.Int32{leftToOthers{}}
	return a
}

// leftToOthers keeps the count that a state happens to say, where the configuration says none: nothing is done about it.
type leftToOthers struct{}

func (leftToOthers) Description(context.Context) string {
	return "left out, it is what others make of it"
}

func (l leftToOthers) MarkdownDescription(ctx context.Context) string { return l.Description(ctx) }

func (leftToOthers) PlanModifyInt32(_ context.Context, req planmodifier.Int32Request, resp *planmodifier.Int32Response) {
	if req.ConfigValue.IsNull() {
		resp.PlanValue = req.StateValue
	}
}

// WithCountOf is the service with the count that asked, from the configuration, asks for: the plan may say one that is left to others.
func (m *ECSService) WithCountOf(asked *ECSService) *ECSService {
	if m == nil || asked == nil {
		return m
	}
	counted := *m
	counted.DesiredCount = asked.DesiredCount
	return &counted
}

// SpellDefaults says what is left out and has a default. Only services on Fargate may say a platform version.
func (m *ECSService) SpellDefaults(onFargate bool) {
	for _, flag := range []**bool{&m.EnableExecuteCommand, &m.EnableECSManagedTags, &m.AssignPublicIP, &m.WaitForSteadyState, &m.IgnoreDesiredCount} {
		row.Spell(flag, false)
	}
	row.Spell(&m.SchedulingStrategy, string(ecstypes.SchedulingStrategyReplica))
	row.Spell(&m.DeploymentController, string(ecstypes.DeploymentControllerTypeEcs))
	m.Deployment.SpellDefaults(m.isDaemon())
	row.Spell(&m.HealthCheckGracePeriodSeconds, 0)
	if onFargate {
		row.Spell(&m.PlatformVersion, LatestPlatform)
	}
	for i := range m.CapacityProviderStrategy {
		row.Spell(&m.CapacityProviderStrategy[i].Base, 0)
		row.Spell(&m.CapacityProviderStrategy[i].Weight, 0)
	}
}
