package fleet_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// incumbent is a mesh task as the incumbent's Terraform module, mesh-task 0.10, defines it; but for the images, which are
// ours.
type incumbent struct {
	stage           *stage
	service         string
	port            int
	upstream        string
	shutdownDelay   bool // the module's application_shutdown_delay_seconds
	taskRole, execs string
}

// config is CONSUL_ECS_CONFIG_JSON as the module writes it: keys sorted, empty values and nulls included.
func (i incumbent) config(t *testing.T) string {
	t.Helper()
	type object map[string]any
	upstreams := []object{}
	if i.upstream != "" {
		upstreams = append(upstreams, object{"destinationName": i.upstream, "localBindPort": 1234})
	}
	text, err := json.Marshal(object{
		"bootstrapDir": "/consul",
		"consulLogin":  object{"enabled": true, "method": "iam-ecs-service-token"},
		"consulServers": object{
			"hosts": i.stage.ConsulHost, "skipServerWatch": false,
			"defaults": object{"caCertFile": "", "tls": true, "tlsServerName": i.stage.ConsulServerName},
			"grpc":     object{"port": 8503}, "http": object{"https": true, "port": 8501},
		},
		"healthSyncContainers": []string{"app"},
		"proxy":                object{"healthCheckPort": 22000, "publicListenerPort": 20000, "upstreams": upstreams},
		"service":              object{"meta": nil, "name": i.service, "namespace": "", "partition": "", "port": i.port, "tags": []string{"blue"}},
		"transparentProxy": object{
			"consulDNS": object{"enabled": false}, "enabled": false, "excludeInboundPorts": []int{},
			"excludeOutboundCIDRs": []string{}, "excludeOutboundPorts": []int{}, "excludeUIDs": []string{},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// definition is the module's task definition.
func (i incumbent) definition(t *testing.T) *ecs.RegisterTaskDefinitionInput {
	t.Helper()
	return &ecs.RegisterTaskDefinitionInput{
		Family: &i.service, NetworkMode: ecstypes.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []ecstypes.Compatibility{ecstypes.CompatibilityEc2},
		TaskRoleArn:             &i.taskRole, ExecutionRoleArn: &i.execs,
		Volumes:              []ecstypes.Volume{{Name: aws.String("consul_data")}, {Name: aws.String("consul_binary")}},
		ContainerDefinitions: append([]ecstypes.ContainerDefinition{i.app()}, i.injected(i.config(t))...),
		Tags: []ecstypes.Tag{
			{Key: aws.String("consul.hashicorp.com/mesh"), Value: aws.String("true")},
			{Key: aws.String("consul.hashicorp.com/service-name"), Value: &i.service},
			{Key: aws.String("consul.hashicorp.com/module"), Value: aws.String("terraform-aws-consul-ecs")},
		},
	}
}

func (i incumbent) app() ecstypes.ContainerDefinition {
	url := ""
	if i.upstream != "" {
		url = "http://127.0.0.1:1234"
	}
	c := fleet.App(i.service, fmt.Sprintf("0.0.0.0:%d", i.port), url, true)
	c.DependsOn = []ecstypes.ContainerDependency{{ContainerName: aws.String("consul-dataplane"), Condition: ecstypes.ContainerConditionHealthy}}
	if i.shutdownDelay {
		c.EntryPoint, c.Command = []string{"/consul/consul-ecs", "app-entrypoint", "-shutdown-delay", "2s"}, []string{"/demo-app"}
		c.MountPoints = []ecstypes.MountPoint{mount("consul_data", "/consul", true)}
	}
	return c
}

func (i incumbent) injected(config string) []ecstypes.ContainerDefinition {
	withConfig := []ecstypes.KeyValuePair{{Name: aws.String("CONSUL_ECS_CONFIG_JSON"), Value: &config}}
	secrets := []ecstypes.Secret{
		{Name: aws.String("CONSUL_HTTPS_CACERT_PEM"), ValueFrom: &i.stage.CASecretARN},
		{Name: aws.String("CONSUL_GRPC_CACERT_PEM"), ValueFrom: &i.stage.CASecretARN},
	}
	afterInit := []ecstypes.ContainerDependency{{ContainerName: aws.String("consul-ecs-mesh-init"), Condition: ecstypes.ContainerConditionSuccess}}
	asInit := &ecstypes.LinuxParameters{InitProcessEnabled: aws.Bool(true), Capabilities: &ecstypes.KernelCapabilities{}}
	containers := []ecstypes.ContainerDefinition{
		{
			Name: aws.String("consul-ecs-mesh-init"), Command: []string{"mesh-init"}, Environment: withConfig, Secrets: secrets, LinuxParameters: asInit,
			MountPoints: []ecstypes.MountPoint{mount("consul_data", "/consul", false), mount("consul_binary", "/bin/consul-inject", true)},
		},
		{
			Name: aws.String("consul-dataplane"), User: aws.String("5995"), DependsOn: afterInit,
			EntryPoint:  []string{"/consul/consul-ecs", "envoy-entrypoint"},
			Command:     []string{"consul-dataplane", "-config-file", "/consul/consul-dataplane.json"},
			MountPoints: []ecstypes.MountPoint{mount("consul_data", "/consul", true)},
			HealthCheck: &ecstypes.HealthCheck{
				Command:  []string{"CMD", "/consul/consul-ecs", "net-dial", "127.0.0.1:22000"},
				Interval: aws.Int32(5), Timeout: aws.Int32(5), Retries: aws.Int32(10),
			},
			Ulimits: []ecstypes.Ulimit{{Name: ecstypes.UlimitNameNofile, SoftLimit: 1048576, HardLimit: 1048576}},
		},
		{
			Name: aws.String("consul-ecs-health-sync"), User: aws.String("5996"), DependsOn: afterInit,
			Command: []string{"health-sync"}, Environment: withConfig, Secrets: secrets, LinuxParameters: asInit,
			MountPoints: []ecstypes.MountPoint{mount("consul_data", "/consul", true)},
		},
	}
	for n := range containers {
		c := &containers[n]
		c.Image, c.Essential = aws.String(toolcache.AgentImage), aws.Bool(false)
		// On AWS nobody says where AWS is.
		c.Environment = append(c.Environment, ecstypes.KeyValuePair{Name: aws.String("AWS_ENDPOINT_URL"), Value: &i.stage.AWS})
	}
	return containers
}

func mount(volume, path string, readOnly bool) ecstypes.MountPoint {
	return ecstypes.MountPoint{SourceVolume: &volume, ContainerPath: &path, ReadOnly: &readOnly}
}

// runs registers the definition and runs a task of it. The roles are those of our own task of that service.
func (i incumbent) runs(t *testing.T) ecstypes.Task {
	t.Helper()
	client := ecs.NewFromConfig(i.stage.AWSConfig())
	ours, err := client.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{
		TaskDefinition: aws.String(i.stage.register(t, app{name: i.service, port: i.port})),
	})
	if err != nil {
		t.Fatal(err)
	}
	i.taskRole, i.execs = aws.ToString(ours.TaskDefinition.TaskRoleArn), aws.ToString(ours.TaskDefinition.ExecutionRoleArn)
	registered, err := client.RegisterTaskDefinition(t.Context(), i.definition(t))
	if err != nil {
		t.Fatal(err)
	}
	task := i.stage.run(t, aws.ToString(registered.TaskDefinition.TaskDefinitionArn))
	i.stage.passes(t, i.service, task)
	return i.stage.again(t, task)
}

func TestTheIncumbentsDefinitionsRunWithOurImage(t *testing.T) {
	t.Parallel()
	if err := quiet.catalog.Allow(t.Context(), "web-dropin", "api-dropin"); err != nil {
		t.Fatal(err)
	}
	api := incumbent{stage: quiet, service: "api-dropin", port: 9090, shutdownDelay: true}.runs(t)
	web := incumbent{stage: quiet, service: "web-dropin", port: 8080, upstream: "api-dropin"}.runs(t)
	answers(t, web)
	for service, task := range map[string]ecstypes.Task{"web-dropin": web, "api-dropin": api} {
		ended(t, quiet.stop(t, task))
		quiet.gone(t, service, task)
	}
}
