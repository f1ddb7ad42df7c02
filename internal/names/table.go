package names

import (
	"cmp"
	"net/netip"
	"strings"
)

// Scope is where in Consul the proxy is: what a name leaves out is there.
type Scope struct{ Datacenter, Partition, Namespace string }

// Service is a service that a chain of filters leads to. One of a peer has neither datacenter nor partition.
type Service struct{ Name, Namespace, Partition, Datacenter, Peer string }

// Table has the addresses of the services that may be called, which are on the loopback device. Rewrite makes it, and nothing changes it after that.
type Table struct {
	own       Scope
	addresses map[key]netip.Addr
	from      map[netip.Addr]netip.Addr // by Consul's address
}

// key is a service as names in DNS tell it, in lower case: names there have no datacenter of their own.
type key struct{ name, namespace, partition, peer string }

func newTable(own Scope) *Table {
	own.Partition, own.Namespace = cmp.Or(own.Partition, defaultScope), cmp.Or(own.Namespace, defaultScope)
	return &Table{own, map[key]netip.Addr{}, map[netip.Addr]netip.Addr{}}
}

// defaultScope is the partition and the namespace where nothing is said; Consul without Enterprise has no other.
const defaultScope = "default"

// add notes an address of a service; of several, the lowest counts, so that it is always the same.
func (t *Table) add(s Service, address netip.Addr) {
	if s.Name == "" || s.Datacenter != "" && t.own.Datacenter != "" && s.Datacenter != t.own.Datacenter {
		return
	}
	k := key{strings.ToLower(s.Name), strings.ToLower(s.Namespace), strings.ToLower(s.Partition), strings.ToLower(s.Peer)}
	if other, ok := t.addresses[k]; !ok || address.Less(other) {
		t.addresses[k] = address
	}
}

// Len is how many services have a name.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return len(t.addresses)
}

// Of is the address on the loopback device for an address of Consul's.
func (t *Table) Of(address netip.Addr) (mapped netip.Addr, known bool) {
	if t == nil {
		return netip.Addr{}, false
	}
	mapped, known = t.from[address]
	return mapped, known
}

const (
	domain = "consul."
	label  = "virtual"
)

// Lookup finds the address of a name as DNS writes it, such as api.virtual.consul. or pay.virtual.east.peer.consul. A name is not ours
// unless Consul's domain has it and Consul would take it for a virtual one.
func (t *Table) Lookup(name string) (address netip.Addr, found, ours bool) {
	rest, isConsuls := cutDomain(name)
	if !isConsuls {
		return netip.Addr{}, false, false
	}
	labels := strings.Split(rest, ".")
	at := lastIndex(labels, label)
	if at < 1 {
		return netip.Addr{}, false, false
	}
	var own Scope
	if t != nil {
		own = t.own
	}
	k, ok := scoped(key{name: labels[at-1]}, labels[at+1:], own)
	if !ok {
		return netip.Addr{}, false, false
	}
	if t == nil {
		return netip.Addr{}, false, true
	}
	address, found = t.addresses[k]
	return address, found, true
}

// IsConsuls tells whether a name, as DNS writes it, is in Consul's usual domain.
func IsConsuls(name string) bool {
	_, is := cutDomain(name)
	return is
}

func cutDomain(name string) (rest string, isConsuls bool) {
	return strings.CutSuffix(strings.ToLower(name), "."+domain)
}

// scoped reads what stands behind the label: pairs of a value and what it is, or a peer alone. The datacenter makes no
// difference to Consul either: a virtual address is the local one.
func scoped(k key, labels []string, own Scope) (key, bool) {
	k.namespace = own.Namespace
	switch {
	case len(labels) == 0:
		k.partition = own.Partition
		return k, true
	case len(labels) == 1:
		k.peer = labels[0]
		return k, true
	case len(labels)%2 != 0:
		return k, false
	}
	said := map[string]string{}
	for i := 0; i < len(labels); i += 2 {
		if said[labels[i+1]] != "" {
			return k, false
		}
		said[labels[i+1]] = labels[i]
	}
	known := 0
	for _, kind := range []string{"dc", "peer", "ns", "ap"} {
		if said[kind] != "" {
			known++
		}
	}
	if known != len(said) || said["dc"] != "" && said["peer"] != "" {
		return k, false
	}
	k.peer, k.namespace = said["peer"], cmp.Or(said["ns"], own.Namespace)
	if k.peer == "" {
		k.partition = cmp.Or(said["ap"], own.Partition)
	}
	return k, true
}

func lastIndex(labels []string, wanted string) int {
	for i := len(labels) - 1; i >= 0; i-- {
		if labels[i] == wanted {
			return i
		}
	}
	return -1
}
