package fleet_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/contained"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

// calls waits until web's Envoy sends requests for the service to the task: what Consul knows of a task is not yet what
// its callers know. Envoy's admin interface is on the task's own loopback, so who asks it is a container beside it.
func (s *stage) calls(t *testing.T, web ecstypes.Task, service string, task ecstypes.Task) {
	t.Helper()
	want := netip.AddrPortFrom(netip.MustParseAddr(fleet.IPAddress(s.again(t, task))), mesh.PortPublicListener)
	out, err := contained.Run(t, contained.Command{
		Network: contained.NetworkOf(t, netip.MustParseAddr(fleet.IPAddress(web))),
		Env:     []string{callsVariable + "=" + service + " " + want.String()},
	})
	if err != nil {
		t.Fatalf("task %s of %s: %v\n%s", fleet.TaskID(task), service, err, out)
	}
}

// callsVariable makes this program wait until the Envoy at its loopback calls a service, the first word, at the address in
// the second.
const callsVariable = "FLEET_TEST_CALLS"

// awaitCall is that wait. It prints why it ends in vain.
func awaitCall(service, want string) error {
	_, err := eventually.Seen(context.Background(), "the proxy calls "+service+" at "+want, limit, func() (string, error) {
		known, err := hosts(service)
		if err != nil || known[want] {
			return "", err
		}
		return fmt.Sprintf("its hosts are %v, want that one among the healthy", known), nil
	})
	return err
}

// hosts are the addresses to which Envoy may send requests for a service, and whether it takes them for healthy.
func hosts(service string) (healthy map[string]bool, err error) {
	var answer struct {
		Clusters []struct {
			Name  string `json:"name"`
			Hosts []struct {
				Address struct {
					Socket struct {
						Address string `json:"address"`
						Port    uint16 `json:"port_value"`
					} `json:"socket_address"`
				} `json:"address"`
				Health map[string]any `json:"health_status"`
			} `json:"host_statuses"`
		} `json:"cluster_statuses"`
	}
	client := &http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/clusters?format=json", mesh.PortEnvoyAdmin))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	healthy = map[string]bool{}
	for _, c := range answer.Clusters {
		if !strings.HasPrefix(c.Name, service+".default.") {
			continue
		}
		for _, h := range c.Hosts {
			address := netip.AddrPortFrom(netip.MustParseAddr(h.Address.Socket.Address), h.Address.Socket.Port)
			healthy[address.String()] = h.Health["eds_health_status"] == "HEALTHY"
		}
	}
	return healthy, nil
}
