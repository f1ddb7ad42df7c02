package zones

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/undelivered"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// Fields of Envoy's Cluster and of its TLS.
const (
	clusterSocket wire.Number = 24
	socketConfig  wire.Number = 3
	tlsServerName wire.Number = 2

	typeTLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
)

const (
	domain     = ".4a8c2ef0-97c1-4a7d-8e0c-6d53bff1d8f3.consul"
	apiCluster = "api.default.dc1.internal" + domain
)

// endpoint is one as Consul sends it.
func endpoint(addr string) *wire.Message {
	const port, weight = 3, 4
	socket := new(wire.Message).SetText(socketAddress, addr).SetUint(port, 20000)
	return new(wire.Message).Set(endpointOf, new(wire.Message).Set(endpointAt, new(wire.Message).Set(addressSocket, socket))).SetWrapped(weight, 1)
}

func groupOf(addrs ...string) *wire.Message {
	m := new(wire.Message)
	for _, addr := range addrs {
		m.Add(groupEndpoints, endpoint(addr))
	}
	return m
}

func assignment(cluster string, groups ...*wire.Message) *wire.Message {
	m := new(wire.Message).SetText(assignmentCluster, cluster)
	for _, g := range groups {
		m.Add(assignmentGroups, g)
	}
	return m
}

// shown is what Envoy makes of a group.
type shown struct {
	Zone     string
	Priority uint64
	Addrs    []string
}

func show(t *testing.T, m *wire.Message) (groups []shown, factor uint64) {
	t.Helper()
	message := func(m *wire.Message, number wire.Number) *wire.Message {
		child, err := m.Message(number)
		if err != nil {
			t.Fatal(err)
		}
		return child
	}
	list, err := m.Messages(assignmentGroups)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range list {
		s := shown{Zone: message(g, groupLocality).Text(localityZone), Priority: g.Uint(groupPriority)}
		endpoints, err := g.Messages(groupEndpoints)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range endpoints {
			addr, err := addressOf(e)
			if err != nil {
				t.Fatal(err)
			}
			s.Addrs = append(s.Addrs, addr.Addr().String())
		}
		groups = append(groups, s)
	}
	return groups, message(message(m, assignmentPolicy), policyFactor).Uint(1)
}

var networks = map[string]string{"10.0.1.0/24": "a", "10.0.2.0/24": "b", "10.0.3.0/24": "c", "fd00:1::/64": "a"}

// atlas is that of a caller in zone a that knows the networks.
func atlas(t *testing.T, change func(*Settings)) *Atlas {
	t.Helper()
	s := Settings{Own: Locality{Region: "r", Zone: "a"}, Datacenter: "dc1"}
	var err error
	if s.Networks, err = ParseNetworks(networks); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&s)
	}
	return New(s)
}

func TestEndpointsAreSplitByTheCallersZone(t *testing.T) {
	t.Parallel()
	located := groupOf("10.0.1.1", "10.0.2.1", "10.0.3.1").Set(groupLocality, new(wire.Message).SetText(localityZone, "consuls"))
	for name, tc := range map[string]struct {
		groups []*wire.Message
		want   []shown
	}{
		"one near, two far": {[]*wire.Message{groupOf("10.0.2.1", "10.0.1.1", "10.0.2.2")}, []shown{
			{"a", 0, []string{"10.0.1.1"}}, {"b", 1, []string{"10.0.2.1", "10.0.2.2"}},
		}},
		"two far zones and nobody knows where": {[]*wire.Message{groupOf("10.0.3.1", "10.0.1.1", "10.9.9.9", "10.0.2.1")}, []shown{
			{"a", 0, []string{"10.0.1.1"}}, {"", 1, []string{"10.9.9.9"}}, {"b", 1, []string{"10.0.2.1"}}, {"c", 1, []string{"10.0.3.1"}},
		}},
		"all near":  {[]*wire.Message{groupOf("10.0.1.1", "10.0.1.2")}, []shown{{"", 0, []string{"10.0.1.1", "10.0.1.2"}}}},
		"none near": {[]*wire.Message{groupOf("10.0.2.1", "10.0.3.1")}, []shown{{"", 0, []string{"10.0.2.1", "10.0.3.1"}}}},
		"none":      {[]*wire.Message{groupOf()}, []shown{{}}},
		"of a failover, in order": {[]*wire.Message{groupOf("10.0.1.1", "10.0.2.1"), groupOf("10.0.2.2").SetUint(groupPriority, 1), groupOf("10.0.1.3", "10.0.3.3").SetUint(groupPriority, 2)}, []shown{
			{"a", 0, []string{"10.0.1.1"}}, {"b", 1, []string{"10.0.2.1"}}, {"b", 2, []string{"10.0.2.2"}}, {"a", 3, []string{"10.0.1.3"}}, {"c", 4, []string{"10.0.3.3"}},
		}},
		"two groups of one priority": {[]*wire.Message{groupOf("10.0.2.1"), groupOf("10.0.1.1", "10.0.3.1")}, []shown{
			{"a", 0, []string{"10.0.1.1"}}, {"b", 1, []string{"10.0.2.1"}}, {"c", 1, []string{"10.0.3.1"}},
		}},
		"IPv6":                           {[]*wire.Message{groupOf("fd00:1::1", "::ffff:10.0.2.1")}, []shown{{"a", 0, []string{"fd00:1::1"}}, {"b", 1, []string{"10.0.2.1"}}}},
		"of which Consul says where":     {[]*wire.Message{located}, []shown{{"consuls", 0, []string{"10.0.1.1"}}, {"consuls", 1, []string{"10.0.2.1", "10.0.3.1"}}}},
		"more than there are priorities": {many(70), nil},
	} {
		m := assignment(apiCluster, tc.groups...)
		before, _ := show(t, m)
		if tc.want == nil {
			tc.want = before
		}
		if err := atlas(t, nil).assignment(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, factor := show(t, m)
		if diff := cmp.Diff(tc.want, got); diff != "" || factor != 0 {
			t.Errorf("%s: factor %d (-want +got):\n%s", name, factor, diff)
		}
	}
}

// many are groups of so many priorities.
func many(n int) (groups []*wire.Message) {
	for i := range n {
		g := groupOf("10.0.1.1", "10.0.2.1")
		if i > 0 {
			g.SetUint(groupPriority, uint64(i))
		}
		groups = append(groups, g)
	}
	return groups
}

// TestFieldsThatNobodyKnowsStay: a newer Consul may send more of them.
func TestFieldsThatNobodyKnowsStay(t *testing.T) {
	t.Parallel()
	const newer wire.Number = 999
	m := assignment(apiCluster, groupOf("10.0.1.1", "10.0.2.1").SetText(newer, "of a group")).SetText(newer, "of all")
	if err := atlas(t, nil).assignment(m); err != nil {
		t.Fatal(err)
	}
	got := m.Texts(newer)
	groups, err := m.Messages(assignmentGroups)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		got = append(got, g.Text(newer))
	}
	if diff := cmp.Diff([]string{"of all", "of a group", "of a group"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWithFullTheFactorIsSetUnlessConsulHasOne(t *testing.T) {
	t.Parallel()
	full := func(s *Settings) { s.Full = true }
	own := assignment(apiCluster, groupOf("10.0.1.1", "10.0.2.1")).Set(assignmentPolicy, new(wire.Message).SetWrapped(policyFactor, 200))
	for name, tc := range map[string]struct {
		m    *wire.Message
		want uint64
	}{
		"split":     {assignment(apiCluster, groupOf("10.0.1.1", "10.0.2.1")), spillFull},
		"not split": {assignment(apiCluster, groupOf("10.0.2.1")), 0},
		"Consul's":  {own, 200},
	} {
		if err := atlas(t, full).assignment(tc.m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, got := show(t, tc.m); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

func TestWhatIsElsewhereStaysAsItIs(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"api.default.dc2.internal" + domain, "api.default.east.external" + domain, "api.default.part.dc1.internal-v1" + domain, "local_app", "original-destination", "",
	} {
		m := assignment(name, groupOf("10.0.1.1", "10.0.2.1"))
		c := new(wire.Message).SetText(clusterName, name).SetUint(clusterDiscovery, discoveryEDS)
		endpoints, cluster := m.Bytes(), c.Bytes()
		a := atlas(t, nil)
		if err := a.assignment(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := a.cluster(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(endpoints, m.Bytes()); diff != "" {
			t.Errorf("endpoints of %s (-before +after):\n%s", name, diff)
		}
		if diff := cmp.Diff(cluster, c.Bytes()); diff != "" {
			t.Errorf("cluster %s (-before +after):\n%s", name, diff)
		}
		if len(a.Counts()) > 0 {
			t.Errorf("%s: %v are counted", name, a.Counts())
		}
	}
}

func TestAsManyInstancesMayBeLeftOutAsAZoneHas(t *testing.T) {
	t.Parallel()
	const outliers, consecutive5xx, atMost wire.Number = 19, 1, 4
	set := func(m *wire.Message) *wire.Message {
		return new(wire.Message).SetText(clusterName, "failover-target~0~"+apiCluster).SetUint(clusterDiscovery, discoveryEDS).Set(outliers, m)
	}
	for name, tc := range map[string]struct {
		m    *wire.Message
		want uint64
		low  bool
	}{
		"nothing is configured":  {set(new(wire.Message)), undelivered.EjectAtMost, false},
		"when, and not how many": {set(new(wire.Message).SetWrapped(consecutive5xx, 7)), undelivered.EjectAtMost, false},
		"fewer":                  {set(new(wire.Message).SetWrapped(atMost, 50)), 50, true},
		"all":                    {set(new(wire.Message).SetWrapped(atMost, 100)), 100, false},
	} {
		low := ""
		a := atlas(t, func(s *Settings) { s.Low = func(service string, percent uint64) { low = service } })
		if err := a.cluster(tc.m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		configured, err := tc.m.Message(outliers)
		if err != nil {
			t.Fatal(err)
		}
		share, err := configured.Message(atMost)
		if err != nil {
			t.Fatal(err)
		}
		if share.Uint(1) != tc.want || (low == "api") != tc.low {
			t.Errorf("%s: %d, want %d; told of %q", name, share.Uint(1), tc.want, low)
		}
		balancing, err := tc.m.Message(clusterBalancing)
		if err != nil || !balancing.Has(balancingWindow) {
			t.Errorf("%s: what Envoy sees does not count at once (%v)", name, err)
		}
		before := tc.m.Bytes()
		if err := a.cluster(tc.m); err != nil || !cmp.Equal(before, tc.m.Bytes()) {
			t.Errorf("%s: the second time it is changed again (%v)", name, err)
		}
	}
}

func TestNetworksAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"10.0.1.0/24": "", "fd00::/8": "", "10.0.1.1/32": "",
		"10.0.1.1":            `network "10.0.1.1": want a CIDR block, such as 10.0.1.0/24`,
		"10.0.1.1/24":         `network "10.0.1.1/24": has bits beyond its prefix: want 10.0.1.0/24`,
		"::ffff:10.0.1.0/120": `network "::ffff:10.0.1.0/120": is IPv4 in the form of IPv6: want it in its own`,
	} {
		got := ""
		if _, err := ParseNetworks(map[string]string{text: "a"}); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	for _, zone := range []string{"", " ", " a", "a\n"} {
		if _, err := ParseNetworks(map[string]string{"10.0.1.0/24": zone}); err == nil {
			t.Errorf("a zone of the name %q is taken", zone)
		}
	}
	nested, err := ParseNetworks(map[string]string{"10.0.0.0/8": "wide", "10.0.1.0/24": "narrow", "10.0.1.7/32": "one"})
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{"10.0.1.7": "one", "10.0.1.8": "narrow", "10.9.9.9": "wide", "11.0.0.1": ""} {
		if at, ok := nested.Of(netip.MustParseAddr(addr)); at.Zone != want || ok != (want != "") {
			t.Errorf("%s is in %q, want %q", addr, at.Zone, want)
		}
	}
}

func TestWhatNobodyKnowsIsAskedForEverMoreSeldom(t *testing.T) {
	t.Parallel()
	wanted := 0
	a := atlas(t, func(s *Settings) { s.Networks, s.Wanted = nil, func() { wanted++ } })
	a.spread = 0
	m := assignment(apiCluster, groupOf("10.0.1.1", "10.0.2.1", "10.0.2.2"))
	came := m.Bytes()
	shape := func() *wire.Message {
		t.Helper()
		m, err := wire.Parse(came)
		if err == nil {
			err = a.assignment(m)
		}
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if m := shape(); !cmp.Equal(came, m.Bytes()) || wanted != 1 {
		t.Errorf("before anything is known the endpoints are changed, or nobody hears (%d)", wanted)
	}
	now := time.Unix(0, 0)
	var waits []time.Duration
	for range 6 {
		services, apart, wait := a.Due(now)
		if len(apart) > 0 {
			t.Errorf("%v are asked for apart", apart)
		}
		if diff := cmp.Diff([]Service{{Name: "api", Namespace: "default"}}, services); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if again, _, _ := a.Due(now.Add(wait - 1)); len(again) > 0 {
			t.Error("asked for before its time")
		}
		waits = append(waits, wait)
		now = now.Add(wait)
	}
	if diff := cmp.Diff([]time.Duration{2 * time.Second, 8 * time.Second, 32 * time.Second, 128 * time.Second, lastAgain, lastAgain}, waits); diff != "" {
		t.Errorf("pauses (-want +got):\n%s", diff)
	}

	found := map[netip.Addr]Locality{netip.MustParseAddr("10.0.1.1"): {"r", "a"}, netip.MustParseAddr("10.0.2.1"): {"r", "b"}, netip.MustParseAddr("10.0.2.2"): {}, netip.MustParseAddr("10.5.5.5"): {"r", "a"}}
	if !a.Learn(found) || a.Learn(found) {
		t.Error("the first time it is news, and the second time it is not")
	}
	if len(a.known) != 2 {
		t.Errorf("%v are kept, want those alone that were looked for and are known", a.known)
	}
	groups, _ := show(t, shape())
	if diff := cmp.Diff([]shown{{"a", 0, []string{"10.0.1.1"}}, {"", 1, []string{"10.0.2.2"}}, {"b", 1, []string{"10.0.2.1"}}}, groups); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]Count{"api": {Near: 1, Far: 2, Unknown: 1}}, a.Counts()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a.Forget(apiCluster)
	if services, apart, wait := a.Due(now.Add(time.Hour)); len(services)+len(apart) > 0 || wait >= 0 || len(a.Counts()) > 0 {
		t.Errorf("of a cluster that is gone %v and %v are asked for, next in %s", services, apart, wait)
	}
}

// TestWhatConsulDoesNotKnowEitherIsAskedForByTheHour: such as virtual machines, whose registration says nothing of a zone.
func TestWhatConsulDoesNotKnowEitherIsAskedForByTheHour(t *testing.T) {
	t.Parallel()
	a := atlas(t, func(s *Settings) { s.Networks = nil })
	a.spread = 0
	other := strings.Replace(apiCluster, "api.", "other.", 1)
	for name, addr := range map[string]string{apiCluster: "10.0.1.1", other: "10.0.2.1"} {
		if err := a.assignment(assignment(name, groupOf(addr))); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Unix(0, 0)
	both, _, _ := a.Due(now)
	a.Learn(map[netip.Addr]Locality{netip.MustParseAddr("10.0.1.1"): {}})
	if missing := a.Missing(both); len(both) != 2 || len(missing) != 1 || missing[0].Name != "other" {
		t.Errorf("of %v are missing %v", both, missing)
	}
	asked := map[string]int{}
	for now.Before(time.Unix(0, 0).Add(placelessFor)) {
		services, apart, wait := a.Due(now)
		for _, s := range append(services, apart...) {
			asked[s.Name]++
		}
		now = now.Add(wait)
	}
	if asked["api"] != 0 || asked["other"] < 10 {
		t.Errorf("asked for in the first hour: %v", asked)
	}
	services, apart, _ := a.Due(now)
	if len(apart) != 1 || apart[0].Name != "api" {
		t.Errorf("after an hour %v and apart %v are asked for", services, apart)
	}
	a.Learn(map[netip.Addr]Locality{netip.MustParseAddr("10.0.1.1"): {Zone: "a"}})
	if _, apart, _ := a.Due(now.Add(2 * placelessFor)); len(apart) > 0 {
		t.Errorf("%v is asked for when it is known", apart)
	}
}

func TestTasksDoNotAskAtTheSameMoment(t *testing.T) {
	t.Parallel()
	waits := map[time.Duration]bool{}
	for range 10 {
		a := atlas(t, func(s *Settings) { s.Networks = nil })
		if err := a.assignment(assignment(apiCluster, groupOf("10.0.1.1", "10.0.1.2"))); err != nil {
			t.Fatal(err)
		}
		_, _, wait := a.Due(time.Unix(0, 0))
		if wait < firstAgain || wait > firstAgain+firstAgain/4 {
			t.Errorf("the first pause is %s", wait)
		}
		waits[wait] = true
	}
	if len(waits) < 2 {
		t.Errorf("all of them pause for %v", waits)
	}
}

func TestAClusterThatLeadsElsewhereNowIsForgotten(t *testing.T) {
	t.Parallel()
	a := atlas(t, nil)
	const name = "failover-target~0~" + apiCluster
	for _, target := range []string{apiCluster, "api.default.east.external" + domain} {
		a.noteTarget(name, target)
		if err := a.assignment(assignment(name, groupOf("10.0.1.1", "11.0.0.1"))); err != nil {
			t.Fatal(err)
		}
	}
	if services, _, _ := a.Due(time.Unix(0, 0)); len(services) > 0 || len(a.Counts()) > 0 {
		t.Errorf("%v are asked for and %v are counted", services, a.Counts())
	}
}

func TestAnEndpointOfSeveralClustersCountsOnce(t *testing.T) {
	t.Parallel()
	a := atlas(t, nil)
	nameless := groupOf("10.0.1.1", "10.0.2.1", "11.0.0.1", "a.name")
	for name, m := range map[string]*wire.Message{
		apiCluster: nameless, "v1." + apiCluster: nameless.Clone(), "failover-target~0~" + apiCluster: groupOf("10.0.2.1"),
		strings.Replace(apiCluster, ".default.", ".other.", 1): groupOf("10.0.1.1"), // a service of the same name
	} {
		if err := a.assignment(assignment(name, m)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(map[string]Count{"api": {Near: 2, Far: 3, Unknown: 2}}, a.Counts()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEndpointsThatComeByAnotherResourceAreNotCountedByHalf(t *testing.T) {
	t.Parallel()
	a := atlas(t, nil)
	m := assignment(apiCluster, groupOf("10.0.1.1", "10.0.2.1"), new(wire.Message).Set(groupElsewhere, new(wire.Message).SetText(1, "elsewhere")))
	before := m.Bytes()
	if err := a.assignment(m); err != nil || !cmp.Equal(before, m.Bytes()) {
		t.Errorf("changed, or %v", err)
	}
	if got := a.Counts()["api"]; got != (Count{}) {
		t.Errorf("%+v are counted", got)
	}
}

// TestZonesOfAnotherRegionAreOthers: names of zones mean something in their region alone.
func TestZonesOfAnotherRegionAreOthers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		one, other Locality
		want       bool
	}{
		"the same":          {Locality{"r", "a"}, Locality{"r", "a"}, true},
		"another zone":      {Locality{"r", "a"}, Locality{"r", "b"}, false},
		"another region":    {Locality{"r", "a"}, Locality{"s", "a"}, false},
		"no region is said": {Locality{"r", "a"}, Locality{"", "a"}, true},
	} {
		if tc.one.near(tc.other) != tc.want || tc.other.near(tc.one) != tc.want {
			t.Errorf("%s: want %v", name, tc.want)
		}
	}
}

// TestAFailoversTargetIsWhatItsTLSAsksFor: Consul names all clusters of a failover after the first target.
func TestAFailoversTargetIsWhatItsTLSAsksFor(t *testing.T) {
	t.Parallel()
	const name = "failover-target~1~" + apiCluster
	for sni, want := range map[string]string{
		"spare.default.dc1.internal" + domain:  "spare",
		"spare.default.east.external" + domain: "",
		"spare.default.dc2.internal" + domain:  "",
		"":                                     "api",
	} {
		tls := new(wire.Message)
		if sni != "" {
			tls.SetText(tlsServerName, sni)
		}
		c := new(wire.Message).SetText(clusterName, name).SetUint(clusterDiscovery, discoveryEDS).
			Set(clusterSocket, new(wire.Message).Set(socketConfig, wire.Any(typeTLS, tls)))
		a := atlas(t, nil)
		if err := a.cluster(c); err != nil {
			t.Fatal(err)
		}
		a.Forget(name) // for a moment, as Envoy does when the cluster changes
		if err := a.assignment(assignment(name, groupOf("10.0.1.1", "10.0.2.1"))); err != nil {
			t.Fatal(err)
		}
		got := ""
		for service := range a.Counts() {
			got = service
		}
		if got != want {
			t.Errorf("%s: taken for %q, want %q", sni, got, want)
		}
	}
}

func TestOnlyAddressesInUseAreKeptWhenThereAreTooMany(t *testing.T) {
	t.Parallel()
	a := atlas(t, func(s *Settings) { s.Networks = nil })
	for i := range maxKnown {
		a.known[netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})] = Locality{Zone: "a"}
	}
	if err := a.assignment(assignment(apiCluster, groupOf("11.0.0.1", "10.0.2.1"))); err != nil {
		t.Fatal(err)
	}
	a.Learn(map[netip.Addr]Locality{netip.MustParseAddr("10.0.2.1"): {Zone: "b"}})
	if len(a.known) != 2 {
		t.Errorf("%d are kept, want the two in use", len(a.known))
	}
}

func FuzzAnyConfigurationIsTaken(f *testing.F) {
	f.Add([]byte{}, false)
	f.Add(assignment(apiCluster, groupOf("10.0.1.1", "10.0.2.1"), groupOf("10.0.1.2", "fd00:1::1").SetUint(groupPriority, 1)).Bytes(), false)
	f.Add(new(wire.Message).SetText(clusterName, apiCluster).SetUint(clusterDiscovery, discoveryEDS).Bytes(), true)
	f.Fuzz(func(t *testing.T, data []byte, cluster bool) {
		m, err := wire.Parse(data)
		if err != nil {
			return
		}
		a := atlas(t, func(s *Settings) { s.Full = true })
		typeURL := map[bool]string{true: typeCluster, false: TypeEndpoints}[cluster]
		before := endpointsIn(m)
		if a.Shape(typeURL)(m) != nil {
			return
		}
		after, err := wire.Parse(m.Bytes())
		if err != nil {
			t.Fatalf("what came out cannot be read: %v", err)
		}
		if n := endpointsIn(after); !cluster && n != before {
			t.Errorf("%d endpoints went in and %d came out", before, n)
		}
	})
}

// endpointsIn counts the endpoints of an assignment; -1 where it cannot be read.
func endpointsIn(m *wire.Message) int {
	groups, err := m.Messages(assignmentGroups)
	if err != nil {
		return -1
	}
	n := 0
	for _, g := range groups {
		n += len(g.Contents(groupEndpoints))
	}
	return n
}
