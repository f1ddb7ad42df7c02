package envoy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/required"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func bootstrap() envoy.Bootstrap {
	return envoy.Bootstrap{
		ProxyID: "web-1f3a-sidecar-proxy", Service: "web", NodeName: "arn:aws:ecs:eu-west-1:123456789012:cluster/demo",
		XDS:   netip.MustParseAddrPort("127.0.0.1:18000"),
		Admin: netip.MustParseAddrPort("127.0.0.1:19000"),
		Ready: netip.MustParseAddrPort("127.0.0.1:22000"),
	}
}

func cases(t *testing.T) map[string]envoy.Bootstrap {
	t.Helper()
	plain, scoped, logged, odd, six, limited := bootstrap(), bootstrap(), bootstrap(), bootstrap(), bootstrap(), bootstrap()
	limited.MaxInbound = 49152
	scoped.Namespace, scoped.Partition, scoped.Datacenter = "team-a", "emea", "dc1"
	logged.AccessLogs = []string{
		`{"name":"Consul Listener Log","typedConfig":{"@type":"type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog","logFormat":{"jsonFormat":{"code":"%RESPONSE_CODE%"}}}}`,
		`{"name":"file","typedConfig":{"@type":"type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog","path":"/dev/null"}}`,
	}
	odd.ProxyID, odd.NodeName = `a"b\c{{.}}`, ""
	six.Admin, six.Ready = netip.MustParseAddrPort("[::1]:19000"), netip.MustParseAddrPort("[::1]:22000")
	all := map[string]envoy.Bootstrap{"plain": plain, "scoped": scoped, "access-logs": logged, "odd-names": odd, "ipv6": six, "limited": limited}
	for name, config := range centralCases() {
		b := bootstrap()
		b.Central = central(t, config)
		b.Prometheus = envoy.Prometheus{Path: "/metrics", Backend: netip.MustParseAddrPort("127.0.0.1:20100")}
		if strings.HasSuffix(name, "-tls") {
			b.Prometheus.TLS = &envoy.ServerTLS{CertFile: certDir + "cert.pem", KeyFile: certDir + "key.pem", CAPEM: caText}
		}
		all[name] = b
	}
	return all
}

func TestBootstrap(t *testing.T) {
	t.Parallel()
	for name, b := range cases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := b.JSON()
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := json.Indent(&got, data, "", "  "); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".golden.json")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Error(diff)
			}
			validate(t, data)
		})
	}
}

// validate lets the real Envoy judge, which also warns of deprecated fields.
func validate(t *testing.T, data []byte) {
	t.Helper()
	data = withCertificates(t, data)
	file := filepath.Join(t.TempDir(), "bootstrap.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program(t), "--mode", "validate", "--config-path", file).CombinedOutput()
	if err != nil {
		t.Errorf("validate: %v\n%s", err, out)
	}
	for _, bad := range regexp.MustCompile(`(?im)^.*(deprecated|\[(warning|error|critical)\]).*$`).FindAllString(string(out), -1) {
		// Tracing that operators set for the whole proxy has no other place in the bootstrap.
		if !strings.Contains(bad, "'envoy.config.bootstrap.v3.Bootstrap.tracing'") {
			t.Errorf("Envoy complains: %s", bad)
		}
	}
}

func TestAnAccessLogThatIsNotJSONIsRefused(t *testing.T) {
	t.Parallel()
	b := bootstrap()
	b.AccessLogs = []string{"{}", "{"}
	if _, err := b.JSON(); err == nil || !strings.Contains(err.Error(), "access log 1 is not JSON") {
		t.Errorf("got %v", err)
	}
}

// program is the real Envoy.
func program(t *testing.T) string {
	t.Helper()
	tools, err := toolcache.Find()
	return required.Tool(t, "Envoy", tools.Envoy, err)
}
