package dataplanefile_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
)

func full() dataplanefile.File {
	return dataplanefile.File{
		Consul: dataplanefile.Consul{
			Addresses: "consul.example", GRPCPort: 8503, ServerWatchDisabled: true,
			TLS: dataplanefile.TLS{CACertsPath: "/consul/ca.pem", ServerName: "server.dc1.consul"},
			Credentials: &dataplanefile.Credentials{Type: dataplanefile.CredentialsLogin, Login: dataplanefile.Login{
				AuthMethod: "iam-ecs-service-token", Datacenter: "dc1", Meta: map[string]string{"k": "v"}, Region: "eu-west-1",
				STSEndpoint: "http://sts", IAMEndpoint: "http://iam", IncludeEntity: true, ServerIDHeaderValue: "consul",
			}},
		},
		Proxy:     dataplanefile.Proxy{NodeName: "arn:aws:ecs:eu-west-1:123456789012:cluster/c", ID: "web-1-sidecar-proxy", Namespace: "ns", Partition: "part"},
		XDSServer: dataplanefile.XDSServer{BindAddress: "127.0.0.1", BindPort: 1234},
		Envoy: dataplanefile.Envoy{
			AdminBindAddress: "127.0.0.2", AdminBindPort: 19001, ReadyBindAddress: "127.0.0.1", ReadyBindPort: 22001,
			Concurrency: 3, DrainTimeSeconds: 9, ExecutablePath: "/envoy", StopWithinSeconds: 20,
		},
		Logging: dataplanefile.Logging{LogLevel: "DEBUG", LogJSON: true},
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 { // a second run replaces the read-only file of the first
		if err := dataplanefile.Write(dir, full()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := dataplanefile.Read(filepath.Join(dir, dataplanefile.Name))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), got); diff != "" {
		t.Error(diff)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("folder holds %v (%v), want the file alone", entries, err)
	}
	if info, err := os.Stat(filepath.Join(dir, dataplanefile.Name)); err != nil || info.Mode().Perm() != 0o444 {
		t.Errorf("mode %v (%v), want 0444", info.Mode(), err)
	}
}

func TestServerNameIsWrittenUnderBothKeys(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"serverName":"server.dc1.consul"`, `"tlsServerName":"server.dc1.consul"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %s in %s", want, data)
		}
	}
}

// incumbent is a file as the incumbent's mesh-init writes it, with keys that our dataplane does not use.
const incumbent = `{"consul":{"addresses":"10.0.0.1","grpcPort":8503,"serverWatchDisabled":false,
	"tls":{"disabled":false,"caCertsPath":"/consul/consul-grpc-ca-cert.pem","tlsServerName":"server.dc1.consul"},
	"credentials":{"type":"login","login":{"authMethod":"iam-ecs-service-token","datacenter":"","bearerToken":"b","meta":{"a":"b"}}}},
	"proxy":{"nodeName":"arn","id":"web-sidecar-proxy","namespace":"","partition":""},"xdsServer":{"bindAddress":"127.0.0.1"},
	"envoy":{"readyBindAddress":"127.0.0.1","readyBindPort":22000},"logging":{"logLevel":"INFO"},
	"dnsServer":{"bindAddress":"127.0.0.1","bindPort":8600}}`

func TestAFileOfTheIncumbentIsReadWithDefaults(t *testing.T) {
	t.Parallel()
	got, err := dataplanefile.Read(file(t, incumbent))
	if err != nil {
		t.Fatal(err)
	}
	want := dataplanefile.File{
		Consul: dataplanefile.Consul{
			Addresses: "10.0.0.1", GRPCPort: 8503,
			TLS: dataplanefile.TLS{CACertsPath: "/consul/consul-grpc-ca-cert.pem", ServerName: "server.dc1.consul"},
			Credentials: &dataplanefile.Credentials{Type: "login", Login: dataplanefile.Login{
				AuthMethod: "iam-ecs-service-token", BearerToken: "b", Meta: map[string]string{"a": "b"},
			}},
		},
		Proxy:     dataplanefile.Proxy{NodeName: "arn", ID: "web-sidecar-proxy"},
		XDSServer: dataplanefile.XDSServer{BindAddress: "127.0.0.1"},
		Envoy: dataplanefile.Envoy{
			AdminBindAddress: "127.0.0.1", AdminBindPort: 19000, ReadyBindAddress: "127.0.0.1", ReadyBindPort: 22000,
			DrainTimeSeconds: 30, StopWithinSeconds: 25,
		},
		Logging: dataplanefile.Logging{LogLevel: "INFO"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestABadFileIsRefusedWithItsPath(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ json, want string }{
		"not JSON":          {`{`, "unexpected end of JSON"},
		"empty":             {`{}`, "consul.addresses: missing\nproxy.id: missing"},
		"wrong type":        {`{"consul":{"grpcPort":"x"}}`, "consul.grpcPort"},
		"port too large":    {`{"consul":{"addresses":"a","grpcPort":70000},"proxy":{"id":"p"}}`, "consul.grpcPort: 70000, want 1 to 65535"},
		"not loopback":      {`{"consul":{"addresses":"a"},"proxy":{"id":"p"},"envoy":{"readyBindAddress":"0.0.0.0"}}`, `envoy.readyBindAddress: "0.0.0.0", want a loopback IP address`},
		"two server names":  {`{"consul":{"tls":{"serverName":"a","tlsServerName":"b"}}}`, "consul.tls: serverName and tlsServerName differ"},
		"static token":      {`{"consul":{"addresses":"a","credentials":{"type":"static"}},"proxy":{"id":"p"}}`, `consul.credentials.type: "static", want "login"`},
		"no auth method":    {`{"consul":{"addresses":"a","credentials":{"type":"login"}},"proxy":{"id":"p"}}`, "consul.credentials.login.authMethod: missing"},
		"unknown log level": {`{"consul":{"addresses":"a"},"proxy":{"id":"p"},"logging":{"logLevel":"loud"}}`, `logging.logLevel: "loud"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := dataplanefile.Read(file(t, c.json)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestWriteRefusesWhatReadWould(t *testing.T) {
	t.Parallel()
	if err := dataplanefile.Write(t.TempDir(), dataplanefile.File{}); err == nil {
		t.Error("an empty file was written")
	}
	if err := dataplanefile.Write(filepath.Join(t.TempDir(), "absent"), full()); err == nil {
		t.Error("a file was written into a folder that does not exist")
	}
}

func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), dataplanefile.Name)
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
