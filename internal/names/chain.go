package names

import (
	"net/netip"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

const (
	chainMatch   wire.Number = 1
	chainFilters wire.Number = 3
	filterConfig wire.Number = 4

	matchRanges      wire.Number = 3
	matchTransport   wire.Number = 9
	matchApplication wire.Number = 10
	matchServers     wire.Number = 11

	rangeAddress wire.Number = 1
	rangeLength  wire.Number = 2
	wrapped      wire.Number = 1

	managerPrefix wire.Number = 2
	tcpPrefix     wire.Number = 1
	tcpCluster    wire.Number = 2
	anyType       wire.Number = 1
	anyValue      wire.Number = 2

	typeManager = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
	typeTCP     = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"

	// What Consul calls what leads to a service, and to one of a peer, in its statistics; and clusters that lead to instances past their
	// service's settings.
	prefixService = "upstream."
	prefixPeered  = "upstream_peered."
	passthrough   = "passthrough~"
)

// chain changes which addresses a chain of filters is for, notes its service, and tells whether there are any.
func (t *Table) chain(chain *wire.Message, addresses *Addresses) (keep bool, err error) {
	service, past, err := leadsTo(chain)
	if err != nil || past {
		return false, err
	}
	match, err := chain.Message(chainMatch)
	if err != nil {
		return false, err
	}
	ranges, err := match.Messages(matchRanges)
	if err != nil {
		return false, err
	}
	virtual := virtualOf(ranges, service != Service{})
	if len(virtual) == 0 {
		return false, nil
	}
	match.Remove(matchRanges)
	for _, address := range virtual {
		mapped := addresses.Loopback(address)
		match.Add(matchRanges, new(wire.Message).SetText(rangeAddress, mapped.String()).SetWrapped(rangeLength, uint64(mapped.BitLen())))
		t.from[address] = mapped
		t.add(service, mapped)
	}
	chain.Set(chainMatch, match)
	return true, nil
}

// virtualOf are Consul's virtual addresses among those of a chain. They are of its usual network, or of another one that its servers
// are configured for: then all addresses of a service are taken, since all lead to it.
func virtualOf(ranges []*wire.Message, ofService bool) []netip.Addr {
	var usual, others []netip.Addr
	for _, r := range ranges {
		address, err := netip.ParseAddr(r.Text(rangeAddress))
		length, broken := r.Message(rangeLength)
		if err != nil || broken != nil || address.Zone() != "" || length.Uint(wrapped) != uint64(address.BitLen()) {
			continue
		}
		if consuls.Contains(address) {
			usual = append(usual, address)
		} else {
			others = append(others, address)
		}
	}
	if len(usual) == 0 && ofService {
		return others
	}
	return usual
}

// leadsTo tells which service a chain leads to, the zero one where it has no name, and whether it leads past services.
func leadsTo(chain *wire.Message) (service Service, past bool, err error) {
	filters, err := chain.Messages(chainFilters)
	if err != nil {
		return Service{}, false, err
	}
	for _, filter := range filters {
		config, err := filter.Message(filterConfig)
		if err != nil {
			return Service{}, false, err
		}
		value, err := config.Message(anyValue)
		if err != nil {
			if kind := config.Text(anyType); kind != typeManager && kind != typeTCP {
				continue // whatever it is, it is not ours to read
			}
			return Service{}, false, err
		}
		switch config.Text(anyType) {
		case typeManager:
			return serviceOf(value.Text(managerPrefix)), false, nil
		case typeTCP:
			return serviceOf(value.Text(tcpPrefix)), strings.HasPrefix(value.Text(tcpCluster), passthrough), nil
		}
	}
	return Service{}, false, nil
}

// serviceOf reads what Consul calls a chain in its statistics. A service with a dot in its name has none in DNS, and what is outside the
// mesh has many labels.
func serviceOf(prefix string) Service {
	if rest, ok := strings.CutPrefix(prefix, prefixPeered); ok {
		if labels := strings.Split(rest, "."); len(labels) == 3 {
			return Service{Name: labels[0], Namespace: labels[1], Peer: labels[2]}
		}
	}
	if rest, ok := strings.CutPrefix(prefix, prefixService); ok {
		if labels := strings.Split(rest, "."); len(labels) == 4 {
			return Service{Name: labels[0], Namespace: labels[1], Partition: labels[2], Datacenter: labels[3]}
		}
	}
	return Service{}
}

// needsInspector tells whether a chain is chosen by what a TLS connection says first.
func needsInspector(chain *wire.Message) bool {
	match, err := chain.Message(chainMatch)
	return err != nil || match.Has(matchTransport) || match.Has(matchApplication) || match.Has(matchServers)
}
