package names_test

import (
	"context"
	"flag"
	"fmt"
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

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

var update = flag.Bool("update", false, "record Consul's listeners anew, and rewrite what is made of them")

const (
	node         = "node"
	typeListener = "type.googleapis.com/envoy.config.listener.v3.Listener"
	method       = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
)

// consul is a server of the test's own, with a proxy in it that calls by name.
func startConsul(t *testing.T) (*testenv.Consul, *grpc.ClientConn) {
	t.Helper()
	c, err := testenv.StartConsul(t.Context(), testenv.ConsulConfig{Plaintext: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop() })
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
func instance(name, address string, mode api.ProxyMode, upstreams ...api.Upstream) []*api.AgentService {
	return []*api.AgentService{
		{ID: name + "-1", Service: name, Address: address, Port: 80, Meta: map[string]string{"version": "v1"}},
		{ID: name + "-1-sidecar-proxy", Service: name + "-sidecar-proxy", Kind: api.ServiceKindConnectProxy, Address: address, Port: 20000,
			Proxy: &api.AgentServiceConnectProxyConfig{DestinationServiceName: name, DestinationServiceID: name + "-1", LocalServicePort: 80, Mode: mode, Upstreams: upstreams,
				TransparentProxy: &api.TransparentProxyConfig{}}},
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

func TestRecord(t *testing.T) {
	c, conn := startConsul(t)
	set(t, c, &api.ProxyConfigEntry{Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal, Config: map[string]any{"protocol": "http"}})
	http := func(name string) *api.ServiceConfigEntry {
		return &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: name, Protocol: "http"}
	}
	allow := func(names ...string) {
		for _, name := range names {
			set(t, c, &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: name, Sources: []*api.SourceIntention{{Name: "web", Action: api.IntentionActionAllow}}})
		}
	}
	set(t, c, http("split"), &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "db", Protocol: "tcp"},
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "direct", Protocol: "tcp", TransparentProxy: &api.TransparentProxyConfig{DialedDirectly: true}},
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "outside", Protocol: "tcp", Destination: &api.DestinationConfig{Addresses: []string{"www.example.com"}, Port: 443}},
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "address", Protocol: "tcp", Destination: &api.DestinationConfig{Addresses: []string{"192.0.2.9"}, Port: 5432}},
		&api.ServiceRouterConfigEntry{Kind: api.ServiceRouter, Name: "routed", Routes: []api.ServiceRoute{{
			Match:       &api.ServiceRouteMatch{HTTP: &api.ServiceRouteHTTPMatch{PathPrefix: "/a"}},
			Destination: &api.ServiceRouteDestination{Service: "api", PrefixRewrite: "/"}}}},
		&api.ServiceSplitterConfigEntry{Kind: api.ServiceSplitter, Name: "split", Splits: []api.ServiceSplit{{Weight: 50, Service: "api"}, {Weight: 50, Service: "split"}}},
		&api.ServiceResolverConfigEntry{Kind: api.ServiceResolver, Name: "subset", DefaultSubset: "v1", Subsets: map[string]api.ServiceResolverSubset{"v1": {Filter: "Service.Meta.version == v1"}}})
	for i, name := range []string{"api", "db", "split", "subset", "direct", "listed", "forbidden"} {
		register(t, c, instance(name, fmt.Sprintf("10.0.0.%d", i+1), api.ProxyModeTransparent)...)
	}
	register(t, c, instance("web", "10.0.0.99", api.ProxyModeTransparent, api.Upstream{DestinationName: "listed", LocalBindPort: 9191})...)
	register(t, c, &api.AgentService{ID: "gw", Service: "gw", Kind: api.ServiceKindTerminatingGateway, Address: "10.0.0.50", Port: 8443}, &api.AgentService{ID: "legacy", Service: "legacy", Address: "10.0.0.51", Port: 80})
	set(t, c, &api.TerminatingGatewayConfigEntry{Kind: api.TerminatingGateway, Name: "gw", Services: []api.LinkedService{{Name: "legacy"}}})
	allow("api", "db", "split", "subset", "direct", "listed", "outside", "address", "routed", "legacy")
	time.Sleep(3 * time.Second)
	for _, name := range []string{"api.virtual.consul", "API.Virtual.Consul", "api.virtual.dc1.consul", "api.virtual.dc1.dc.consul", "api.virtual.peer1.peer.consul", "api.virtual.peer1.consul", "x.api.virtual.consul", "virtual.consul", "api.virtual.default.consul", "api.virtual.default.ns.consul", "api.virtual.default.ns.default.ap.consul", "api.virtual.default.ap.consul", "api.virtual.default.ns.dc1.dc.consul", "api.virtual.default.ns.default.ap.dc1.dc.consul", "api.virtual.default.default.consul", "nobody.virtual.consul", "forbidden.virtual.consul", "listed.virtual.consul", "routed.virtual.consul", "legacy.virtual.consul", "outside.virtual.consul", "web.virtual.consul", "api.virtual.dc2.dc.consul", "api.virtual.a.b.consul", "api.virtual.a.b.c.consul", "_api._tcp.virtual.consul", "direct.virtual.consul", "api.virtual.dc1.dc.peer1.peer.consul"} {
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeANY, dns.TypeTXT, dns.TypeSRV} {
			if kind != dns.TypeA && name != "api.virtual.consul" && name != "nobody.virtual.consul" {
				continue
			}
			q := new(dns.Msg).SetQuestion(name+".", kind)
			q.SetEdns0(4096, false)
			packed, _ := q.Pack()
			resp, err := pbdns.NewDNSServiceClient(conn).Query(metadata.AppendToOutgoingContext(t.Context(), "x-consul-token", c.BootstrapToken), &pbdns.QueryRequest{Msg: packed, Protocol: pbdns.Protocol_PROTOCOL_UDP})
			if err != nil {
				t.Log(name, err)
				continue
			}
			m := new(dns.Msg)
			m.Unpack(resp.Msg)
			t.Log(name, dns.TypeToString[kind], dns.RcodeToString[m.Rcode], "AA", m.Authoritative, "RA", m.RecursionAvailable, m.Answer, m.Ns, m.Extra)
		}
	}
	for name, data := range listeners(t.Context(), t, c, conn, "web-1-sidecar-proxy") {
		t.Log(name, len(data))
		if err := os.WriteFile(filepath.Join("testdata", name+".bin"), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
