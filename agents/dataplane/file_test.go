package dataplane_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/pki"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestAFileOfTheOfficialDataplaneIsObeyed(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	k := newTask(t, c)
	k.register(t, c, freeport.Loopback(t))
	id, ca := write(t, "id", k.file.Proxy.ID+"\n"), write(t, "ca.pem", c.CAPEM)
	file := write(t, "official.json", fmt.Sprintf(`{"mode":"sidecar","consul":{"addresses":"127.0.0.1","grpcPort":%d,"surprise":1,
		"tls":{"caCertsPath":%q,"tlsServerName":%q},"credentials":{"type":"static","static":{"token":%q}}},
		"proxy":{"nodeName":%q,"idPath":%q},"envoy":{"adminBindPort":%d,"readyBindPort":%d,"gracefulPort":%d,"concurrency":1,"executablePath":%q},
		"telemetry":{"useCentralConfig":true,"prometheus":{"retentionTime":"60s","scrapePath":"m?a=b"}}}`,
		c.GRPCPort, ca, c.ServerName, k.token, node, id,
		k.file.Envoy.AdminBindPort, k.file.Envoy.ReadyBindPort, k.file.Envoy.GracefulPort, k.file.Envoy.ExecutablePath))
	token := k.token
	k.token, k.env = "", nil
	k.runWith(t, "-config-file", file)
	k.awaitReady(t)
	for _, want := range []string{"[WARN]  dataplane: configuration file has something odd in it: ", "consul.surprise: unknown key, passed over", "telemetry.prometheus.scrapePath: the query"} {
		if !strings.Contains(k.output.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	if strings.Contains(k.output.String(), token) {
		t.Error("the token is in the log")
	}
}

func TestPrometheusMustShowACertificateWhereThereIsACA(t *testing.T) {
	t.Parallel()
	authority, err := pki.New("scrapers")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.Leaf([]string{"localhost"}, net.IPv4(127, 0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	listener := freeport.Loopback(t)
	readyTask(t, sharedConsul(t), func(k *task) { // readiness is asked in plain text
		k.central = map[string]any{"envoy_prometheus_bind_addr": listener.String()}
		k.file.Telemetry.Prometheus = dataplanefile.Prometheus{
			MergePort: int(freeport.Loopback(t).Port()), CACertsPath: filepath.Dir(write(t, "ca.pem", authority.PEM)), // a folder
			CertFile: write(t, "cert.pem", leaf.CertPEM), KeyFile: write(t, "key.pem", leaf.KeyPEM),
		}
	})
	pair, err := tls.X509KeyPair([]byte(leaf.CertPEM), []byte(leaf.KeyPEM))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(authority.PEM))
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}},
	}}
	eventually.True(t, "who has a certificate gets the page", eventually.Soon, func() bool {
		resp, err := client.Get("https://" + listener.String() + "/metrics")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	// Nothing is written: a request on its way when Envoy closes would end in
	// a broken pipe at times, in place of the alert.
	conn, err := tls.Dial("tcp", listener.String(), &tls.Config{RootCAs: roots})
	if err == nil {
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, err = conn.Read(make([]byte, 1))
	}
	if err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("without a certificate: %v", err)
	}
}

func TestABootstrapLargerThanAnArgumentReachesEnvoy(t *testing.T) {
	t.Parallel()
	var clusters []string
	for i := range 50 {
		clusters = append(clusters, fmt.Sprintf(`{"name":"extra-%d","type":"STATIC","connect_timeout":"1s","load_assignment":{"cluster_name":"extra-%d","endpoints":[{"lb_endpoints":[{"endpoint":{"address":{"socket_address":{"address":"127.0.0.1","port_value":1}}}}]}]},"metadata":{"filter_metadata":{"m":{"padding":%q}}}}`, i, i, strings.Repeat("x", 4<<10)))
	}
	k := readyTask(t, sharedConsul(t), func(k *task) {
		k.central = map[string]any{"envoy_extra_static_clusters_json": strings.Join(clusters, ",")}
	})
	if got := ask(k.file.Envoy.AdminBindPort, "/clusters"); !strings.Contains(got, "\nextra-49::") {
		t.Error("Envoy lacks the last cluster")
	}
}

func TestTheGracePeriodBeginsAfterTheDump(t *testing.T) {
	t.Parallel()
	const pause = 1500 * time.Millisecond
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/config_dump" {
			time.Sleep(pause)
		}
		fmt.Fprint(w, `{"stats":[]}`)
	}))
	t.Cleanup(admin.Close)
	c := sharedConsul(t)
	k := newTask(t, c)
	k.file.Envoy.AdminBindPort = admin.Listener.Addr().(*net.TCPAddr).Port
	k.file.Envoy.ExecutablePath = script(t, "trap 'exit 0' TERM; echo runs >&2; while :; do sleep 0.05; done")
	k.file.Envoy.DumpEnvoyConfigOnExitEnabled, k.file.Envoy.ShutdownGracePeriodSeconds = true, 1
	k.register(t, c, freeport.Loopback(t))
	k.run(t)
	eventually.True(t, "the program runs", eventually.Soon, func() bool { return strings.Contains(k.output.String(), "runs") })
	k.metadata.stopApp()
	k.signal(t, syscall.SIGTERM)
	if code, took := k.awaitExit(t, 20*time.Second); code != 0 || took < pause+time.Second {
		t.Errorf("exit code %d after %s, want 0 after a dump of %s and a grace period of 1 s", code, took, pause)
	}
}
