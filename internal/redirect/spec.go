package redirect

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// credentials is where ECS serves the task's metadata and credentials. No service lives there.
var credentials = netip.MustParsePrefix("169.254.170.2/32")

// Central is what Consul's central configuration says about the registered proxy.
type Central struct {
	OutboundPort int            // 0: the default
	Config       map[string]any // the proxy's opaque configuration, decoded from JSON
}

// SpecOf is what the agents' configuration and Consul's together ask for.
func SpecOf(cfg agentconfig.Config, central Central) (Spec, error) {
	t, proxy := cfg.TransparentProxySettings(), cfg.ProxySettings()
	s := Spec{
		InboundPort: proxy.PublicListenerPort, OutboundPort: mesh.PortOutboundListener,
		ExcludeInboundPorts: append(slices.Clone(t.ExcludeInboundPorts), proxy.HealthCheckPort), ExcludeOutboundPorts: t.ExcludeOutboundPorts,
		ExcludeOutboundCIDRs: []netip.Prefix{credentials},
		ExcludeUIDs:          t.ExcludeUIDs,
	}
	if cfg.ResolvesNames() {
		s.DNS = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), mesh.PortDNS)
	}
	if central.OutboundPort != 0 {
		s.OutboundPort = central.OutboundPort
	}
	for _, text := range t.ExcludeOutboundCIDRs {
		cidr, err := parseCIDR(text)
		if err != nil {
			return Spec{}, fmt.Errorf("transparentProxy.excludeOutboundCIDRs: %w", err)
		}
		s.ExcludeOutboundCIDRs = append(s.ExcludeOutboundCIDRs, cidr)
	}
	if value, ok := central.Config["bind_port"]; ok {
		port, err := parsePort(fmt.Sprint(value))
		if err != nil {
			return Spec{}, fmt.Errorf("proxy config bind_port: %w", err)
		}
		s.InboundPort = port
	}
	for _, key := range []string{"envoy_prometheus_bind_addr", "envoy_stats_bind_addr"} {
		value, ok := central.Config[key]
		if !ok {
			continue
		}
		port, err := portOf(fmt.Sprint(value))
		if err != nil {
			return Spec{}, fmt.Errorf("proxy config %s: %w", key, err)
		}
		s.ExcludeInboundPorts = append(s.ExcludeInboundPorts, port)
	}
	if proxy.Expose != nil {
		for _, path := range proxy.Expose.Paths {
			s.ExcludeInboundPorts = append(s.ExcludeInboundPorts, path.ListenerPort)
		}
	}
	s.ExcludeInboundPorts, s.ExcludeOutboundPorts = once(s.ExcludeInboundPorts), once(s.ExcludeOutboundPorts)
	s.ExcludeOutboundCIDRs, s.ExcludeUIDs = once(s.ExcludeOutboundCIDRs), once(s.ExcludeUIDs)
	return s, nil
}

// once drops what is in the list already: a rule's comment, by which it is found again, names what it excludes.
func once[T comparable](list []T) []T {
	var kept []T
	for _, v := range list {
		if !slices.Contains(kept, v) {
			kept = append(kept, v)
		}
	}
	return kept
}

// parseCIDR reads a CIDR block or an address, as the kernel spells it: without the bits below the mask.
func parseCIDR(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	cidr, err := netip.ParsePrefix(text)
	return cidr.Masked(), err
}

func portOf(address string) (int, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	return parsePort(port)
}

func parsePort(text string) (int, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%q is no port, want 1 to 65535", text)
	}
	return int(port), nil
}
