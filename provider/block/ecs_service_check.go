package block

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// check holds the service against its task: what ECS would refuse, or what could never be deployed.
func (m *ECSService) Check(launchTypes []ecstypes.Compatibility, containers []taskdef.Container, found *problem.List) {
	at := problem.At("ecs_service")
	m.Network.Check(launchTypes, at, found)
	for i, balancer := range m.LoadBalancers {
		name := row.Value(balancer.ContainerName)
		is := func(c taskdef.Container) bool { return aws.ToString(c.Definition.Name) == name }
		if !slices.ContainsFunc(containers, is) {
			found.AddWith([]problem.Path{problem.At("container")}, at.Child("load_balancer", i, "container_name"), "is %q, which is no container of the task", name)
		}
	}
	if d := m.Deployment; d != nil {
		least, most := int32(defaultMinimumHealthy), int32(defaultMaximum)
		row.ToSpec(&least, d.MinimumHealthyPercent)
		row.ToSpec(&most, d.MaximumPercent)
		if least >= 100 && most <= 100 {
			minimum, maximum := at.Child("deployment", "minimum_healthy_percent"), at.Child("deployment", "maximum_percent")
			found.AddWith([]problem.Path{minimum}, maximum, "is %d with a minimum of %d: no task could ever be replaced", most, least)
		}
	}
}

// fargateProviders are the capacity providers that every ECS cluster may have, by AWS's names.
var fargateProviders = []string{"FARGATE", "FARGATE_SPOT"}

// check holds the place where tasks run, which is at, against the launch types of the task.
func (m Network) Check(of []ecstypes.Compatibility, at problem.Path, found *problem.List) {
	if len(of) == 0 {
		of = []ecstypes.Compatibility{ecstypes.CompatibilityEc2, ecstypes.CompatibilityFargate}
	}
	with := []problem.Path{problem.At("task", "launch_types")}
	if launchType := row.Value(m.LaunchType); launchType != "" && !slices.Contains(of, ecstypes.Compatibility(launchType)) {
		found.AddWith(with, at.Child("launch_type"), "is %s, which is none of the task's launch types %v", launchType, of)
	}
	for i, p := range m.CapacityProviderStrategy {
		if name := row.Value(p.CapacityProvider); slices.Contains(fargateProviders, name) && !slices.Contains(of, ecstypes.CompatibilityFargate) {
			found.AddWith(with, at.Child("capacity_provider_strategy", i, "capacity_provider"), "is %s, but FARGATE is none of the task's launch types %v", name, of)
		}
	}
}
