package definition_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/definition"
)

func TestCompleteRefusesResourcesAndNamespacesThatECSRefuses(t *testing.T) {
	t.Parallel()
	type change = func(*ecs.RegisterTaskDefinitionInput)
	on := func(launchType ecstypes.Compatibility, changes ...change) change {
		return func(in *ecs.RegisterTaskDefinitionInput) {
			in.RequiresCompatibilities = []ecstypes.Compatibility{launchType}
			for _, f := range changes {
				f(in)
			}
		}
	}
	asks := func(container int, r ecstypes.ResourceRequirement) change {
		return func(in *ecs.RegisterTaskDefinitionInput) {
			in.ContainerDefinitions[container].ResourceRequirements = []ecstypes.ResourceRequirement{r}
		}
	}
	app := func(f func(*ecstypes.ContainerDefinition)) change {
		return func(in *ecs.RegisterTaskDefinitionInput) { f(&in.ContainerDefinitions[0]) }
	}
	files := func(system, access, root *string) change {
		return func(in *ecs.RegisterTaskDefinitionInput) {
			in.TaskRoleArn = aws.String("arn:aws:iam::123456789012:role/task")
			in.Volumes = []ecstypes.Volume{{Name: aws.String("v"), S3filesVolumeConfiguration: &ecstypes.S3FilesVolumeConfiguration{FileSystemArn: system, AccessPointArn: access, RootDirectory: root}}}
		}
	}
	bare := func(mode ecstypes.NetworkMode) change {
		return func(in *ecs.RegisterTaskDefinitionInput) { in.NetworkMode = mode }
	}
	gpu := ecstypes.ResourceRequirement{Type: ecstypes.ResourceTypeGpu, Value: aws.String("1")}
	neuron := ecstypes.ResourceRequirement{Type: ecstypes.ResourceTypeNeuronDevice, Value: aws.String("ALL")}
	shared := func(memory int32, percent *int32) ecstypes.ResourceRequirement {
		return ecstypes.ResourceRequirement{Type: ecstypes.ResourceTypeGpu,
			SharingStrategy: &ecstypes.SharingStrategyMemberNvidiaMps{Value: ecstypes.NvidiaMpsAllocation{Memory: &memory, MaxComputePercent: percent}}}
	}
	both := shared(1, nil)
	both.Value = aws.String("1")
	system, access := aws.String("arn:aws:s3files:us-east-1:123456789012:file-system/fs-1"), aws.String("arn:aws:s3files:us-east-1:123456789012:file-system/fs-1/access-point/fsap-1")
	specs := func(texts ...string) change {
		return app(func(c *ecstypes.ContainerDefinition) { c.CredentialSpecs = texts })
	}
	for name, c := range map[string]struct {
		refused, taken change
		want           string
	}{
		"GPUs, some":          {on("EC2", asks(0, ecstypes.ResourceRequirement{Type: "GPU", Value: aws.String("some")})), on("EC2", asks(0, gpu)), "The GPU value 'some'"},
		"GPU, whole and part": {on("EC2", asks(0, both)), on("EC2", asks(0, shared(1, nil))), "either a value or a sharingStrategy"},
		"GPU, two ways":       {on("EC2", asks(0, gpu), asks(1, shared(1, nil))), on("EC2", asks(0, gpu), asks(1, gpu)), "must all use the same option"},
		"GPU, no memory":      {on("EC2", asks(0, shared(0, nil))), on("MANAGED_INSTANCES", asks(0, shared(1, aws.Int32(50)))), "at least 1 MiB"},
		"GPU, 101 percent":    {on("EC2", asks(0, shared(1, aws.Int32(101)))), on("EC2", asks(0, shared(1, aws.Int32(100)))), "between 1 and 100"},
		"GPU on Fargate":      {on("FARGATE", asks(0, gpu)), on("EC2", asks(0, gpu)), "not supported on Fargate"},
		"GPU shared, elsewhere": {on("EXTERNAL", bare("bridge"), asks(0, shared(1, nil))), on("EXTERNAL", bare("bridge"), asks(0, gpu)),
			"External instances do not support GPU sharing"},
		"Neuron on EC2":          {on("EC2", asks(0, neuron)), on("MANAGED_INSTANCES", asks(0, neuron)), "supported by Managed Instances only"},
		"Neuron twice":           {on("MANAGED_INSTANCES", asks(0, neuron), asks(1, neuron)), on("MANAGED_INSTANCES", asks(1, neuron)), "Only one container"},
		"one Neuron":             {on("MANAGED_INSTANCES", asks(0, ecstypes.ResourceRequirement{Type: "NeuronDevice", Value: aws.String("1")})), on("MANAGED_INSTANCES", asks(0, neuron)), "must be ALL"},
		"inference":              {on("EC2", asks(0, ecstypes.ResourceRequirement{Type: "InferenceAccelerator", Value: aws.String("a")})), on("EC2", asks(0, gpu)), "no longer available"},
		"specs, two":             {on("EC2", specs("credentialspec:arn:aws:s3:::b/a", "credentialspec:arn:aws:s3:::b/b")), on("EC2", specs("credentialspec:arn:aws:s3:::b/a")), "The maximum number of credentialSpecs is 1"},
		"spec of a path":         {on("EC2", specs("credentialspec:file://a.json")), on("EC2", specs("credentialspec:arn:aws:ssm:us-east-1:123456789012:parameter/a")), "is not of the form"},
		"spec on Fargate":        {on("FARGATE", specs("credentialspec:arn:aws:s3:::b/a")), on("FARGATE", specs("credentialspecdomainless:arn:aws:s3:::b/a")), "credentialspecdomainless:ARN"},
		"name servers, awsvpc":   {on("EC2", app(func(c *ecstypes.ContainerDefinition) { c.DnsServers = []string{"10.0.0.2"} })), on("EC2", bare("bridge"), app(func(c *ecstypes.ContainerDefinition) { c.DnsServers = []string{"10.0.0.2"} })), "DNS servers and search domains are not supported"},
		"search domains, awsvpc": {on("EC2", app(func(c *ecstypes.ContainerDefinition) { c.DnsSearchDomains = []string{"a"} })), on("EC2", bare("bridge"), app(func(c *ecstypes.ContainerDefinition) { c.DnsSearchDomains = []string{"a"} })), "DNS servers and search domains are not supported"},
		"no network, awsvpc":     {on("EC2", app(func(c *ecstypes.ContainerDefinition) { c.DisableNetworking = aws.Bool(true) })), on("EC2", bare("bridge"), app(func(c *ecstypes.ContainerDefinition) { c.DisableNetworking = aws.Bool(true) })), "Networking cannot be disabled"},
		"faults, bridge": {on("EC2", bare("bridge"), func(in *ecs.RegisterTaskDefinitionInput) { in.EnableFaultInjection = aws.Bool(true) }),
			on("EC2", func(in *ecs.RegisterTaskDefinitionInput) { in.EnableFaultInjection = aws.Bool(true) }), "Fault injection requires"},
		"IPC on Fargate":           {on("FARGATE", func(in *ecs.RegisterTaskDefinitionInput) { in.IpcMode = "task" }), on("EC2", func(in *ecs.RegisterTaskDefinitionInput) { in.IpcMode = "task" }), "do not support ipcMode"},
		"IPC of the host":          {on("EC2", control("host", "kernel.shmmax")), on("EC2", control("task", "kernel.shmmax")), "The system control 'kernel.shmmax'"},
		"S3 Files without one":     {on("EC2", files(nil, nil, nil)), on("EC2", files(system, nil, aws.String("/a"))), "requires the fileSystemArn"},
		"S3 Files, two roots":      {on("EC2", files(system, access, aws.String("/a"))), on("EC2", files(system, access, aws.String("/"))), "the root directory must either"},
		"S3 Files, no role":        {on("EC2", files(system, nil, nil), func(in *ecs.RegisterTaskDefinitionInput) { in.TaskRoleArn = nil }), on("FARGATE", files(system, nil, nil)), "requires a task role"},
		"Docker's volume, managed": {on("MANAGED_INSTANCES", dockerVolume), on("EC2", dockerVolume), "Managed Instances do not support dockerVolumeConfiguration"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused, taken := task(), task()
			c.refused(refused)
			_, err := definition.Complete(refused)
			var api smithy.APIError
			if !errors.As(err, &api) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an API error with %q", err, c.want)
			}
			c.taken(taken)
			got, err := definition.Complete(taken)
			if err != nil {
				t.Fatalf("the neighbour is refused: %v", err)
			}
			asked, is := taken.ContainerDefinitions[0].ResourceRequirements, got.ContainerDefinitions[0].ResourceRequirements
			if diff := cmp.Diff(asked, is, cmpopts.IgnoreUnexported(ecstypes.ResourceRequirement{}, ecstypes.SharingStrategyMemberNvidiaMps{}, ecstypes.NvidiaMpsAllocation{})); diff != "" {
				t.Errorf("described resources (-asked +is):\n%s", diff)
			}
		})
	}
}

func control(mode ecstypes.IpcMode, name string) func(*ecs.RegisterTaskDefinitionInput) {
	return func(in *ecs.RegisterTaskDefinitionInput) {
		in.IpcMode = mode
		in.ContainerDefinitions[0].SystemControls = []ecstypes.SystemControl{{Namespace: &name, Value: aws.String("1")}}
	}
}

func dockerVolume(in *ecs.RegisterTaskDefinitionInput) {
	in.Volumes = []ecstypes.Volume{{Name: aws.String("v"), DockerVolumeConfiguration: &ecstypes.DockerVolumeConfiguration{}}}
}
