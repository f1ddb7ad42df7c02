package dataplane_test

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
)

// TestNamesWorkWithVirtualAddressesOfAnyNetwork has services with virtual addresses that are not of 240.0.0.0/4, since Consul is told of
// another network or is bound to IPv6.
func TestNamesWorkWithVirtualAddressesOfAnyNetwork(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		server  testenv.ConsulConfig
		network string
	}{
		"another network of IPv4": {testenv.ConsulConfig{VirtualNetwork: "10.99.0.0/16"}, "10.99.0.0/16"},
		"a server bound to IPv6":  {testenv.ConsulConfig{Address: "::1"}, "2000::/3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startConsulAs(t, tc.server)
			t.Cleanup(func() { _ = c.Stop() })
			var called []*task
			for range 2 { // each has an address of its own
				k := newTask(t, c)
				k.callsByName(freeport.Loopback(t), int(freeport.Loopback(t).Port())) // which takes nothing from those who call it
				k.register(t, c, website(t, k.service))
				k.run(t)
				called = append(called, k)
			}
			web := newTask(t, c)
			web.callsByName(freeport.Loopback(t), int(freeport.Loopback(t).Port()))
			web.register(t, c, freeport.Loopback(t))
			web.run(t)
			for _, k := range append(called, web) {
				k.awaitReady(t)
			}
			for _, k := range called {
				allow(t, c, web.service, k.service)
				virtual := virtualAddress(t, c, k.service)
				if !netip.MustParsePrefix(tc.network).Contains(virtual) {
					t.Errorf("Consul has %s at %s, want an address of %s", k.service, virtual, tc.network)
				}
				at := k.service + ".virtual.consul"
				eventually.True(t, at+" answers", eventually.Soon, func() bool { return web.calls(at, "/") == "200 "+k.service+" /" })
				if address := web.resolve(at, dns.TypeA); !netip.MustParsePrefix("127.64.0.0/10").Contains(netip.MustParseAddr(address)) {
					t.Errorf("%s resolves to %s", at, address)
				}
				if address := web.resolve(at, dns.TypeAAAA); address != "none" {
					t.Errorf("%s has the IPv6 address %s, at which nobody listens", at, address)
				}
			}
		})
	}
}

// virtualAddress is the address that Consul has for a service.
func virtualAddress(t *testing.T, c *testenv.Consul, service string) netip.Addr {
	t.Helper()
	instances, _, err := c.API.Catalog().Connect(service, "", nil)
	if err != nil || len(instances) == 0 {
		t.Fatalf("%d instances of %s: %v", len(instances), service, err)
	}
	address, err := netip.ParseAddr(instances[0].ServiceTaggedAddresses["consul-virtual"].Address)
	if err != nil {
		t.Fatal(err)
	}
	return address
}
