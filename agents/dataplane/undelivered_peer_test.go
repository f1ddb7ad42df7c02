package dataplane_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

// startGateway runs a mesh gateway, whose proxy changes nothing, as one that is not ours.
func startGateway(t *testing.T, c *testenv.Consul) {
	t.Helper()
	k := newTask(t, c)
	k.service, k.token, k.file.Proxy.ID, k.file.Envoy.RetryUndeliveredDisabled = "mesh-gateway", c.BootstrapToken, "mesh-gateway", true
	address := api.ServiceAddress{Address: k.public.Addr().String(), Port: int(k.public.Port())}
	_, err := c.API.Catalog().Register(&api.CatalogRegistration{Node: node, Address: "127.0.0.1", Service: &api.AgentService{
		ID: k.service, Service: k.service, Kind: api.ServiceKindMeshGateway, Address: address.Address, Port: address.Port, Proxy: &api.AgentServiceConnectProxyConfig{},
		TaggedAddresses: map[string]api.ServiceAddress{"lan": address, "wan": address},
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	k.run(t)
	k.awaitReady(t)
}

// TestAPeersServiceHasANameAndIsTriedElsewhereByItsMark calls a service of another Consul, through a mesh gateway there: by name, and
// at a port. Then the application of one of its two instances is gone. The gateway passes the mark on, and the caller asks it again.
func TestAPeersServiceHasANameAndIsTriedElsewhereByItsMark(t *testing.T) {
	t.Parallel()
	near, far := sharedConsul(t), startConsul(t)
	t.Cleanup(func() { _ = far.Stop() })
	made, _, err := far.API.Peerings().GenerateToken(t.Context(), api.PeeringGenerateTokenRequest{PeerName: "near"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := near.API.Peerings().Establish(t.Context(), api.PeeringEstablishRequest{PeerName: "far", PeeringToken: made.PeeringToken}, nil); err != nil {
		t.Fatal(err)
	}
	seen := &sightings{of: map[string]int{}}
	apis := startInstances(t, far, 2, seen, unchanged)
	startGateway(t, far)
	k, at := newTask(t, near), freeport.Loopback(t)
	byName := newTask(t, near) // calls it by name
	byName.callsByName(freeport.Loopback(t), int(freeport.Loopback(t).Port()))
	for _, entry := range []api.ConfigEntry{
		&api.ExportedServicesConfigEntry{Name: "default", Services: []api.ExportedService{{Name: apis[0].service, Consumers: []api.ServiceConsumer{{Peer: "near"}}}}},
		&api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: apis[0].service, Sources: []*api.SourceIntention{
			{Name: k.service, Peer: "near", Action: api.IntentionActionAllow}, {Name: byName.service, Peer: "near", Action: api.IntentionActionAllow},
		}},
	} {
		if _, _, err := far.API.ConfigEntries().Set(entry, nil); err != nil {
			t.Fatal(err)
		}
	}
	k.register(t, near, freeport.Loopback(t), api.Upstream{DestinationName: apis[0].service, DestinationPeer: "far", LocalBindAddress: "127.0.0.1", LocalBindPort: int(at.Port())})
	k.run(t)
	byName.register(t, near, freeport.Loopback(t))
	byName.run(t)
	k.awaitReady(t)
	byName.awaitReady(t)
	eventually.True(t, k.service+" reaches its peer's service", 2*eventually.Soon, func() bool { return get(at) == "200 from api" })
	for _, form := range []string{".virtual.far.consul", ".virtual.far.peer.consul"} {
		eventually.True(t, byName.service+" reaches it as "+form, eventually.Soon, func() bool { return byName.calls(apis[0].service+form, "/") == "200 from api" })
	}
	apis[0].leave()
	client := &http.Client{Timeout: eventually.Soon}
	for i := range 20 {
		name := fmt.Sprint("peer", i)
		resp, err := client.Post("http://"+at.String(), "text/plain", strings.NewReader(name))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if n := seen.times(name); resp.StatusCode != http.StatusOK || n != 1 {
			t.Errorf("%s: %s, seen %d times", name, resp.Status, n)
		}
	}
}
