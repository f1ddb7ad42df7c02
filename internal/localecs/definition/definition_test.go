package definition_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/definition"
)

// task returns a definition that EC2, Fargate and Managed Instances take.
func task() *ecs.RegisterTaskDefinitionInput {
	return &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("web"), NetworkMode: ecstypes.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []ecstypes.Compatibility{ecstypes.CompatibilityFargate},
		ExecutionRoleArn:        aws.String("arn:aws:iam::123456789012:role/execution"),
		ContainerDefinitions: []ecstypes.ContainerDefinition{
			{Name: aws.String("app"), Image: aws.String("web:1"), HealthCheck: &ecstypes.HealthCheck{Command: []string{"CMD", "/app", "check"}}},
			{Name: aws.String("init"), Image: aws.String("web:1"), Essential: aws.Bool(false)},
		},
	}
}

func TestCompleteFillsInWhatECSAdds(t *testing.T) {
	t.Parallel()
	in := task()
	in.Cpu, in.Memory = aws.String("1 vCPU"), aws.String("2GB")
	in.Volumes = []ecstypes.Volume{{Name: aws.String("data")}}
	in.ContainerDefinitions[0].PortMappings = []ecstypes.PortMapping{{ContainerPort: aws.Int32(80)}}
	in.ContainerDefinitions[0].LinuxParameters = &ecstypes.LinuxParameters{Capabilities: &ecstypes.KernelCapabilities{Drop: []string{"ALL"}}}
	before, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := definition.Complete(in)
	if err != nil {
		t.Fatal(err)
	}
	if after, _ := json.Marshal(in); string(after) != string(before) {
		t.Errorf("input changed:\n%s", cmp.Diff(string(before), string(after)))
	}
	text, err := awsjson.MarshalIndent(got)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "described.golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("description (-want +got):\n%s", diff)
	}
}

func TestCompleteRefusesWhatECSRefuses(t *testing.T) {
	t.Parallel()
	type change = func(*ecs.RegisterTaskDefinitionInput)
	app := func(f func(*ecstypes.ContainerDefinition)) change {
		return func(in *ecs.RegisterTaskDefinitionInput) { f(&in.ContainerDefinitions[0]) }
	}
	dependency := func(on string, condition ecstypes.ContainerCondition) change {
		return func(in *ecs.RegisterTaskDefinitionInput) {
			in.ContainerDefinitions[1].DependsOn = []ecstypes.ContainerDependency{{ContainerName: &on, Condition: condition}}
		}
	}
	capability := func(name string) change {
		return app(func(c *ecstypes.ContainerDefinition) {
			c.LinuxParameters = &ecstypes.LinuxParameters{Capabilities: &ecstypes.KernelCapabilities{Add: []string{name}}}
		})
	}
	port := func(p ...ecstypes.PortMapping) change {
		return app(func(c *ecstypes.ContainerDefinition) { c.PortMappings = p })
	}
	ec2 := func(f change) change {
		return func(in *ecs.RegisterTaskDefinitionInput) {
			in.RequiresCompatibilities = []ecstypes.Compatibility{ecstypes.CompatibilityEc2}
			f(in)
		}
	}
	for name, c := range map[string]struct {
		change change
		want   string
	}{
		"no family":         {func(in *ecs.RegisterTaskDefinitionInput) { in.Family = nil }, "Family should not be null"},
		"family with a dot": {func(in *ecs.RegisterTaskDefinitionInput) { in.Family = aws.String("a.b") }, "Family contains invalid characters"},
		"family of 256":     {func(in *ecs.RegisterTaskDefinitionInput) { in.Family = aws.String(strings.Repeat("a", 256)) }, "Family contains"},
		"network mode":      {func(in *ecs.RegisterTaskDefinitionInput) { in.NetworkMode = "vpc" }, "Invalid networkMode 'vpc'"},
		"compatibility": {func(in *ecs.RegisterTaskDefinitionInput) {
			in.RequiresCompatibilities = []ecstypes.Compatibility{"LAMBDA"}
		}, "'LAMBDA'"},
		"role":                 {func(in *ecs.RegisterTaskDefinitionInput) { in.TaskRoleArn = aws.String("arn:aws:s3:::b") }, "Role is not valid"},
		"bridge on Fargate":    {func(in *ecs.RegisterTaskDefinitionInput) { in.NetworkMode = "bridge" }, "only supports network mode 'awsvpc'"},
		"Fargate without cpu":  {func(in *ecs.RegisterTaskDefinitionInput) { in.Cpu = nil }, "'cpu' be defined at the task level"},
		"Fargate no memory":    {func(in *ecs.RegisterTaskDefinitionInput) { in.Memory = nil }, "'memory' be defined at the task level"},
		"Fargate pair":         {func(in *ecs.RegisterTaskDefinitionInput) { in.Memory = aws.String("4096") }, "No Fargate configuration exists for given values: 256 CPU, 4096 memory"},
		"cpu in words":         {func(in *ecs.RegisterTaskDefinitionInput) { in.Cpu = aws.String("lots") }, "Invalid 'cpu' setting for task"},
		"memory in vCPU":       {func(in *ecs.RegisterTaskDefinitionInput) { in.Memory = aws.String("1 vCPU") }, "Invalid 'memory' setting"},
		"EC2 cpu too small":    {ec2(func(in *ecs.RegisterTaskDefinitionInput) { in.Cpu = aws.String("64") }), "Invalid 'cpu' setting"},
		"EC2 without memory":   {ec2(func(in *ecs.RegisterTaskDefinitionInput) { in.Memory = nil }), "At least one of 'memory' or 'memoryReservation'"},
		"host path on Fargate": {func(in *ecs.RegisterTaskDefinitionInput) { in.Volumes = hostVolume("/srv") }, "do not support sourcePath"},
		"volume name":          {func(in *ecs.RegisterTaskDefinitionInput) { in.Volumes = []ecstypes.Volume{{Name: aws.String("a b")}} }, "Invalid volume name 'a b'"},
		"two volumes":          {func(in *ecs.RegisterTaskDefinitionInput) { in.Volumes = append(hostVolume(""), hostVolume("")...) }, "Duplicate volume"},
		"ephemeral storage": {func(in *ecs.RegisterTaskDefinitionInput) {
			in.EphemeralStorage = &ecstypes.EphemeralStorage{SizeInGiB: 20}
		}, "between 21 and 200"},
		"no containers":        {func(in *ecs.RegisterTaskDefinitionInput) { in.ContainerDefinitions = nil }, "Container list cannot be empty"},
		"eleven containers":    {containers(11), "at most 10"},
		"no essential":         {app(func(c *ecstypes.ContainerDefinition) { c.Essential = aws.Bool(false) }), "at least one container must be essential"},
		"one name twice":       {app(func(c *ecstypes.ContainerDefinition) { c.Name = aws.String("init") }), "'init' is used more than once"},
		"container name":       {app(func(c *ecstypes.ContainerDefinition) { c.Name = aws.String("a/b") }), "Invalid container name 'a/b'"},
		"no name":              {app(func(c *ecstypes.ContainerDefinition) { c.Name = nil }), "Container.name should not be null"},
		"no image":             {app(func(c *ecstypes.ContainerDefinition) { c.Image = nil }), "Container.image should not be null"},
		"image with a space":   {app(func(c *ecstypes.ContainerDefinition) { c.Image = aws.String("a b") }), "The image 'a b' is not valid"},
		"privileged":           {app(func(c *ecstypes.ContainerDefinition) { c.Privileged = aws.Bool(true) }), "Privileged containers are not supported on Fargate"},
		"NET_ADMIN on Fargate": {capability("NET_ADMIN"), "'NET_ADMIN' is not supported on Fargate"},
		"unknown capability":   {ec2(capability("NET_ROOT")), "'NET_ROOT' is not valid"},
		"tmpfs on Fargate":     {app(func(c *ecstypes.ContainerDefinition) { c.LinuxParameters = tmpfs() }), "tmpfs, sharedMemorySize"},
		"user":                 {app(func(c *ecstypes.ContainerDefinition) { c.User = aws.String("a:b:c") }), "The user 'a:b:c'"},
		"reservation":          {app(func(c *ecstypes.ContainerDefinition) { c.Memory, c.MemoryReservation = aws.Int32(8), aws.Int32(9) }), "must not be greater than 'memory'"},
		"memory of 5":          {app(func(c *ecstypes.ContainerDefinition) { c.Memory = aws.Int32(5) }), "at least 6 MiB"},
		"more than the task":   {app(func(c *ecstypes.ContainerDefinition) { c.Memory = aws.Int32(513) }), "greater than the task's (512)"},
		"cpu above the task":   {app(func(c *ecstypes.ContainerDefinition) { c.Cpu = 257 }), "total 'cpu' of the containers (257)"},
		"ulimit":               {app(func(c *ecstypes.ContainerDefinition) { c.Ulimits = []ecstypes.Ulimit{{Name: "files"}} }), "The ulimit 'files'"},
		"stop timeout":         {app(func(c *ecstypes.ContainerDefinition) { c.StopTimeout = aws.Int32(121) }), "'stopTimeout' must not be greater than 120"},
		"start timeout":        {app(func(c *ecstypes.ContainerDefinition) { c.StartTimeout = aws.Int32(1) }), "'startTimeout' must be between 2 and 120"},
		"log driver":           {app(func(c *ecstypes.ContainerDefinition) { c.LogConfiguration = &ecstypes.LogConfiguration{LogDriver: "x"} }), "The log driver 'x'"},
		"json-file on Fargate": {app(func(c *ecstypes.ContainerDefinition) { c.LogConfiguration = logs("json-file") }), "awslogs, splunk and awsfirelens only"},
		"awslogs with no role": {func(in *ecs.RegisterTaskDefinitionInput) {
			in.ExecutionRoleArn = nil
			in.ContainerDefinitions[0].LogConfiguration = logs("awslogs")
		}, "execution role ARN to support log driver awslogs"},
		"secrets with no role": {func(in *ecs.RegisterTaskDefinitionInput) {
			in.ExecutionRoleArn = nil
			in.ContainerDefinitions[0].Secrets = secret("A")
		}, "'executionRoleArn'"},
		"secret name":           {app(func(c *ecstypes.ContainerDefinition) { c.Secrets = secret("A B") }), "The secret name 'A B'"},
		"secret and variable":   {app(func(c *ecstypes.ContainerDefinition) { c.Secrets, c.Environment = secret("A"), variable("A") }), "such as 'A'"},
		"variable without name": {app(func(c *ecstypes.ContainerDefinition) { c.Environment = variable("") }), "no valid name"},
		"unknown volume": {app(func(c *ecstypes.ContainerDefinition) {
			c.MountPoints = []ecstypes.MountPoint{{SourceVolume: aws.String("v")}}
		}), "Unknown volume 'v'"},
		"check command":         {app(func(c *ecstypes.ContainerDefinition) { c.HealthCheck.Command = []string{"curl", "x"} }), "must start with CMD or CMD-SHELL"},
		"check interval":        {app(func(c *ecstypes.ContainerDefinition) { c.HealthCheck.Interval = aws.Int32(4) }), "interval must be between 5 and 300"},
		"check timeout":         {app(func(c *ecstypes.ContainerDefinition) { c.HealthCheck.Timeout = aws.Int32(61) }), "timeout must be between 2 and 60"},
		"check retries":         {app(func(c *ecstypes.ContainerDefinition) { c.HealthCheck.Retries = aws.Int32(11) }), "retries must be between 1 and 10"},
		"check start period":    {app(func(c *ecstypes.ContainerDefinition) { c.HealthCheck.StartPeriod = aws.Int32(301) }), "startPeriod must be between 0 and 300"},
		"restart period":        {app(func(c *ecstypes.ContainerDefinition) { c.RestartPolicy = restart(59, 0) }), "between 60 and 1800"},
		"ignored exit codes":    {app(func(c *ecstypes.ContainerDefinition) { c.RestartPolicy = restart(60, 51) }), "at most 50 ignoredExitCodes"},
		"unknown dependency":    {dependency("db", "START"), "'db', which is not in the task definition"},
		"dependency on itself":  {dependency("init", "START"), "depends on itself"},
		"unknown condition":     {dependency("app", "READY"), "The condition 'READY'"},
		"SUCCESS of essential":  {dependency("app", "SUCCESS"), "SUCCESS can't be set on the essential container 'app'"},
		"COMPLETE of essential": {dependency("app", "COMPLETE"), "COMPLETE can't be set on the essential container 'app'"},
		"HEALTHY without check": {func(in *ecs.RegisterTaskDefinitionInput) {
			in.ContainerDefinitions[0].HealthCheck = nil
			dependency("app", "HEALTHY")(in)
		}, "HEALTHY requires a health check on container 'app'"},
		"circle": {func(in *ecs.RegisterTaskDefinitionInput) {
			dependency("app", "HEALTHY")(in)
			in.ContainerDefinitions[0].DependsOn = []ecstypes.ContainerDependency{{ContainerName: aws.String("init"), Condition: "SUCCESS"}}
		}, "in a circle: app -> init -> app"},
		"port 0":          {port(ecstypes.PortMapping{ContainerPort: aws.Int32(0)}), "containerPort 0 must be between 1 and 65535"},
		"port 70000":      {port(ecstypes.PortMapping{ContainerPort: aws.Int32(70000)}), "containerPort 70000"},
		"other host port": {port(ecstypes.PortMapping{ContainerPort: aws.Int32(80), HostPort: aws.Int32(8080)}), "host ports and container ports in port mappings must match"},
		"port twice":      {port(ecstypes.PortMapping{ContainerPort: aws.Int32(80)}, ecstypes.PortMapping{ContainerPort: aws.Int32(80), Protocol: "tcp"}), "Port 80 is mapped more than once"},
		"tag of AWS":      {func(in *ecs.RegisterTaskDefinitionInput) { in.Tags = []ecstypes.Tag{{Key: aws.String("aws:x")}} }, "InvalidParameterException: Specified tag key 'aws:x' is invalid"},
		"tag key of 129": {func(in *ecs.RegisterTaskDefinitionInput) {
			in.Tags = []ecstypes.Tag{{Key: aws.String(strings.Repeat("k", 129))}}
		}, "between 1 and 128"},
		"51 tags": {func(in *ecs.RegisterTaskDefinitionInput) { in.Tags = tags(51) }, "at most 50 tags"},
		"64 KiB":  {app(func(c *ecstypes.ContainerDefinition) { c.Command = []string{strings.Repeat("x", 64<<10)} }), "Max allowed length is '65536' bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := task()
			c.change(in)
			_, err := definition.Complete(in)
			var api smithy.APIError
			if !errors.As(err, &api) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an API error with %q", err, c.want)
			}
		})
	}
}

func TestCompatibilitiesAreThoseThatPass(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*ecs.RegisterTaskDefinitionInput)
		want   string
	}{
		"all of awsvpc":   {func(in *ecs.RegisterTaskDefinitionInput) {}, "[EC2 FARGATE MANAGED_INSTANCES]"},
		"NET_ADMIN":       {func(in *ecs.RegisterTaskDefinitionInput) { in.ContainerDefinitions[0].LinuxParameters = netAdmin() }, "[EC2 MANAGED_INSTANCES]"},
		"bridge":          {func(in *ecs.RegisterTaskDefinitionInput) { in.NetworkMode = "bridge" }, "[EXTERNAL EC2]"},
		"unset is bridge": {func(in *ecs.RegisterTaskDefinitionInput) { in.NetworkMode = "" }, "[EXTERNAL EC2]"},
		"more storage": {func(in *ecs.RegisterTaskDefinitionInput) {
			in.EphemeralStorage = &ecstypes.EphemeralStorage{SizeInGiB: 30}
		}, "[FARGATE]"},
		"no size Fargate sells": {func(in *ecs.RegisterTaskDefinitionInput) { in.Memory = aws.String("700") }, "[EC2 MANAGED_INSTANCES]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := task()
			in.RequiresCompatibilities = nil
			c.change(in)
			def, err := definition.Complete(in)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(def.Compatibilities); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestFargateSizes(t *testing.T) {
	t.Parallel()
	for pair, want := range map[[2]string]bool{
		{"256", "512"}: true, {"256", "2048"}: true, {"256", "1536"}: false, {"512", "4096"}: true, {"512", "512"}: false,
		{"1024", "8192"}: true, {"1024", "9216"}: false, {"2048", "16384"}: true, {"4096", "30720"}: true, {"4096", "31744"}: false,
		{"8192", "16384"}: true, {"8192", "17408"}: false, {"8192", "61440"}: true, {"16384", "122880"}: true, {"16384", "32768"}: true,
		{"16384", "36864"}: false, {"300", "1024"}: false, {".25 vCPU", "0.5GB"}: true, {"0.25 vCPU", "0.5 GB"}: true,
	} {
		in := task()
		in.RequiresCompatibilities = []ecstypes.Compatibility{ecstypes.CompatibilityFargate}
		in.Cpu, in.Memory = aws.String(pair[0]), aws.String(pair[1])
		if _, err := definition.Complete(in); (err == nil) != want {
			t.Errorf("%s CPU with %s memory: got %v, want accepted = %t", pair[0], pair[1], err, want)
		}
	}
}

func hostVolume(source string) []ecstypes.Volume {
	return []ecstypes.Volume{{Name: aws.String("v"), Host: &ecstypes.HostVolumeProperties{SourcePath: &source}}}
}

func containers(n int) func(*ecs.RegisterTaskDefinitionInput) {
	return func(in *ecs.RegisterTaskDefinitionInput) {
		in.ContainerDefinitions = nil
		for i := range n {
			in.ContainerDefinitions = append(in.ContainerDefinitions, ecstypes.ContainerDefinition{Name: aws.String(fmt.Sprint("c", i)), Image: aws.String("i")})
		}
	}
}

func tmpfs() *ecstypes.LinuxParameters {
	return &ecstypes.LinuxParameters{Tmpfs: []ecstypes.Tmpfs{{ContainerPath: aws.String("/t"), Size: 1}}}
}

func netAdmin() *ecstypes.LinuxParameters {
	return &ecstypes.LinuxParameters{Capabilities: &ecstypes.KernelCapabilities{Add: []string{"NET_ADMIN"}}}
}

func logs(driver ecstypes.LogDriver) *ecstypes.LogConfiguration {
	return &ecstypes.LogConfiguration{LogDriver: driver, Options: map[string]string{
		"awslogs-group": "g", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p"}}
}

func secret(name string) []ecstypes.Secret {
	return []ecstypes.Secret{{Name: &name, ValueFrom: aws.String("arn:aws:secretsmanager:us-east-1:123456789012:secret:s")}}
}

func variable(name string) []ecstypes.KeyValuePair {
	return []ecstypes.KeyValuePair{{Name: &name, Value: aws.String("v")}}
}

func restart(period int32, ignored int) *ecstypes.ContainerRestartPolicy {
	return &ecstypes.ContainerRestartPolicy{Enabled: aws.Bool(true), RestartAttemptPeriod: &period, IgnoredExitCodes: make([]int32, ignored)}
}

func tags(n int) []ecstypes.Tag {
	var out []ecstypes.Tag
	for i := range n {
		out = append(out, ecstypes.Tag{Key: aws.String(fmt.Sprint("k", i)), Value: aws.String("v")})
	}
	return out
}
