// Package definition checks and completes ECS task definitions as RegisterTaskDefinition documents it, so that a
// definition taken here is one that AWS would take. It is pure: a value goes in, the definition as
// DescribeTaskDefinition shows it comes out, or the first thing ECS would refuse, as the SDK's own error.
package definition

import (
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
)

// maxBytes is the largest task definition that ECS takes, as JSON.
const maxBytes = 64 << 10

// Complete returns in as ECS describes it once it is registered: defaults and empty lists filled in, sizes in units,
// compatibilities worked out. What only a registry knows (ARN, revision, status, registration) is left to the caller.
// The error is an *ecstypes.ClientException or, for tags, an *ecstypes.InvalidParameterException. in stays as it is.
func Complete(in *ecs.RegisterTaskDefinitionInput) (*ecstypes.TaskDefinition, error) {
	if err := checkLength(in); err != nil {
		return nil, err
	}
	if err := CheckTags(in.Tags); err != nil {
		return nil, err
	}
	def, err := copyOf(in)
	if err != nil {
		return nil, err
	}
	if def.Cpu, err = units(in.Cpu, vCPU); err != nil {
		return nil, err
	}
	if def.Memory, err = units(in.Memory, gigabyte); err != nil {
		return nil, err
	}
	for _, check := range []func(*ecstypes.TaskDefinition) error{
		checkTask, checkVolumes, checkContainers, checkLogRouter, checkPorts, checkDependencies, checkMemory, checkResources, checkNamespaces, checkTaskRole,
	} {
		if err := check(def); err != nil {
			return nil, err
		}
	}
	fill(def)
	def.Compatibilities, err = compatibilities(def)
	return def, err
}

func checkLength(in *ecs.RegisterTaskDefinitionInput) error {
	text, err := awsjson.Marshal(in)
	if err != nil {
		return fmt.Errorf("measure task definition: %w", err)
	}
	if len(text) > maxBytes {
		return invalid("Actual length: '%d'. Max allowed length is '%d' bytes.", len(text), maxBytes)
	}
	return nil
}

// copyOf makes the described form of in out of values that share nothing with it.
func copyOf(in *ecs.RegisterTaskDefinitionInput) (*ecstypes.TaskDefinition, error) {
	shared := ecstypes.TaskDefinition{
		ContainerDefinitions: in.ContainerDefinitions, EnableFaultInjection: in.EnableFaultInjection,
		EphemeralStorage: in.EphemeralStorage, ExecutionRoleArn: in.ExecutionRoleArn, Family: in.Family,
		IpcMode: in.IpcMode, NetworkMode: in.NetworkMode,
		PidMode: in.PidMode, PlacementConstraints: in.PlacementConstraints, ProxyConfiguration: in.ProxyConfiguration,
		RequiresCompatibilities: in.RequiresCompatibilities, RuntimePlatform: in.RuntimePlatform,
		TaskRoleArn: in.TaskRoleArn, Volumes: in.Volumes,
	}
	text, err := awsjson.Marshal(shared)
	if err != nil {
		return nil, fmt.Errorf("copy task definition: %w", err)
	}
	var def ecstypes.TaskDefinition
	if err := awsjson.Unmarshal(text, &def); err != nil {
		return nil, fmt.Errorf("copy task definition: %w", err)
	}
	return &def, nil
}

// fill adds what ECS adds to every description, whether it was asked for or not.
func fill(def *ecstypes.TaskDefinition) {
	def.Volumes = orEmpty(def.Volumes)
	def.PlacementConstraints = orEmpty(def.PlacementConstraints)
	for i := range def.Volumes {
		v := &def.Volumes[i]
		if v.Host == nil && v.DockerVolumeConfiguration == nil && v.EfsVolumeConfiguration == nil &&
			v.FsxWindowsFileServerVolumeConfiguration == nil && v.S3filesVolumeConfiguration == nil && !aws.ToBool(v.ConfiguredAtLaunch) {
			v.Host = &ecstypes.HostVolumeProperties{}
		}
	}
	for i := range def.ContainerDefinitions {
		fillContainer(&def.ContainerDefinitions[i], def.NetworkMode)
	}
}

func fillContainer(c *ecstypes.ContainerDefinition, mode ecstypes.NetworkMode) {
	c.Environment = orEmpty(c.Environment)
	c.MountPoints = orEmpty(c.MountPoints)
	c.VolumesFrom = orEmpty(c.VolumesFrom)
	c.PortMappings = orEmpty(c.PortMappings)
	c.SystemControls = orEmpty(c.SystemControls)
	if c.Essential == nil {
		c.Essential = aws.Bool(true)
	}
	for i := range c.PortMappings {
		p := &c.PortMappings[i]
		if p.Protocol == "" {
			p.Protocol = ecstypes.TransportProtocolTcp
		}
		if p.HostPort == nil && p.ContainerPort != nil {
			p.HostPort = aws.Int32(0)
			if mode == ecstypes.NetworkModeAwsvpc || mode == ecstypes.NetworkModeHost {
				p.HostPort = aws.Int32(*p.ContainerPort)
			}
		}
	}
	if h := c.HealthCheck; h != nil {
		h.Interval = orDefault(h.Interval, 30)
		h.Timeout = orDefault(h.Timeout, 5)
		h.Retries = orDefault(h.Retries, 3)
	}
	if c.LinuxParameters != nil && c.LinuxParameters.Capabilities != nil {
		c.LinuxParameters.Capabilities.Add = orEmpty(c.LinuxParameters.Capabilities.Add)
		c.LinuxParameters.Capabilities.Drop = orEmpty(c.LinuxParameters.Capabilities.Drop)
	}
}

// compatibilities lists the launch types that the definition passes for. One that was required and does not pass is
// an error.
func compatibilities(def *ecstypes.TaskDefinition) ([]ecstypes.Compatibility, error) {
	var out []ecstypes.Compatibility
	for _, launch := range []struct {
		name  ecstypes.Compatibility
		check func(*ecstypes.TaskDefinition) error
	}{
		{ecstypes.CompatibilityExternal, checkExternal},
		{ecstypes.CompatibilityEc2, checkEC2},
		{ecstypes.CompatibilityFargate, checkFargate},
		{ecstypes.CompatibilityManagedInstances, checkManagedInstances},
	} {
		err := launch.check(def)
		if err != nil && slices.Contains(def.RequiresCompatibilities, launch.name) {
			return nil, err
		}
		if err == nil {
			out = append(out, launch.name)
		}
	}
	if len(out) == 0 { // nothing was required, so EC2 is what was meant
		return nil, checkEC2(def)
	}
	return out, nil
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func orDefault(v *int32, def int32) *int32 {
	if v == nil {
		return &def
	}
	return v
}

func invalid(format string, args ...any) error {
	return &ecstypes.ClientException{Message: aws.String(fmt.Sprintf(format, args...))}
}
