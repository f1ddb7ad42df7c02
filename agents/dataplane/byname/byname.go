// Package byname has an application call services by their names: it keeps Consul's outbound listener in the form that works without
// redirection, and with it the table of names that the agent answers from.
package byname

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/proto-public/pbdataplane"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/metrics"
	"github.com/consulecs/terraform-provider-consulecs/internal/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/resolvconf"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
	"github.com/consulecs/terraform-provider-consulecs/internal/xds"
)

const (
	// tryAgain is how often a port is tried that another program has.
	tryAgain = 5 * time.Second
	// takeBackAfter is how long such a port has to be free at every try. A program that is started again finds it free, or it could
	// not listen any more.
	takeBackAfter = 5 * time.Minute
)

// Listener is what calls by name go to: it keeps Consul's listener for that in the form that works here.
type Listener struct {
	log   hclog.Logger
	ports []uint16

	table atomic.Pointer[names.Table] // what Envoy has taken; nil: nothing

	mu        sync.Mutex
	addresses *names.Addresses
	own       names.Scope
	listener  string               // name of Consul's; "" until there is one
	made      *names.Table         // of what Envoy was offered last
	at        []uint16             // the ports that it was made for
	bound     []uint16             // ports at which Envoy listens
	doubt     bool                 // Envoy has refused what was made last: whether it listens is tried
	taken     map[uint16]time.Time // ports of other programs, and since when each was free at every try; zero: it is not
	changed   chan struct{}        // holds one element when a port was found taken
}

// New tries the ports before anything starts: what no later try mends ends the agent.
func New(file dataplanefile.File, log hclog.Logger) (*Listener, error) {
	if err := checkResolver(file, resolvconf.Path); err != nil {
		return nil, err
	}
	n := &Listener{log: log.Named("names"), addresses: names.NewAddresses(), taken: map[uint16]time.Time{}, changed: make(chan struct{}, 1)}
	for _, port := range file.Names.Ports {
		n.ports = append(n.ports, uint16(port))
		if err := tryPort(uint16(port)); err != nil && !errors.Is(err, errTaken) {
			return nil, fmt.Errorf("listen for names at port %d: %w", port, err)
		}
	}
	if len(n.usable()) == 0 {
		return nil, fmt.Errorf("listen for names at port %v: %w\nhint: let it listen elsewhere, or choose other names.ports: no name would be reached", n.ports, errTaken)
	}
	return n, nil
}

// checkResolver wants the name server line that mesh-init has written: without it no name of ours is ever asked for here.
func checkResolver(file dataplanefile.File, path string) error {
	addr, on := file.DNS()
	if !on || addr.Port() != mesh.PortResolver {
		return nil // somebody else brings the names here
	}
	has, err := resolvconf.Has(path, addr.Addr())
	if err != nil {
		return err
	}
	if !has {
		return fmt.Errorf("%s does not begin with name server %s, which mesh-init has written into its own: the containers of this task do not share the file\n"+
			"hint: names need that; turn them off and list the services as upstreams", path, addr.Addr())
	}
	return nil
}

// Start has Envoy's proxy give it the listener, and tries taken ports again until ctx ends.
func (n *Listener) Start(ctx context.Context, proxy *xds.Proxy, own *metrics.Dataplane) {
	own.WatchNames(n.State)
	proxy.Own(xds.TypeListener, xds.Owner{Owns: names.IsOutbound, Answered: n.answered, Gone: n.gone, Closed: true})
	go n.keep(ctx, proxy)
}

// Table is what Envoy has taken; nil: nothing.
func (n *Listener) Table() *names.Table { return n.table.Load() }

// For says for whom the names are.
func (n *Listener) For(params *pbdataplane.GetEnvoyBootstrapParamsResponse) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.own = names.Scope{Datacenter: params.GetDatacenter(), Partition: params.GetPartition(), Namespace: params.GetNamespace()}
}

// usable are the ports that Envoy may listen at. Where none is left, one that another program had a moment ago is better than no name at all.
func (n *Listener) usable() []uint16 {
	now := time.Now()
	var usable []uint16
	for _, port := range n.ports {
		if !n.doubt && slices.Contains(n.bound, port) || n.isOurs(port, now) {
			usable = append(usable, port)
		}
	}
	if len(usable) > 0 {
		return usable
	}
	for _, port := range n.ports {
		if since, taken := n.taken[port]; taken && !since.IsZero() {
			n.takeBack(port)
			return []uint16{port}
		}
	}
	return nil
}

// isOurs tries a port. One that another program has is told of once, and stays that program's until it was free for a while.
func (n *Listener) isOurs(port uint16, now time.Time) bool {
	err := tryPort(port) // with what Envoy has itself there is no conflict
	since, taken := n.taken[port]
	switch {
	case errors.Is(err, errTaken):
		n.taken[port] = time.Time{}
		if taken {
			return false
		}
		n.log.Warn("port for names is left out", "port", port, "err", err, "hint", "let the other program listen elsewhere, or choose other names.ports; it is tried again")
		select {
		case n.changed <- struct{}{}:
		default:
		}
		return false
	case err != nil: // it says nothing of other programs
		n.log.Debug("port for names not tried", "port", port, "err", err)
	case taken && since.IsZero():
		n.taken[port] = now
	case taken && now.Sub(since) >= takeBackAfter:
		n.takeBack(port)
		return true
	}
	return !taken
}

func (n *Listener) takeBack(port uint16) {
	delete(n.taken, port)
	n.log.Info("port for names is free", "port", port)
}

// Shape is how listeners are changed.
func (n *Listener) Shape(typeURL string) func(*wire.Message) error {
	if typeURL != xds.TypeListener {
		return nil
	}
	return n.change
}

const listenerName wire.Number = 1

// change changes Consul's listener for what the proxy calls. Unless that comes off, Envoy gets none: the one of Consul's leads past the mesh.
func (n *Listener) change(listener *wire.Message) error {
	name := listener.Text(listenerName)
	if !names.IsOutbound(name) {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	at := n.usable()
	table, err := names.Rewrite(listener, at, n.addresses, n.own)
	if err != nil {
		if !errors.Is(err, names.ErrNothing) {
			n.log.Warn("no service can be called by name: the listener of Consul's is not understood", "name", name, "err", err)
		}
		n.listener, n.made, n.at, n.bound = name, nil, at, nil
		n.table.Store(nil)
		return fmt.Errorf("%w: %w", xds.ErrLeftOut, err)
	}
	if table != nil {
		n.listener, n.made, n.at = name, table, at
	}
	return nil
}

func (n *Listener) answered(name, refusal string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if name != n.listener || n.made == nil {
		return
	}
	if n.doubt = refusal != ""; n.doubt {
		return
	}
	if n.table.Swap(n.made).Len() == 0 {
		n.log.Info("services can be called by name", "services", n.made.Len(), "ports", n.at)
	}
	n.bound = n.at
}

func (n *Listener) gone(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if name == n.listener {
		n.listener, n.made, n.at, n.bound = "", nil, nil, nil
		n.table.Store(nil)
	}
}

// keep tries ports again that another program has, until ctx ends, and has Envoy listen there as soon as one is free.
func (n *Listener) keep(ctx context.Context, proxy *xds.Proxy) {
	for {
		lacks, waiting := n.lacking()
		if lacks {
			proxy.Reshape(xds.TypeListener)
		}
		var again <-chan time.Time // never
		if waiting {
			again = time.After(tryAgain)
		}
		select {
		case <-ctx.Done():
			return
		case <-n.changed:
		case <-again:
		}
	}
}

// lacking tells whether there is a listener that was made without a port that is free now, and whether to look again.
func (n *Listener) lacking() (lacks, waiting bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.taken) == 0 && len(n.at) == len(n.ports) {
		return false, false
	}
	for _, port := range n.usable() {
		if !slices.Contains(n.at, port) {
			lacks = n.listener != ""
		}
	}
	return lacks, len(n.taken) > 0 || lacks
}

// State is for metrics and the health page.
func (n *Listener) State() metrics.Names {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := metrics.Names{Services: n.table.Load().Len(), Ports: append([]uint16{}, n.bound...), Taken: []uint16{}} // empty lists, not null
	for _, port := range n.ports {
		if _, taken := n.taken[port]; taken {
			s.Taken = append(s.Taken, port)
		}
	}
	return s
}
