package block

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Check holds the service against its task: what ECS would refuse, or what could never be deployed. A grace period without a
// load balancer is not refused: ECS has it count for the health checks of containers, too, and every mesh task has some.
func (m *ECSService) Check(task taskdef.Task, containers []taskdef.Container, found *problem.List) {
	at := problem.At("ecs_service")
	CheckECSCluster(row.Value(m.Cluster), at.Child("cluster"), found)
	m.Network.Check(task.LaunchTypes, at, found)
	for i, v := range task.Volumes {
		if aws.ToBool(v.ConfiguredAtLaunch) {
			found.AddWith([]problem.Path{at}, problem.At("task", "volumes", i, "configuredAtLaunch"), "is not allowed together with %s, which has no settings for such a volume: let another resource run the task", at)
		}
	}
	for i, balancer := range m.LoadBalancers {
		balancer.check(containers, at.Child("load_balancer", i), found)
	}
	m.checkPlacement(at, found)
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

// CheckECSCluster wants an ECS cluster to be named. Where there is no name ECS takes the cluster called default.
func CheckECSCluster(nameOrARN string, at problem.Path, found *problem.List) {
	if nameOrARN == "" {
		found.Add(at, "is empty, want the name or the ARN of an ECS cluster")
	}
}

var validTargetGroup = regexp.MustCompile(`^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:targetgroup/[^/]+/[^/]+$`)

// check wants a target group that can be one, and targets that the task has.
func (b LoadBalancer) check(containers []taskdef.Container, at problem.Path, found *problem.List) {
	if group := row.Value(b.TargetGroupArn); !validTargetGroup.MatchString(group) {
		found.Add(at.Child("target_group_arn"), "is %q, want the ARN of a target group: arn:<partition>:elasticloadbalancing:<region>:<account>:targetgroup/<name>/<id>", group)
	}
	name := row.Value(b.ContainerName)
	var names []problem.Path // the container may be one whose name is not known yet
	for i := range containers {
		names = append(names, problem.At("containers", i, "name"))
	}
	i := slices.IndexFunc(containers, func(c taskdef.Container) bool { return aws.ToString(c.Definition.Name) == name })
	if i < 0 {
		found.AddWith(append(names, problem.At("containers")), at.Child("container_name"), "is %q, which is no container of the task", name)
		return
	}
	mappings, port := containers[i].Definition.PortMappings, row.Value(b.ContainerPort)
	if slices.ContainsFunc(mappings, func(mapping ecstypes.PortMapping) bool { return reaches(mapping, port) }) {
		return
	}
	path := problem.At("containers", i, "portMappings")
	with := []problem.Path{path, at.Child("container_name")}
	for j := range mappings {
		with = append(with, path.Child(j, "containerPort"), path.Child(j, "containerPortRange"), path.Child(j, "protocol"))
	}
	found.AddWith(with, at.Child("container_port"), "is %d, which is missing in %s of the container %q: a load balancer reaches only ports that are mapped", port, path, name)
}

// reaches reports whether a load balancer reaches the port through the mapping: by itself or, as it may, within a range.
func reaches(m ecstypes.PortMapping, port int32) bool {
	if m.ContainerPortRange == nil {
		return aws.ToInt32(m.ContainerPort) == port
	}
	from, to, _ := strings.Cut(*m.ContainerPortRange, "-")
	first, errFirst := strconv.Atoi(from)
	last, errLast := strconv.Atoi(to)
	return errFirst != nil || errLast != nil || int(port) >= first && int(port) <= last // what is no range is reported as such
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
		found.AddWith(with, at.Child("launch_type"), "is %s, which is none of the task's launch types %v", launchType, of)
	}
	for i, p := range m.CapacityProviderStrategy {
		if name := row.Value(p.CapacityProvider); slices.Contains(fargateProviders, name) && !slices.Contains(of, ecstypes.CompatibilityFargate) {
			found.AddWith(with, at.Child("capacity_provider_strategy", i, "capacity_provider"), "is %s, but FARGATE is none of the task's launch types %v", name, of)
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
