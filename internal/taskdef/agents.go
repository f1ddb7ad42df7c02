package taskdef

import (
	"cmp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// AgentConfig is what the agents of the task are told. What has a default is written out, so that the incumbent's agents,
// whose defaults differ in places, read the same.
func AgentConfig(s Spec) agentconfig.Config {
	service, proxy, transparent := s.Service, s.Proxy, s.TransparentProxy
	service.Name = mesh.ServiceName(service.Name, s.Family)
	proxy.PublicListenerPort = cmp.Or(proxy.PublicListenerPort, mesh.PortPublicListener)
	proxy.HealthCheckPort = cmp.Or(proxy.HealthCheckPort, mesh.PortReadiness)
	proxy.Dataplane = s.dataplane()
	transparent.Enabled = first(transparent.Enabled, aws.Bool(false)) // absent, the incumbent takes it for true
	cfg := agentconfig.Config{
		BootstrapDir:         mesh.BootstrapDir,
		LogLevel:             s.LogLevel,
		LogJSON:              s.LogJSON,
		ConsulServers:        s.Servers.resolved(),
		HealthSyncContainers: s.healthSyncContainers(),
		ReadinessProbes:      s.ReadinessProbes,
		Service:              &service,
		Proxy:                &proxy,
		Services:             s.services(),
		TransparentProxy:     &transparent,
		Locality:             s.locality(),
		ShareAgent:           s.sharesAgent(),
	}
	if aws.ToBool(s.Names.Enabled) { // the incumbent's agents do not know the section
		names := s.Names
		cfg.Names = &names
	}
	if s.Login.Enabled {
		login := s.Login
		login.Method = cmp.Or(login.Method, mesh.AuthMethod)
		cfg.ConsulLogin = &login
	}
	return cfg
}

// services are the further ones, the ports of their proxies written out.
func (s Spec) services() []agentconfig.FurtherService {
	var all []agentconfig.FurtherService
	for i, further := range s.Services {
		var proxy agentconfig.Proxy
		if further.Proxy != nil {
			proxy = *further.Proxy
		}
		proxy.PublicListenerPort = cmp.Or(proxy.PublicListenerPort, mesh.PortPublicListener+i+1)
		proxy.HealthCheckPort = cmp.Or(proxy.HealthCheckPort, mesh.PortReadiness+i+1)
		all = append(all, agentconfig.FurtherService{Service: further.Service, Proxy: &proxy})
	}
	return all
}

// ServiceNames are the names of the Consul services that the task is, in order.
func (s Spec) ServiceNames() []string {
	names := []string{mesh.ServiceName(s.Service.Name, s.Family)}
	for _, further := range s.Services {
		if further.Service != nil {
			names = append(names, further.Service.Name)
		}
	}
	return names
}

// ControllerAgentConfig is what the controller is told.
func ControllerAgentConfig(s ControllerSpec) agentconfig.Config {
	controller := s.Controller
	controller.IAMRolePath = cmp.Or(controller.IAMRolePath, mesh.RolePath)
	controller = controller.Brief()
	cfg := agentconfig.Config{
		BootstrapDir:  mesh.BootstrapDir,
		LogLevel:      s.LogLevel,
		LogJSON:       s.LogJSON,
		ConsulServers: s.Servers.resolved(),
		Controller:    &controller,
	}
	if s.LogsIn {
		cfg.ConsulLogin = s.login()
	}
	return cfg
}

// login is the controller's own, by the same endpoints as its tasks. It names no auth method: controllers have one of their own, and
// Consul refuses them in that of tasks.
func (s ControllerSpec) login() *agentconfig.ConsulLogin {
	login := agentconfig.ConsulLogin{Enabled: true}
	if m := s.Controller.AuthMethod; m != nil {
		login.STSEndpoint, login.IAMEndpoint, login.ServerIDHeaderValue = m.STSEndpoint, m.IAMEndpoint, m.ServerIDHeaderValue
	}
	return &login
}

// resolved has each port's number and TLS switch written out: 8501 and 8503 with TLS, 8500 and 8502 without.
func (s Servers) resolved() agentconfig.ConsulServers {
	servers := s.ConsulServers
	var defaults agentconfig.ServerDefaults
	var http agentconfig.ServerHTTP
	var grpc agentconfig.ServerGRPC
	if servers.Defaults != nil {
		defaults = *servers.Defaults
	}
	if servers.HTTP != nil {
		http = *servers.HTTP
	}
	if servers.GRPC != nil {
		grpc = *servers.GRPC
	}
	defaults.TLS = first(defaults.TLS, aws.Bool(true))
	http.HTTPS = first(http.HTTPS, http.TLS, defaults.TLS)
	grpc.TLS = first(grpc.TLS, defaults.TLS)
	http.Port = cmp.Or(http.Port, either(*http.HTTPS, mesh.PortConsulHTTPS, mesh.PortConsulHTTP))
	grpc.Port = cmp.Or(grpc.Port, either(*grpc.TLS, mesh.PortConsulGRPCTLS, mesh.PortConsulGRPC))
	servers.Defaults, servers.HTTP, servers.GRPC = &defaults, &http, &grpc
	return servers
}

// httpsCA and grpcCA are the ARNs of the secrets that the agents get; empty where the port has no TLS.
func (s Servers) httpsCA() string {
	if !*s.resolved().HTTP.HTTPS {
		return ""
	}
	return cmp.Or(s.HTTPSCASecretARN, s.CASecretARN)
}

func (s Servers) grpcCA() string {
	if !*s.resolved().GRPC.TLS {
		return ""
	}
	return cmp.Or(s.GRPCCASecretARN, s.CASecretARN)
}

func (s Spec) healthSyncContainers() []string {
	var names []string
	for _, c := range s.Containers {
		if s.syncsHealth(c) {
			names = append(names, aws.ToString(c.Definition.Name))
		}
	}
	return names
}

func (s Spec) syncsHealth(c Container) bool {
	if c.HealthSync != nil {
		return *c.HealthSync
	}
	return c.essential() && c.Definition.HealthCheck != nil || s.probes(c)
}

// probes reports whether health-sync asks the container itself.
func (s Spec) probes(c Container) bool {
	return slices.ContainsFunc(s.ReadinessProbes, func(p agentconfig.ReadinessProbe) bool { return p.Container == aws.ToString(c.Definition.Name) })
}

// essential is ECS's default: what is not said to be inessential is essential.
func (c Container) essential() bool {
	return c.Definition.Essential == nil || *c.Definition.Essential
}

// waitsForProxy has everything wait but a log router, through which the proxy may log.
func (c Container) waitsForProxy() bool {
	if c.WaitForProxy == nil {
		return !isLogRouter(c.Definition)
	}
	return *c.WaitForProxy
}

func first(values ...*bool) *bool {
	for _, v := range values {
		if v != nil {
			return v
		}
	}
	return nil
}

func either[T any](condition bool, yes, no T) T {
	if condition {
		return yes
	}
	return no
}
