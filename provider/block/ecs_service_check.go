package block

import (
	"slices"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/attachment"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Check holds the service against its task: what ECS would refuse, or what could never be deployed. A grace period without a
// load balancer is not refused: ECS has it count for the health checks of containers, too, and every mesh task has some.
func (m *ECSService) Check(of taskdef.Spec, found *problem.List) {
	at := problem.At("ecs_service")
	CheckECSCluster(row.Value(m.Cluster), at.Child("cluster"), found)
	m.Network.Check(of.Task.LaunchTypes, at, found)
	m.Network.CheckPlatform(of, at, found)
	strategy := at.Child("deployment", "strategy")
	attachment.CheckVolumes(m.VolumeConfigurations, of.Task.Volumes, at, found)
	attachment.CheckLoadBalancers(m.LoadBalancers, of, m.Deployment.ShiftsTraffic(), strategy, at, found)
	attachment.CheckRegistries(m.ServiceRegistries, of, at, found)
	attachment.CheckPorts(m.VpcLatticeConfigurations, m.GatewayConnectors, of, at, found)
	m.Monitoring.Check(at.Child("monitoring"), found)
	m.ServiceConnectConfiguration.Check(at.Child("service_connect_configuration"), found)
	m.checkPlacement(at, found)
	m.checkDaemon(at, found)
	m.checkController(at, found)
	m.checkRebalancing(at, found)
	m.Deployment.Check(at.Child("deployment"), m.isDaemon(), found)
}

// setting is one that something else rules out.
type setting struct {
	set bool
	at  problem.Path
	why string
}

func refuseSettings(with problem.Path, value string, found *problem.List, settings ...setting) {
	for _, s := range settings {
		if s.set {
			found.AddWith([]problem.Path{with}, s.at, "is not allowed together with %s %s%s", with, value, s.why)
		}
	}
}

// checkDaemon refuses what has no meaning where there is a task on each container instance.
func (m *ECSService) checkDaemon(at problem.Path, found *problem.List) {
	if !m.isDaemon() {
		return
	}
	spot := slices.IndexFunc(m.CapacityProviderStrategy, func(p CapacityProvider) bool { return slices.Contains(fargateProviders, row.Value(p.CapacityProvider)) })
	refuseSettings(at.Child("scheduling_strategy"), "DAEMON", found,
		setting{m.DesiredCount != nil, at.Child("desired_count"), ": there are as many tasks as container instances"},
		setting{row.Value(m.IgnoreDesiredCount), at.Child("ignore_desired_count"), ", which has no desired count"},
		setting{len(m.PlacementStrategy) > 0, at.Child("placement_strategy"), ": each container instance gets a task"},
		setting{row.Value(m.LaunchType) == string(ecstypes.LaunchTypeFargate), at.Child("launch_type"), ": Fargate has no container instances"},
		setting{spot >= 0, at.Child("capacity_provider_strategy", max(spot, 0), "capacity_provider"), ": Fargate has no container instances"},
		setting{m.Deployment.ShiftsTraffic(), at.Child("deployment", "strategy"), ": a daemon's tasks are replaced by ROLLING alone"},
	)
}

// checkController refuses what ECS leaves to others: EXTERNAL has no use for anything that the block says, CODE_DEPLOY for some of it.
func (m *ECSService) checkController(at problem.Path, found *problem.List) {
	controller := at.Child("deployment_controller")
	switch value := row.Value(m.DeploymentController); value {
	case string(ecstypes.DeploymentControllerTypeExternal):
		found.Add(controller, "is EXTERNAL, with which the task definition, the network and the load balancers are those of task sets that others make: leave %s out, and let them make the service, with propagate_tags TASK_DEFINITION", at)
	case string(ecstypes.DeploymentControllerTypeCodeDeploy):
		if len(m.LoadBalancers) == 0 {
			found.AddWith([]problem.Path{controller}, at.Child("load_balancer"), "is missing: with %s CODE_DEPLOY, CodeDeploy shifts a load balancer's traffic", controller)
		}
		refuseSettings(controller, value, found,
			setting{m.isDaemon(), at.Child("scheduling_strategy"), ": CodeDeploy knows REPLICA alone"},
			setting{m.Deployment.ShiftsTraffic(), at.Child("deployment", "strategy"), ": the strategy is CodeDeploy's"},
			setting{m.Triggers != nil, at.Child("triggers"), ": CodeDeploy starts deployments"},
			setting{row.Value(m.WaitForSteadyState), at.Child("wait_for_steady_state"), ": the service is steady when CodeDeploy has deployed, which nobody may have asked for yet"},
		)
	}
}

// checkRebalancing wants services that ECS can move between zones.
func (m *ECSService) checkRebalancing(at problem.Path, found *problem.List) {
	if because := m.cannotRebalance(); because != nil && row.Value(m.AvailabilityZoneRebalancing) == string(ecstypes.AvailabilityZoneRebalancingEnabled) {
		place := at.Child(because...)
		found.AddWith([]problem.Path{place}, at.Child("availability_zone_rebalancing"), "is ENABLED, which ECS refuses for what %s says: it cannot move such tasks between zones", place)
	}
}

// CheckECSCluster wants an ECS cluster to be named. Where there is no name ECS takes the cluster called default.
func CheckECSCluster(nameOrARN string, at problem.Path, found *problem.List) {
	if nameOrARN == "" {
		found.Add(at, "is empty, want the name or the ARN of an ECS cluster")
	}
}

// checkPlacement refuses rules for a choice that Fargate does not leave to anybody.
func (m *ECSService) checkPlacement(at problem.Path, found *problem.List) {
	if row.Value(m.LaunchType) != string(ecstypes.LaunchTypeFargate) {
		return
	}
	launchType := at.Child("launch_type")
	for _, rule := range []struct {
		key string
		set bool
	}{
		{"placement_constraints", len(m.PlacementConstraints) > 0},
		{"placement_strategy", len(m.PlacementStrategy) > 0},
	} {
		if rule.set {
			found.AddWith([]problem.Path{launchType}, at.Child(rule.key), "is not allowed together with %s FARGATE, which has no container instances to choose among", launchType)
		}
	}
}

// fargateProviders are the capacity providers that every ECS cluster may have, by AWS's names.
var fargateProviders = []string{"FARGATE", "FARGATE_SPOT"}

// Check holds the place where tasks run, which is at, against the launch types of the task.
func (m Network) Check(of []ecstypes.Compatibility, at problem.Path, found *problem.List) {
	if len(of) == 0 {
		of = []ecstypes.Compatibility{ecstypes.CompatibilityEc2, ecstypes.CompatibilityFargate}
	}
	with := []problem.Path{problem.At("task", "launch_types")}
	if launchType := row.Value(m.LaunchType); launchType != "" && !slices.Contains(of, ecstypes.Compatibility(launchType)) {
		found.AddWith(with, at.Child("launch_type"), "is %s, which is not one of the task's launch types %v", launchType, of)
	}
	for i, p := range m.CapacityProviderStrategy {
		if name := row.Value(p.CapacityProvider); slices.Contains(fargateProviders, name) && !slices.Contains(of, ecstypes.CompatibilityFargate) {
			found.AddWith(with, at.Child("capacity_provider_strategy", i, "capacity_provider"), "is %s, but FARGATE is not one of the task's launch types %v", name, of)
		}
	}
	if slices.Contains(m.Subnets, "") {
		found.Add(at.Child("subnets"), "has an empty element, want the IDs of subnets")
	}
	if slices.Contains(m.SecurityGroups, "") {
		found.Add(at.Child("security_groups"), "has an empty element, want the IDs of security groups")
	}
	m.checkEC2(at, found)
}

// checkEC2 refuses what only tasks on Fargate have.
func (m Network) checkEC2(at problem.Path, found *problem.List) {
	if row.Value(m.LaunchType) != string(ecstypes.LaunchTypeEc2) {
		return
	}
	launchType := at.Child("launch_type")
	if row.Value(m.AssignPublicIP) {
		found.AddWith([]problem.Path{launchType}, at.Child("assign_public_ip"), "is not allowed together with %s EC2: leave it out, and let the tasks reach the internet through a NAT gateway", launchType)
	}
	if row.Value(m.PlatformVersion) != "" {
		found.AddWith([]problem.Path{launchType}, at.Child("platform_version"), "is not allowed together with %s EC2: only FARGATE has versions", launchType)
	}
}
