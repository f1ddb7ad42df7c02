package fleet_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

// calls waits until web's Envoy sends requests for the service to the task: what Consul knows of a task is not yet what
// its callers know.
func (s *stage) calls(t *testing.T, web ecstypes.Task, service string, task ecstypes.Task) {
	t.Helper()
	want := netip.AddrPortFrom(netip.MustParseAddr(fleet.IPAddress(s.again(t, task))), mesh.PortPublicListener).String()
	eventually(t, "the proxy of web calls task "+fleet.TaskID(task)+" of "+service, func() (string, error) {
		known, err := hosts(t, web, service)
		if err != nil || known[want] {
			return "", err
		}
		return fmt.Sprintf("its hosts are %v, want %s among the healthy", known, want), nil
	})
}

// hosts are the addresses to which web's Envoy may send requests for a service, and whether it takes them for healthy.
func hosts(t *testing.T, web ecstypes.Task, service string) (healthy map[string]bool, err error) {
	t.Helper()
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
	if err := askEnvoy(t, web, "/clusters?format=json", &answer); err != nil {
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

// askEnvoy asks the admin interface of the task's Envoy, which listens on the task's own loopback.
func askEnvoy(t *testing.T, task ecstypes.Task, path string, answer any) error {
	t.Helper()
	var conn net.Conn
	if err := inNetwork(t, fleet.IPAddress(task), func() (err error) { // this thread alone is in there
		conn, err = net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", mesh.PortEnvoyAdmin), 5*time.Second)
		return err
	}); err != nil {
		return err
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}}
	resp, err := client.Get("http://envoy" + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(answer)
}
