package control

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// wishes are what a service or a call of RunTask asks for beside a definition, and what only that definition and its
// launch type can grant.
type wishes struct {
	loadBalancers []ecstypes.LoadBalancer
	strategies    []ecstypes.PlacementStrategy
	constraints   []ecstypes.PlacementConstraint
	volumes       []string                              // names of those that are configured
	ebs           []ecstypes.ServiceVolumeConfiguration // those of a service
	registries    []ecstypes.ServiceRegistry
	lattice       []ecstypes.VpcLatticeConfiguration
	daemon        bool
}

// check returns the first wish that cannot be granted.
func (w wishes) check(def *ecstypes.TaskDefinition, kind ecstypes.LaunchType) error {
	if kind == ecstypes.LaunchTypeFargate && len(w.strategies) > 0 {
		return badParameter("Placement strategies are not supported with FARGATE launch type.")
	}
	if kind == ecstypes.LaunchTypeFargate && len(w.constraints) > 0 {
		return badParameter("Placement constraints are not supported with FARGATE launch type.")
	}
	if w.daemon {
		if err := checkDaemon(kind, w.strategies); err != nil {
			return err
		}
	}
	if len(w.loadBalancers) > maxTargetGroups {
		return badParameter("A service can have at most %d target groups.", maxTargetGroups)
	}
	for _, b := range w.loadBalancers {
		if err := checkLoadBalancer(def, b); err != nil {
			return err
		}
	}
	if err := cmp.Or(checkRegistries(def, w.registries), checkLattice(def, w.lattice), checkVolumes(w.ebs)); err != nil {
		return err
	}
	return checkLaunchVolumes(def, w.volumes)
}

func checkLoadBalancer(def *ecstypes.TaskDefinition, b ecstypes.LoadBalancer) error {
	if b.TargetGroupArn != nil && !isTargetGroup(*b.TargetGroupArn) {
		return badParameter("Unable to assume role and validate the specified targetGroupArn. Please verify that the ECS service role being passed has the proper permissions.")
	}
	if a := b.AdvancedConfiguration; a != nil && (aws.ToString(a.AlternateTargetGroupArn) == "" || aws.ToString(a.ProductionListenerRule) == "" || aws.ToString(a.RoleArn) == "") {
		return badParameter("The advancedConfiguration of a load balancer needs alternateTargetGroupArn, productionListenerRule and roleArn.")
	}
	return checkTarget(def, aws.ToString(b.ContainerName), aws.ToInt32(b.ContainerPort))
}

// checkTarget wants a container and a port that it maps.
func checkTarget(def *ecstypes.TaskDefinition, name string, port int32) error {
	i := slices.IndexFunc(def.ContainerDefinitions, func(d ecstypes.ContainerDefinition) bool { return *d.Name == name })
	if i < 0 {
		return badParameter("The container %s does not exist in the task definition.", name)
	}
	mapped := func(p ecstypes.PortMapping) bool { return mapsPort(p, port) }
	if !slices.ContainsFunc(def.ContainerDefinitions[i].PortMappings, mapped) {
		return badParameter("The container %s did not have a container port %d defined.", name, port)
	}
	return nil
}

// mapsPort reports whether a port is one of the mapping's.
func mapsPort(p ecstypes.PortMapping, port int32) bool {
	low, high, ok := strings.Cut(aws.ToString(p.ContainerPortRange), "-")
	if !ok {
		return aws.ToInt32(p.ContainerPort) == port
	}
	from, errFrom := strconv.Atoi(low)
	to, errTo := strconv.Atoi(high)
	return errFrom == nil && errTo == nil && from <= int(port) && int(port) <= to
}

func isTargetGroup(arn string) bool {
	parts := strings.SplitN(arn, ":", 6)
	return len(parts) == 6 && parts[0] == "arn" && parts[2] == "elasticloadbalancing" && strings.HasPrefix(parts[5], "targetgroup/")
}

// checkLaunchVolumes wants a configuration for every volume that the definition leaves open, and for no other.
func checkLaunchVolumes(def *ecstypes.TaskDefinition, given []string) error {
	open := openVolumes(def)
	for _, name := range open {
		if !slices.Contains(given, name) {
			return badParameter("The task definition has volume %s configured at launch, but no volume configuration was provided for it.", name)
		}
	}
	for _, name := range given {
		if !slices.Contains(open, name) {
			return badParameter("Volume configuration provided but no matching configuredAtLaunch volume found in task definition.")
		}
	}
	return nil
}

// openVolumes names the volumes that a definition leaves to be configured at launch.
func openVolumes(def *ecstypes.TaskDefinition) []string {
	var open []string
	for _, v := range def.Volumes {
		if aws.ToBool(v.ConfiguredAtLaunch) {
			open = append(open, *v.Name)
		}
	}
	return open
}

func volumeNames(list []ecstypes.ServiceVolumeConfiguration) []string {
	var names []string
	for _, v := range list {
		names = append(names, aws.ToString(v.Name))
	}
	return names
}

// ECS's limits for one service.
const (
	maxTargetGroups = 5
	maxBake         = 1440 // minutes
)

// settings are those of a service that follow from nothing else than one another.
type settings struct {
	deployment  *ecstypes.DeploymentConfiguration
	scheduling  ecstypes.SchedulingStrategy
	rebalancing ecstypes.AvailabilityZoneRebalancing
	connect     *ecstypes.ServiceConnectConfiguration
	gateways    []ecstypes.GatewayConnector
	monitoring  *ecstypes.MonitoringConfiguration
}

// check returns the first setting that ECS refuses, or that there is nobody here to do anything about.
func (s settings) check() error {
	switch {
	case s.connect != nil && s.connect.Enabled:
		return badParameter("This local ECS knows no Service Connect.")
	case len(s.gateways) > 0:
		return badParameter("This local ECS knows no gateways.")
	case s.rebalancing != "" && !slices.Contains(s.rebalancing.Values(), s.rebalancing):
		return badParameter("Invalid availabilityZoneRebalancing '%s'.", s.rebalancing)
	case s.rebalancing == ecstypes.AvailabilityZoneRebalancingEnabled && s.scheduling == ecstypes.SchedulingStrategyDaemon:
		return badParameter("The daemon scheduling strategy does not support Availability Zone rebalancing.")
	case s.rebalancing == ecstypes.AvailabilityZoneRebalancingEnabled && aws.ToInt32(s.deployment.MaximumPercent) <= 100:
		return badParameter("Availability Zone rebalancing needs a maximumPercent above 100.")
	}
	if s.monitoring != nil {
		for _, m := range s.monitoring.MetricConfigurations {
			if seconds := aws.ToInt32(m.ResolutionSeconds); len(m.MetricNames) == 0 || seconds != 20 && seconds != 60 {
				return badParameter("Metrics have names and a resolution of 20 or 60 seconds.")
			}
		}
	}
	return checkDeployment(s.deployment)
}

// checkRollout returns what ECS refuses of how a deployment goes on, beyond its percentages.
func checkRollout(d *ecstypes.DeploymentConfiguration) error {
	early, breaker := d.EarlySuccessCriteria, d.DeploymentCircuitBreaker
	switch {
	case d.Strategy != "" && d.Strategy != ecstypes.DeploymentStrategyRolling:
		return badParameter("This local ECS knows the deployment strategy ROLLING only.")
	case d.CanaryConfiguration != nil:
		return badParameter("canaryConfiguration is only valid when the deployment strategy is CANARY.")
	case d.LinearConfiguration != nil:
		return badParameter("linearConfiguration is only valid when the deployment strategy is LINEAR.")
	case len(d.LifecycleHooks) > 0:
		return badParameter("This local ECS calls no lifecycle hooks.")
	case aws.ToInt32(d.BakeTimeInMinutes) < 0 || aws.ToInt32(d.BakeTimeInMinutes) > maxBake:
		return badParameter("bakeTimeInMinutes must be between 0 and %d.", maxBake)
	case d.Alarms != nil && d.Alarms.Enable && len(d.Alarms.AlarmNames) == 0:
		return badParameter("Alarms need at least one alarm name when they are enabled.")
	case early != nil && early.Enable && (early.HealthyPercent == nil || early.SourceServiceRevisionCleanup == ""):
		return badParameter("earlySuccessCriteria needs healthyPercent and sourceServiceRevisionCleanup when it is enabled.")
	case early != nil && early.Enable && *early.HealthyPercent < *d.MinimumHealthyPercent:
		return badParameter("healthyPercent must not be less than minimumHealthyPercent.")
	case breaker != nil && breaker.ThresholdConfiguration != nil && breaker.ThresholdConfiguration.Value < 1:
		return badParameter("The threshold of the deployment circuit breaker must be positive.")
	}
	return nil
}

// checkDaemon returns what has no meaning where there is a task on each container instance.
func checkDaemon(kind ecstypes.LaunchType, strategies []ecstypes.PlacementStrategy) error {
	switch {
	case kind == ecstypes.LaunchTypeFargate:
		return badParameter("The daemon scheduling strategy is not supported with FARGATE launch type.")
	case len(strategies) > 0:
		return badParameter("The daemon scheduling strategy does not support placement strategies.")
	}
	return nil
}

// checkRegistries wants one registry, and one way to its port.
func checkRegistries(def *ecstypes.TaskDefinition, all []ecstypes.ServiceRegistry) error {
	if len(all) > 1 {
		return badParameter("A service can have at most one service registry.")
	}
	for _, r := range all {
		switch {
		case aws.ToString(r.RegistryArn) == "":
			return badParameter("A service registry needs a registryArn.")
		case r.Port != nil && (r.ContainerName != nil || r.ContainerPort != nil):
			return badParameter("Specify either a port or a container name and port of a service registry.")
		case (r.ContainerName == nil) != (r.ContainerPort == nil):
			return badParameter("A service registry needs both containerName and containerPort.")
		case r.ContainerName != nil:
			if err := checkTarget(def, *r.ContainerName, *r.ContainerPort); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkLattice wants the ports of VPC Lattice to be named ones.
func checkLattice(def *ecstypes.TaskDefinition, all []ecstypes.VpcLatticeConfiguration) error {
	for _, l := range all {
		named := func(d ecstypes.ContainerDefinition) bool {
			return slices.ContainsFunc(d.PortMappings, func(p ecstypes.PortMapping) bool { return p.Name != nil && *p.Name == aws.ToString(l.PortName) })
		}
		switch {
		case aws.ToString(l.RoleArn) == "" || aws.ToString(l.TargetGroupArn) == "":
			return badParameter("A VPC Lattice configuration needs roleArn and targetGroupArn.")
		case !slices.ContainsFunc(def.ContainerDefinitions, named):
			return badParameter("The port name %s does not exist in the task definition.", aws.ToString(l.PortName))
		}
	}
	return nil
}

// checkVolumes wants volumes that EBS can make.
func checkVolumes(all []ecstypes.ServiceVolumeConfiguration) error {
	for _, v := range all {
		switch e := v.ManagedEBSVolume; {
		case e == nil || aws.ToString(e.RoleArn) == "":
			return badParameter("The volume %s needs a managedEBSVolume with a roleArn.", aws.ToString(v.Name))
		case e.SizeInGiB == nil && e.SnapshotId == nil:
			return badParameter("The volume %s needs a sizeInGiB or a snapshotId.", aws.ToString(v.Name))
		case e.VolumeInitializationRate != nil && e.SnapshotId == nil:
			return badParameter("The volume %s has a volumeInitializationRate without a snapshotId.", aws.ToString(v.Name))
		case e.Throughput != nil && aws.ToString(e.VolumeType) != "" && *e.VolumeType != "gp3":
			return badParameter("The volume type %s does not support throughput.", *e.VolumeType)
		}
	}
	return nil
}
