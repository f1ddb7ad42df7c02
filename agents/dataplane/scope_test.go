package dataplane_test

import (
	"slices"
	"testing"

	"github.com/miekg/dns"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/front"
)

func TestTheScopeIsInEveryCallOfTheDataplane(t *testing.T) {
	t.Parallel()
	c := sharedConsul(t)
	for name, tc := range map[string]struct{ scope, envoy mesh.Scope }{ // of the proxy, and in Envoy's node
		"none":      {mesh.Scope{}, mesh.Scope{Partition: "default", Namespace: "default"}},
		"partition": {mesh.Scope{Partition: "retail"}, mesh.Scope{Partition: "retail", Namespace: "default"}},
		"namespace": {mesh.Scope{Namespace: "team"}, mesh.Scope{Partition: "default", Namespace: "team"}},
		"both":      {mesh.Scope{Partition: "retail", Namespace: "team"}, mesh.Scope{Partition: "retail", Namespace: "team"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			enterprise := front.Start(t, c)
			k := newTask(t, c)
			k.register(t, c, freeport.Loopback(t))
			resolver := freeport.Loopback(t)
			k.file.Consul.TLS, k.file.Consul.GRPCPort = dataplanefile.TLS{Disabled: true}, enterprise.GRPCPort
			k.file.Proxy.Partition, k.file.Proxy.Namespace = tc.scope.Partition, tc.scope.Namespace
			k.file.DNSServer = &dataplanefile.DNSServer{BindPort: new(int(resolver.Port()))}
			k.run(t)
			k.awaitReady(t)
			if _, err := dns.Exchange(new(dns.Msg).SetQuestion("consul.service.consul.", dns.TypeA), resolver.String()); err != nil {
				t.Error(err)
			}
			for _, want := range []front.Sent{
				{Call: front.Params, Place: "message", Scope: tc.scope},
				{Call: front.XDS, Place: "message", Scope: tc.envoy},
				{Call: front.Query, Place: "metadata", Scope: tc.scope},
			} {
				if sent := enterprise.Sent(); !slices.Contains(sent, want) {
					t.Errorf("%+v was not sent, but %+v", want, sent)
				}
			}
		})
	}
}
