package dataplanefile

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Defaults that the official format leaves to the dataplane. Times are in seconds.
const (
	loopback           = "127.0.0.1"
	sidecar            = "sidecar"
	defaultStopWithin  = 25 // ECS kills a container 30 s after SIGTERM unless told otherwise
	defaultDrainTime   = 30
	maxStopWithin      = 120
	afterGrace         = 5 // of StopWithinSeconds, for the end that follows the grace period
	maxDrainTime       = 600
	maxStartupGrace    = 3600
	maxEnvoyThreads    = 256
	defaultStartup     = "/graceful_startup"
	defaultShutdown    = "/graceful_shutdown"
	defaultScrapePath  = "/metrics"
	immediate, gradual = "immediate", "gradual"
)

func withDefaults(f File) File {
	f.Consul.GRPCPort = cmp.Or(f.Consul.GRPCPort, mesh.PortConsulGRPC)
	f.XDSServer.BindAddress = cmp.Or(f.XDSServer.BindAddress, loopback)
	f.Logging.LogLevel = cmp.Or(f.Logging.LogLevel, "info")
	e := &f.Envoy
	e.AdminBindAddress = cmp.Or(e.AdminBindAddress, loopback)
	e.AdminBindPort = cmp.Or(e.AdminBindPort, mesh.PortEnvoyAdmin)
	e.ReadyBindAddress = cmp.Or(e.ReadyBindAddress, loopback)
	e.ReadyBindPort = cmp.Or(e.ReadyBindPort, mesh.PortReadiness)
	if e.DrainTimeSeconds == nil {
		e.DrainTimeSeconds = new(defaultDrainTime)
	}
	e.DrainStrategy = cmp.Or(e.DrainStrategy, immediate)
	e.StopWithinSeconds = cmp.Or(e.StopWithinSeconds, min(max(defaultStopWithin, e.ShutdownGracePeriodSeconds+afterGrace), maxStopWithin))
	e.GracefulAddr = cmp.Or(e.GracefulAddr, loopback)
	e.GracefulPort = cmp.Or(e.GracefulPort, mesh.PortLifeCycle)
	e.GracefulStartupPath = cmp.Or(e.GracefulStartupPath, defaultStartup)
	e.GracefulShutdownPath = cmp.Or(e.GracefulShutdownPath, defaultShutdown)
	f.Locality = f.Locality.withDefaults()
	f.Telemetry.Prometheus.MergePort = cmp.Or(f.Telemetry.Prometheus.MergePort, mesh.PortMetrics)
	return f.withScrapePath()
}

// withScrapePath makes a path of what may lack its slash or have a query behind it.
func (f File) withScrapePath() File {
	const key = "telemetry.prometheus.scrapePath"
	p := &f.Telemetry.Prometheus
	p.ScrapePath = cmp.Or(p.ScrapePath, defaultScrapePath)
	if path, query, found := strings.Cut(p.ScrapePath, "?"); found {
		f.Remarks = append(f.Remarks, fmt.Sprintf("%s: the query %q is cut off", key, query))
		p.ScrapePath = path
	}
	if !strings.HasPrefix(p.ScrapePath, "/") {
		f.Remarks = append(f.Remarks, key+": does not begin with a slash, taken as if it did")
		p.ScrapePath = "/" + p.ScrapePath
	}
	return f
}

// problems gathers everything that is wrong, each with its JSON path.
type problems []error

func (p *problems) add(path, format string, args ...any) {
	*p = append(*p, fmt.Errorf("%s: %w", path, fmt.Errorf(format, args...)))
}

// check tells everything that is wrong. Defaults have been applied.
func (f File) check() error {
	var p problems
	if f.Mode != "" && f.Mode != sidecar {
		p.add("mode", "%q, want %q", f.Mode, sidecar)
	}
	f.checkServers(&p)
	if f.Proxy.ID == "" {
		p.add("proxy.id", "missing")
	}
	f.checkCredentials(&p)
	f.checkNumbers(&p)
	f.checkAddresses(&p)
	f.checkTelemetry(&p)
	f.checkDNS(&p)
	f.checkNames(&p)
	f.checkFurther(&p)
	f.checkLocality(&p)
	both(&p, "consul.tls", f.Consul.TLS.CertFile, f.Consul.TLS.KeyFile)
	oneOf(&p, "envoy.drainStrategy", f.Envoy.DrainStrategy, immediate, gradual)
	oneOf(&p, "logging.logLevel", strings.ToLower(f.Logging.LogLevel), "trace", "debug", "info", "warn", "error")
	if e := f.Envoy; e.GracefulStartupPath == e.GracefulShutdownPath {
		p.add("envoy.gracefulStartupPath", "the same as gracefulShutdownPath")
	}
	if e := f.Envoy; e.ShutdownGracePeriodSeconds > 0 && e.ShutdownGracePeriodSeconds >= e.StopWithinSeconds {
		p.add("envoy.shutdownGracePeriodSeconds", "%d, want less than stopWithinSeconds, %d", e.ShutdownGracePeriodSeconds, e.StopWithinSeconds)
	}
	return errors.Join(p...)
}

func (f File) checkServers(p *problems) {
	c := f.Consul
	hosts, err := agentconfig.ParseHosts(c.Addresses)
	switch {
	case c.Addresses == "":
		p.add("consul.addresses", "missing")
	case err != nil:
		p.add("consul.addresses", "%w", err)
	case !c.TLS.Disabled && c.TLS.ServerName == "" && !c.TLS.InsecureSkipVerify && hosts.OneName() == "":
		p.add("consul.tls.serverName", "missing, as consul.addresses is no single name that the servers' certificates could be for")
	}
}

func (f File) checkCredentials(p *problems) {
	const path = "consul.credentials"
	c := f.Consul.Credentials
	if c == nil {
		return
	}
	switch {
	case c.Type != "" && c.Type != CredentialsLogin && c.Type != CredentialsStatic:
		p.add(path+".type", "%q, want %q or %q", c.Type, CredentialsLogin, CredentialsStatic)
	case c.Type == CredentialsLogin && c.Login.AuthMethod == "":
		p.add(path+".login.authMethod", "missing")
	case c.Type == CredentialsStatic && strings.TrimSpace(c.Static.Token) == "":
		p.add(path+".static.token", "missing")
	}
}

func (f File) checkNumbers(p *problems) {
	e := f.Envoy
	for _, n := range []struct {
		path       string
		v, lo, top int
	}{
		{"consul.grpcPort", f.Consul.GRPCPort, 1, 65535},
		{"xdsServer.bindPort", f.XDSServer.BindPort, 0, 65535},
		{"envoy.adminBindPort", e.AdminBindPort, 1, 65535},
		{"envoy.readyBindPort", e.ReadyBindPort, 1, 65535},
		{"envoy.gracefulPort", e.GracefulPort, 1, 65535},
		{"envoy.concurrency", e.Concurrency, 0, maxEnvoyThreads},
		{"envoy.drainTimeSeconds", *e.DrainTimeSeconds, 0, maxDrainTime},
		{"envoy.stopWithinSeconds", e.StopWithinSeconds, 1, maxStopWithin},
		{"envoy.shutdownGracePeriodSeconds", e.ShutdownGracePeriodSeconds, 0, maxStopWithin - afterGrace},
		{"envoy.startupGracePeriodSeconds", e.StartupGracePeriodSeconds, 0, maxStartupGrace},
		{"telemetry.prometheus.mergePort", f.Telemetry.Prometheus.MergePort, 1, 65535},
	} {
		if n.v < n.lo || n.v > n.top {
			p.add(n.path, "%d, want %d to %d", n.v, n.lo, n.top)
		}
	}
}

func (f File) checkAddresses(p *problems) {
	for _, a := range []struct{ path, addr string }{
		{"xdsServer.bindAddress", f.XDSServer.BindAddress},
		{"envoy.adminBindAddress", f.Envoy.AdminBindAddress},
		{"envoy.readyBindAddress", f.Envoy.ReadyBindAddress},
		{"envoy.gracefulAddr", f.Envoy.GracefulAddr},
	} {
		if ip, err := netip.ParseAddr(a.addr); err != nil || !ip.IsLoopback() {
			p.add(a.path, "%q, want a loopback IP address", a.addr)
		}
	}
	for path, value := range map[string]string{"envoy.gracefulStartupPath": f.Envoy.GracefulStartupPath, "envoy.gracefulShutdownPath": f.Envoy.GracefulShutdownPath} {
		if !strings.HasPrefix(value, "/") {
			p.add(path, "%q, want a path that begins with a slash", value)
		}
	}
}

func (f File) checkTelemetry(p *problems) {
	const path = "telemetry.prometheus"
	prom := f.Telemetry.Prometheus
	if prom.RetentionTime < 0 {
		p.add(path+".retentionTime", "must be greater than zero")
	}
	both(p, path, prom.CertFile, prom.KeyFile)
	if prom.CACertsPath != "" && prom.CertFile == "" {
		p.add(path+".caCertsPath", "needs certFile and keyFile too")
	}
	if u, err := url.Parse(prom.ServiceMetricsURL); prom.ServiceMetricsURL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		p.add(path+".serviceMetricsURL", "%q, want an http URL", prom.ServiceMetricsURL)
	}
}

// both wants a certificate and its key, or neither.
func both(p *problems, path, cert, key string) {
	if (cert == "") != (key == "") {
		p.add(path, "certFile and keyFile go together: one of them is missing")
	}
}

func oneOf(p *problems, path, value string, good ...string) {
	if !slices.Contains(good, value) {
		p.add(path, "%q, want %s or %s", value, strings.Join(good[:len(good)-1], ", "), good[len(good)-1])
	}
}
