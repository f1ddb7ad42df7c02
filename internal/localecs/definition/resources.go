package definition

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// checkResources holds what the containers ask for of GPUs and other devices against each other.
func checkResources(def *ecstypes.TaskDefinition) error {
	neuron, whole, shared := 0, false, false
	for _, c := range def.ContainerDefinitions {
		for _, r := range c.ResourceRequirements {
			if fault := resourceFault(r); fault != "" {
				return invalid("Invalid setting for container '%s'. %s", *c.Name, fault)
			}
			isGPU := r.Type == ecstypes.ResourceTypeGpu
			whole, shared = whole || isGPU && r.SharingStrategy == nil, shared || isGPU && r.SharingStrategy != nil
			if r.Type == ecstypes.ResourceTypeNeuronDevice {
				neuron++
			}
		}
	}
	switch {
	case whole && shared:
		return invalid("The containers in a task that request GPUs must all use the same option: value or sharingStrategy.")
	case neuron > 1:
		return invalid("Only one container in a task can specify NeuronDevice resources.")
	}
	return nil
}

func resourceFault(r ecstypes.ResourceRequirement) string {
	value := aws.ToString(r.Value)
	switch r.Type {
	case ecstypes.ResourceTypeGpu:
		n, err := strconv.ParseFloat(value, 64)
		switch {
		case r.SharingStrategy != nil && r.Value != nil:
			return "A GPU resource requirement has either a value or a sharingStrategy."
		case r.SharingStrategy != nil:
			return sharingFault(r.SharingStrategy)
		case value != "ALL" && (err != nil || n <= 0):
			return "The GPU value '" + value + "' is neither a number of GPUs nor ALL."
		}
	case ecstypes.ResourceTypeNeuronDevice:
		if value != "ALL" || r.SharingStrategy != nil {
			return "The value of a NeuronDevice must be ALL."
		}
	case ecstypes.ResourceTypeInferenceAccelerator:
		return "The resource type InferenceAccelerator is no longer available."
	default:
		return "The resource type '" + string(r.Type) + "' is not one of " + words(r.Type) + "."
	}
	return ""
}

func sharingFault(strategy ecstypes.SharingStrategy) string {
	mps, ok := strategy.(*ecstypes.SharingStrategyMemberNvidiaMps)
	switch {
	case !ok:
		return "The sharingStrategy must be nvidiaMps."
	case aws.ToInt32(mps.Value.Memory) < 1:
		return "The memory of nvidiaMps must be at least 1 MiB."
	case outside(mps.Value.MaxComputePercent, 1, 100):
		return "The maxComputePercent of nvidiaMps must be between 1 and 100."
	}
	return ""
}

// credentialSpecFault is what is wrong with the files by which a container is known to an Active Directory.
func credentialSpecFault(c *ecstypes.ContainerDefinition) string {
	if len(c.CredentialSpecs) > 1 {
		return "The maximum number of credentialSpecs is 1."
	}
	for _, spec := range c.CredentialSpecs {
		kind, arn, _ := strings.Cut(spec, ":")
		isFile := strings.HasPrefix(arn, "arn:") && (strings.Contains(arn, ":s3:::") || strings.Contains(arn, ":ssm:"))
		if kind != "credentialspec" && kind != "credentialspecdomainless" || !isFile {
			return "The credentialSpec '" + spec + "' is not of the form credentialspec:ARN or credentialspecdomainless:ARN."
		}
	}
	return ""
}

// checkNamespaces holds kernel parameters and fault injection against what the task shares with its host.
func checkNamespaces(def *ecstypes.TaskDefinition) error {
	shareable := []ecstypes.NetworkMode{ecstypes.NetworkModeAwsvpc, ecstypes.NetworkModeHost}
	if aws.ToBool(def.EnableFaultInjection) && !slices.Contains(shareable, def.NetworkMode) {
		return invalid("Fault injection requires the network mode awsvpc or host.")
	}
	if def.IpcMode != ecstypes.IpcModeHost {
		return nil
	}
	for _, c := range def.ContainerDefinitions {
		for _, control := range c.SystemControls {
			if name := aws.ToString(control.Namespace); strings.HasPrefix(name, "kernel.") || strings.HasPrefix(name, "fs.mqueue.") {
				return invalid("Invalid setting for container '%s'. The system control '%s' is not supported with the IPC mode host.", *c.Name, name)
			}
		}
	}
	return nil
}

func s3FilesFault(s *ecstypes.S3FilesVolumeConfiguration) string {
	if s == nil {
		return ""
	}
	root := aws.ToString(s.RootDirectory)
	switch {
	case !strings.Contains(aws.ToString(s.FileSystemArn), ":s3files:"):
		return "An S3 Files volume requires the fileSystemArn of a file system."
	case s.AccessPointArn != nil && !strings.Contains(*s.AccessPointArn, "access-point/"):
		return "The accessPointArn '" + *s.AccessPointArn + "' is not that of an access point."
	case s.AccessPointArn != nil && root != "" && root != "/":
		return `When using an S3 Files access point, the root directory must either be set to "/" or be omitted.`
	}
	return ""
}

// checkTaskRole wants the role that a task mounts an S3 Files volume with.
func checkTaskRole(def *ecstypes.TaskDefinition) error {
	for _, v := range def.Volumes {
		if v.S3filesVolumeConfiguration != nil && aws.ToString(def.TaskRoleArn) == "" {
			return invalid("Volume '%s' is of S3 Files, which requires a task role.", aws.ToString(v.Name))
		}
	}
	return nil
}
