package provider

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

// networkModel is where the tasks of a service run.
type networkModel struct {
	Subnets                  []string                `tfsdk:"subnets"`
	SecurityGroups           []string                `tfsdk:"security_groups"`
	AssignPublicIP           *bool                   `tfsdk:"assign_public_ip"`
	LaunchType               *string                 `tfsdk:"launch_type"`
	PlatformVersion          *string                 `tfsdk:"platform_version"`
	CapacityProviderStrategy []capacityProviderModel `tfsdk:"capacity_provider_strategy"`
}

type capacityProviderModel struct {
	CapacityProvider *string `tfsdk:"capacity_provider"`
	Base             *int32  `tfsdk:"base"`
	Weight           *int32  `tfsdk:"weight"`
}

type ecsServiceModel struct {
	Cluster                       *string                 `tfsdk:"cluster"`
	Name                          *string                 `tfsdk:"name"`
	DesiredCount                  *int32                  `tfsdk:"desired_count"`
	Deployment                    *deploymentModel        `tfsdk:"deployment"`
	HealthCheckGracePeriodSeconds *int32                  `tfsdk:"health_check_grace_period_seconds"`
	EnableExecuteCommand          *bool                   `tfsdk:"enable_execute_command"`
	WaitForSteadyState            *bool                   `tfsdk:"wait_for_steady_state"`
	LoadBalancers                 []loadBalancerModel     `tfsdk:"load_balancer"`
	PlacementConstraints          []placementExpressModel `tfsdk:"placement_constraints"`
	PlacementStrategy             []placementFieldModel   `tfsdk:"placement_strategy"`
	networkModel
}

type deploymentModel struct {
	MinimumHealthyPercent *int32               `tfsdk:"minimum_healthy_percent"`
	MaximumPercent        *int32               `tfsdk:"maximum_percent"`
	CircuitBreaker        *circuitBreakerModel `tfsdk:"circuit_breaker" spec:"DeploymentCircuitBreaker"`
}

type circuitBreakerModel struct {
	Enable   *bool `tfsdk:"enable"`
	Rollback *bool `tfsdk:"rollback"`
}

type loadBalancerModel struct {
	TargetGroupArn *string `tfsdk:"target_group_arn"`
	ContainerName  *string `tfsdk:"container_name"`
	ContainerPort  *int32  `tfsdk:"container_port"`
}

type placementFieldModel struct {
	Type  *string `tfsdk:"type"`
	Field *string `tfsdk:"field"`
}

// named is the service with its name filled in.
func (m *ecsServiceModel) named(otherwise string) *ecsServiceModel {
	if m == nil {
		return nil
	}
	named := *m
	if named.Name == nil {
		named.Name = &otherwise
	}
	return &named
}

// check holds the service against its task: what ECS would refuse, or what could never be deployed.
func (m *ecsServiceModel) check(launchTypes []ecstypes.Compatibility, containers []taskdef.Container, found *problem.List) {
	at := problem.At("ecs_service")
	m.networkModel.check(launchTypes, at, found)
	for i, balancer := range m.LoadBalancers {
		name := value(balancer.ContainerName)
		is := func(c taskdef.Container) bool { return aws.ToString(c.Definition.Name) == name }
		if !slices.ContainsFunc(containers, is) {
			found.AddWith([]problem.Path{problem.At("container")}, at.Child("load_balancer", i, "container_name"), "is %q, which is no container of the task", name)
		}
	}
	if d := m.Deployment; d != nil {
		least, most := int32(defaultMinimumHealthy), int32(defaultMaximum)
		toSpec(&least, d.MinimumHealthyPercent)
		toSpec(&most, d.MaximumPercent)
		if least >= 100 && most <= 100 {
			minimum, maximum := at.Child("deployment", "minimum_healthy_percent"), at.Child("deployment", "maximum_percent")
			found.AddWith([]problem.Path{minimum}, maximum, "is %d with a minimum of %d: no task could ever be replaced", most, least)
		}
	}
}

// fargateProviders are the capacity providers that every ECS cluster may have, by AWS's names.
var fargateProviders = []string{"FARGATE", "FARGATE_SPOT"}

// check holds the place where tasks run, which is at, against the launch types of the task.
func (m networkModel) check(of []ecstypes.Compatibility, at problem.Path, found *problem.List) {
	if len(of) == 0 {
		of = []ecstypes.Compatibility{ecstypes.CompatibilityEc2, ecstypes.CompatibilityFargate}
	}
	with := []problem.Path{problem.At("task", "launch_types")}
	if launchType := value(m.LaunchType); launchType != "" && !slices.Contains(of, ecstypes.Compatibility(launchType)) {
		found.AddWith(with, at.Child("launch_type"), "is %s, which is none of the task's launch types %v", launchType, of)
	}
	for i, p := range m.CapacityProviderStrategy {
		if name := value(p.CapacityProvider); slices.Contains(fargateProviders, name) && !slices.Contains(of, ecstypes.CompatibilityFargate) {
			found.AddWith(with, at.Child("capacity_provider_strategy", i, "capacity_provider"), "is %s, but FARGATE is none of the task's launch types %v", name, of)
		}
	}
}

// ecsClusterName is the name in a name or an ARN of an ECS cluster.
func ecsClusterName(nameOrARN string) string {
	return nameOrARN[strings.LastIndexByte(nameOrARN, '/')+1:]
}

// sameName reports whether two services, one at least of which is there, are one by name; sameService whether the one can be
// turned into the other: ECS does not change the launch type of a service.
func (m *ecsServiceModel) sameName(other *ecsServiceModel) bool {
	return m != nil && other != nil && value(m.Name) == value(other.Name) && ecsClusterName(value(m.Cluster)) == ecsClusterName(value(other.Cluster))
}

func (m *ecsServiceModel) sameService(other *ecsServiceModel) bool {
	return m.sameName(other) && value(m.LaunchType) == value(other.LaunchType)
}

// isAt reports whether the ARN, arn:aws:ecs:region:account:service/cluster/name, is the service's.
func (m *ecsServiceModel) isAt(arn string) bool {
	return m != nil && strings.HasSuffix(arn, "/"+ecsClusterName(value(m.Cluster))+"/"+value(m.Name))
}

func (m *ecsServiceModel) createInput(definitionARN string, tags map[string]string) *ecs.CreateServiceInput {
	u := m.updateInput(definitionARN)
	input := &ecs.CreateServiceInput{
		ServiceName: u.Service, Cluster: u.Cluster, TaskDefinition: u.TaskDefinition, DesiredCount: u.DesiredCount,
		CapacityProviderStrategy: u.CapacityProviderStrategy, DeploymentConfiguration: u.DeploymentConfiguration,
		EnableExecuteCommand: value(m.EnableExecuteCommand), HealthCheckGracePeriodSeconds: u.HealthCheckGracePeriodSeconds,
		LoadBalancers: u.LoadBalancers, NetworkConfiguration: u.NetworkConfiguration, PlacementConstraints: u.PlacementConstraints,
		PlacementStrategy: u.PlacementStrategy, PlatformVersion: u.PlatformVersion, PropagateTags: u.PropagateTags,
		LaunchType: ecstypes.LaunchType(value(m.LaunchType)), Tags: ecsTags(tags),
	}
	if input.DesiredCount == nil {
		input.DesiredCount = aws.Int32(1)
	}
	return input
}

// updateInput leaves the desired count alone where the user leaves it to others. What the user no longer sets goes back to
// ECS's default, which for lists takes an empty one.
func (m *ecsServiceModel) updateInput(definitionARN string) *ecs.UpdateServiceInput {
	input := &ecs.UpdateServiceInput{
		Service: m.Name, Cluster: m.Cluster, TaskDefinition: &definitionARN, DesiredCount: m.DesiredCount,
		EnableExecuteCommand: aws.Bool(value(m.EnableExecuteCommand)), HealthCheckGracePeriodSeconds: m.HealthCheckGracePeriodSeconds,
		PlatformVersion: m.PlatformVersion, PropagateTags: ecstypes.PropagateTagsTaskDefinition, // the controller knows its tasks by the tags
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: m.awsvpc()},
		LoadBalancers:        []ecstypes.LoadBalancer{}, PlacementConstraints: []ecstypes.PlacementConstraint{}, PlacementStrategy: []ecstypes.PlacementStrategy{},
		DeploymentConfiguration: &ecstypes.DeploymentConfiguration{
			MinimumHealthyPercent: aws.Int32(defaultMinimumHealthy), MaximumPercent: aws.Int32(defaultMaximum),
			DeploymentCircuitBreaker: &ecstypes.DeploymentCircuitBreaker{},
		},
	}
	toSpec(&input.CapacityProviderStrategy, m.CapacityProviderStrategy)
	toSpec(&input.LoadBalancers, m.LoadBalancers)
	toSpec(&input.PlacementConstraints, m.PlacementConstraints)
	toSpec(&input.PlacementStrategy, m.PlacementStrategy)
	if m.Deployment != nil {
		toSpec(input.DeploymentConfiguration, m.Deployment)
	}
	return input
}

// ECS's defaults, in percent.
const (
	defaultMinimumHealthy = 100
	defaultMaximum        = 200
)

func (m *ecsServiceModel) awsvpc() *ecstypes.AwsVpcConfiguration {
	v := &ecstypes.AwsVpcConfiguration{Subnets: m.Subnets, SecurityGroups: m.SecurityGroups, AssignPublicIp: ecstypes.AssignPublicIpDisabled}
	if value(m.AssignPublicIP) {
		v.AssignPublicIp = ecstypes.AssignPublicIpEnabled
	}
	return v
}
