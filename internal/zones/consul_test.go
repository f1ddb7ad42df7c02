package zones

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/consulecs/terraform-provider-consulecs/internal/clustername"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/required"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
	"github.com/consulecs/terraform-provider-consulecs/internal/undelivered"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

var update = flag.Bool("update", false, "write what Consul sends into testdata")

// Fields of a DeltaDiscoveryRequest and a DeltaDiscoveryResponse, and of what is in them.
const (
	requestNode, requestType, requestSubscribe, requestNonce wire.Number = 1, 2, 3, 6
	responseResources, responseType, responseNonce           wire.Number = 2, 4, 5
	resourceAny, resourceName                                wire.Number = 2, 3
	nodeID, nodeMetadata, structFields, mapKey, mapValue     wire.Number = 1, 3, 1, 1, 2
	valueText                                                wire.Number = 3
)

// proxy is a stream as Envoy has one to Consul, for the proxy of web.
type proxy struct{ stream grpc.ClientStream }

func connect(t *testing.T, c *testenv.Consul) proxy {
	t.Helper()
	conn, err := grpc.NewClient(fmt.Sprintf("%s:%d", c.Address, c.GRPCPort), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(context.Background(), "x-consul-token", c.BootstrapToken), time.Minute)
	t.Cleanup(cancel)
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources")
	if err != nil {
		t.Fatal(err)
	}
	return proxy{stream}
}

func (p proxy) say(t *testing.T, request *wire.Message) {
	t.Helper()
	m := new(emptypb.Empty)
	m.ProtoReflect().SetUnknown(request.Bytes())
	if err := p.stream.SendMsg(m); err != nil {
		t.Fatal(err)
	}
}

// await returns the resources of a type, by name, once there are some.
func (p proxy) await(t *testing.T, typeURL string) map[string][]byte {
	t.Helper()
	for {
		var m emptypb.Empty
		if err := p.stream.RecvMsg(&m); err != nil {
			t.Fatal(err)
		}
		response, err := wire.Parse(m.ProtoReflect().GetUnknown())
		if err != nil {
			t.Fatal(err)
		}
		p.say(t, new(wire.Message).SetText(requestType, response.Text(responseType)).SetText(requestNonce, response.Text(responseNonce)))
		list, err := response.Messages(responseResources)
		if err != nil {
			t.Fatal(err)
		}
		if response.Text(responseType) != typeURL || len(list) == 0 {
			continue
		}
		found := map[string][]byte{}
		for _, one := range list {
			value, err := one.Message(resourceAny)
			if err != nil {
				t.Fatal(err)
			}
			found[one.Text(resourceName)] = []byte(value.Text(2))
		}
		return found
	}
}

// TestWhatConsulSendsIsSplit has a real Consul tell the proxy of web of api, which has instances in two zones and a failover to spare.
func TestWhatConsulSendsIsSplit(t *testing.T) {
	t.Parallel()
	tools, err := toolcache.Find()
	required.Tool(t, "consul", tools.Consul, err)
	c, err := testenv.StartConsul(t.Context(), testenv.ConsulConfig{Plaintext: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop() })
	register := func(service, id, addr string, upstreams ...api.Upstream) {
		for _, s := range []*api.AgentService{
			{ID: id, Service: service, Address: addr, Port: 8080},
			{ID: id + "-proxy", Service: service + "-proxy", Kind: api.ServiceKindConnectProxy, Address: addr, Port: 20000,
				Proxy: &api.AgentServiceConnectProxyConfig{DestinationServiceName: service, DestinationServiceID: id, Upstreams: upstreams}},
		} {
			if _, err := c.API.Catalog().Register(&api.CatalogRegistration{Node: "node", Address: "10.0.0.1", Service: s}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	register("api", "a1", "10.0.1.1")
	register("api", "b1", "10.0.2.1")
	register("api", "b2", "10.0.2.2")
	register("spare", "s1", "10.0.2.9")
	register("web", "web", "10.0.1.9", api.Upstream{DestinationName: "api", LocalBindPort: 1234})
	for _, entry := range []api.ConfigEntry{
		&api.ServiceResolverConfigEntry{Kind: api.ServiceResolver, Name: "api", Failover: map[string]api.ServiceResolverFailover{"*": {Service: "spare"}}},
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "web", UpstreamConfig: &api.UpstreamConfiguration{Overrides: []*api.UpstreamConfig{{Name: "spare", PassiveHealthCheck: &api.PassiveHealthCheck{MaxFailures: 5}}}}},
	} {
		if _, _, err := c.API.ConfigEntries().Set(entry, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, to := range []string{"api", "spare"} {
		if _, _, err := c.API.ConfigEntries().Set(&api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: to, Sources: []*api.SourceIntention{{Name: "web", Action: api.IntentionActionAllow}}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	p := connect(t, c)
	name := new(wire.Message).SetText(mapKey, "node_name").Set(mapValue, new(wire.Message).SetText(valueText, "node"))
	p.say(t, new(wire.Message).Set(requestNode, new(wire.Message).SetText(nodeID, "web-proxy").Set(nodeMetadata, new(wire.Message).Add(structFields, name))).SetText(requestType, typeCluster))
	clusters := p.await(t, typeCluster)
	subscribe := new(wire.Message).SetText(requestType, TypeEndpoints)
	var subscribed []string
	for name := range clusters {
		if parsed, ok := clustername.Parse(name); ok && len(name) > 0 && clusters[name] != nil && parsed.Service != "" {
			subscribed = append(subscribed, name)
		}
	}
	slices.Sort(subscribed)
	for _, name := range subscribed {
		subscribe.AddText(requestSubscribe, name)
	}
	p.say(t, subscribe)
	endpoints := p.await(t, TypeEndpoints)
	judgeReal(t, clusters, endpoints)
	if !*update {
		return
	}
	for name, data := range endpoints {
		if bytes.Contains(data, []byte("10.0.1.1")) {
			writeFile(t, "endpoints.bin", data)
			writeFile(t, "cluster.bin", withoutKey(t, clusters[name]))
		}
	}
}

// withoutKey is a cluster without the certificate of the proxy and its key, which are nobody's business, even of a Consul that is gone.
func withoutKey(t *testing.T, cluster []byte) []byte {
	t.Helper()
	const tlsCommon, commonCertificates wire.Number = 1, 2
	m, err := wire.Parse(cluster)
	if err != nil {
		t.Fatal(err)
	}
	err = m.Edit(clusterSocket, func(socket *wire.Message) error {
		return socket.Edit(socketConfig, func(config *wire.Message) error {
			return config.EditAny(typeTLS, func(tls *wire.Message) error {
				return tls.Edit(tlsCommon, func(common *wire.Message) error { common.Remove(commonCertificates); return nil })
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return m.Bytes()
}

func writeFile(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata", name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// judgeReal splits what Consul sends, and looks at what comes out.
func judgeReal(t *testing.T, clusters, endpoints map[string][]byte) {
	t.Helper()
	a := atlas(t, nil)
	target := func(name string) string {
		parsed, ok := clustername.Parse(a.targets[name])
		if !ok {
			t.Errorf("nobody knows what %s stands for", name)
		}
		return parsed.Service
	}
	change := func(typeURL string, data []byte) *wire.Message {
		t.Helper()
		m, err := wire.Parse(data)
		if err == nil {
			err = a.Shape(typeURL)(m)
		}
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	changed := 0
	for name, data := range clusters {
		m := change(typeCluster, data)
		if cmp.Equal(m.Bytes(), data) {
			continue
		}
		changed++
		outliers, err := m.Message(19)
		if err != nil {
			t.Fatal(err)
		}
		share, err := outliers.Message(4)
		if err != nil || share.Uint(1) != undelivered.EjectAtMost {
			t.Errorf("%s: %d %% may be left out (%v)", name, share.Uint(1), err)
		}
	}
	if changed != 2 { // the two targets; not the cluster that holds them, nor the application's
		t.Errorf("%d clusters are changed, want 2", changed)
	}
	got := map[string][]shown{}
	for name, data := range endpoints {
		groups, _ := show(t, change(TypeEndpoints, data))
		for i := range groups {
			slices.Sort(groups[i].Addrs)
		}
		got[target(name)] = groups
	}
	want := map[string][]shown{
		"api":   {{"a", 0, []string{"10.0.1.1"}}, {"b", 1, []string{"10.0.2.1", "10.0.2.2"}}},
		"spare": {{"", 0, []string{"10.0.2.9"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
}

// TestGoldenBytesOfConsulComeOutTheSame holds on to what Consul 1.22.7 sent.
func TestGoldenBytesOfConsulComeOutTheSame(t *testing.T) {
	t.Parallel()
	a := atlas(t, func(s *Settings) { s.Full = true })
	for name, typeURL := range map[string]string{"endpoints": TypeEndpoints, "cluster": typeCluster} {
		data, err := os.ReadFile(filepath.Join("testdata", name+".bin"))
		if err != nil {
			t.Fatal(err)
		}
		m, err := wire.Parse(data)
		if err == nil {
			err = a.Shape(typeURL)(m)
		}
		if err != nil {
			t.Fatal(err)
		}
		golden := name + ".golden.bin"
		if *update {
			writeFile(t, golden, m.Bytes())
		}
		want, err := os.ReadFile(filepath.Join("testdata", golden))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, m.Bytes()); diff != "" || cmp.Equal(data, m.Bytes()) {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if n := a.Counts()["api"]; n != (Count{Near: 1, Far: 2}) {
		t.Errorf("%+v", n)
	}
	if at, _ := a.settings.Networks.Of(netip.MustParseAddr("10.0.1.1")); at.Zone != "a" {
		t.Errorf("the zone of a1 is %q", at.Zone)
	}
}
