// Package incumbent makes what HashiCorp's Terraform module, terraform-aws-consul-ecs 0.10, makes in AWS: definitions, roles and
// policies of the same names, tags and contents, and the state that Terraform has of them. Neither the module nor HashiCorp's provider
// for AWS is there to be run where the tests run.
package incumbent

import (
	"encoding/json"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Path is the default of the module's iam_role_path.
const Path = "/consul-ecs/"

// Servers are Consul's, as the module's variables name them. TLS and ACLs are on.
type Servers struct{ Hosts, ServerName, CASecretARN string }

// Task is a mesh task as the module mesh-task defines it.
type Task struct {
	Family     string
	Port       int
	App        ecstypes.ContainerDefinition // as its user wrote it
	Upstream   string                       // a service that the application calls at port 1234; "" = none
	Delay      string                       // what application_shutdown_delay_seconds makes of itself, such as 2s; "" = none
	Servers    Servers
	Image      string                  // of all injected containers
	Env        []ecstypes.KeyValuePair // of all injected containers, which on AWS need none of it
	LaunchType ecstypes.Compatibility
	Roles
}

// service is the name of the Consul service.
func (m Task) service() string { return strings.ToLower(m.Family) }

type object map[string]any

func (s Servers) config() object {
	return object{
		"hosts": s.Hosts, "skipServerWatch": false,
		"defaults": object{"caCertFile": "", "tls": true, "tlsServerName": s.ServerName},
		"grpc":     object{"port": 8503}, "http": object{"https": true, "port": 8501},
	}
}

// config is CONSUL_ECS_CONFIG_JSON as the module writes it: keys sorted, empty values and nulls included.
func (m Task) config() string {
	upstreams, synced := []object{}, []string{}
	if m.Upstream != "" {
		upstreams = append(upstreams, object{"destinationName": m.Upstream, "localBindPort": 1234})
	}
	if m.App.HealthCheck != nil && m.App.Essential != nil {
		synced = append(synced, aws.ToString(m.App.Name))
	}
	return text(object{
		"bootstrapDir":         "/consul",
		"consulLogin":          object{"enabled": true, "method": "iam-ecs-service-token"},
		"consulServers":        m.Servers.config(),
		"healthSyncContainers": synced,
		"proxy":                object{"healthCheckPort": 22000, "publicListenerPort": 20000, "upstreams": upstreams},
		"service":              object{"meta": nil, "name": m.service(), "namespace": "", "partition": "", "port": m.Port, "tags": []string{"blue"}},
		"transparentProxy": object{
			"consulDNS": object{"enabled": false}, "enabled": false, "excludeInboundPorts": []int{},
			"excludeOutboundCIDRs": []string{}, "excludeOutboundPorts": []int{}, "excludeUIDs": []string{},
		},
	})
}

func text(o object) string {
	encoded, _ := json.Marshal(o) // texts, numbers and lists of them are written
	return string(encoded)
}

// Definition is the module's task definition.
func (m Task) Definition() *ecs.RegisterTaskDefinitionInput {
	return &ecs.RegisterTaskDefinitionInput{
		Family: &m.Family, NetworkMode: ecstypes.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []ecstypes.Compatibility{m.LaunchType},
		TaskRoleArn:             &m.TaskRole, ExecutionRoleArn: &m.ExecutionRole,
		Volumes:              []ecstypes.Volume{{Name: aws.String("consul_data")}, {Name: aws.String("consul_binary")}},
		ContainerDefinitions: append([]ecstypes.ContainerDefinition{m.app()}, m.injected()...),
		Tags: []ecstypes.Tag{
			{Key: aws.String("consul.hashicorp.com/mesh"), Value: aws.String("true")},
			{Key: aws.String("consul.hashicorp.com/service-name"), Value: aws.String(m.service())},
			{Key: aws.String("consul.hashicorp.com/module"), Value: aws.String("terraform-aws-consul-ecs")},
			{Key: aws.String("consul.hashicorp.com/module-version"), Value: aws.String("0.10.0")},
		},
	}
}

func (m Task) app() ecstypes.ContainerDefinition {
	c := m.App
	c.DependsOn = append([]ecstypes.ContainerDependency{}, c.DependsOn...)
	c.DependsOn = append(c.DependsOn, ecstypes.ContainerDependency{ContainerName: aws.String("consul-dataplane"), Condition: ecstypes.ContainerConditionHealthy})
	if m.Delay != "" {
		c.EntryPoint = []string{"/consul/consul-ecs", "app-entrypoint", "-shutdown-delay", m.Delay}
		c.MountPoints = []ecstypes.MountPoint{mount("consul_data", "/consul", true)}
	}
	return c
}

func (m Task) injected() []ecstypes.ContainerDefinition {
	withConfig := []ecstypes.KeyValuePair{{Name: aws.String("CONSUL_ECS_CONFIG_JSON"), Value: aws.String(m.config())}}
	afterInit := []ecstypes.ContainerDependency{{ContainerName: aws.String("consul-ecs-mesh-init"), Condition: ecstypes.ContainerConditionSuccess}}
	asInit := &ecstypes.LinuxParameters{InitProcessEnabled: aws.Bool(true), Capabilities: &ecstypes.KernelCapabilities{}}
	containers := []ecstypes.ContainerDefinition{
		{
			Name: aws.String("consul-ecs-mesh-init"), Command: []string{"mesh-init"}, Environment: withConfig, Secrets: m.Servers.secrets(), LinuxParameters: asInit,
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
			Command: []string{"health-sync"}, Environment: withConfig, Secrets: m.Servers.secrets(), LinuxParameters: asInit,
			MountPoints: []ecstypes.MountPoint{mount("consul_data", "/consul", true)},
		},
	}
	for n := range containers {
		c := &containers[n]
		c.Image, c.Essential = &m.Image, aws.Bool(false)
		c.Environment = append(append([]ecstypes.KeyValuePair{}, c.Environment...), m.Env...)
	}
	return containers
}

func (s Servers) secrets() []ecstypes.Secret {
	if s.CASecretARN == "" {
		return nil
	}
	return []ecstypes.Secret{
		{Name: aws.String("CONSUL_HTTPS_CACERT_PEM"), ValueFrom: &s.CASecretARN},
		{Name: aws.String("CONSUL_GRPC_CACERT_PEM"), ValueFrom: &s.CASecretARN},
	}
}

func mount(volume, path string, readOnly bool) ecstypes.MountPoint {
	return ecstypes.MountPoint{SourceVolume: &volume, ContainerPath: &path, ReadOnly: &readOnly}
}
