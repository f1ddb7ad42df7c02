package block_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
)

func TestTheAgentsConfigurationIsTheirOwn(t *testing.T) {
	t.Parallel()
	container := func(name, config string) ecstypes.ContainerDefinition {
		return ecstypes.ContainerDefinition{Name: &name, Environment: []ecstypes.KeyValuePair{{Name: aws.String("CONSUL_ECS_CONFIG_JSON"), Value: &config}}}
	}
	doctor := container("doctor", "old")
	for name, c := range map[string]struct {
		containers []ecstypes.ContainerDefinition
		want       string
	}{
		"behind a doctor's": {[]ecstypes.ContainerDefinition{doctor, container("consul-ecs-mesh-init", "new")}, "new"},
		"a controller's":    {[]ecstypes.ContainerDefinition{container("consul-ecs-controller", "new")}, "new"},
		"a doctor's alone":  {[]ecstypes.ContainerDefinition{doctor}, ""},
	} {
		if got := block.AgentConfig(c.containers); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestTheOrderOfALogRouterIsTheMeshs wants an import to tell what the mesh added to the order of the containers from what their
// user wrote.
func TestTheOrderOfALogRouterIsTheMeshs(t *testing.T) {
	t.Parallel()
	type order struct {
		Waits     *bool
		DependsOn []string
	}
	routed := &ecstypes.LogConfiguration{LogDriver: ecstypes.LogDriverAwsfirelens}
	container := func(name string, change func(*taskdef.Container)) taskdef.Container {
		c := taskdef.Container{Definition: ecstypes.ContainerDefinition{Name: &name, Image: aws.String("app:1")}}
		change(&c)
		return c
	}
	spec := taskdef.Spec{
		Family: "web", Service: agentconfig.Service{Port: 9090}, Sidecars: taskdef.Sidecars{Image: "agent:1"},
		Servers: taskdef.Servers{ConsulServers: agentconfig.ConsulServers{Hosts: "consul.example"}},
		Containers: []taskdef.Container{
			container("router", func(c *taskdef.Container) {
				c.Definition.FirelensConfiguration = &ecstypes.FirelensConfiguration{Type: ecstypes.FirelensConfigurationTypeFluentbit}
				c.Definition.HealthCheck = &ecstypes.HealthCheck{Command: []string{"CMD", "true"}}
			}),
			container("app", func(c *taskdef.Container) { c.Definition.LogConfiguration = routed }),
			container("own-order", func(c *taskdef.Container) {
				c.Definition.LogConfiguration = routed
				c.Definition.DependsOn = []ecstypes.ContainerDependency{{ContainerName: aws.String("router"), Condition: ecstypes.ContainerConditionHealthy}}
			}),
			container("eager", func(c *taskdef.Container) { c.WaitForProxy = aws.Bool(false) }),
		},
	}
	definition, err := taskdef.Build(spec)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]order{}
	for _, c := range block.ReadContainers(&ecstypes.TaskDefinition{ContainerDefinitions: definition.ContainerDefinitions}, taskdef.AgentConfig(spec)) {
		var read order
		if c.Mesh != nil {
			read.Waits = c.Mesh.WaitForProxy
		}
		for _, d := range c.DependsOn {
			read.DependsOn = append(read.DependsOn, *d.ContainerName+" "+*d.Condition)
		}
		got[*c.Name] = read
	}
	want := map[string]order{"router": {}, "app": {}, "own-order": {DependsOn: []string{"router HEALTHY"}}, "eager": {Waits: aws.Bool(false)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
}
