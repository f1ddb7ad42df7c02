package taskdef_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

var definitions = cmpopts.IgnoreUnexported(ecstypes.ContainerDefinition{}, ecstypes.ContainerDependency{}, ecstypes.MountPoint{})

func TestADelayIsTakenOffAsItWasPutOn(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]ecstypes.ContainerDefinition{
		"a command":              {Command: []string{"/app", "--", "-shutdown-delay"}},
		"an entry point":         {EntryPoint: []string{"/app"}},
		"an entry point of ours": {EntryPoint: []string{"--", "/consul/consul-ecs", "app"}, Command: []string{"x"}},
		"both, and a mount": {EntryPoint: []string{"/app"}, Command: []string{"x"},
			MountPoints: []ecstypes.MountPoint{{SourceVolume: aws.String("own"), ContainerPath: aws.String("/own")}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own.Name, own.Image = aws.String("app"), aws.String("app:1")
			own.EntryPoint = append(make([]string, 0, 8), own.EntryPoint...) // room to write into by mistake
			spec := valid()
			spec.Task.Volumes = []ecstypes.Volume{{Name: aws.String("own")}}
			spec.Containers = []taskdef.Container{{Definition: own, ShutdownDelay: "10s"}}
			definition, err := taskdef.Build(spec)
			if err != nil {
				t.Fatal(err)
			}
			got, delay := taskdef.WithoutDelay(definition.ContainerDefinitions[0])
			got.DependsOn = nil // the gate
			if diff := cmp.Diff(own, got, definitions, cmpopts.EquateEmpty()); diff != "" || delay != "10s" {
				t.Errorf("delay %q, container (-want +got):\n%s", delay, diff)
			}
			if room := own.EntryPoint[:cap(own.EntryPoint)]; room[len(own.EntryPoint)] != "" {
				t.Error("Build wrote into the Spec")
			}
		})
	}
}

func TestOtherCommandsAreNoDelay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		entryPoint []string
		delay      string
		own        []string
	}{
		"the incumbent's":         {[]string{"/consul/consul-ecs", "app-entrypoint", "-shutdown-delay", "10s"}, "10s", nil},
		"none":                    {nil, "", nil},
		"a program of that name":  {[]string{"/bin/consul-ecs", "app", "-shutdown-delay", "10s"}, "", []string{"/bin/consul-ecs", "app", "-shutdown-delay", "10s"}},
		"another agent":           {[]string{"/consul/consul-ecs", "net-dial", "-shutdown-delay", "10s"}, "", []string{"/consul/consul-ecs", "net-dial", "-shutdown-delay", "10s"}},
		"the agent without delay": {[]string{"/consul/consul-ecs", "app", "--", "/app"}, "", []string{"/consul/consul-ecs", "app", "--", "/app"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, delay := taskdef.WithoutDelay(ecstypes.ContainerDefinition{EntryPoint: c.entryPoint})
			if diff := cmp.Diff(c.own, got.EntryPoint, cmpopts.EquateEmpty()); diff != "" || delay != c.delay {
				t.Errorf("delay %q, want %q; entry point (-want +got):\n%s", delay, c.delay, diff)
			}
		})
	}
}
