package block

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/provider/attachment"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

func (m *ECSService) CreateInput(definitionARN string, tags map[string]string) *ecs.CreateServiceInput {
	u := m.wanted(definitionARN)
	input := &ecs.CreateServiceInput{
		ServiceName: u.Service, Cluster: u.Cluster, TaskDefinition: u.TaskDefinition, DesiredCount: m.DesiredCount,
		AvailabilityZoneRebalancing: u.AvailabilityZoneRebalancing, CapacityProviderStrategy: u.CapacityProviderStrategy,
		DeploymentConfiguration: u.DeploymentConfiguration, EnableECSManagedTags: row.Value(m.EnableECSManagedTags),
		EnableExecuteCommand: row.Value(m.EnableExecuteCommand), HealthCheckGracePeriodSeconds: u.HealthCheckGracePeriodSeconds,
		GatewayConnectors: u.GatewayConnectors, LoadBalancers: u.LoadBalancers, Monitoring: u.Monitoring, NetworkConfiguration: u.NetworkConfiguration,
		PlacementConstraints: u.PlacementConstraints, PlacementStrategy: u.PlacementStrategy, PlatformVersion: u.PlatformVersion, PropagateTags: u.PropagateTags,
		ServiceRegistries: u.ServiceRegistries, VolumeConfigurations: u.VolumeConfigurations, VpcLatticeConfigurations: u.VpcLatticeConfigurations,
		LaunchType: ecstypes.LaunchType(row.Value(m.LaunchType)), Tags: awsapi.TagList(tags),
	}
	if m.isDaemon() {
		input.SchedulingStrategy = ecstypes.SchedulingStrategyDaemon
	} else if input.DesiredCount == nil {
		input.DesiredCount = aws.Int32(1)
	}
	if m.ByCodeDeploy() {
		input.DeploymentController = &ecstypes.DeploymentController{Type: ecstypes.DeploymentControllerTypeCodeDeploy}
	}
	return input
}

// UpdateInput leaves the desired count alone where the user leaves it to others, and what CodeDeploy brings to the tasks, which ECS
// refuses to change. What an update cannot say without a look at the service is set by ResetInput, and the capacity providers, for
// which one has to look at the ECS cluster, by who looks there.
func (m *ECSService) UpdateInput(definitionARN string) *ecs.UpdateServiceInput {
	input := m.wanted(definitionARN)
	if row.Value(m.IgnoreDesiredCount) {
		input.DesiredCount = nil
	}
	if !m.ByCodeDeploy() {
		return input
	}
	return &ecs.UpdateServiceInput{
		Service: input.Service, Cluster: input.Cluster, DesiredCount: input.DesiredCount, DeploymentConfiguration: input.DeploymentConfiguration,
		HealthCheckGracePeriodSeconds: input.HealthCheckGracePeriodSeconds, EnableECSManagedTags: input.EnableECSManagedTags, EnableExecuteCommand: input.EnableExecuteCommand,
		PlacementConstraints: input.PlacementConstraints, PlacementStrategy: input.PlacementStrategy, PropagateTags: input.PropagateTags,
		AvailabilityZoneRebalancing: input.AvailabilityZoneRebalancing,
	}
}

// wanted is all that the user asks for. What he no longer sets goes back to ECS's default, which for lists takes an empty one. Lists
// that are new in ECS are said only where they are asked for: whoever has none needs neither an ECS that knows them nor their rights.
func (m *ECSService) wanted(definitionARN string) *ecs.UpdateServiceInput {
	input := &ecs.UpdateServiceInput{
		Service: m.Name, Cluster: m.Cluster, TaskDefinition: &definitionARN, DesiredCount: m.DesiredCount,
		EnableECSManagedTags: aws.Bool(row.Value(m.EnableECSManagedTags)), EnableExecuteCommand: aws.Bool(row.Value(m.EnableExecuteCommand)),
		HealthCheckGracePeriodSeconds: nonzero(m.HealthCheckGracePeriodSeconds), PlatformVersion: m.PlatformVersion, PropagateTags: Propagated,
		AvailabilityZoneRebalancing: ecstypes.AvailabilityZoneRebalancing(row.Value(m.AvailabilityZoneRebalancing)),
		NetworkConfiguration:        &ecstypes.NetworkConfiguration{AwsvpcConfiguration: m.Awsvpc()},
		LoadBalancers:               []ecstypes.LoadBalancer{}, PlacementConstraints: []ecstypes.PlacementConstraint{}, PlacementStrategy: []ecstypes.PlacementStrategy{},
		DeploymentConfiguration: m.Deployment.Configuration(m.isDaemon()), VolumeConfigurations: attachment.VolumeConfigurations(m.VolumeConfigurations),
	}
	row.ToSpec(&input.CapacityProviderStrategy, m.CapacityProviderStrategy)
	row.ToSpec(&input.GatewayConnectors, m.GatewayConnectors)
	row.ToSpec(&input.LoadBalancers, m.LoadBalancers)
	row.ToSpec(&input.Monitoring, m.Monitoring)
	row.ToSpec(&input.PlacementConstraints, m.PlacementConstraints)
	row.ToSpec(&input.PlacementStrategy, m.PlacementStrategy)
	row.ToSpec(&input.ServiceRegistries, m.ServiceRegistries)
	row.ToSpec(&input.VpcLatticeConfigurations, m.VpcLatticeConfigurations)
	return input
}

// ResetInput sets what ECS would keep, as the update does not say it, though the user no longer asks for it. It is not said
// otherwise: a grace period is refused where nothing checks the health, a platform version where it is not Fargate's. had is what the
// resource asked for before, nil if nobody knows: ECS does not show all that it keeps.
func (m *ECSService) ResetInput(input *ecs.UpdateServiceInput, is ecstypes.Service, had *ECSService) {
	was := row.Value(had)
	if row.Value(m.HealthCheckGracePeriodSeconds) == 0 && aws.ToInt32(is.HealthCheckGracePeriodSeconds) != 0 {
		input.HealthCheckGracePeriodSeconds = aws.Int32(0)
	}
	m.Deployment.Reset(input.DeploymentConfiguration, is.DeploymentConfiguration, was.Deployment)
	if m.AvailabilityZoneRebalancing == nil && was.AvailabilityZoneRebalancing != nil {
		input.AvailabilityZoneRebalancing = ecstypes.AvailabilityZoneRebalancingDisabled
		if m.cannotRebalance() == nil {
			input.AvailabilityZoneRebalancing = ecstypes.AvailabilityZoneRebalancingEnabled
		}
	}
	if want, now := m.ByCodeDeploy(), is.DeploymentController; now != nil && want != (now.Type == ecstypes.DeploymentControllerTypeCodeDeploy) {
		input.DeploymentController = &ecstypes.DeploymentController{Type: ecstypes.DeploymentControllerType(row.Value(m.DeploymentController))}
		if !want {
			input.DeploymentController.Type = ecstypes.DeploymentControllerTypeEcs
		}
	}
	if !m.ByCodeDeploy() {
		m.resetTasks(input, is, was)
	}
}

// resetTasks is the part that CodeDeploy has the say of otherwise.
func (m *ECSService) resetTasks(input *ecs.UpdateServiceInput, is ecstypes.Service, was ECSService) {
	if version := aws.ToString(is.PlatformVersion); m.PlatformVersion == nil && version != "" && version != LatestPlatform {
		input.PlatformVersion = aws.String(LatestPlatform)
	}
	if len(m.ServiceRegistries) == 0 && len(is.ServiceRegistries) > 0 {
		input.ServiceRegistries = []ecstypes.ServiceRegistry{}
	}
	if len(m.GatewayConnectors) == 0 && len(was.GatewayConnectors) > 0 {
		input.GatewayConnectors = []ecstypes.GatewayConnector{}
	}
	if m.Monitoring == nil && was.Monitoring != nil {
		input.Monitoring = attachment.DefaultMonitoring()
	}
	d := newest(is)
	if d == nil {
		return
	}
	if len(m.VolumeConfigurations) == 0 && len(d.VolumeConfigurations) > 0 {
		input.VolumeConfigurations = []ecstypes.ServiceVolumeConfiguration{}
	}
	if len(m.VpcLatticeConfigurations) == 0 && len(d.VpcLatticeConfigurations) > 0 {
		input.VpcLatticeConfigurations = []ecstypes.VpcLatticeConfiguration{}
	}
	if connected(d) {
		input.ServiceConnectConfiguration = &ecstypes.ServiceConnectConfiguration{}
	}
}

// Redeploys reports whether a trigger asks for a new deployment; of had nothing is known if it is nil.
func (m *ECSService) Redeploys(had *ECSService) bool {
	return had != nil && !m.ByCodeDeploy() && !maps.Equal(m.Triggers, had.Triggers)
}

// nonzero leaves a 0 unsaid.
func nonzero(n *int32) *int32 {
	if row.Value(n) == 0 {
		return nil
	}
	return n
}

// Awsvpc is the network as ECS has it.
func (m Network) Awsvpc() *ecstypes.AwsVpcConfiguration {
	v := &ecstypes.AwsVpcConfiguration{Subnets: slices.Clone(m.Subnets), SecurityGroups: slices.Clone(m.SecurityGroups), AssignPublicIp: ecstypes.AssignPublicIpDisabled}
	if row.Value(m.AssignPublicIP) {
		v.AssignPublicIp = ecstypes.AssignPublicIpEnabled
	}
	return v
}

// zoneAttribute is ECS's name for the zone of a container instance.
const zoneAttribute = "attribute:ecs.availability-zone"

// cannotRebalance is the key of the setting for which ECS cannot move tasks between zones; nil if it can.
func (m *ECSService) cannotRebalance() []any {
	switch {
	case m.isDaemon():
		return []any{"scheduling_strategy"}
	case m.Deployment.MostPercent() <= 100:
		return []any{"deployment", "maximum_percent"}
	case len(m.PlacementStrategy) > 0 && (row.Value(m.PlacementStrategy[0].Type) != string(ecstypes.PlacementStrategyTypeSpread) || row.Value(m.PlacementStrategy[0].Field) != zoneAttribute):
		return []any{"placement_strategy"}
	}
	if slices.ContainsFunc(m.PlacementConstraints, func(c PlacementExpression) bool { return strings.Contains(row.Value(c.Expression), zoneAttribute) }) {
		return []any{"placement_constraint"}
	}
	return nil
}
