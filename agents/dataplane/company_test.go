package dataplane_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/procs"
)

// says is an application that answers with a text.
func says(t *testing.T, text string) netip.AddrPort {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }))
	t.Cleanup(server.Close)
	return netip.MustParseAddrPort(server.Listener.Addr().String())
}

// twofold is a task that is two services. Both want the same port for their metrics, as proxy-defaults would have it.
func twofold(t *testing.T, c *testenv.Consul) (first, second *task) {
	t.Helper()
	metrics := map[string]any{"envoy_prometheus_bind_addr": fmt.Sprintf("127.0.0.1:%d", freeport.Loopback(t).Port())}
	first, second = newTask(t, c), newTask(t, c)
	first.central, second.central = metrics, metrics
	first.register(t, c, says(t, "the first"))
	second.register(t, c, says(t, "the second"))
	first.token = newToken(t, c, first.service, second.service)
	own := second.file.Envoy
	first.file.Telemetry.Prometheus.MergePort = int(freeport.Loopback(t).Port())
	first.file.FurtherProxies = []dataplanefile.FurtherProxy{{
		ID: second.file.Proxy.ID, ReadyBindPort: own.ReadyBindPort, AdminBindPort: own.AdminBindPort, GracefulPort: own.GracefulPort,
		MergePort: int(freeport.Loopback(t).Port()),
	}}
	first.run(t)
	first.awaitReady(t)
	second.awaitReady(t)
	return first, second
}

func TestATaskOfTwoServicesIsCalledUnderTwoIntentions(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	first, second := twofold(t, c)
	caller, toFirst, toSecond := newTask(t, c), freeport.Loopback(t), freeport.Loopback(t)
	caller.register(t, c, freeport.Loopback(t),
		api.Upstream{DestinationName: first.service, LocalBindAddress: "127.0.0.1", LocalBindPort: int(toFirst.Port())},
		api.Upstream{DestinationName: second.service, LocalBindAddress: "127.0.0.1", LocalBindPort: int(toSecond.Port())})
	caller.run(t)
	caller.awaitReady(t)
	intend(t, c, caller, first, api.IntentionActionAllow)
	eventually.True(t, "the first answers", eventually.Soon, func() bool { return get(toFirst) == "200 the first" })
	if got := get(toSecond); !strings.HasPrefix(got, "403 ") {
		t.Errorf("the second, without an intention: %s", got)
	}
	intend(t, c, caller, first, api.IntentionActionDeny)
	intend(t, c, caller, second, api.IntentionActionAllow)
	eventually.True(t, "the second answers", eventually.Soon, func() bool { return get(toSecond) == "200 the second" })
	eventually.True(t, "the first refuses", eventually.Soon, func() bool { return strings.HasPrefix(get(toFirst), "403 ") })

	if !strings.Contains(first.output.String(), "metrics of this proxy are not shown: another proxy of the task has the port") {
		t.Error("nobody said that the second proxy's metrics are not shown")
	}
	pids := first.envoys()
	if len(pids) != 2 {
		t.Fatalf("the agent has the children %v, want two Envoys", pids)
	}
	first.metadata.stopApp()
	first.signal(t, syscall.SIGTERM)
	if code, _ := first.awaitExit(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, pid := range pids {
		if !procs.Ended(pid) {
			t.Errorf("Envoy %d runs on", pid)
		}
	}
}

func TestAnEnvoyThatEndsTakesTheOthersWithIt(t *testing.T) {
	t.Parallel()
	first, _ := twofold(t, sharedConsul(t))
	pids := first.envoys()
	if len(pids) != 2 {
		t.Fatalf("the agent has the children %v, want two Envoys", pids)
	}
	if err := syscall.Kill(pids[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code, _ := first.awaitExit(t, 10*time.Second); code != 137 {
		t.Errorf("exit code %d, want that of the Envoy, 137", code)
	}
	if !strings.Contains(first.output.String(), "envoy ended by itself") {
		t.Error("the agent does not say why it ended")
	}
	if !procs.Ended(pids[0]) {
		t.Error("the other Envoy runs on")
	}
}
