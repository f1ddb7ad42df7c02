package bench

import (
	"context"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/awsjson"
	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

const (
	megabyte = 1e6
	mebibyte = 1 << 20
	kibibyte = 1 << 10
)

// The largest task that ECS takes by its containers, with as many upstreams as are promised to fit. The injected ones are three: ten leave no
// place for mesh-ready.
const (
	ownContainers = 7
	mostUpstreams = 50
)

// sizes are those of what ships, as make build and make setup leave it, and of what the provider makes.
func (b *bench) sizes(ctx context.Context) error {
	definition, err := largestDefinition()
	if err != nil {
		return err
	}
	b.add(figures.Figure{Name: "task definition of 10 containers and 50 upstreams", Unit: "KiB", Goal: "< 40 KiB"}, float64(definition)/kibibyte)
	binary, err := os.Stat(b.Agent)
	if err != nil {
		return fmt.Errorf("%w\nhint: run make bench from the repository's root", err)
	}
	b.add(figures.Figure{Name: "consulecs-agent, program", Unit: "MB", Goal: "< 30 MB"}, float64(binary.Size())/megabyte)
	for _, image := range []struct{ name, figure string }{
		{toolcache.AgentImage, "image of the agents, Envoy and iptables in it"},
		{toolcache.BaseImage, "of which the base with Envoy and iptables"},
	} {
		size, err := toolcache.ImageSize(ctx, image.name)
		if err != nil {
			return err
		}
		b.add(figures.Figure{Name: image.figure, Unit: "MB"}, float64(size)/megabyte)
	}
	return nil
}

// largestDefinition is how many bytes ECS gets of a task with all the containers that it takes, whose own have settings as most have.
func largestDefinition() (bytes int, err error) {
	const secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"
	log := &ecstypes.LogConfiguration{LogDriver: ecstypes.LogDriverAwslogs, Options: map[string]string{
		"awslogs-group": "/ecs/mesh", "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "mesh",
	}}
	s := taskdef.Spec{
		Family: "checkout", Service: agentconfig.Service{Port: 8080}, Login: agentconfig.ConsulLogin{Enabled: true},
		Servers: taskdef.Servers{
			ConsulServers: agentconfig.ConsulServers{Hosts: "consul.internal.example.com", Defaults: &agentconfig.ServerDefaults{TLSServerName: "server.dc1.consul"}},
			CASecretARN:   secret + "consul-ca-AbCdEf",
		},
		Task:        taskdef.Task{CPU: 2048, Memory: 4096},
		Sidecars:    taskdef.Sidecars{Image: "123456789012.dkr.ecr.eu-central-1.amazonaws.com/consulecs-agent:1.0.0", LogConfiguration: log},
		TaskRoleARN: "arn:aws:iam::123456789012:role/consul-ecs/checkout-task", ExecutionRoleARN: "arn:aws:iam::123456789012:role/consul-ecs/checkout-execution",
	}
	for i := range ownContainers {
		s.Containers = append(s.Containers, taskdef.Container{Definition: ecstypes.ContainerDefinition{
			Name: aws.String(fmt.Sprintf("container-%d", i)), Image: aws.String("123456789012.dkr.ecr.eu-central-1.amazonaws.com/checkout:1.0.0"),
			Environment: []ecstypes.KeyValuePair{{Name: aws.String("LOG_LEVEL"), Value: aws.String("info")}}, LogConfiguration: log,
			Secrets:     []ecstypes.Secret{{Name: aws.String("PASSWORD"), ValueFrom: aws.String(secret + "database-AbCdEf:password::")}},
			HealthCheck: &ecstypes.HealthCheck{Command: []string{"CMD-SHELL", "wget -q -O /dev/null http://localhost:8080/health"}},
		}})
	}
	for i := range mostUpstreams {
		s.Proxy.Upstreams = append(s.Proxy.Upstreams, agentconfig.Upstream{
			DestinationName: fmt.Sprintf("service-number-%d", i), LocalBindPort: 5000 + i, Config: map[string]any{"connect_timeout_ms": 3000, "protocol": "http"},
		})
	}
	definition, err := taskdef.Build(s)
	if err != nil {
		return 0, err
	}
	if n := len(definition.ContainerDefinitions); n != 10 {
		return 0, fmt.Errorf("the largest task definition has %d containers, want 10", n)
	}
	text, err := awsjson.Marshal(definition)
	return len(text), err
}
