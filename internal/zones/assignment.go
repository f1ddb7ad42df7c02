package zones

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// Fields of Envoy's ClusterLoadAssignment and of its parts.
const (
	assignmentCluster wire.Number = 1
	assignmentGroups  wire.Number = 2
	assignmentPolicy  wire.Number = 4
	policyFactor      wire.Number = 3

	groupLocality  wire.Number = 1
	groupEndpoints wire.Number = 2
	groupPriority  wire.Number = 5
	groupElsewhere wire.Number = 8 // the endpoints come by another resource

	localityRegion wire.Number = 1
	localityZone   wire.Number = 2

	endpointOf    wire.Number = 1
	endpointAt    wire.Number = 1
	addressSocket wire.Number = 1
	socketAddress wire.Number = 2
	socketPort    wire.Number = 3
)

const (
	// spillFull keeps calls in the zone while one instance of it is healthy. Envoy's own factor, 140, moves a part of them as soon as
	// fewer than five of seven are.
	spillFull = 100000

	lastPriority = 128 // Envoy's
)

// Count is how many endpoints of a service are where. One that is in several clusters, as those of subsets and failovers are, counts once.
type Count struct {
	Near, Far int
	Unknown   int // of those far
}

// splitter splits the endpoints of one assignment.
type splitter struct {
	own  Locality
	full bool
	of   func(netip.Addr) (Locality, bool)

	near, far, unknown []netip.AddrPort
	nameless           int // endpoints without an address, of which nobody knows where they are
}

// group is one of the groups of endpoints that an assignment has.
type group struct {
	rest      *wire.Message // all but endpoints and priority
	located   bool          // Consul says where the group is
	priority  uint64
	near, far map[Locality][][]byte
}

// split changes the assignment: each priority of Consul's becomes two, that in the zone first. It stays as it is where all or none
// are near, so that there is nothing to prefer, and where it is not of the kind that Consul sends.
func (s *splitter) split(assignment *wire.Message) error {
	messages, err := assignment.Messages(assignmentGroups)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(messages, func(m *wire.Message) bool { return m.Has(groupElsewhere) }) {
		return nil
	}
	var groups []group
	for _, m := range messages {
		g, err := s.group(m)
		if err != nil {
			return err
		}
		groups = append(groups, g)
	}
	if len(s.near) == 0 || len(s.far)+len(s.unknown)+s.nameless == 0 {
		return nil
	}
	slices.SortStableFunc(groups, func(a, b group) int { return cmp.Compare(a.priority, b.priority) })
	split, last := s.prioritize(groups)
	if last > lastPriority {
		return nil
	}
	assignment.Remove(assignmentGroups)
	for _, g := range split {
		assignment.Add(assignmentGroups, g)
	}
	if !s.full {
		return nil
	}
	return assignment.Edit(assignmentPolicy, func(policy *wire.Message) error {
		if !policy.Has(policyFactor) {
			policy.SetWrapped(policyFactor, spillFull)
		}
		return nil
	})
}

// group sorts the endpoints of a group.
func (s *splitter) group(m *wire.Message) (group, error) {
	g := group{rest: m, located: m.Has(groupLocality), priority: m.Uint(groupPriority), near: map[Locality][][]byte{}, far: map[Locality][][]byte{}}
	for _, content := range m.Contents(groupEndpoints) {
		endpoint, err := wire.Parse(content)
		if err != nil {
			return group{}, err
		}
		addr, err := addressOf(endpoint)
		if err != nil {
			return group{}, err
		}
		at, known := s.of(addr.Addr())
		switch {
		case known && at.near(s.own):
			s.near = append(s.near, addr)
			g.near[s.own] = append(g.near[s.own], content)
			continue
		case known:
			s.far = append(s.far, addr)
		case addr.IsValid():
			s.unknown = append(s.unknown, addr)
		default:
			s.nameless++
		}
		g.far[at] = append(g.far[at], content)
	}
	m.Remove(groupEndpoints)
	m.Remove(groupPriority)
	return g, nil
}

// addressOf is the IP address of an endpoint, and its port; the zero value if it has no such address.
func addressOf(endpoint *wire.Message) (netip.AddrPort, error) {
	m := endpoint
	for _, field := range []wire.Number{endpointOf, endpointAt, addressSocket} {
		next, err := m.Message(field)
		if err != nil {
			return netip.AddrPort{}, err
		}
		m = next
	}
	addr, err := netip.ParseAddr(m.Text(socketAddress))
	if err != nil {
		return netip.AddrPort{}, nil // a name, or a socket of another kind: nobody knows where it is
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(m.Uint(socketPort))), nil
}

// prioritize gives the groups their new priorities, without gaps, and tells the last one.
func (s *splitter) prioritize(groups []group) (split []*wire.Message, last uint64) {
	next := uint64(0)
	for len(groups) > 0 {
		same := slices.IndexFunc(groups, func(g group) bool { return g.priority != groups[0].priority })
		if same < 0 {
			same = len(groups)
		}
		for _, side := range []func(group) map[Locality][][]byte{
			func(g group) map[Locality][][]byte { return g.near },
			func(g group) map[Locality][][]byte { return g.far },
		} {
			before := len(split)
			for _, g := range groups[:same] {
				split = append(split, g.parts(side(g), next)...)
			}
			if len(split) > before {
				last = next
				next++
			}
		}
		groups = groups[same:]
	}
	return split, last
}

// parts are a group of Consul's as one a zone. They say where they are, so that Envoy counts requests from zone to zone; a group
// of which Consul says it stays one.
func (g group) parts(endpoints map[Locality][][]byte, priority uint64) []*wire.Message {
	order := slices.SortedFunc(maps.Keys(endpoints), func(a, b Locality) int {
		return cmp.Or(cmp.Compare(a.Zone, b.Zone), cmp.Compare(a.Region, b.Region))
	})
	var parts []*wire.Message
	for _, at := range order {
		part := g.rest.Clone()
		if g.located && len(parts) > 0 {
			part = parts[0]
		}
		if !g.located && at.Zone != "" {
			part.Set(groupLocality, at.message())
		}
		for _, content := range endpoints[at] {
			part.AddContent(groupEndpoints, content)
		}
		if priority > 0 {
			part.SetUint(groupPriority, priority)
		}
		if !g.located || len(parts) == 0 {
			parts = append(parts, part)
		}
	}
	return parts
}

func (l Locality) message() *wire.Message {
	m := new(wire.Message)
	if l.Region != "" {
		m.SetText(localityRegion, l.Region)
	}
	return m.SetText(localityZone, l.Zone)
}
