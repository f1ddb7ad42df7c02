package envoy_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/process"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/ads"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
	"github.com/consulecs/terraform-provider-consulecs/internal/xds"
)

// start runs the real Envoy against server.
func start(t *testing.T, server *ads.Server) (*process.Child, envoy.Bootstrap) {
	t.Helper()
	b := bootstrap()
	b.XDS, b.Admin, b.Ready = server.Addr, freeport.Loopback(t), freeport.Loopback(t)
	return run(t, b, envoy.Settings{Path: program(t), Concurrency: 1, DrainTimeSeconds: 1, DrainStrategy: "immediate", LogLevel: "WARN"}), b
}

func run(t *testing.T, b envoy.Bootstrap, s envoy.Settings) *process.Child {
	t.Helper()
	data, err := b.JSON()
	if err != nil {
		t.Fatal(err)
	}
	child, err := envoy.Start(data, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Stop(context.Background(), 0) })
	return child
}

func TestEnvoyIsReadyOnceTheFirstConfigurationHasCome(t *testing.T) {
	t.Parallel()
	server := ads.Start(t)
	child, b := start(t, server)
	waitFor(t, child, "Envoy asks for its configuration", func() bool { return len(server.Tokens()) > 0 })
	never := func(what string) {
		t.Helper()
		for end := time.Now().Add(400 * time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if envoy.CheckReady(t.Context(), b.Ready) == nil {
				t.Fatalf("ready %s", what)
			}
		}
	}
	never("without any configuration")
	server.Answer(xds.TypeCluster)
	never("without listeners")
	server.Answer(xds.TypeListener)
	waitFor(t, child, "Envoy is ready", func() bool { return envoy.CheckReady(t.Context(), b.Ready) == nil })
}

func TestTheBootstrapIsNeitherInArgumentsNorEnvironment(t *testing.T) {
	t.Setenv("CONSUL_HTTP_TOKEN", "7f3c-secret")
	child, b := start(t, ads.Start(t))
	for _, file := range []string{"cmdline", "environ"} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", child.PID(), file))
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{b.ProxyID, "7f3c-secret"} {
			if strings.Contains(string(data), secret) {
				t.Errorf("%s holds %q", file, secret)
			}
		}
	}
}

func TestEnvoyServesOnWhileItDrainsAndThenStopsCleanly(t *testing.T) {
	t.Parallel()
	server := ads.Start(t)
	server.Answer(xds.TypeCluster, xds.TypeListener)
	child, b := start(t, server)
	waitFor(t, child, "Envoy is ready", func() bool { return envoy.CheckReady(t.Context(), b.Ready) == nil })
	admin := envoy.NewAdmin(b.Admin)
	if err := admin.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := admin.Inbound(t.Context()); err != nil || n != 0 {
		t.Errorf("inbound %d, %v", n, err)
	}
	select {
	case <-child.Done():
		t.Fatalf("Envoy ended by draining: %v", child.Err())
	case <-time.After(1500 * time.Millisecond): // beyond its drain time
	}
	if err := envoy.CheckReady(t.Context(), b.Ready); err != nil {
		t.Errorf("not ready while draining: %v", err)
	}
	if err := child.Stop(t.Context(), 10*time.Second); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestEnvoyThatCannotListenTellsWhy(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	b := bootstrap()
	b.XDS, b.Admin, b.Ready = freeport.Loopback(t), busy.Addr().(*net.TCPAddr).AddrPort(), freeport.Loopback(t)
	child := run(t, b, envoy.Settings{Path: program(t), Concurrency: 1, DrainTimeSeconds: 1, DrainStrategy: "immediate", LogLevel: "warn"})
	select {
	case <-child.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("Envoy runs")
	}
	var exit *process.ExitError
	if !errors.As(child.Err(), &exit) || !strings.Contains(exit.Error(), "Address already in use") {
		t.Errorf("got %v", child.Err())
	}
}

func TestAMissingEnvoyIsNamedWithAHint(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "envoy")
	_, err := envoy.Start(nil, envoy.Settings{Path: missing})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), missing) || !strings.Contains(err.Error(), "\nhint: ") {
		t.Errorf("got %v", err)
	}
}

func TestAnAdminThatDoesNotAnswerWellIsAnError(t *testing.T) {
	t.Parallel()
	down := freeport.Loopback(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "PRE_INITIALIZING", http.StatusServiceUnavailable)
	}))
	defer server.Close()
	up := netip.MustParseAddrPort(server.Listener.Addr().String())
	for got, want := range map[error]string{
		envoy.NewAdmin(down).Drain(t.Context()):   "POST /drain_listeners: dial tcp " + down.String() + ": connect: connection refused",
		envoy.NewAdmin(up).Drain(t.Context()):     "POST /drain_listeners: 503: PRE_INITIALIZING",
		envoy.CheckReady(t.Context(), up):         "GET /ready: 503: PRE_INITIALIZING",
		envoy.NewReadiness(up).Check(t.Context()): "GET /ready: 503: PRE_INITIALIZING",
	} {
		if got == nil || got.Error() != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}

// waitFor waits until it holds; where it does not, Envoy's last lines are shown.
func waitFor(t *testing.T, child *process.Child, what string, holds func() bool) {
	t.Helper()
	eventually.Nil(t, what, eventually.Soon, func() error {
		if !holds() {
			return fmt.Errorf("Envoy: %v %q", child.Err(), child.LastLines())
		}
		return nil
	})
}

func TestADrainTimeOfZeroDrainsAtOnce(t *testing.T) {
	t.Parallel()
	server := ads.Start(t)
	server.Answer(xds.TypeCluster, xds.TypeListener)
	b := bootstrap()
	b.XDS, b.Admin, b.Ready = server.Addr, freeport.Loopback(t), freeport.Loopback(t)
	child := run(t, b, envoy.Settings{Path: program(t), Concurrency: 1, DrainTimeSeconds: 0, DrainStrategy: "immediate", LogLevel: "warn"})
	waitFor(t, child, "Envoy is ready", func() bool { return envoy.CheckReady(t.Context(), b.Ready) == nil })
	if err := envoy.NewAdmin(b.Admin).Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if err := child.Stop(t.Context(), 5*time.Second); err != nil {
		t.Error(err)
	}
}

func TestEnvoyMayOpenAsManyFilesAsItsAgent(t *testing.T) {
	t.Parallel()
	server := ads.Start(t)
	child, _ := start(t, server)
	files := func(process string) string {
		data, err := os.ReadFile("/proc/" + process + "/limits")
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(data), "Max open files")
		line, _, _ := strings.Cut(rest, "\n")
		return line
	}
	if own, envoys := files("self"), files(fmt.Sprint(child.PID())); own != envoys {
		t.Errorf("Envoy may open%s, its agent%s", envoys, own)
	}
	if limit, err := envoy.ConnectionLimit(); err != nil || limit < 100 {
		t.Errorf("a limit of %d connections (%v)", limit, err)
	}
}
