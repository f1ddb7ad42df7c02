package names_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/proto-public/pbdns"
	"github.com/miekg/dns"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/consulecs/terraform-provider-consulecs/internal/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/required"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

var update = flag.Bool("update", false, "record Consul's listeners anew, and rewrite what is made of them")

const (
	node         = "node"
	typeListener = "type.googleapis.com/envoy.config.listener.v3.Listener"
	method       = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
)

// startConsul starts a server of the test's own.
func startConsul(t *testing.T) (*testenv.Consul, *grpc.ClientConn) {
	t.Helper()
	tools, err := toolcache.Find()
	required.Tool(t, "Consul", tools.Consul, err)
	c := testenv.ConsulDuring(t, testenv.ConsulConfig{Plaintext: true})
	conn, err := grpc.NewClient(fmt.Sprintf("%s:%d", c.Address, c.GRPCPort), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return c, conn
}

func set(t *testing.T, c *testenv.Consul, entries ...api.ConfigEntry) {
	t.Helper()
	for _, entry := range entries {
		if _, _, err := c.API.ConfigEntries().Set(entry, nil); err != nil {
			t.Fatalf("%s %s: %v", entry.GetKind(), entry.GetName(), err)
		}
	}
}

func register(t *testing.T, c *testenv.Consul, services ...*api.AgentService) {
	t.Helper()
	for _, s := range services {
		if _, err := c.API.Catalog().Register(&api.CatalogRegistration{Node: node, Address: "127.0.0.1", Service: s}, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// instance is a service with a proxy.
func instance(name, address string, upstreams ...api.Upstream) []*api.AgentService {
	return []*api.AgentService{
		{ID: name + "-1", Service: name, Address: address, Port: 80, Meta: map[string]string{"version": "v1"}},
		{ID: name + "-1-sidecar-proxy", Service: name + "-sidecar-proxy", Kind: api.ServiceKindConnectProxy, Address: address, Port: 20000,
			Proxy: &api.AgentServiceConnectProxyConfig{DestinationServiceName: name, DestinationServiceID: name + "-1", LocalServicePort: 80, Mode: api.ProxyModeTransparent, Upstreams: upstreams}},
	}
}

// listeners are the proxy's, as Consul sends them first.
func listeners(ctx context.Context, t *testing.T, c *testenv.Consul, conn *grpc.ClientConn, proxy string) map[string][]byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(ctx, "x-consul-token", c.BootstrapToken), 30*time.Second)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		t.Fatal(err)
	}
	version := new(wire.Message).SetUint(1, 1).SetUint(2, 38).SetUint(3, 3)
	fields := new(wire.Message).Add(1, new(wire.Message).SetText(1, "node_name").Set(2, new(wire.Message).SetText(3, node)))
	envoy := new(wire.Message).SetText(1, proxy).Set(3, fields).SetText(6, "envoy").Set(7, new(wire.Message).Set(1, version))
	for _, kind := range []string{"cluster.v3.Cluster", "endpoint.v3.ClusterLoadAssignment", "listener.v3.Listener"} {
		send(t, stream, new(wire.Message).Set(1, envoy).SetText(2, "type.googleapis.com/envoy.config."+kind))
	}
	for {
		var m emptypb.Empty
		if err := stream.RecvMsg(&m); err != nil {
			t.Fatal(err)
		}
		response, err := wire.Parse(m.ProtoReflect().GetUnknown())
		if err != nil {
			t.Fatal(err)
		}
		send(t, stream, new(wire.Message).SetText(2, response.Text(4)).SetText(6, response.Text(5)))
		if response.Text(4) != typeListener {
			continue
		}
		found := map[string][]byte{}
		resources, err := response.Messages(2)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range resources {
			content, err := r.Message(2)
			if err != nil {
				t.Fatal(err)
			}
			found[r.Text(3)] = content.Contents(2)[0]
		}
		return found
	}
}

func send(t *testing.T, stream grpc.ClientStream, request *wire.Message) {
	t.Helper()
	m := &emptypb.Empty{}
	m.ProtoReflect().SetUnknown(request.Bytes())
	if err := stream.SendMsg(m); err != nil {
		t.Fatal(err)
	}
}

// TestNamesAreThoseThatConsulAnswers wants the same addresses from the listener and from Consul's DNS, in each form of a name. With
// -update it keeps what Consul has sent.
func TestNamesAreThoseThatConsulAnswers(t *testing.T) {
	t.Parallel()
	c, conn := startConsul(t)
	configure(t, c)
	addresses := names.NewAddresses()
	var table *names.Table
	var sent map[string][]byte
	eventually.True(t, "Consul knows of all services", eventually.Soon, func() bool {
		sent = listeners(t.Context(), t, c, conn, "web-1-sidecar-proxy")
		listener, err := wire.Parse(sent["outbound_listener:127.0.0.1:15001"])
		if err != nil {
			t.Fatal(err)
		}
		if table, err = names.Rewrite(listener, []uint16{80}, addresses, names.Scope{Datacenter: "dc1"}); err != nil && !errors.Is(err, names.ErrNothing) {
			t.Fatal(err)
		}
		return table.Len() == 7
	})
	if *update {
		for file, name := range map[string]string{"usual": "outbound_listener:127.0.0.1:15001", "upstream": "listed:127.0.0.1:9191"} {
			if err := os.WriteFile(filepath.Join("testdata", file+".bin"), sent[name], 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range []string{
		"api", "db", "split", "subset", "direct", "routed", "legacy", "nobody", // of these, all but the last
		"API", "x.api", "_api._tcp",
	} {
		for _, form := range []string{"", ".dc1.dc", ".dc2.dc", ".dc1", ".elsewhere.peer", ".elsewhere", ".default"} {
			whole := name + ".virtual" + form + ".consul."
			address, found, ours := table.Lookup(whole)
			if !ours {
				t.Errorf("%s is not ours", whole)
			}
			want := ask(t, c, conn, whole)
			if found != want.IsValid() || found && addresses.Loopback(want) != address {
				t.Errorf("%s is %s, and %s for Consul", whole, address, want)
			}
		}
	}
	for _, name := range []string{"virtual.consul.", "api.service.consul.", "api.virtual.a.b.consul.", "api.virtual.dc1.dc.elsewhere.peer.consul.", "api.virtual.example.com."} {
		if _, _, ours := table.Lookup(name); ours {
			t.Errorf("%s is ours", name)
		}
	}
	for _, name := range []string{"closed", "listed", "web", "outside", "address"} { // Consul has addresses for these, which lead nowhere here
		if address, found, ours := table.Lookup(name + ".virtual.consul."); found || !ours {
			t.Errorf("%s is %s, ours: %v", name, address, ours)
		}
	}
}

// ask is Consul's own answer, the zero address where it has no record.
func ask(t *testing.T, c *testenv.Consul, conn *grpc.ClientConn, name string) netip.Addr {
	t.Helper()
	query, err := new(dns.Msg).SetQuestion(name, dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := pbdns.NewDNSServiceClient(conn).Query(metadata.AppendToOutgoingContext(t.Context(), "x-consul-token", c.BootstrapToken),
		&pbdns.QueryRequest{Msg: query, Protocol: pbdns.Protocol_PROTOCOL_UDP})
	if err != nil {
		t.Fatal(err)
	}
	answer := new(dns.Msg)
	if err := answer.Unpack(resp.Msg); err != nil || answer.Rcode != dns.RcodeSuccess {
		t.Fatalf("%s: %s (%v)", name, dns.RcodeToString[answer.Rcode], err)
	}
	for _, record := range answer.Answer {
		if a, ok := record.(*dns.A); ok {
			address, _ := netip.AddrFromSlice(a.A.To4())
			return address
		}
	}
	return netip.Addr{}
}

// configure makes services of every kind, and lets web call most of them.
func configure(t *testing.T, c *testenv.Consul) {
	t.Helper()
	tcp := func(name string) *api.ServiceConfigEntry {
		return &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: name, Protocol: "tcp"}
	}
	direct, outside, address := tcp("direct"), tcp("outside"), tcp("address")
	direct.TransparentProxy = &api.TransparentProxyConfig{DialedDirectly: true}
	outside.Destination = &api.DestinationConfig{Addresses: []string{"www.example.com"}, Port: 443}
	address.Destination = &api.DestinationConfig{Addresses: []string{"192.0.2.9"}, Port: 5432}
	set(t, c, &api.ProxyConfigEntry{Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal, Config: map[string]any{"protocol": "http"}},
		tcp("db"), direct, outside, address,
		&api.ServiceRouterConfigEntry{Kind: api.ServiceRouter, Name: "routed", Routes: []api.ServiceRoute{{
			Match:       &api.ServiceRouteMatch{HTTP: &api.ServiceRouteHTTPMatch{PathPrefix: "/a"}},
			Destination: &api.ServiceRouteDestination{Service: "api", PrefixRewrite: "/"},
		}}},
		&api.ServiceSplitterConfigEntry{Kind: api.ServiceSplitter, Name: "split", Splits: []api.ServiceSplit{{Weight: 50, Service: "api"}, {Weight: 50, Service: "split"}}},
		&api.ServiceResolverConfigEntry{Kind: api.ServiceResolver, Name: "subset", DefaultSubset: "v1", Subsets: map[string]api.ServiceResolverSubset{"v1": {Filter: "Service.Meta.version == v1"}}},
		&api.TerminatingGatewayConfigEntry{Kind: api.TerminatingGateway, Name: "gw", Services: []api.LinkedService{{Name: "legacy"}}})
	for i, name := range []string{"api", "db", "split", "subset", "direct", "listed", "closed"} {
		register(t, c, instance(name, fmt.Sprintf("10.0.0.%d", i+1))...)
	}
	register(t, c, instance("web", "10.0.0.99", api.Upstream{DestinationName: "listed", LocalBindPort: 9191})...)
	register(t, c, &api.AgentService{ID: "gw", Service: "gw", Kind: api.ServiceKindTerminatingGateway, Address: "10.0.0.50", Port: 8443},
		&api.AgentService{ID: "legacy", Service: "legacy", Address: "10.0.0.51", Port: 80})
	for _, name := range []string{"api", "db", "split", "subset", "direct", "listed", "outside", "address", "routed", "legacy"} {
		set(t, c, &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: name, Sources: []*api.SourceIntention{{Name: "web", Action: api.IntentionActionAllow}}})
	}
}
