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
