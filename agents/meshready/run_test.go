package meshready_test

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/agents/meshready"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/ads"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/required"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
	"github.com/consulecs/terraform-provider-consulecs/internal/xds"
)

// file writes the dataplane's file with the ready listener at addr.
func file(t *testing.T, ready netip.AddrPort) string {
	t.Helper()
	dir := t.TempDir()
	err := dataplanefile.Write(dir, dataplanefile.File{
		Consul: dataplanefile.Consul{Addresses: "127.0.0.1"},
		Proxy:  dataplanefile.Proxy{ID: "web-1f3a-sidecar-proxy"},
		Envoy:  dataplanefile.Envoy{ReadyBindAddress: ready.Addr().String(), ReadyBindPort: int(ready.Port())},
	})
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, dataplanefile.Name)
}

// start runs the agent; its end comes by the channel.
func start(ctx context.Context, args ...string) <-chan error {
	done := make(chan error, 1)
	go func() { done <- meshready.Run(ctx, os.Getenv, args, &bytes.Buffer{}, &bytes.Buffer{}) }()
	return done
}

func TestItEndsTheMomentEnvoyHasItsFirstConfiguration(t *testing.T) {
	t.Parallel()
	server := ads.Start(t)
	b := envoy.Bootstrap{ProxyID: "web", Service: "web", XDS: server.Addr, Admin: freeport.Loopback(t), Ready: freeport.Loopback(t)}
	data, err := b.JSON()
	if err != nil {
		t.Fatal(err)
	}
	done := start(t.Context(), "-config-file", file(t, b.Ready))
	child, err := envoy.Start(data, envoy.Settings{Path: program(t), Concurrency: 1, DrainTimeSeconds: 1, LogLevel: "warn"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Stop(context.Background(), 0) })
	admin := envoy.NewAdmin(b.Admin)
	eventually.Nil(t, "Envoy answers, but has no configuration", eventually.Soon, func() error {
		_, err := admin.Inbound(t.Context())
		return err
	})
	select {
	case err := <-done:
		t.Fatalf("ended without a configuration: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	began := time.Now()
	server.Answer(xds.TypeCluster, xds.TypeListener)
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
		t.Logf("ended %s after the configuration was given", time.Since(began).Round(time.Millisecond))
	case <-time.After(eventually.Soon):
		t.Fatal("runs on")
	}
}

func TestItEndsInTimeWithTheReason(t *testing.T) {
	t.Parallel()
	addr := freeport.Loopback(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		args []string
		want string
	}{
		"timeout": {t.Context(), []string{"-config-file", file(t, addr), "-timeout", "200ms"},
			"wait for the proxy: not within 200ms: last answer: GET /ready: dial tcp " + addr.String() + ": connect: connection refused\nhint: "},
		"SIGTERM":  {cancelled, []string{"-config-file", file(t, addr)}, "wait for the proxy: context canceled: "},
		"no file":  {t.Context(), []string{"-config-file", "/nowhere/f.json"}, "read dataplane file: open /nowhere/f.json: no such file or directory"},
		"bad flag": {t.Context(), []string{"-timeout", "soon"}, `invalid value "soon" for flag -timeout`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			select {
			case err := <-start(c.ctx, c.args...):
				if err == nil || !strings.HasPrefix(err.Error(), c.want) {
					t.Errorf("got %v, want %s", err, c.want)
				}
			case <-time.After(eventually.Soon):
				t.Error("runs on")
			}
		})
	}
}

// program is the real Envoy.
func program(t *testing.T) string {
	t.Helper()
	tools, err := toolcache.Find()
	return required.Tool(t, "Envoy", tools.Envoy, err)
}
