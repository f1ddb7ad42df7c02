package agentconfig_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
)

// What the incumbent's module writes for a task without ACLs and TLS, with one upstream, and with every passthrough set.
const (
	incumbentMinimal = `{"bootstrapDir":"/consul","consulLogin":{},"consulServers":{"defaults":{"caCertFile":"","tls":false,"tlsServerName":""},
"grpc":{"port":8502},"hosts":"consul.example","http":{"https":false,"port":8500},"skipServerWatch":false},"healthSyncContainers":[],
"proxy":{"healthCheckPort":22000,"publicListenerPort":20000,"upstreams":[{"destinationName":"api","localBindPort":1234}]},
"service":{"meta":{},"name":"web","namespace":"","partition":"","port":9090,"tags":[]},
"transparentProxy":{"consulDNS":{"enabled":false},"enabled":false,"excludeInboundPorts":[],"excludeOutboundCIDRs":[],"excludeOutboundPorts":[],"excludeUIDs":[]}}`
	incumbentFull = `{"bootstrapDir":"/consul","consulLogin":{"enabled":true,"method":"iam-ecs-service-token","includeEntity":false,"meta":{"team":"a"},
"region":"eu-west-1","stsEndpoint":"https://sts.eu-west-1.amazonaws.com","serverIdHeaderValue":"x","datacenter":null},
"consulServers":{"defaults":{"caCertFile":"/ca.pem","tls":true,"tlsServerName":"consul.dc1.address"},"grpc":{"port":8503,"tls":true,"tlsServerName":""},
"hosts":"exec=discover -q addrs provider=aws","http":{"https":true,"port":443,"tls":true,"caCertFile":""},"skipServerWatch":true},
"healthSyncContainers":["web"],"proxy":{"config":{"local_connect_timeout_ms":1000,"nested":[{"a":null}]},"expose":{"checks":true,"paths":
[{"listenerPort":21500,"localPathPort":9090,"path":"/metrics","protocol":"http"}]},"healthCheckPort":22001,"meshGateway":{"mode":"local"},
"publicListenerPort":21000,"upstreams":[{"config":{"protocol":"http"},"datacenter":"dc2","destinationName":"api","destinationNamespace":"n",
"destinationPartition":"p","destinationPeer":null,"destinationType":"service","localBindAddress":"127.0.0.1","localBindPort":1234,"meshGateway":{"mode":"remote"}}]},
"service":{"enableTagOverride":true,"meta":{"k":"v"},"name":"web","namespace":"n","networkResilienceConfig":{"enabled":true,"outlierDetection":
{"interval":10000000000,"maxFailures":5,"enforcingConsecutive5xx":100,"maxEjectionPercent":50}},"partition":"p","port":9090,"tags":["a","b"],
"weights":{"passing":3,"warning":1}},"transparentProxy":{"consulDNS":{"enabled":true},"enabled":true,"excludeInboundPorts":[9090],
"excludeOutboundCIDRs":["10.0.0.0/8"],"excludeOutboundPorts":[443],"excludeUIDs":["1000"]}}`
	incumbentController = `{"bootstrapDir":"/consul","consulServers":{"defaults":{"tls":true,"tlsServerName":""},"grpc":{"port":8503},"hosts":"10.0.0.1",
"http":{"https":true,"port":8501},"skipServerWatch":false},"controller":{"iamRolePath":"/consul-ecs/","partition":"","partitionsEnabled":false}}`
)

func TestConfigurationsOfTheIncumbentAreAccepted(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]string{
		"minimal":      incumbentMinimal,
		"full":         incumbentFull,
		"controller":   incumbentController,
		"only servers": `{"bootstrapDir":"/consul","consulServers":{"hosts":"::1"}}`,
		"nulls": `{"bootstrapDir":"/consul","logLevel":null,"consulServers":{"hosts":"h","skipServerWatch":null,"defaults":null,"http":null,"grpc":{"port":null,"tls":null}},
"consulLogin":null,"controller":null,"healthSyncContainers":null,"service":{"name":null,"port":0,"tags":null,"meta":null,"weights":null},"proxy":null,"transparentProxy":null}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := agentconfig.Parse([]byte(doc))
			if err != nil {
				t.Fatal(err)
			}
			written, err := agentconfig.Marshal(cfg)
			if err != nil {
				t.Fatal(err)
			}
			again, err := agentconfig.Parse(written)
			if err != nil {
				t.Fatalf("parse what Marshal wrote: %v", err)
			}
			if diff := cmp.Diff(withoutEmpty(t, cfg), withoutEmpty(t, again)); diff != "" {
				t.Errorf("read back (-first +second):\n%s", diff)
			}
		})
	}
}

// withoutEmpty is cfg as JSON: Marshal leaves empty lists out, so that only the documents compare.
func withoutEmpty(t *testing.T, cfg agentconfig.Config) string {
	t.Helper()
	b, err := agentconfig.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestParseKeepsValues(t *testing.T) {
	t.Parallel()
	cfg, err := agentconfig.Parse([]byte(incumbentFull))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"local_connect_timeout_ms": 1000.0, "nested": []any{map[string]any{"a": nil}}}
	if diff := cmp.Diff(want, cfg.Proxy.Config); diff != "" {
		t.Errorf("proxy.config (-want +got):\n%s", diff)
	}
	if got := *cfg.Service.NetworkResilience.OutlierDetection.Interval; got != 1e10 {
		t.Errorf("interval = %d, want 1e10", got)
	}
	if http := cfg.ConsulServers.HTTPEndpoint(); http.Port != 443 || !http.TLS || http.CACertFile != "/ca.pem" {
		t.Errorf("HTTP endpoint = %+v, want port 443, TLS, the default CA file", http)
	}
}

func TestBadDocumentsAreNamedByPath(t *testing.T) {
	t.Parallel()
	const good = `"bootstrapDir":"/consul","consulServers":{"hosts":"h"}`
	for name, c := range map[string]struct{ doc, want string }{
		"empty":                 {``, "the document is empty"},
		"no JSON":               {`{"a" 1}`, "no JSON at byte 6: invalid character '1' after object key"},
		"cut short":             {`{"a"`, "no JSON: unexpected EOF"},
		"two documents":         {`{} {}`, "text after the document at byte 4"},
		"null":                  {`null`, "(root): got null, want an object"},
		"list":                  {`[]`, "(root): got a list, want an object"},
		"nothing":               {`{}`, "bootstrapDir: is missing\nconsulServers: is missing"},
		"required and null":     {`{"bootstrapDir":null,"consulServers":{"hosts":null}}`, "bootstrapDir: is missing\nconsulServers.hosts: is missing"},
		"string for port":       {`{` + good + `,"service":{"port":"8080"}}`, "service.port: got a string, want a whole number"},
		"fraction":              {`{` + good + `,"service":{"port":1.5}}`, "service.port: got the number 1.5, want a whole number"},
		"string for bool":       {`{` + good + `,"consulLogin":{"enabled":"yes"}}`, "consulLogin.enabled: got a string, want true or false"},
		"null in a list":        {`{` + good + `,"healthSyncContainers":[null]}`, "healthSyncContainers[0]: got null, want a value"},
		"number in a map":       {`{` + good + `,"service":{"port":1,"meta":{"a":1}}}`, "service.meta.a: got the number 1, want a string"},
		"secret is not printed": {`{` + good + `,"service":{"port":"hunter2"}}`, "service.port: got a string, want a whole number"},
		"unknown at the top":    {`{` + good + `,"servce":{}}`, "servce: unknown key, want service"},
		"unknown deep":          {`{` + good + `,"service":{"port":1,"weights":{"passing":1,"warning":1,"x":1}}}`, "service.weights.x: unknown key, want one of passing, warning"},
		"gateway":               {`{` + good + `,"gateway":{"kind":"mesh-gateway"}}`, "gateway: gateways are not supported by this version"},
		"types and values together": {`{"bootstrapDir":"","consulServers":{"hosts":"h:8500"},"service":{"port":"x"}}`,
			"service.port: got a string, want a whole number\nbootstrapDir: is empty\n" +
				`consulServers.hosts: "h:8500" has a port: give the host alone, and ports in consulServers.http.port and consulServers.grpc.port`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := agentconfig.Parse([]byte(c.doc))
			if err == nil {
				t.Fatal("accepted")
			}
			got := strings.TrimPrefix(err.Error(), "parse agent configuration: ")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMarshalIsCompactAndDeterministic(t *testing.T) {
	t.Parallel()
	cfg := agentconfig.Config{BootstrapDir: "/consul", ConsulServers: agentconfig.ConsulServers{Hosts: "exec=a <b> & c"},
		Service: &agentconfig.Service{Name: "web", Meta: map[string]string{"b": "2", "a": "1"}}}
	got, err := agentconfig.Marshal(cfg)
	want := `{"bootstrapDir":"/consul","consulServers":{"hosts":"exec=a <b> & c"},"service":{"name":"web","port":0,"meta":{"a":"1","b":"2"}}}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}
