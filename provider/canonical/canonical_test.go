package canonical

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

// asked is a definition as it is registered; answered is the same as ECS returns it.
func asked() *taskdef.Definition {
	return &taskdef.Definition{
		Family: aws.String("web"), Cpu: aws.String("256"), Memory: aws.String("512"), NetworkMode: ecstypes.NetworkModeAwsvpc,
		RequiresCompatibilities: []ecstypes.Compatibility{"FARGATE", "EC2"}, Volumes: []ecstypes.Volume{{Name: aws.String("consul_data")}},
		ContainerDefinitions: []ecstypes.ContainerDefinition{
			{
				Name: aws.String("web"), Image: aws.String("web:1"),
				Environment:  []ecstypes.KeyValuePair{{Name: aws.String("B"), Value: aws.String("")}, {Name: aws.String("A"), Value: aws.String("1")}},
				HealthCheck:  &ecstypes.HealthCheck{Command: []string{"CMD", "x"}},
				PortMappings: []ecstypes.PortMapping{{ContainerPort: aws.Int32(8080)}},
				DockerLabels: map[string]string{"empty": ""},
			},
			{Name: aws.String("init"), Image: aws.String("agent:1"), Essential: aws.Bool(false), ReadonlyRootFilesystem: aws.Bool(true)},
		},
	}
}

func answered() *ecstypes.TaskDefinition {
	return &ecstypes.TaskDefinition{
		Family: aws.String("web"), Cpu: aws.String("256"), Memory: aws.String("512"), NetworkMode: ecstypes.NetworkModeAwsvpc,
		RequiresCompatibilities: []ecstypes.Compatibility{"EC2", "FARGATE"}, Compatibilities: []ecstypes.Compatibility{"EC2", "FARGATE"},
		Volumes:  []ecstypes.Volume{{Name: aws.String("consul_data"), Host: &ecstypes.HostVolumeProperties{}}},
		Revision: 7, Status: ecstypes.TaskDefinitionStatusActive, TaskDefinitionArn: aws.String("arn:aws:ecs:us-east-1:123456789012:task-definition/web:7"),
		PlacementConstraints: []ecstypes.TaskDefinitionPlacementConstraint{}, EnableFaultInjection: aws.Bool(false),
		ContainerDefinitions: []ecstypes.ContainerDefinition{
			{
				Name: aws.String("init"), Image: aws.String("agent:1"), Essential: aws.Bool(false), ReadonlyRootFilesystem: aws.Bool(true),
				LinuxParameters: &ecstypes.LinuxParameters{Capabilities: &ecstypes.KernelCapabilities{Add: []string{}, Drop: []string{}}},
				Environment:     []ecstypes.KeyValuePair{}, MountPoints: []ecstypes.MountPoint{}, VolumesFrom: []ecstypes.VolumeFrom{}, PortMappings: []ecstypes.PortMapping{},
			},
			{
				Name: aws.String("web"), Image: aws.String("web:1"), Essential: aws.Bool(true), Privileged: aws.Bool(false), VersionConsistency: "enabled",
				Environment:  []ecstypes.KeyValuePair{{Name: aws.String("A"), Value: aws.String("1")}, {Name: aws.String("B"), Value: aws.String("")}},
				HealthCheck:  &ecstypes.HealthCheck{Command: []string{"CMD", "x"}, Interval: aws.Int32(30), Retries: aws.Int32(3), Timeout: aws.Int32(5), StartPeriod: aws.Int32(0)},
				PortMappings: []ecstypes.PortMapping{{ContainerPort: aws.Int32(8080), HostPort: aws.Int32(8080), Protocol: "tcp"}},
				DockerLabels: map[string]string{"empty": ""}, SystemControls: []ecstypes.SystemControl{},
			},
		},
	}
}

func TestWhatECSAddsIsNoDifference(t *testing.T) {
	t.Parallel()
	want, err := Of(asked())
	if err != nil {
		t.Fatal(err)
	}
	got, err := Of(answered())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.containers+want.frame, got.containers+got.frame); diff != "" {
		t.Errorf("asked and answered differ (-asked +answered):\n%s", diff)
	}
}

func TestWhatMattersIsADifference(t *testing.T) {
	t.Parallel()
	same, err := Of(asked())
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*taskdef.Definition){
		"the image": func(d *taskdef.Definition) { d.ContainerDefinitions[0].Image = aws.String("web:2") },
		"essential": func(d *taskdef.Definition) { d.ContainerDefinitions[0].Essential = aws.Bool(false) },
		"an empty variable": func(d *taskdef.Definition) {
			d.ContainerDefinitions[0].Environment = d.ContainerDefinitions[0].Environment[1:]
		},
		"an empty label":         func(d *taskdef.Definition) { d.ContainerDefinitions[0].DockerLabels = nil },
		"a stop timeout of 0":    func(d *taskdef.Definition) { d.ContainerDefinitions[0].StopTimeout = aws.Int32(0) },
		"the order of a command": func(d *taskdef.Definition) { d.ContainerDefinitions[0].HealthCheck.Command = []string{"x", "CMD"} },
		"a role":                 func(d *taskdef.Definition) { d.TaskRoleArn = aws.String("arn:aws:iam::123456789012:role/web") },
		"the memory":             func(d *taskdef.Definition) { d.Memory = aws.String("1024") },
		"restarts switched off": func(d *taskdef.Definition) {
			d.ContainerDefinitions[0].RestartPolicy = &ecstypes.ContainerRestartPolicy{Enabled: aws.Bool(false)}
		},
	} {
		changed := asked()
		change(changed)
		if got, err := Of(changed); err != nil || got.Hash() == same.Hash() {
			t.Errorf("%s changed, the hash did not (%v)", name, err)
		}
	}
}
