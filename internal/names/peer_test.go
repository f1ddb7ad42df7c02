package names_test

import (
	"errors"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// TestAServiceOfAPeerHasTheNameThatConsulGivesIt has another Consul export a service, whose gateway need not run for that.
func TestAServiceOfAPeerHasTheNameThatConsulGivesIt(t *testing.T) {
	t.Parallel()
	c, conn := startConsul(t)
	other := testenv.ConsulDuring(t, testenv.ConsulConfig{}) // only with TLS it makes tokens for peers
	const peer, here = "cluster-02", "main"
	token, _, err := other.API.Peerings().GenerateToken(t.Context(), api.PeeringGenerateTokenRequest{PeerName: here}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.API.Peerings().Establish(t.Context(), api.PeeringEstablishRequest{PeerName: peer, PeeringToken: token.PeeringToken}, nil); err != nil {
		t.Fatal(err)
	}
	register(t, other, instance("pay", "10.1.0.1")...)
	register(t, other, &api.AgentService{ID: "gateway", Service: "mesh-gateway", Kind: api.ServiceKindMeshGateway, Address: "10.1.0.9", Port: 8443,
		TaggedAddresses: map[string]api.ServiceAddress{"wan": {Address: "10.1.0.9", Port: 8443}, "lan": {Address: "10.1.0.9", Port: 8443}}})
	set(t, other,
		&api.ExportedServicesConfigEntry{Name: "default", Services: []api.ExportedService{{Name: "pay", Consumers: []api.ServiceConsumer{{Peer: here}}}}},
		&api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: "pay", Sources: []*api.SourceIntention{{Name: "web", Peer: here, Action: api.IntentionActionAllow}}})
	register(t, c, instance("web", "10.0.0.99")...)
	addresses := names.NewAddresses()
	var table *names.Table
	eventually.True(t, "the service is imported", eventually.Soon, func() bool {
		listener, err := wire.Parse(listeners(t.Context(), t, c, conn, "web-1-sidecar-proxy")["outbound_listener:127.0.0.1:15001"])
		if err != nil {
			t.Fatal(err)
		}
		if table, err = names.Rewrite(listener, []uint16{80}, addresses, names.Scope{Datacenter: "dc1"}); err != nil && !errors.Is(err, names.ErrNothing) {
			t.Fatal(err)
		}
		return table.Len() == 1
	})
	for _, name := range []string{"pay.virtual.cluster-02.consul.", "pay.virtual.cluster-02.peer.consul.", "pay.virtual.consul.", "pay.virtual.dc1.dc.consul."} {
		address, found, ours := table.Lookup(name)
		want := ask(t, c, conn, name)
		if !ours || found != want.IsValid() || found && addresses.Loopback(want) != address {
			t.Errorf("%s is %s (%v, %v), and %s for Consul", name, address, found, ours, want)
		}
	}
}
