package dataplane_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

// counter is a counter of the task's Envoy.
func (k *task) counter(t *testing.T, name string) int {
	t.Helper()
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/stats?filter=^%s$", k.file.Envoy.AdminBindPort, name))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if _, err := fmt.Sscanf(strings.TrimPrefix(string(body), name), ": %d", &n); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	return n
}

// refusalHeard is what Consul logs of a refusal that it hears of.
const refusalHeard = "got error response from envoy proxy"

// Consul sends a refused listener again with each answer of Envoy's, and a route that hangs on it makes Envoy answer at once.
func TestARefusedListenerComesAgainSeldomAndHoldsNothingUp(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	web, apiTask, first := pair(t, c)
	intend(t, c, web, apiTask, api.IntentionActionAllow)
	eventually.True(t, "web reaches api", eventually.Soon, func() bool { return get(first) == "200 from api" })
	for _, name := range []string{apiTask.service, "held" + apiTask.service, "other" + apiTask.service} {
		if _, _, err := c.API.ConfigEntries().Set(&api.ServiceRouterConfigEntry{Kind: api.ServiceRouter, Name: name, Routes: []api.ServiceRoute{{
			Match: &api.ServiceRouteMatch{HTTP: &api.ServiceRouteHTTPMatch{PathPrefix: "/"}}, Destination: &api.ServiceRouteDestination{Service: apiTask.service},
		}}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	held, err := net.Listen("tcp", "127.0.0.1:0") // the application's
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	upstream := func(service string, port int) api.Upstream {
		return api.Upstream{DestinationName: service, LocalBindAddress: "127.0.0.1", LocalBindPort: port}
	}
	taken := held.Addr().(*net.TCPAddr).AddrPort()
	list := []api.Upstream{upstream(apiTask.service, int(first.Port())), upstream("held"+apiTask.service, int(taken.Port()))}
	web.register(t, c, freeport.Loopback(t), list...)
	eventually.True(t, "the refusal is told", eventually.Soon, func() bool { return strings.Contains(web.output.String(), "configuration refused by envoy") })
	eventually.True(t, "Consul hears of it", eventually.Soon, func() bool { return strings.Contains(c.Output(), refusalHeard) })

	const lds = "listener_manager.lds.update_rejected"
	before := web.counter(t, lds)
	other := freeport.Loopback(t)
	web.register(t, c, freeport.Loopback(t), append(list, upstream("other"+apiTask.service, int(other.Port())))...)
	took := eventually.True(t, "what came after it works", eventually.Soon, func() bool { return get(other) == "200 from api" })
	time.Sleep(max(0, 3*time.Second-took)) // in which a storm is hundreds of refusals
	if n := web.counter(t, lds) - before; n > 4 {
		t.Errorf("%d refusals within three seconds", n)
	}
	held.Close()
	eventually.True(t, "the upstream works once its port is free", 30*time.Second, func() bool { return get(taken) == "200 from api" })
	eventually.True(t, "and that is told", eventually.Soon, func() bool { return strings.Contains(web.output.String(), "configuration taken by envoy") })
	log := web.output.String()
	if n := strings.Count(log, "configuration refused by envoy"); n != 1 || !strings.Contains(log, "cannot bind") || !strings.Contains(log, "localBindPort") {
		t.Errorf("%d warnings, want one with the reason and the fix", n)
	}
}
