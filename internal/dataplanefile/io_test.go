package dataplanefile_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
)

func full() dataplanefile.File {
	return dataplanefile.File{
		Consul: dataplanefile.Consul{
			Addresses: "consul.example", GRPCPort: 8503, ServerWatchDisabled: true,
			TLS: dataplanefile.TLS{CACertsPath: "/consul/ca.pem", ServerName: "server.dc1.consul", CertFile: "/c.pem", KeyFile: "/k.pem", InsecureSkipVerify: true},
			Credentials: &dataplanefile.Credentials{Type: dataplanefile.CredentialsLogin, Login: dataplanefile.Login{
				AuthMethod: "iam-ecs-service-token", Datacenter: "dc1", BearerTokenPath: "/bearer", Meta: map[string]string{"k": "v"}, Region: "eu-west-1",
				STSEndpoint: "http://sts", IAMEndpoint: "http://iam", IncludeEntity: true, ServerIDHeaderValue: "consul",
			}},
		},
		Mode:      "sidecar",
		Proxy:     dataplanefile.Proxy{NodeName: "arn:aws:ecs:eu-west-1:123456789012:cluster/c", NodeID: "n", ID: "web-1-sidecar-proxy", Namespace: "ns", Partition: "part"},
		XDSServer: dataplanefile.XDSServer{BindAddress: "127.0.0.1", BindPort: 1234},
		Envoy: dataplanefile.Envoy{
			AdminBindAddress: "127.0.0.2", AdminBindPort: 19001, ReadyBindAddress: "127.0.0.1", ReadyBindPort: 22001,
			Concurrency: 3, DrainTimeSeconds: new(9), DrainStrategy: "gradual", ExecutablePath: "/envoy", StopWithinSeconds: 20,
			GracefulAddr: "127.0.0.2", GracefulPort: 20301, GracefulStartupPath: "/up", StartupGracePeriodSeconds: 4,
			GracefulShutdownPath: "/down", ShutdownGracePeriodSeconds: 5, ShutdownDrainListenersEnabled: true, DumpEnvoyConfigOnExitEnabled: true,
		},
		Logging:   dataplanefile.Logging{LogLevel: "DEBUG", LogJSON: true},
		DNSServer: &dataplanefile.DNSServer{BindAddress: "127.0.0.2", BindPort: new(8601)},
		Names:     &dataplanefile.Names{Ports: []int{80, 8080}},
		Telemetry: dataplanefile.Telemetry{UseCentralConfig: new(bool), Prometheus: dataplanefile.Prometheus{
			RetentionTime: dataplanefile.Duration(time.Minute), CACertsPath: "/ca.pem", CertFile: "/c.pem", KeyFile: "/k.pem",
			ServiceMetricsURL: "http://127.0.0.1:9090/metrics", ScrapePath: "/scrape", MergePort: 20101,
		}},
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

func TestAddressesAreInTheOfficialFormAsFarAsThereIsOne(t *testing.T) {
	t.Parallel()
	for hosts, want := range map[string]string{
		"consul.example":                     "consul.example",
		"10.0.0.1,10.0.0.2":                  "10.0.0.1,10.0.0.2",
		"exec=discover -q addrs x=y":         "exec=discover -q addrs x=y",
		"provider=aws tag_key=k tag_value=v": "exec=discover -q addrs provider=aws tag_key=k tag_value=v",
	} {
		if got := dataplanefile.Addresses(hosts); got != want {
			t.Errorf("%s: got %q, want %q", hosts, got, want)
		}
		section := `"consul":{"addresses":"` + dataplanefile.Addresses(hosts) + `","tls":{"serverName":"server.dc1.consul"}}`
		if f, err := dataplanefile.Read(file(t, valid(section))); err != nil || f.Consul.Addresses != want {
			t.Errorf("%s: read %q (%v), want %q", hosts, f.Consul.Addresses, err, want)
		}
	}
}

// incumbent is a file as the incumbent's mesh-init writes it.
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
			DrainTimeSeconds: new(30), DrainStrategy: "immediate", StopWithinSeconds: 25,
			GracefulAddr: "127.0.0.1", GracefulPort: 20300, GracefulStartupPath: "/graceful_startup", GracefulShutdownPath: "/graceful_shutdown",
		},
		Logging:   dataplanefile.Logging{LogLevel: "INFO"},
		DNSServer: &dataplanefile.DNSServer{BindAddress: "127.0.0.1", BindPort: new(8600)},
		Telemetry: dataplanefile.Telemetry{Prometheus: dataplanefile.Prometheus{ScrapePath: "/metrics", MergePort: 20100}},
	}
	got.Remarks = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// valid is a file that is good but for the part.
func valid(part string) string {
	if strings.HasPrefix(part, `"consul"`) {
		return `{"proxy":{"id":"p"},` + part + `}`
	}
	return `{"consul":{"addresses":"a"},"proxy":{"id":"p"},` + part + `}`
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
		"another type":      {valid(`"consul":{"addresses":"a","credentials":{"type":"magic"}}`), `consul.credentials.type: "magic", want "login" or "static"`},
		"no static token":   {valid(`"consul":{"addresses":"a","credentials":{"type":"static","static":{"token":" "}}}`), "consul.credentials.static.token: missing"},
		"half a key pair":   {valid(`"consul":{"addresses":"a","tls":{"certFile":"/c"}}`), "consul.tls: certFile and keyFile go together: one of them is missing"},
		"half another pair": {valid(`"telemetry":{"prometheus":{"keyFile":"/k"}}`), "telemetry.prometheus: certFile and keyFile go together"},
		"a CA alone":        {valid(`"telemetry":{"prometheus":{"caCertsPath":"/k"}}`), "telemetry.prometheus.caCertsPath: needs certFile and keyFile too"},
		"no URL":            {valid(`"telemetry":{"prometheus":{"serviceMetricsURL":"localhost:9090"}}`), `telemetry.prometheus.serviceMetricsURL: "localhost:9090", want an http URL`},
		"no duration":       {valid(`"telemetry":{"prometheus":{"retentionTime":true}}`), "invalid duration: true"},
		"another mode":      {valid(`"mode":"dns-proxy"`), `mode: "dns-proxy", want "sidecar"`},
		"another strategy":  {valid(`"envoy":{"drainStrategy":"soon"}`), `envoy.drainStrategy: "soon", want immediate or gradual`},
		"no ID file":        {`{"consul":{"addresses":"a"},"proxy":{"idPath":"/nowhere/id"}}`, "proxy.idPath: open /nowhere/id: no such file"},
		"one path for both": {valid(`"envoy":{"gracefulStartupPath":"/graceful_shutdown"}`), "envoy.gracefulStartupPath: the same as gracefulShutdownPath"},
		"no path":           {valid(`"envoy":{"gracefulStartupPath":"up"}`), `envoy.gracefulStartupPath: "up", want a path`},
		"a grace too long":  {valid(`"envoy":{"shutdownGracePeriodSeconds":30,"stopWithinSeconds":30}`), "envoy.shutdownGracePeriodSeconds: 30, want less than stopWithinSeconds, 30"},
		"a socket":          {valid(`"xdsServer":{"bindAddress":"unix:///xds.sock"}`), `xdsServer.bindAddress: "unix:///xds.sock", want a loopback IP address`},
		"exec= and nothing": {valid(`"consul":{"addresses":"exec="}`), "consul.addresses: has no command after exec="},
		"address with port": {valid(`"consul":{"addresses":"10.0.0.1:8502"}`), `consul.addresses: "10.0.0.1:8502" has a port`},
		"nameless servers":  {valid(`"consul":{"addresses":"10.0.0.1,10.0.0.2"}`), "consul.tls.serverName: missing, as consul.addresses is no single name"},
		"no auth method":    {`{"consul":{"addresses":"a","credentials":{"type":"login"}},"proxy":{"id":"p"}}`, "consul.credentials.login.authMethod: missing"},
		"names nowhere":     {valid(`"names":{}`), "names.ports: 0 ports, want 1 to 16"},
		"names at no port":  {valid(`"names":{"ports":[0]}`), "names.ports[0]: 0, want 1 to 65535"},
		"names twice":       {valid(`"names":{"ports":[80,80]}`), "names.ports[1]: 80, the port of names.ports[0]"},
		"names at admin":    {valid(`"names":{"ports":[19000]}`), "names.ports[0]: 19000, the port of envoy.adminBindPort"},
		"names at DNS":      {valid(`"dnsServer":{"bindPort":53},"names":{"ports":[53]}`), "names.ports[0]: 53, the port of dnsServer.bindPort"},
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

func TestWhatIsOddInAFileIsRemarked(t *testing.T) {
	t.Parallel()
	got, err := dataplanefile.Read(file(t, `{"Consul":{"ADDRESSES":"a","tls":{"servername":"s","ca":1},"credentials":{"login":{"meta":{"any":"key"}},"typo":{}}},
		"proxy":{"id":"p"},"service":{"serviceID":"x"},"telemetry":{"prometheus":{"scrapePath":"scrape?x=y","retentionTime":4.5}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Consul.credentials.typo: unknown key, passed over",
		"Consul.tls.ca: unknown key, passed over",
		"service: unknown key, passed over",
		`telemetry.prometheus.scrapePath: the query "x=y" is cut off`,
		"telemetry.prometheus.scrapePath: does not begin with a slash, taken as if it did",
	}
	if diff := cmp.Diff(want, got.Remarks); diff != "" {
		t.Error(diff)
	}
	if p := got.Telemetry.Prometheus; p.ScrapePath != "/scrape" || p.RetentionTime != 4 || got.Consul.TLS.ServerName != "s" {
		t.Errorf("got %+v and server name %q", p, got.Consul.TLS.ServerName)
	}
}

func TestTheProxysIDMayBeInAFile(t *testing.T) {
	t.Parallel()
	id := file(t, " web-1f3a-sidecar-proxy\n")
	for given, want := range map[string]string{"": "web-1f3a-sidecar-proxy", "p": "p"} {
		got, err := dataplanefile.Read(file(t, `{"consul":{"addresses":"a"},"proxy":{"id":"`+given+`","idPath":"`+id+`"}}`))
		if err != nil || got.Proxy.ID != want {
			t.Errorf("ID %q and %v, want %q", got.Proxy.ID, err, want)
		}
	}
}

func TestALongGracePeriodHasTheTimeThatItTakes(t *testing.T) {
	t.Parallel()
	for grace, want := range map[string]int{"5": 25, "60": 65, "115": 120} {
		got, err := dataplanefile.Read(file(t, valid(`"envoy":{"shutdownGracePeriodSeconds":`+grace+`}`)))
		if err != nil || got.Envoy.StopWithinSeconds != want {
			t.Errorf("grace %s: stop within %d (%v), want %d", grace, got.Envoy.StopWithinSeconds, err, want)
		}
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
