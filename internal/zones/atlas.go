package zones

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/clustername"
	"github.com/consulecs/terraform-provider-consulecs/internal/undelivered"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// Types of the resources that are changed.
const (
	TypeEndpoints = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	typeCluster   = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
)

// A zone that is not known is asked for again after firstAgain, then ever more seldom, until lastAgain. One of which Consul has answered
// that it does not know it either will hardly be known soon: what registers the instance does not tell. Each pause is longer by the
// spread of the atlas, a part of spreadMost, so that the tasks of a fleet do not ask at the same moment.
const (
	firstAgain   = 2 * time.Second
	lastAgain    = 5 * time.Minute
	placelessFor = time.Hour
	spreadMost   = 0.25
)

// maxKnown is how many addresses, and how many targets, are remembered beyond those that are in use.
const maxKnown = 1 << 14

// Settings are the caller's.
type Settings struct {
	Own        Locality
	Full       bool     // calls stay in the zone while one instance of it is healthy
	Networks   Networks // beat what is found out
	Datacenter string   // services elsewhere stay as they are
	Partition  string   // of Consul Enterprise; "" for the default one

	// Low hears of a service of which Consul configures that fewer instances may be left out than it takes.
	Low func(service string, percent uint64)
	// Wanted hears that Due may have something new to tell. It must not wait for anything.
	Wanted func()
}

// Service is what somebody has to ask Consul for.
type Service struct{ Name, Namespace string }

// Atlas knows where instances are, and which of them somebody has to find. Its methods may be called at the same time.
type Atlas struct {
	settings Settings

	mu       sync.Mutex
	known    map[netip.Addr]Locality
	clusters map[string]cluster
	targets  map[string]string // what the clusters stand for, by their names
	tries    map[netip.Addr]attempt
	spread   float64
}

// cluster is what was last assigned to one.
type cluster struct {
	service            Service
	near, far, unknown []netip.AddrPort
	nameless           int
}

// attempt is how often somebody has tried to find an address, and when it is worth another try.
type attempt struct {
	n         int
	asked     time.Time
	pause     time.Duration
	placeless bool // Consul has answered, and told no zone
}

func (t attempt) next() time.Time { return t.asked.Add(t.pause) }

// New is an atlas that knows nothing but the networks of the settings.
func New(s Settings) *Atlas {
	return &Atlas{
		settings: s, known: map[netip.Addr]Locality{}, clusters: map[string]cluster{}, targets: map[string]string{}, tries: map[netip.Addr]attempt{},
		spread: spreadMost * rand.Float64(),
	}
}

// Shape tells how resources of a type are changed; nil for those that stay as they are.
func (a *Atlas) Shape(typeURL string) (change func(resource *wire.Message) error) {
	switch typeURL {
	case typeCluster:
		return a.cluster
	case TypeEndpoints:
		return a.assignment
	}
	return nil
}

// splits tells whether the endpoints of a target are split, and of which service it is: one of the caller's own datacenter and
// partition. Elsewhere the endpoints may be gateways, and nobody can be asked where they are.
func (a *Atlas) splits(target string) (Service, bool) {
	name, ok := clustername.Parse(target)
	if !ok || name.Peer != "" || name.Datacenter != a.settings.Datacenter || name.Partition != a.settings.Partition {
		return Service{}, false
	}
	return Service{Name: name.Service, Namespace: name.Namespace}, true
}

// Fields of Envoy's Cluster.
const (
	clusterName      wire.Number = 1
	clusterDiscovery wire.Number = 2
	clusterBalancing wire.Number = 27
	balancingWindow  wire.Number = 4

	discoveryEDS = 3
)

// cluster lets Envoy leave out all instances in the zone. Without that, it goes on calling those that are gone: the others are
// called when those in the zone are not healthy, and for that Envoy has only its own eyes until Consul tells. What it sees counts at
// once: Envoy would gather such news for a second, in which every call goes to those that are gone.
func (a *Atlas) cluster(m *wire.Message) error {
	if m.Uint(clusterDiscovery) != discoveryEDS {
		return nil
	}
	name := m.Text(clusterName)
	proved, _, err := clustername.Proved(m)
	if err != nil {
		return err
	}
	target := cmp.Or(proved, name)
	a.noteTarget(name, target)
	service, ok := a.splits(target)
	if !ok {
		return nil
	}
	percent, err := undelivered.EjectNearlyAll(m)
	if err == nil && percent < undelivered.EjectAtMost && a.settings.Low != nil {
		a.settings.Low(service.Name, percent)
	}
	if err != nil {
		return err
	}
	return m.Edit(clusterBalancing, func(balancing *wire.Message) error {
		if !balancing.Has(balancingWindow) {
			balancing.SetDuration(balancingWindow, 0)
		}
		return nil
	})
}

// noteTarget remembers what a cluster stands for. It outlives the cluster's endpoints, as Envoy may let go of those for a moment when
// the cluster changes; only when there are too many, those without any are dropped.
func (a *Atlas) noteTarget(cluster, target string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.targets) >= maxKnown {
		maps.DeleteFunc(a.targets, func(name, _ string) bool { _, used := a.clusters[name]; return !used })
	}
	a.targets[cluster] = target
}

// assignment splits endpoints, and notes those that nobody knows.
func (a *Atlas) assignment(m *wire.Message) error {
	name := m.Text(assignmentCluster)
	a.mu.Lock()
	defer a.mu.Unlock()
	service, ok := a.splits(cmp.Or(a.targets[name], name))
	if !ok {
		delete(a.clusters, name) // it may have been one before: a failover goes elsewhere now
		return nil
	}
	s := splitter{own: a.settings.Own, full: a.settings.Full, of: a.of}
	if err := s.split(m); err != nil {
		return err
	}
	a.clusters[name] = cluster{service, s.near, s.far, s.unknown, s.nameless}
	if len(s.unknown) > 0 && a.settings.Wanted != nil {
		a.settings.Wanted()
	}
	return nil
}

// of is where an address is.
func (a *Atlas) of(addr netip.Addr) (Locality, bool) {
	if at, ok := a.settings.Networks.Of(addr); ok {
		return at, true
	}
	at, ok := a.known[addr]
	return at, ok
}

// Forget drops a cluster that Envoy has no more.
func (a *Atlas) Forget(cluster string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.clusters, cluster)
}

// Due are the services to be asked for now, since it is not known where some of their endpoints are, and how long it is until the
// next are; negative for never. They count as asked for. Those apart are asked for again although Consul has told no zone before.
func (a *Atlas) Due(now time.Time) (services, apart []Service, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	tries, ask, again := map[netip.Addr]attempt{}, map[Service]bool{}, map[Service]bool{}
	wait = -1
	for _, c := range a.clusters {
		for _, endpoint := range c.unknown {
			addr := endpoint.Addr()
			if _, known := a.of(addr); known {
				continue
			}
			try := a.tries[addr]
			if !try.next().After(now) {
				if try.placeless {
					again[c.service] = true
				} else {
					ask[c.service] = true
				}
				try = attempt{n: try.n + 1, asked: now, pause: a.spreadOut(min(firstAgain<<min(2*try.n, 10), lastAgain)), placeless: try.placeless}
			}
			if left := try.next().Sub(now); wait < 0 || left < wait {
				wait = left
			}
			if other, twice := tries[addr]; !twice || other.n < try.n {
				tries[addr] = try
			}
		}
	}
	a.tries = tries
	maps.DeleteFunc(again, func(s Service, _ bool) bool { return ask[s] })
	return slices.Collect(maps.Keys(ask)), slices.Collect(maps.Keys(again)), wait
}

func (a *Atlas) spreadOut(pause time.Duration) time.Duration {
	return pause + time.Duration(a.spread*float64(pause))
}

// Missing are those of some services of whose endpoints some are still not known, and may be with the next answer.
func (a *Atlas) Missing(services []Service) []Service {
	a.mu.Lock()
	defer a.mu.Unlock()
	missing := map[Service]bool{}
	for _, c := range a.clusters {
		if slices.ContainsFunc(c.unknown, func(endpoint netip.AddrPort) bool { return a.mayBeTold(endpoint.Addr()) }) {
			missing[c.service] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(services), func(s Service) bool { return !missing[s] })
}

// mayBeTold tells whether the next answer of Consul may say where an address is.
func (a *Atlas) mayBeTold(addr netip.Addr) bool {
	_, known := a.of(addr)
	return !known && !a.tries[addr].placeless
}

// Learn takes in where instances are, and reports whether any of them was looked for. Of the others nothing is kept.
func (a *Atlas) Learn(found map[netip.Addr]Locality) (news bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.clusters {
		for _, endpoint := range c.unknown {
			addr := endpoint.Addr()
			at, ok := found[addr]
			_, known := a.known[addr]
			try, tried := a.tries[addr]
			switch {
			case !ok || known:
			case at.Zone != "":
				a.known[addr] = at
				news = true
			case tried:
				try.placeless, try.pause = true, a.spreadOut(placelessFor)
				a.tries[addr] = try
			}
		}
	}
	if len(a.known) > maxKnown {
		a.forgetUnused()
	}
	return news
}

// forgetUnused keeps the addresses that are endpoints now.
func (a *Atlas) forgetUnused() {
	used := map[netip.Addr]Locality{}
	for _, c := range a.clusters {
		for _, endpoint := range slices.Concat(c.near, c.far, c.unknown) {
			if at, ok := a.known[endpoint.Addr()]; ok {
				used[endpoint.Addr()] = at
			}
		}
	}
	a.known = used
}

// Counts are how many endpoints are where, by service.
func (a *Atlas) Counts() map[string]Count {
	a.mu.Lock()
	defer a.mu.Unlock()
	type instance struct {
		of Service
		at netip.AddrPort
	}
	counts, seen, nameless := map[string]Count{}, map[instance]bool{}, map[Service]int{}
	for _, class := range []struct {
		of  func(cluster) []netip.AddrPort
		add Count
	}{
		{func(c cluster) []netip.AddrPort { return c.near }, Count{Near: 1}},
		{func(c cluster) []netip.AddrPort { return c.far }, Count{Far: 1}},
		{func(c cluster) []netip.AddrPort { return c.unknown }, Count{Far: 1, Unknown: 1}},
	} {
		for _, c := range a.clusters {
			sum := counts[c.service.Name]
			for _, at := range class.of(c) {
				if one := (instance{c.service, at}); !seen[one] {
					seen[one] = true
					sum = sum.plus(class.add)
				}
			}
			counts[c.service.Name], nameless[c.service] = sum, max(nameless[c.service], c.nameless)
		}
	}
	for service, n := range nameless {
		counts[service.Name] = counts[service.Name].plus(Count{Far: n, Unknown: n})
	}
	return counts
}

func (c Count) plus(other Count) Count {
	return Count{c.Near + other.Near, c.Far + other.Far, c.Unknown + other.Unknown}
}
