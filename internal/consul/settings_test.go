package consul

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/pki"
)

func aTask() taskmeta.Task {
	return taskmeta.Task{
		ARN: "arn:aws:ecs:us-east-1:123456789012:task/prod/1f3a", ID: "1f3a",
		ClusterARN: "arn:aws:ecs:us-east-1:123456789012:cluster/prod", Family: "Web",
		Partition: "aws", Region: "us-east-1", AccountID: "123456789012", AvailabilityZone: "us-east-1a",
	}
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func parse(t *testing.T, text string) agentconfig.Config {
	t.Helper()
	cfg, err := agentconfig.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestSettingsComeWithEveryDefault(t *testing.T) {
	t.Parallel()
	meta := map[string]string{mesh.LoginMetaTaskID: "1f3a", mesh.LoginMetaCluster: "arn:aws:ecs:us-east-1:123456789012:cluster/prod"}
	withMeta := func(key, value string) map[string]string {
		return map[string]string{mesh.LoginMetaTaskID: "1f3a", mesh.LoginMetaCluster: meta[mesh.LoginMetaCluster], key: value}
	}
	for name, tc := range map[string]struct {
		config string
		env    []string
		want   Settings
	}{
		"nothing given": {
			`{"bootstrapDir":"/consul","consulServers":{"hosts":"consul.example"}}`, nil,
			Settings{Hosts: "consul.example", HTTP: agentconfig.Endpoint{Port: 8501, TLS: true}, GRPC: agentconfig.Endpoint{Port: 8503, TLS: true}},
		},
		"login": {
			`{"bootstrapDir":"/consul","consulServers":{"hosts":"h"},"consulLogin":{"enabled":true}}`, nil,
			Settings{
				Hosts: "h", HTTP: agentconfig.Endpoint{Port: 8501, TLS: true}, GRPC: agentconfig.Endpoint{Port: 8503, TLS: true},
				Login: &Login{Method: mesh.AuthMethod, Region: "us-east-1", IncludeEntity: true, Meta: meta},
			},
		},
		"every field of login": {
			`{"bootstrapDir":"/consul","consulServers":{"hosts":"h","skipServerWatch":true},"service":{"port":1,"partition":"part","namespace":"ns"},
			  "consulLogin":{"enabled":true,"method":"m","datacenter":"dc2","includeEntity":false,"region":"eu-west-1","stsEndpoint":"http://sts","iamEndpoint":"http://iam",
			  "serverIdHeaderValue":"id","meta":{"team":"a","consul.hashicorp.com/task-id":"forged"}}}`, nil,
			Settings{
				Hosts: "h", SkipServerWatch: true, HTTP: agentconfig.Endpoint{Port: 8501, TLS: true}, GRPC: agentconfig.Endpoint{Port: 8503, TLS: true},
				Scope: mesh.Scope{Partition: "part", Namespace: "ns"},
				Login: &Login{
					Method: "m", Datacenter: "dc2", Partition: "part", Region: "eu-west-1", STSEndpoint: "http://sts", IAMEndpoint: "http://iam",
					ServerIDHeaderValue: "id", Meta: withMeta("team", "a"),
				},
			},
		},
		"a static token beats the login": {
			`{"bootstrapDir":"/consul","consulServers":{"hosts":"h"},"consulLogin":{"enabled":true}}`, []string{mesh.VariableToken, "secret\n"},
			Settings{Hosts: "h", HTTP: agentconfig.Endpoint{Port: 8501, TLS: true}, GRPC: agentconfig.Endpoint{Port: 8503, TLS: true}, Token: "secret"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := SettingsOf(parse(t, tc.config), aTask(), env(tc.env...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBadSettingsAreNamed(t *testing.T) {
	t.Parallel()
	cfg := parse(t, `{"bootstrapDir":"/consul","consulServers":{"hosts":"h"}}`)
	for name, tc := range map[string]struct {
		hosts string
		env   []string
		want  string
	}{
		"no hosts":    {" ", nil, "consulServers.hosts: is empty"},
		"bad port":    {"h:8503", nil, `consulServers.hosts: "h:8503" has a port`},
		"bad tags":    {"provider=aws tag_key=k", nil, "consulServers.hosts: lacks tag_value"},
		"bad gRPC CA": {"h", []string{mesh.VariableGRPCCACert, "garbage"}, "CONSUL_GRPC_CACERT_PEM holds no certificate in PEM form"},
		"bad HTTP CA": {"h", []string{mesh.VariableHTTPSCACert, "garbage"}, "CONSUL_HTTPS_CACERT_PEM holds no certificate in PEM form"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := cfg
			cfg.ConsulServers.Hosts = tc.hosts
			if _, err := SettingsOf(cfg, aTask(), env(tc.env...)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestTheCAIsTheEnvironmentsThenTheFilesThenTheSystems(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.pem")
	if err := os.WriteFile(bad, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		endpoint   agentconfig.Endpoint
		hosts      string
		serverName string
		roots      bool
		err        string
	}{
		"system":         {agentconfig.Endpoint{TLS: true}, "consul.example", "consul.example", false, ""},
		"server name":    {agentconfig.Endpoint{TLS: true, ServerName: "server.dc1.consul"}, "10.0.0.1", "server.dc1.consul", false, ""},
		"one of a list":  {agentconfig.Endpoint{TLS: true}, "10.0.0.1,10.0.0.2", "", false, ""},
		"cloud":          {agentconfig.Endpoint{TLS: true}, "provider=aws tag_key=k tag_value=v", "", false, ""},
		"command":        {agentconfig.Endpoint{TLS: true}, "exec=discover", "", false, ""},
		"missing file":   {agentconfig.Endpoint{TLS: true, CACertFile: filepath.Join(dir, "none")}, "h", "h", true, "read CA certificates: open"},
		"file of rubble": {agentconfig.Endpoint{TLS: true, CACertFile: bad}, "h", "h", true, "bad.pem holds no certificate"},
		"folder":         {agentconfig.Endpoint{TLS: true, CACertFile: dir}, "h", "h", true, "holds no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := Settings{Hosts: tc.hosts}.tlsConfig(tc.endpoint, "")
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Fatalf("got %v, want %q", err, tc.err)
			}
			if cfg.ServerName != tc.serverName || (cfg.RootCAs != nil) != tc.roots {
				t.Errorf("server name %q, own roots %v", cfg.ServerName, cfg.RootCAs != nil)
			}
		})
	}
	if cfg, err := (Settings{}).tlsConfig(agentconfig.Endpoint{}, "anything"); cfg != nil || err != nil {
		t.Errorf("without TLS: %v, %v", cfg, err)
	}
}

func TestAServerMayWantTheClientsCertificate(t *testing.T) {
	t.Parallel()
	ca, err := pki.New("servers")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf([]string{"client"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := Settings{Hosts: "consul.example", CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), InsecureSkipVerify: true}
	if _, err := s.tlsConfig(agentconfig.Endpoint{TLS: true}, ca.PEM); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without its files: %v", err)
	}
	if err := leaf.Write(dir); err != nil {
		t.Fatal(err)
	}
	cfg, err := s.tlsConfig(agentconfig.Endpoint{TLS: true}, ca.PEM)
	if err != nil || len(cfg.Certificates) != 1 || !cfg.InsecureSkipVerify {
		t.Errorf("got %v, %v", cfg, err)
	}
}

func TestABearerTokenInAFileIsReadForEachLogin(t *testing.T) {
	t.Parallel()
	l := Login{BearerFile: filepath.Join(t.TempDir(), "bearer")}
	for _, want := range []string{"first", "second"} {
		if err := os.WriteFile(l.BearerFile, []byte(" "+want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := l.Mint(t.Context(), nil); err != nil || got != want {
			t.Errorf("got %q, %v", got, err)
		}
	}
}
