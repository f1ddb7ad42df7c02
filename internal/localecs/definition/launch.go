package definition

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// fargateMemory lists, by CPU units, the task memory that Fargate offers: from, to, in steps of, in MiB.
var fargateMemory = map[int][3]int{
	512:   {1024, 4096, 1024},
	1024:  {2048, 8192, 1024},
	2048:  {4096, 16384, 1024},
	4096:  {8192, 30720, 1024},
	8192:  {16384, 61440, 4096},
	16384: {32768, 122880, 8192},
}

// fargateFits reports whether Fargate offers the pair.
func fargateFits(cpu, memory int) bool {
	if cpu == 256 {
		return memory == 512 || memory == 1024 || memory == 2048
	}
	r, ok := fargateMemory[cpu]
	return ok && memory >= r[0] && memory <= r[1] && (memory-r[0])%r[2] == 0
}

func checkFargate(def *ecstypes.TaskDefinition) error {
	switch {
	case def.NetworkMode != ecstypes.NetworkModeAwsvpc:
		return invalid("Fargate only supports network mode 'awsvpc'.")
	case def.Cpu == nil:
		return invalid("Fargate requires that 'cpu' be defined at the task level.")
	case def.Memory == nil:
		return invalid("Fargate requires that 'memory' be defined at the task level.")
	case !fargateFits(number(def.Cpu), number(def.Memory)):
		return invalid("No Fargate configuration exists for given values: %s CPU, %s memory. See the Amazon ECS documentation for the valid values.", *def.Cpu, *def.Memory)
	case def.IpcMode != "":
		return invalid("Fargate compatible task definitions do not support ipcMode.")
	case def.PidMode == ecstypes.PidModeHost:
		return invalid("Fargate compatible task definitions only support pidMode 'task'.")
	case len(def.PlacementConstraints) > 0:
		return invalid("Fargate compatible task definitions do not support placement constraints.")
	}
	for _, v := range def.Volumes {
		if v.Host != nil && aws.ToString(v.Host.SourcePath) != "" {
			return invalid("Fargate compatible task definitions do not support sourcePath: volume '%s'.", *v.Name)
		}
		if v.DockerVolumeConfiguration != nil {
			return invalid("Fargate compatible task definitions do not support dockerVolumeConfiguration: volume '%s'.", *v.Name)
		}
		if v.FsxWindowsFileServerVolumeConfiguration != nil {
			return invalid("Fargate compatible task definitions do not support fsxWindowsFileServerVolumeConfiguration: volume '%s'.", *v.Name)
		}
	}
	for i := range def.ContainerDefinitions {
		c := &def.ContainerDefinitions[i]
		if fault := fargateFault(c); fault != "" {
			return invalid("Invalid setting for container '%s'. %s", *c.Name, fault)
		}
		if err := checkFargateRole(def, c); err != nil {
			return err
		}
	}
	return nil
}

func fargateFault(c *ecstypes.ContainerDefinition) string {
	switch {
	case aws.ToBool(c.Privileged):
		return "Privileged containers are not supported on Fargate."
	case outside(c.StopTimeout, 0, 120):
		return "On Fargate 'stopTimeout' must not be greater than 120 seconds."
	case outside(c.StartTimeout, 2, 120):
		return "On Fargate 'startTimeout' must be between 2 and 120 seconds."
	case aws.ToBool(c.DisableNetworking), len(c.DnsServers) > 0, len(c.DnsSearchDomains) > 0, len(c.DockerSecurityOptions) > 0:
		return "disableNetworking, dnsServers, dnsSearchDomains and dockerSecurityOptions are not supported on Fargate."
	case len(c.ResourceRequirements) > 0:
		return "resourceRequirements are not supported on Fargate."
	case len(c.CredentialSpecs) > 0 && strings.HasPrefix(c.CredentialSpecs[0], "credentialspec:"):
		return "On Fargate a credentialSpec must be of the form credentialspecdomainless:ARN."
	}
	if l := c.LogConfiguration; l != nil {
		switch l.LogDriver {
		case ecstypes.LogDriverAwslogs:
			if l.Options["awslogs-stream-prefix"] == "" || l.Options["awslogs-region"] == "" {
				return "On Fargate the log driver awslogs requires the options awslogs-region and awslogs-stream-prefix."
			}
		case ecstypes.LogDriverSplunk, ecstypes.LogDriverAwsfirelens:
		default:
			return "Fargate supports the log drivers awslogs, splunk and awsfirelens only."
		}
	}
	return fargateLinuxFault(c.LinuxParameters)
}

func fargateLinuxFault(l *ecstypes.LinuxParameters) string {
	if l == nil {
		return ""
	}
	if len(l.Devices) > 0 || len(l.Tmpfs) > 0 || l.SharedMemorySize != nil || l.MaxSwap != nil || l.Swappiness != nil {
		return "devices, tmpfs, sharedMemorySize, maxSwap and swappiness are not supported on Fargate."
	}
	if l.Capabilities == nil {
		return ""
	}
	i := slices.IndexFunc(l.Capabilities.Add, func(name string) bool { return name != "SYS_PTRACE" })
	if i >= 0 {
		return "Adding the Linux capability '" + l.Capabilities.Add[i] + "' is not supported on Fargate: SYS_PTRACE is the only one."
	}
	return ""
}

// checkFargateRole names the two things that Fargate itself does with the execution role.
func checkFargateRole(def *ecstypes.TaskDefinition, c *ecstypes.ContainerDefinition) error {
	if aws.ToString(def.ExecutionRoleArn) != "" {
		return nil
	}
	if l := c.LogConfiguration; l != nil && l.LogDriver == ecstypes.LogDriverAwslogs {
		return invalid("Fargate requires task definition to have execution role ARN to support log driver awslogs.")
	}
	if strings.Contains(*c.Image, ".dkr.ecr.") {
		return invalid("Fargate requires task definition to have execution role ARN to support ECR images.")
	}
	return nil
}

func checkEC2(def *ecstypes.TaskDefinition) error {
	for _, c := range def.ContainerDefinitions {
		for _, r := range c.ResourceRequirements {
			if r.Type == ecstypes.ResourceTypeNeuronDevice {
				return invalid("Invalid setting for container '%s'. NeuronDevice is supported by Managed Instances only.", *c.Name)
			}
		}
	}
	return checkInstance(def)
}

// checkInstance is what all kinds of container instances have in common.
func checkInstance(def *ecstypes.TaskDefinition) error {
	if cpu := number(def.Cpu); def.Cpu != nil && (cpu < 128 || cpu > 196608) {
		return invalid("Invalid 'cpu' setting for task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.")
	}
	if def.Memory == nil {
		for _, c := range def.ContainerDefinitions {
			if c.Memory == nil && c.MemoryReservation == nil {
				return invalid("Invalid setting for container '%s'. At least one of 'memory' or 'memoryReservation' must be specified.", *c.Name)
			}
		}
	}
	if def.EphemeralStorage != nil {
		return invalid("Ephemeral storage is supported by Fargate only.")
	}
	return nil
}

func checkManagedInstances(def *ecstypes.TaskDefinition) error {
	if def.NetworkMode != ecstypes.NetworkModeAwsvpc && def.NetworkMode != ecstypes.NetworkModeHost {
		return invalid("Managed Instances support the network modes 'awsvpc' and 'host' only.")
	}
	for _, v := range def.Volumes {
		if v.DockerVolumeConfiguration != nil {
			return invalid("Managed Instances do not support dockerVolumeConfiguration: volume '%s'.", *v.Name)
		}
	}
	return checkInstance(def)
}

func checkExternal(def *ecstypes.TaskDefinition) error {
	if def.NetworkMode == ecstypes.NetworkModeAwsvpc {
		return invalid("External instances do not support the network mode 'awsvpc'.")
	}
	for _, c := range def.ContainerDefinitions {
		if slices.ContainsFunc(c.ResourceRequirements, func(r ecstypes.ResourceRequirement) bool { return r.SharingStrategy != nil }) {
			return invalid("Invalid setting for container '%s'. External instances do not support GPU sharing.", *c.Name)
		}
	}
	return checkEC2(def)
}
