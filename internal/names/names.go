// Package names lets an application call services by their names in Consul with nothing redirected.
//
// A proxy in transparent mode gets one listener from Consul for all that its service may call. It wants connections that the kernel has
// redirected, and tells them apart by where they were meant to go: a virtual address for each service. Here that listener is changed so
// that it is reached without redirection: the virtual addresses become addresses of the loopback device, and Envoy listens at chosen
// ports of all of them. What cannot be reached that way is left out, above all whatever leads past the mesh. The listener also tells which
// service has which address, so names are answered from it, with Consul or without.
//
// Nothing is read or changed but what is named here: see docs/design/names.md. The package is pure.
package names

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// ErrNothing says that nothing is left of a listener: Envoy shall have none.
var ErrNothing = errors.New("no service can be called by name")

// outboundPrefix begins the name of the listener for what a proxy in transparent mode calls. Those of upstreams begin with the service.
const outboundPrefix = "outbound_listener:"

// IsOutbound tells from a listener's name whether it may be the one that is changed. An upstream may be called so as well: see Rewrite.
func IsOutbound(name string) bool { return strings.HasPrefix(name, outboundPrefix) }

// Consul's virtual addresses, and where they lie on the loopback device: away from 127.0.0.1, from Docker's and systemd's resolvers and
// from the addresses of ECS Service Connect.
var (
	consuls  = netip.MustParsePrefix("240.0.0.0/4")
	loopback = netip.MustParsePrefix("127.64.0.0/10")
)

// Addresses maps Consul's addresses to those on the loopback device, always each to the same. It is not safe for use by several at once.
type Addresses struct {
	of    map[netip.Addr]netip.Addr
	given map[netip.Addr]bool
}

// NewAddresses makes one that has mapped nothing.
func NewAddresses() *Addresses {
	return &Addresses{map[netip.Addr]netip.Addr{}, map[netip.Addr]bool{}}
}

// Loopback is the address on the loopback device. It follows from the low bits of Consul's, so that tasks agree, unless another one has
// it: Consul's addresses may be of any network, also of IPv6.
func (a *Addresses) Loopback(address netip.Addr) netip.Addr {
	if known, ok := a.of[address]; ok {
		return known
	}
	within := uint32(1)<<(32-loopback.Bits()) - 1
	bytes := address.AsSlice()
	low := bytes[len(bytes)-4:]
	offset := (uint32(low[0])<<24 | uint32(low[1])<<16 | uint32(low[2])<<8 | uint32(low[3])) & within
	for {
		start := loopback.Addr().As4()
		mapped := netip.AddrFrom4([4]byte{start[0], start[1] | byte(offset>>16), byte(offset >> 8), byte(offset)})
		if !a.given[mapped] {
			a.of[address], a.given[mapped] = mapped, true
			return mapped
		}
		offset = (offset + 1) & within
	}
}

// Fields of Envoy's listeners and of what is in them.
const (
	listenerName         wire.Number = 1
	listenerAddress      wire.Number = 2
	listenerChains       wire.Number = 3
	listenerOriginal     wire.Number = 4
	listenerFilters      wire.Number = 9
	listenerOptions      wire.Number = 13
	listenerDefaultChain wire.Number = 25
	listenerMore         wire.Number = 33

	socketAddress wire.Number = 1
	socketHost    wire.Number = 2
	socketPort    wire.Number = 3
	moreAddress   wire.Number = 1

	optionLevel wire.Number = 2
	optionName  wire.Number = 3
	optionValue wire.Number = 5

	filterName = wire.Number(1)

	originalDestination = "envoy.filters.listener.original_dst"
	inspector           = "envoy.filters.listener.tls_inspector"
)

// The option that ties a listener to the loopback device. It holds also where something outside of the task routes 127.64.0.0/10 to it.
const (
	solSocket      = 1
	soBindToDevice = 25
	device         = "lo\x00"
)

// Rewrite changes the outbound listener of a proxy, and returns the names that it leads to. ErrNothing says that no chain is left, and any
// other error that Envoy should not get it either: unchanged, it would lead past the mesh. A listener that does not wait for
// redirected connections is an upstream's, and stays as it is: its table is nil.
func Rewrite(listener *wire.Message, at []uint16, addresses *Addresses, own Scope) (*Table, error) {
	filters, err := listener.Messages(listenerFilters)
	if err != nil {
		return nil, err
	}
	if !listener.Has(listenerOriginal) && !slices.ContainsFunc(filters, func(f *wire.Message) bool { return f.Text(filterName) == originalDestination }) {
		return nil, nil
	}
	if len(at) == 0 {
		return nil, fmt.Errorf("%w: no port", ErrNothing)
	}
	table := newTable(own)
	inspected := false
	left := 0
	err = listener.EditEach(listenerChains, func(c *wire.Message) (bool, error) {
		keep, err := table.chain(c, addresses)
		if keep {
			left++
			inspected = inspected || needsInspector(c)
		}
		return keep, err
	})
	if err != nil {
		return nil, err
	}
	if left == 0 {
		return table, ErrNothing
	}
	listener.Remove(listenerOriginal)
	listener.Remove(listenerDefaultChain) // to wherever the connection was meant to go: here that is the listener itself
	err = listener.EditEach(listenerFilters, func(f *wire.Message) (bool, error) {
		name := f.Text(filterName)
		return name != originalDestination && (name != inspector || inspected), nil // an inspector would wait for the caller to speak first
	})
	bind(listener, at)
	return table, err
}

// bind has the listener listen at the ports of all addresses of the loopback device.
func bind(listener *wire.Message, at []uint16) {
	listener.Remove(listenerMore)
	for i, port := range at {
		address := new(wire.Message).Set(socketAddress, new(wire.Message).SetText(socketHost, netip.IPv4Unspecified().String()).SetUint(socketPort, uint64(port)))
		if i == 0 {
			listener.Set(listenerAddress, address)
		} else {
			listener.Add(listenerMore, new(wire.Message).Set(moreAddress, address))
		}
	}
	listener.Add(listenerOptions, new(wire.Message).SetUint(optionLevel, solSocket).SetUint(optionName, soBindToDevice).SetText(optionValue, device))
}
