package agentconfig

import (
	"cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Endpoint is one port of Consul's servers with every default applied.
type Endpoint struct {
	Port       int
	TLS        bool
	ServerName string // to verify the certificate by; "" means the host as given
	CACertFile string // "" means the environment's PEM text, else the system's roots
}

// HTTPEndpoint is the servers' HTTP API.
func (s ConsulServers) HTTPEndpoint() Endpoint {
	defaults, http := deref(s.Defaults), deref(s.HTTP)
	return Endpoint{
		Port:       cmp.Or(http.Port, mesh.PortConsulHTTPS),
		TLS:        or(http.HTTPS, true),
		ServerName: cmp.Or(http.TLSServerName, defaults.TLSServerName),
		CACertFile: cmp.Or(http.CACertFile, defaults.CACertFile),
	}
}

// GRPCEndpoint is the servers' gRPC port: discovery, login, xDS.
func (s ConsulServers) GRPCEndpoint() Endpoint {
	defaults, grpc := deref(s.Defaults), deref(s.GRPC)
	return Endpoint{
		Port:       cmp.Or(grpc.Port, mesh.PortConsulGRPCTLS),
		TLS:        or(grpc.TLS, or(defaults.TLS, true)),
		ServerName: cmp.Or(grpc.TLSServerName, defaults.TLSServerName),
		CACertFile: cmp.Or(grpc.CACertFile, defaults.CACertFile),
	}
}

// Login is the login section with its defaults; the zero value with Enabled false when there is none.
func (c Config) Login() ConsulLogin {
	login := deref(c.ConsulLogin)
	login.Method = cmp.Or(login.Method, mesh.AuthMethod)
	include := or(login.IncludeEntity, true)
	login.IncludeEntity = &include
	return login
}

// ControllerSettings is the controller section with its defaults, also when the section is absent. SyncSeconds stays nil where
// the controller itself decides.
func (c Config) ControllerSettings() Controller {
	controller := deref(c.Controller)
	controller.IAMRolePath = cmp.Or(controller.IAMRolePath, mesh.RolePath)
	if controller.PartitionsEnabled {
		controller.Partition = cmp.Or(controller.Partition, "default")
	}
	method := deref(controller.AuthMethod)
	method.Name = cmp.Or(method.Name, mesh.AuthMethod)
	controller.AuthMethod = &method
	controller.ManageACL = withDefault(controller.ManageACL, true)
	controller.AnonymousReads = withDefault(controller.AnonymousReads, true)
	if controller.EventQueueURL != "" {
		controller.SyncSeconds = withDefault(controller.SyncSeconds, syncSeconds)
	}
	controller.MaxWritesPerSecond = withDefault(controller.MaxWritesPerSecond, maxWritesPerSecond)
	brake := deref(controller.Brake)
	controller.Brake = &Brake{Tasks: withDefault(brake.Tasks, brakeTasks), Percent: withDefault(brake.Percent, brakePercent)}
	controller.HTTPAddress = cmp.Or(controller.HTTPAddress, controllerHTTPAddress)
	return controller
}

// Brief is the section without what the defaults say as well: however it was written, what means the same is the same.
func (c Controller) Brief() Controller {
	defaults := Config{}.ControllerSettings()
	c.ManageACL, c.AnonymousReads = unless(c.ManageACL, *defaults.ManageACL), unless(c.AnonymousReads, *defaults.AnonymousReads)
	c.MaxWritesPerSecond = unless(c.MaxWritesPerSecond, *defaults.MaxWritesPerSecond)
	brake := deref(c.Brake)
	brake = Brake{unless(brake.Tasks, *defaults.Brake.Tasks), unless(brake.Percent, *defaults.Brake.Percent)}
	if c.Brake = &brake; brake == (Brake{}) {
		c.Brake = nil
	}
	if c.HTTPAddress == defaults.HTTPAddress {
		c.HTTPAddress = ""
	}
	return c
}

// unless is the pointer, or nil where it points to what is said anyway.
func unless[T comparable](value *T, otherwise T) *T {
	if value != nil && *value == otherwise {
		return nil
	}
	return value
}

// Defaults of the controller's section.
const (
	syncSeconds           = 300
	maxWritesPerSecond    = 800
	brakeTasks            = 50
	brakePercent          = 25
	controllerHTTPAddress = "127.0.0.1:9102"
)

// OutlierShare is how many percent of the instances outlier detection may leave out at once, where it is asked for and does not say.
const OutlierShare = 50

// withDefault is the value that is pointed to, else the other.
func withDefault[T any](value *T, other T) *T {
	if value == nil {
		return &other
	}
	return value
}

// ServiceSettings is the service section for a task of the family, its name filled in.
func (c Config) ServiceSettings(family string) Service {
	service := deref(c.Service)
	service.Name = mesh.ServiceName(service.Name, family)
	return service
}

// Outliers is what the service-defaults of the service shall hold; nil for nothing.
func (s Service) Outliers() *OutlierDetection {
	resilience := deref(s.NetworkResilience)
	if !resilience.Enabled {
		return nil
	}
	o := deref(resilience.OutlierDetection)
	return &o
}

// ProxySettings is the proxy section with its default ports, also when the section is absent.
func (c Config) ProxySettings() Proxy {
	proxy := deref(c.Proxy)
	proxy.PublicListenerPort = cmp.Or(proxy.PublicListenerPort, mesh.PortPublicListener)
	proxy.HealthCheckPort = cmp.Or(proxy.HealthCheckPort, mesh.PortReadiness)
	return proxy
}

// RedirectsTraffic reports whether the task asks for transparent proxy. The incumbent takes an absent section for yes,
// which fails wherever NET_ADMIN is not granted; here a task asks by saying so.
func (c Config) RedirectsTraffic() bool { return or(deref(c.TransparentProxy).Enabled, false) }

// ResolvesNames reports whether the task asks for Consul DNS, which only redirection brings to the application.
func (c Config) ResolvesNames() bool {
	return c.RedirectsTraffic() && or(deref(c.TransparentProxySettings().ConsulDNS).Enabled, false)
}

// TransparentProxySettings is the transparent proxy section; the zero value when there is none.
func (c Config) TransparentProxySettings() TransparentProxy { return deref(c.TransparentProxy) }

// CallsByName reports whether the application calls services by their names.
func (c Config) CallsByName() bool { return or(deref(c.Names).Enabled, false) }

// NamesSettings is the names section with its default port, also when the section is absent.
func (c Config) NamesSettings() Names {
	names := deref(c.Names)
	if len(names.Ports) == 0 {
		names.Ports = []int{mesh.PortNames}
	}
	return names
}

// PrefersZone reports whether the task asks for calls to stay in its zone.
func (c Config) PrefersZone() bool { return or(deref(c.Locality).PreferZone, false) }

// LocalitySettings is the locality section with its defaults, also when the section is absent.
func (c Config) LocalitySettings() Locality {
	l := deref(c.Locality)
	l.PreferZone = withDefault(l.PreferZone, false)
	l.Spill = cmp.Or(l.Spill, SpillGradual)
	return l
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func or(p *bool, otherwise bool) bool {
	if p == nil {
		return otherwise
	}
	return *p
}
