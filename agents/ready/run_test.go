package ready_test

import (
	"bytes"
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

	"github.com/consulecs/terraform-provider-consulecs/agents/ready"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
)

// listener answers each path but /ready with 404, and that with the status; 0 means no answer at all.
func listener(t *testing.T, status int) netip.AddrPort {
	t.Helper()
	if status == 0 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l.Addr().(*net.TCPAddr).AddrPort()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, "PRE_INITIALIZING")
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return netip.MustParseAddrPort(server.Listener.Addr().String())
}

func TestReady(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		want   string // "" for no error
	}{
		"live":         {200, ""},
		"initializing": {503, "envoy is not ready: GET /ready: 503: PRE_INITIALIZING"},
		"moved":        {204, "envoy is not ready: GET /ready: 204: "},
		"silent":       {0, "envoy is not ready: GET /ready: context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, dir := listener(t, c.status), t.TempDir()
			err := dataplanefile.Write(dir, dataplanefile.File{
				Consul: dataplanefile.Consul{Addresses: "127.0.0.1"},
				Proxy:  dataplanefile.Proxy{ID: "web-1f3a-sidecar-proxy"},
				Envoy:  dataplanefile.Envoy{ReadyBindAddress: addr.Addr().String(), ReadyBindPort: int(addr.Port())},
			})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			got := ""
			if err := run(t, "-config-file", filepath.Join(dir, dataplanefile.Name)); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestWithoutAFile(t *testing.T) {
	t.Parallel()
	if err := run(t, "-config-file", "/nowhere/f.json"); err == nil || !strings.HasPrefix(err.Error(), "read dataplane file: ") {
		t.Errorf("got %v", err)
	}
}

func run(t *testing.T, args ...string) error {
	t.Helper()
	return ready.Run(t.Context(), os.Getenv, args, &bytes.Buffer{}, &bytes.Buffer{})
}
