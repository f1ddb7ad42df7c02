package provider

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

// What is imported is written as briefly as it can be: values that are the default, or the provider's, are left out.

// importConfig reads the agents' configuration off the containers.
func importConfig(containers []ecstypes.ContainerDefinition) (agentconfig.Config, error) {
	text := agentConfig(containers)
	if text == "" {
		return agentconfig.Config{}, fmt.Errorf("no container has the environment variable %s: the task is not in the mesh", mesh.ConfigVariable)
	}
	return agentconfig.Parse([]byte(text))
}

// importServers is nil where the provider's settings lead to the same servers.
func importServers(cfg agentconfig.ConsulServers, containers []ecstypes.ContainerDefinition, d defaults) *consulServersModel {
	https, grpc := secretOf(containers, mesh.VariableHTTPSCACert), secretOf(containers, mesh.VariableGRPCCACert)
	same := func(m *consulServersModel) bool {
		spec := m.spec()
		definition, err := taskdef.BuildController(taskdef.ControllerSpec{Servers: spec, Image: "any", TokenSecretARN: "arn:aws:secretsmanager:us-east-1:123456789012:secret:any"})
		if err != nil {
			return false
		}
		read, err := importConfig(definition.ContainerDefinitions)
		return err == nil && reflect.DeepEqual(read.ConsulServers, cfg) &&
			secretOf(definition.ContainerDefinitions, mesh.VariableHTTPSCACert) == https && secretOf(definition.ContainerDefinitions, mesh.VariableGRPCCACert) == grpc
	}
	if d.servers != nil && same(d.servers) {
		return nil
	}
	m := &consulServersModel{TLS: &tlsModel{}}
	fromSpec(m, cfg)
	importTLS(m.TLS, cfg.Defaults, https, grpc)
	if brief := (&consulServersModel{Hosts: m.Hosts, SkipServerWatch: m.SkipServerWatch, TLS: m.TLS}); same(brief) {
		return brief
	}
	if cfg.HTTP != nil {
		m.HTTP = &serverModel{TLS: cfg.HTTP.HTTPS}
		fromSpec(&m.HTTP.Port, cfg.HTTP.Port)
		fromSpec(&m.HTTP.ServerName, cfg.HTTP.TLSServerName)
		fromSpec(&m.HTTP.CAFile, cfg.HTTP.CACertFile)
	}
	return m
}

func importTLS(m *tlsModel, cfg *agentconfig.ServerDefaults, https, grpc string) {
	if cfg != nil {
		m.Enabled = cfg.TLS
		fromSpec(&m.ServerName, cfg.TLSServerName)
		fromSpec(&m.CAFile, cfg.CACertFile)
	}
	if https == grpc {
		fromSpec(&m.CASecretARN, https)
		return
	}
	fromSpec(&m.HTTPSCASecretARN, https)
	fromSpec(&m.GRPCCASecretARN, grpc)
}

// secretOf is where a container's variable comes from, whichever container has it.
func secretOf(containers []ecstypes.ContainerDefinition, variable string) string {
	for _, c := range containers {
		for _, s := range c.Secrets {
			if aws.ToString(s.Name) == variable {
				return aws.ToString(s.ValueFrom)
			}
		}
	}
	return ""
}

func importLogin(cfg *agentconfig.ConsulLogin, d defaults) *loginModel {
	login := value(cfg)
	supplied := d.login.spec()
	if supplied.Enabled {
		supplied.Method = orDefault(supplied.Method, mesh.AuthMethod)
	} else {
		supplied = agentconfig.ConsulLogin{}
	}
	if reflect.DeepEqual(login, supplied) {
		return nil
	}
	m := &loginModel{}
	if login.Method == mesh.AuthMethod {
		login.Method = ""
	}
	fromSpec(m, login)
	m.Enabled = &login.Enabled
	return m
}

func importService(cfg *agentconfig.Service, family string) *serviceModel {
	service := value(cfg)
	if service.Name == mesh.ServiceName("", family) {
		service.Name = ""
	}
	var m serviceModel
	fromSpec(&m, service)
	if w := service.Weights; w != nil { // both are required, and 0 says something
		m.Weights = &weightsModel{Passing: aws.Int32(int32(w.Passing)), Warning: aws.Int32(int32(w.Warning))}
	}
	if n := service.NetworkResilience; n != nil && n.Enabled {
		m.OutlierDetection = &outlierModel{}
		fromSpec(m.OutlierDetection, value(n.OutlierDetection))
		if interval := value(n.OutlierDetection).Interval; interval != nil {
			m.OutlierDetection.Interval = aws.String(time.Duration(*interval).String())
		}
	}
	if reflect.DeepEqual(m, serviceModel{}) {
		return nil
	}
	return &m
}

func importUpstreams(cfg []agentconfig.Upstream) ([]upstreamModel, error) {
	var all []upstreamModel
	for _, u := range cfg {
		var m upstreamModel
		fromSpec(&m, u)
		if u.MeshGateway != nil {
			fromSpec(&m.MeshGatewayMode, u.MeshGateway.Mode)
		}
		var err error
		if m.Config, err = importObject(u.Config); err != nil {
			return nil, fmt.Errorf("upstream %s: %w", u.DestinationName, err)
		}
		all = append(all, m)
	}
	return all, nil
}

func importProxy(cfg agentconfig.Proxy) (*proxyModel, error) {
	if cfg.PublicListenerPort == mesh.PortPublicListener {
		cfg.PublicListenerPort = 0
	}
	if cfg.HealthCheckPort == mesh.PortReadiness {
		cfg.HealthCheckPort = 0
	}
	var m proxyModel
	fromSpec(&m, cfg)
	if cfg.MeshGateway != nil {
		fromSpec(&m.MeshGatewayMode, cfg.MeshGateway.Mode)
	}
	if d := cfg.Dataplane; d != nil {
		fromSpec(&m.Concurrency, d.Concurrency)
		fromSpec(&m.DrainTime, d.DrainTimeSeconds)
	}
	var err error
	if m.Config, err = importObject(cfg.Config); err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	if reflect.DeepEqual(m, proxyModel{}) {
		return nil, nil
	}
	return &m, nil
}

// importStopWithin sets proxy.stop_within where the dataplane is told something else than what follows from the stop
// timeouts. All else of the model has been imported.
func (m *meshTaskModel) importStopWithin(cfg agentconfig.Proxy, d defaults) {
	within := value(cfg.Dataplane).StopWithinSeconds
	if within == 0 || within == taskdef.AgentConfig(m.spec(d)).Proxy.Dataplane.StopWithinSeconds {
		return
	}
	if m.Proxy == nil {
		m.Proxy = &proxyModel{}
	}
	fromSpec(&m.Proxy.StopWithin, within)
}

// importObject writes an opaque object as jsonencode does.
func importObject(object map[string]any) (*string, error) {
	if len(object) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("write config: %w", err)
	}
	return aws.String(string(b)), nil
}

func orDefault(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
