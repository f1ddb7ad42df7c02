package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/front"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/pki"
)

// authorities are what an agent may be told to trust: files, a folder, and the text of Consul's own.
type authorities struct{ good, bad, folder, empty, text string }

func makeAuthorities(t *testing.T) authorities {
	t.Helper()
	another, err := pki.New("another CA")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	a := authorities{filepath.Join(dir, "good.pem"), filepath.Join(dir, "bad.pem"), filepath.Join(dir, "folder"), filepath.Join(dir, "empty"), stage.Consul.CAPEM}
	if err := os.MkdirAll(filepath.Join(a.folder, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(a.empty, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		a.good: a.text, a.bad: another.PEM, filepath.Join(a.folder, "1.pem"): another.PEM, filepath.Join(a.folder, "2.pem"): a.text,
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// variables are those that bring the text to both ports.
func (a authorities) variables() map[string]string {
	return map[string]string{mesh.VariableGRPCCACert: a.text, mesh.VariableHTTPSCACert: a.text}
}

// The settings of servers, by shorter names.
type (
	serverDefaults = agentconfig.ServerDefaults
	serverHTTP     = agentconfig.ServerHTTP
	serverGRPC     = agentconfig.ServerGRPC
)

// servers are those of the stage as change has them. Consul's certificate is for server.dc1.consul, localhost and 127.0.0.1.
func servers(change func(*serverDefaults, *serverHTTP, *serverGRPC)) agentconfig.ConsulServers {
	s := stage.Servers()
	change(s.Defaults, s.HTTP, s.GRPC)
	return s
}

type tlsCase struct {
	servers agentconfig.ConsulServers
	env     map[string]string // without it no CA is in the environment
	want    string            // that ends mesh-init; "" for a task that is registered
}

func (tc tlsCase) run(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	p.cfg.ConsulServers = tc.servers
	p.env[mesh.VariableGRPCCACert], p.env[mesh.VariableHTTPSCACert] = "", ""
	for name, value := range tc.env {
		p.env[name] = value
	}
	r := p.start(t, "mesh-init")
	if tc.want == "" {
		r.exits(t, 0, 60*time.Second)
		return
	}
	r.exits(t, 1, 60*time.Second)
	if !strings.Contains(r.log.String(), tc.want) {
		t.Errorf("it did not say %q:\n%s", tc.want, r.log)
	}
}

func TestServersAreVerifiedAsTheConfigurationSays(t *testing.T) {
	t.Parallel()
	a, plain, no := makeAuthorities(t), front.Start(t, stage.Consul), false
	both := a.variables()
	for name, tc := range map[string]tlsCase{
		"PEM text":             {servers(func(*serverDefaults, *serverHTTP, *serverGRPC) {}), both, ""},
		"PEM text beats files": {servers(func(d *serverDefaults, _ *serverHTTP, _ *serverGRPC) { d.CACertFile = a.bad }), both, ""},
		"a file":               {servers(func(d *serverDefaults, _ *serverHTTP, _ *serverGRPC) { d.CACertFile = a.good }), nil, ""},
		"a folder":             {servers(func(d *serverDefaults, _ *serverHTTP, _ *serverGRPC) { d.CACertFile = a.folder }), nil, ""},
		"the system's roots":   {servers(func(*serverDefaults, *serverHTTP, *serverGRPC) {}), map[string]string{"SSL_CERT_FILE": a.good}, ""},
		"a file for each": {servers(func(d *serverDefaults, h *serverHTTP, g *serverGRPC) {
			d.CACertFile, h.CACertFile, g.CACertFile = a.bad, a.good, a.folder
		}), nil, ""},
		"a file and PEM text": {
			servers(func(d *serverDefaults, h *serverHTTP, _ *serverGRPC) { d.CACertFile, h.CACertFile = a.bad, a.good }), map[string]string{mesh.VariableGRPCCACert: a.text}, "",
		},
		"a name for each": {servers(func(d *serverDefaults, h *serverHTTP, g *serverGRPC) {
			d.TLSServerName, h.TLSServerName, g.TLSServerName = "other.example", "localhost", "server.dc1.consul"
		}), both, ""},
		"by the address": {servers(func(d *serverDefaults, _ *serverHTTP, _ *serverGRPC) { d.TLSServerName = "" }), both, ""},
		"gRPC in plain":  {servers(func(_ *serverDefaults, _ *serverHTTP, g *serverGRPC) { g.TLS, g.Port = &no, plain.GRPCPort }), both, ""},
		"HTTP in plain":  {servers(func(_ *serverDefaults, h *serverHTTP, _ *serverGRPC) { h.HTTPS, h.Port = &no, plain.HTTPPort }), both, ""},
		"no TLS at all": {servers(func(d *serverDefaults, h *serverHTTP, g *serverGRPC) {
			d.TLS, h.HTTPS, h.Port, g.Port = &no, &no, plain.HTTPPort, plain.GRPCPort
		}), nil, ""},
		"defaults' no is gRPC's alone": {servers(func(d *serverDefaults, _ *serverHTTP, g *serverGRPC) { d.TLS, g.Port = &no, plain.GRPCPort }), both, ""},
	} {
		t.Run(name, tc.run)
	}
}

func TestAServerThatCannotBeVerifiedIsRefusedWithTheFix(t *testing.T) {
	t.Parallel()
	a, plain, no := makeAuthorities(t), front.Start(t, stage.Consul), false
	both := a.variables()
	for name, tc := range map[string]tlsCase{
		"no CA":                {servers(func(*serverDefaults, *serverHTTP, *serverGRPC) {}), nil, "give theirs in CONSUL_GRPC_CACERT_PEM or consulServers.grpc.caCertFile"},
		"another CA for gRPC":  {servers(func(_ *serverDefaults, _ *serverHTTP, g *serverGRPC) { g.CACertFile = a.bad }), map[string]string{mesh.VariableHTTPSCACert: a.text}, "give theirs in CONSUL_GRPC_CACERT_PEM"},
		"another CA for HTTP":  {servers(func(_ *serverDefaults, h *serverHTTP, _ *serverGRPC) { h.CACertFile = a.bad }), map[string]string{mesh.VariableGRPCCACert: a.text}, "give theirs in CONSUL_HTTPS_CACERT_PEM or consulServers.http.caCertFile"},
		"no such file":         {servers(func(d *serverDefaults, _ *serverHTTP, _ *serverGRPC) { d.CACertFile = "/nowhere/ca.pem" }), nil, "read CA certificates: open /nowhere/ca.pem"},
		"an empty folder":      {servers(func(d *serverDefaults, _ *serverHTTP, _ *serverGRPC) { d.CACertFile = a.empty }), nil, "read CA certificates: " + a.empty + " holds no certificate in PEM form"},
		"rubble":               {servers(func(*serverDefaults, *serverHTTP, *serverGRPC) {}), map[string]string{mesh.VariableGRPCCACert: "rubble"}, "CONSUL_GRPC_CACERT_PEM holds no certificate in PEM form"},
		"wrong name for gRPC":  {servers(func(_ *serverDefaults, _ *serverHTTP, g *serverGRPC) { g.TLSServerName = "other.example" }), both, "the certificate does not fit the name: set consulServers.defaults.tlsServerName"},
		"wrong name for HTTP":  {servers(func(_ *serverDefaults, h *serverHTTP, _ *serverGRPC) { h.TLSServerName = "other.example" }), both, "the certificate of the servers' HTTP API does not fit the name"},
		"TLS to plain gRPC":    {servers(func(_ *serverDefaults, _ *serverHTTP, g *serverGRPC) { g.Port = plain.GRPCPort }), both, "the port speaks plain text: set consulServers.grpc.tls to false"},
		"HTTPS to plain HTTP":  {servers(func(_ *serverDefaults, h *serverHTTP, _ *serverGRPC) { h.Port = plain.HTTPPort }), both, "the port speaks plain text: set consulServers.http.https to false"},
		"plain HTTP to HTTPS":  {servers(func(_ *serverDefaults, h *serverHTTP, _ *serverGRPC) { h.HTTPS = &no }), both, "the port wants HTTPS: set consulServers.http.https to true"},
		"names of no one host": {agentconfig.ConsulServers{Hosts: "127.0.0.1,127.0.0.2"}, both, "consulServers.defaults.tlsServerName: is needed"},
	} {
		t.Run(name, tc.run)
	}
}
