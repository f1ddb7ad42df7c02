package taskdef_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

// on is the task on launch types, with changes to the container.
func on(change func(*ecstypes.ContainerDefinition), launchTypes ...ecstypes.Compatibility) func(*taskdef.Spec) {
	return func(s *taskdef.Spec) {
		s.Task.LaunchTypes = launchTypes
		change(app(s))
	}
}

func TestWhatANetworkOfItsOwnWouldTakeIsRefused(t *testing.T) {
	t.Parallel()
	want := func(setting, value, fix string) string {
		return fmt.Sprintf("containers[0].%s: is %s, which is not allowed in the awsvpc network mode, and the mesh needs that: leave it out, %s", setting, value, fix)
	}
	set := func(change func(*ecstypes.ContainerDefinition)) func(*taskdef.Spec) {
		return on(change, ecstypes.CompatibilityEc2)
	}
	none := set(func(*ecstypes.ContainerDefinition) {})
	testNeighbours(t, map[string]neighbours{
		"a host name": {set(func(c *ecstypes.ContainerDefinition) { c.Hostname = aws.String("web") }), set(func(c *ecstypes.ContainerDefinition) { c.Hostname = aws.String("") }),
			want("hostname", "web", "the task has the name that its VPC gives it")},
		"name servers":   {set(func(c *ecstypes.ContainerDefinition) { c.DnsServers = []string{"10.0.0.2"} }), none, want("dnsServers", "[10.0.0.2]", "and name the servers in the DHCP options of the VPC")},
		"search domains": {set(func(c *ecstypes.ContainerDefinition) { c.DnsSearchDomains = []string{"corp"} }), none, want("dnsSearchDomains", "[corp]", "and name the domains in the DHCP options of the VPC")},
		"hosts": {set(func(c *ecstypes.ContainerDefinition) {
			c.ExtraHosts = []ecstypes.HostEntry{{Hostname: aws.String("db"), IpAddress: aws.String("10.0.0.3")}}
		}), none, want("extraHosts", "[db]", "and have DNS resolve these names")},
		"no network": {set(func(c *ecstypes.ContainerDefinition) { c.DisableNetworking = aws.Bool(true) }), set(func(c *ecstypes.ContainerDefinition) { c.DisableNetworking = aws.Bool(false) }),
			want("disableNetworking", "true", "the network is that of all containers of the task")},
	})
}

func TestCredentialSpecsThatNobodyCouldRead(t *testing.T) {
	t.Parallel()
	const file, parameter = "arn:aws:s3:::settings/gmsa.json", "arn:aws:ssm:eu-west-1:123456789012:parameter/gmsa"
	specs := func(launchType ecstypes.Compatibility, texts ...string) func(*taskdef.Spec) {
		return on(func(c *ecstypes.ContainerDefinition) { c.CredentialSpecs = texts }, launchType)
	}
	want := func(text string) string {
		return fmt.Sprintf("containers[0].credentialSpecs[0]: is %q, want credentialspec: or credentialspecdomainless: and the ARN of an S3 object or of an SSM parameter", text)
	}
	testNeighbours(t, map[string]neighbours{
		"two":          {specs("EC2", "credentialspec:"+file, "credentialspec:"+parameter), specs("EC2", "credentialspec:"+parameter), "containers[0].credentialSpecs: has 2 elements, want one at most"},
		"an ARN alone": {specs("EC2", file), specs("EC2", "credentialspec:"+file), want(file)},
		"another kind": {specs("EC2", "credentialspecs:"+file), specs("EC2", "credentialspecdomainless:"+file), want("credentialspecs:" + file)},
		"a path":       {specs("EC2", "credentialspec:file://gmsa.json"), specs("EC2", "credentialspec:"+file), want("credentialspec:file://gmsa.json")},
		"of an instance on Fargate": {specs("FARGATE", "credentialspec:"+file), specs("FARGATE", "credentialspecdomainless:"+file),
			fmt.Sprintf("containers[0].credentialSpecs[0]: is %q, but on FARGATE there is no instance that is a member of the domain: use credentialspecdomainless:, and keep the credentials in a secret", "credentialspec:"+file)},
		"security options on Fargate": {on(func(c *ecstypes.ContainerDefinition) { c.DockerSecurityOptions = []string{"no-new-privileges"} }, "FARGATE"),
			on(func(c *ecstypes.ContainerDefinition) { c.DockerSecurityOptions = []string{"no-new-privileges"} }, "EC2"),
			"containers[0].dockerSecurityOptions: is [no-new-privileges], which is not allowed on FARGATE: leave it out, or FARGATE out of task.launchTypes"},
	})
}

func gpu(value string) ecstypes.ResourceRequirement {
	return ecstypes.ResourceRequirement{Type: ecstypes.ResourceTypeGpu, Value: &value}
}

func shared(memory, percent *int32) ecstypes.ResourceRequirement {
	return ecstypes.ResourceRequirement{Type: ecstypes.ResourceTypeGpu,
		SharingStrategy: &ecstypes.SharingStrategyMemberNvidiaMps{Value: ecstypes.NvidiaMpsAllocation{Memory: memory, MaxComputePercent: percent}}}
}

func TestResourcesThatNoInstanceCouldGive(t *testing.T) {
	t.Parallel()
	asks := func(launchType ecstypes.Compatibility, each ...ecstypes.ResourceRequirement) func(*taskdef.Spec) {
		return func(s *taskdef.Spec) {
			s.Task.LaunchTypes = []ecstypes.Compatibility{launchType}
			s.Containers = containers(len(each))
			for i, r := range each {
				s.Containers[i].Definition.ResourceRequirements = []ecstypes.ResourceRequirement{r}
			}
		}
	}
	both := shared(aws.Int32(1024), nil)
	both.Value = aws.String("1")
	neuron := func(value string) ecstypes.ResourceRequirement {
		return ecstypes.ResourceRequirement{Type: ecstypes.ResourceTypeNeuronDevice, Value: &value}
	}
	const at = "containers[0].resourceRequirements[0]"
	testNeighbours(t, map[string]neighbours{
		"no number":            {asks("EC2", gpu("some")), asks("EC2", gpu("ALL")), at + `.value: is "some", want the number of GPUs, or ALL`},
		"none":                 {asks("EC2", gpu("0")), asks("EC2", gpu("0.25")), at + `.value: is "0", want the number of GPUs, or ALL`},
		"whole and shared":     {asks("EC2", both), asks("EC2", shared(aws.Int32(1024), nil)), at + ".sharingStrategy: is not allowed together with " + at + ".value: the container shares a GPU or has some to itself"},
		"shared, no memory":    {asks("EC2", shared(nil, nil)), asks("EC2", shared(aws.Int32(1), aws.Int32(100))), at + ".sharingStrategy.nvidiaMps.memory: is missing: want the MiB of the GPU's memory that the container gets"},
		"shared, memory 0":     {asks("EC2", shared(aws.Int32(0), nil)), asks("EC2", shared(aws.Int32(1), nil)), at + ".sharingStrategy.nvidiaMps.memory: is 0 MiB, want at least 1"},
		"more than everything": {asks("EC2", shared(aws.Int32(1), aws.Int32(101))), asks("EC2", shared(aws.Int32(1), aws.Int32(1))), at + ".sharingStrategy.nvidiaMps.maxComputePercent: is 101, want 1 to 100"},
		"one shares, one not": {asks("EC2", shared(aws.Int32(1), nil), gpu("1")), asks("EC2", shared(aws.Int32(1), nil), shared(aws.Int32(2), nil)),
			"containers[1].resourceRequirements[0]: asks for a GPU in another way than " + at + ": either all containers of a task share one, or none does"},
		"Fargate": {asks("FARGATE", shared(aws.Int32(1), nil)), asks("MANAGED_INSTANCES", shared(aws.Int32(1), nil)), at + ": asks for a GPU, which FARGATE does not have"},
		"Neuron devices on EC2": {asks("EC2", neuron("ALL")), asks("MANAGED_INSTANCES", neuron("ALL")),
			at + ".type: is NeuronDevice, which MANAGED_INSTANCES alone have: leave [EC2] out of task.launchTypes"},
		"one Neuron device": {asks("MANAGED_INSTANCES", neuron("1")), asks("MANAGED_INSTANCES", neuron("ALL")), at + `.value: is "1", want ALL: a container gets all Neuron devices of its instance`},
		"Neuron devices, twice": {asks("MANAGED_INSTANCES", neuron("ALL"), neuron("ALL")), asks("MANAGED_INSTANCES", neuron("ALL"), gpu("1")),
			"containers[1].resourceRequirements[0]: asks for the Neuron devices, which " + at + " has: one container of a task may"},
		"what AWS has ended": {asks("EC2", ecstypes.ResourceRequirement{Type: ecstypes.ResourceTypeInferenceAccelerator, Value: aws.String("x")}), asks("EC2", gpu("1")),
			at + ".type: is InferenceAccelerator, which AWS no longer offers: leave the requirement out"},
	})
}

func TestNamespacesAndVolumesThatALaunchTypeRefuses(t *testing.T) {
	t.Parallel()
	task := func(launchType ecstypes.Compatibility, change func(*taskdef.Spec)) func(*taskdef.Spec) {
		return func(s *taskdef.Spec) {
			s.Task.LaunchTypes = []ecstypes.Compatibility{launchType}
			change(s)
		}
	}
	ipc := func(mode ecstypes.IpcMode) func(*taskdef.Spec) {
		return func(s *taskdef.Spec) { s.Task.IPCMode = mode }
	}
	control := func(mode ecstypes.IpcMode, name string) func(*taskdef.Spec) {
		return task("EC2", func(s *taskdef.Spec) {
			s.Task.IPCMode = mode
			app(s).SystemControls = []ecstypes.SystemControl{{Namespace: &name, Value: aws.String("1")}}
		})
	}
	files := func(system, access, root string) func(*taskdef.Spec) {
		return func(s *taskdef.Spec) {
			v := &ecstypes.S3FilesVolumeConfiguration{FileSystemArn: &system}
			if access != "" {
				v.AccessPointArn = &access
			}
			if root != "" {
				v.RootDirectory = &root
			}
			s.Task.Volumes = []ecstypes.Volume{{Name: aws.String("data"), S3filesVolumeConfiguration: v}}
		}
	}
	docker := func(s *taskdef.Spec) {
		s.Task.Volumes = []ecstypes.Volume{{Name: aws.String("data"), DockerVolumeConfiguration: &ecstypes.DockerVolumeConfiguration{}}}
	}
	constraints := func(n int) func(*taskdef.Spec) {
		return task("EC2", func(s *taskdef.Spec) {
			s.Task.PlacementConstraints = make([]ecstypes.TaskDefinitionPlacementConstraint, n)
		})
	}
	const (
		system = "arn:aws:s3files:eu-west-1:123456789012:file-system/fs-1"
		access = system + "/access-point/fsap-1"
		volume = "task.volumes[0].s3filesVolumeConfiguration"
		want   = ", want the ARN of an S3 Files file system: arn:<partition>:s3files:<region>:<account>:file-system/<id>"
	)
	testNeighbours(t, map[string]neighbours{
		"IPC mode on Fargate":         {task("FARGATE", ipc("none")), task("EC2", ipc("none")), "task.ipcMode: is none, but FARGATE has no IPC modes: leave it out, or FARGATE out of task.launchTypes"},
		"no IPC mode":                 {task("EC2", ipc("container")), task("EC2", ipc("host")), `task.ipcMode: is "container", want host, task or none`},
		"a parameter of the host":     {control("host", "kernel.shmmax"), control("host", "net.core.somaxconn"), `containers[0].systemControls[0].namespace: is "kernel.shmmax", but with task.ipcMode host that belongs to the host: leave it out, or set task.ipcMode to task`},
		"a queue of the host":         {control("host", "fs.mqueue.msg_max"), control("task", "fs.mqueue.msg_max"), `containers[0].systemControls[0].namespace: is "fs.mqueue.msg_max", but with task.ipcMode host that belongs to the host: leave it out, or set task.ipcMode to task`},
		"no file system":              {files("", "", ""), files(system, "", ""), volume + ".fileSystemArn: is missing" + want},
		"a file system of EFS":        {files("fs-1", "", ""), files(system, "", "/a"), volume + `.fileSystemArn: is "fs-1"` + want},
		"an access point's ID":        {files(system, "fsap-1", ""), files(system, access, "/"), volume + `.accessPointArn: is "fsap-1", want the ARN of an access point of S3 Files: arn:<partition>:s3files:<region>:<account>:file-system/<id>/access-point/<id>`},
		"an access point and a root":  {files(system, access, "/a"), files(system, access, ""), volume + `.rootDirectory: is "/a", which is not allowed together with ` + volume + ".accessPointArn: the access point has a directory of its own, so leave this out"},
		"Docker's on managed ones":    {task("MANAGED_INSTANCES", docker), task("EC2", docker), "task.volumes[0].dockerVolumeConfiguration: is not allowed on MANAGED_INSTANCES"},
		"11 placement constraints":    {constraints(11), constraints(10), "task.placementConstraints: has 11 elements, want at most 10"},
		"a pull secret that is a key": {func(s *taskdef.Spec) { pulls(s, "arn:aws:kms:eu-west-1:123456789012:key/1") }, func(s *taskdef.Spec) { pulls(s, "arn:aws:secretsmanager:eu-west-1:123456789012:secret:pull") }, `containers[0].repositoryCredentials.credentialsParameter: is "arn:aws:kms:eu-west-1:123456789012:key/1", want the ARN of a Secrets Manager secret: arn:<partition>:secretsmanager:<region>:<account>:secret:<name>`},
	})
}

func pulls(s *taskdef.Spec, arn string) {
	app(s).RepositoryCredentials = &ecstypes.RepositoryCredentials{CredentialsParameter: &arn}
}
