package names_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/consulecs/terraform-provider-consulecs/internal/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

func read(t testing.TB, name string) *wire.Message {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatalf("read the recorded listener, which -update writes: %v", err)
	}
	m, err := wire.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAListenerOfConsulsBecomesOneForNames(t *testing.T) {
	t.Parallel()
	listener := read(t, "usual.bin")
	table, err := names.Rewrite(listener, []uint16{80, 8080}, names.NewAddresses(), names.Scope{})
	if err != nil || table.Len() != 7 {
		t.Fatalf("%d names, %v", table.Len(), err)
	}
	var got strings.Builder
	dump(&got, listener.Bytes(), "")
	file := filepath.Join("testdata", "usual.golden.txt")
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// dump writes a message for reading: the numbers of its fields, texts, and numbers. What may be a message is taken for one.
func dump(to *strings.Builder, data []byte, indent string) {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		data = data[n:]
		n = protowire.ConsumeFieldValue(number, kind, data)
		value := data[:n]
		data = data[n:]
		if kind != protowire.BytesType {
			v, _ := protowire.ConsumeVarint(value)
			fmt.Fprintf(to, "%s%d: %d\n", indent, number, v)
			continue
		}
		content, _ := protowire.ConsumeBytes(value)
		if _, err := wire.Parse(content); err == nil && (len(content) == 0 || content[0] < ' ') {
			fmt.Fprintf(to, "%s%d:\n", indent, number)
			dump(to, content, indent+"  ")
			continue
		}
		fmt.Fprintf(to, "%s%d: %q\n", indent, number, content)
	}
}

func TestWhatIsNotRedirectedStaysAsItIs(t *testing.T) {
	t.Parallel()
	upstream := read(t, "upstream.bin").SetText(1, "outbound_listener:127.0.0.1:9191") // of a service that is called so
	before := upstream.Bytes()
	table, err := names.Rewrite(upstream, []uint16{80}, names.NewAddresses(), names.Scope{})
	if table != nil || err != nil || !bytes.Equal(before, upstream.Bytes()) {
		t.Errorf("the listener of an upstream became another, with the table %v (%v)", table, err)
	}
	for name, want := range map[string]bool{"outbound_listener:127.0.0.1:15001": true, "outbound_listener:[::1]:15001": true, "api:127.0.0.1:9191": false, "public_listener:10.0.0.9:20000": false} {
		if names.IsOutbound(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

// chain is one of a listener, for the addresses.
func chain(prefix, cluster string, addresses ...string) *wire.Message {
	match := new(wire.Message)
	for _, text := range addresses {
		address, length, _ := strings.Cut(text, "/")
		bits := netip.MustParseAddr(address).BitLen()
		if length != "" {
			_, _ = fmt.Sscan(length, &bits)
		}
		match.Add(3, new(wire.Message).SetText(1, address).SetWrapped(2, uint64(bits)))
	}
	tcp := new(wire.Message).SetText(1, prefix).SetText(2, cluster)
	filter := new(wire.Message).SetText(1, "envoy.filters.network.tcp_proxy").
		Set(4, wire.Any("type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", tcp))
	return new(wire.Message).Set(1, match).Add(3, filter)
}

func outbound(chains ...*wire.Message) *wire.Message {
	listener := new(wire.Message).SetText(1, "outbound_listener:127.0.0.1:15001").
		Add(9, new(wire.Message).SetText(1, "envoy.filters.listener.original_dst"))
	for _, c := range chains {
		listener.Add(3, c)
	}
	return listener
}

func TestAddressesOfAnyNetworkHaveAPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		chains []*wire.Message
		want   map[string]string // by name; "" for none
	}{
		"Consul's usual network": {
			[]*wire.Message{chain("upstream.api.default.default.dc1", "api", "240.0.1.2", "172.20.3.4")},
			map[string]string{"api.virtual.consul.": "127.64.1.2"},
		},
		"a network that its servers are configured for": {
			[]*wire.Message{chain("upstream.api.default.default.dc1", "api", "10.200.0.7"), chain("upstream.db.default.default.dc1", "db", "10.200.0.8")},
			map[string]string{"api.virtual.consul.": "127.72.0.7", "db.virtual.consul.": "127.72.0.8"},
		},
		"two that want the same place": {
			[]*wire.Message{chain("upstream.api.default.default.dc1", "api", "10.64.0.7"), chain("upstream.db.default.default.dc1", "db", "10.128.0.7")},
			map[string]string{"api.virtual.consul.": "127.64.0.7", "db.virtual.consul.": "127.64.0.8"},
		},
		"IPv6": {
			[]*wire.Message{chain("upstream.api.default.default.dc1", "api", "2000::ffff:0:1")},
			map[string]string{"api.virtual.consul.": "127.64.0.1"},
		},
		"a peer's": {
			[]*wire.Message{chain("upstream_peered.pay.default.cluster-02", "pay", "240.0.0.9")},
			map[string]string{"pay.virtual.cluster-02.consul.": "127.64.0.9", "pay.virtual.cluster-02.peer.consul.": "127.64.0.9", "pay.virtual.consul.": ""},
		},
		"another namespace": {
			[]*wire.Message{chain("upstream.api.team.east.dc1", "api", "240.0.0.3")},
			map[string]string{"api.virtual.team.ns.east.ap.consul.": "127.64.0.3", "api.virtual.team.ns.east.ap.dc1.dc.consul.": "127.64.0.3", "api.virtual.consul.": "", "api.virtual.team.ns.consul.": ""},
		},
		"another datacenter": {
			[]*wire.Message{chain("upstream.api.default.default.dc2", "api", "240.0.0.4"), chain("upstream.db.default.default.dc1", "db", "240.0.0.5")},
			map[string]string{"api.virtual.consul.": "", "db.virtual.consul.": "127.64.0.5"},
		},
		"what leads past services": {
			[]*wire.Message{
				chain("upstream.api.default.default.dc1", "passthrough~api.default.dc1.internal.x.consul", "10.0.0.5"), chain("upstream.db.default.default.dc1", "db", "240.0.0.5"),
				chain("upstream.destination.192-0-2-9.a.default.dc1.internal.x.consul", "destination.192-0-2-9", "192.0.2.9"),
				chain("upstream.whole.default.default.dc1", "whole", "10.0.0.0/8"),
			},
			map[string]string{"api.virtual.consul.": "", "whole.virtual.consul.": "", "db.virtual.consul.": "127.64.0.5"},
		},
	} {
		listener := outbound(c.chains...)
		table, err := names.Rewrite(listener, []uint16{80}, names.NewAddresses(), names.Scope{Datacenter: "dc1"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		left := 0
		for asked, want := range c.want {
			if address, found, ours := table.Lookup(asked); !ours || found != (want != "") || found && address.String() != want {
				t.Errorf("%s: %s is %s (%v, %v), want %s", name, asked, address, found, ours, want)
			} else if found && strings.Count(asked, ".") == 3 {
				left++
			}
		}
		if n := len(listener.Contents(3)); n < left {
			t.Errorf("%s: %d chains are left", name, n)
		}
	}
}

func TestAddressesStayWhereTheyAre(t *testing.T) {
	t.Parallel()
	addresses := names.NewAddresses()
	first, second := netip.MustParseAddr("10.64.0.7"), netip.MustParseAddr("10.128.0.7")
	at := addresses.Loopback(first)
	if other := addresses.Loopback(second); other == at || addresses.Loopback(second) != other || addresses.Loopback(first) != at {
		t.Errorf("%s and %s", at, other)
	}
	if top := addresses.Loopback(netip.MustParseAddr("255.255.255.255")); top.String() != "127.127.255.255" {
		t.Errorf("the last address is %s", top)
	}
}

func TestWithoutAServiceOrAPortNothingIsLeft(t *testing.T) {
	t.Parallel()
	api := chain("upstream.api.default.default.dc1", "api", "240.0.0.1")
	for name, c := range map[string]struct {
		listener *wire.Message
		at       []uint16
	}{
		"no chain":           {outbound(), []uint16{80}},
		"no chain for names": {outbound(chain("upstream.original-destination", "original-destination", "192.0.2.1")), []uint16{80}},
		"no port":            {outbound(api), nil},
	} {
		if _, err := names.Rewrite(c.listener, c.at, names.NewAddresses(), names.Scope{}); !errors.Is(err, names.ErrNothing) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := outbound(new(wire.Message).SetText(1, "\xff\xff"))
	if _, err := names.Rewrite(broken, []uint16{80}, names.NewAddresses(), names.Scope{}); err == nil || errors.Is(err, names.ErrNothing) {
		t.Errorf("what cannot be read: %v", err)
	}
	if _, found, ours := (*names.Table)(nil).Lookup("api.virtual.consul."); found || !ours {
		t.Error("without a listener a name is not ours")
	}
}

// A database speaks first: an inspector of what callers say would have it wait.
func TestCallersNeedNotSpeakFirst(t *testing.T) {
	t.Parallel()
	inspector := new(wire.Message).SetText(1, "envoy.filters.listener.tls_inspector")
	tls := chain("upstream.api.default.default.dc1", "api", "240.0.0.1")
	if err := tls.Edit(1, func(match *wire.Message) error { match.AddText(11, "api.example.com"); return nil }); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		chain *wire.Message
		want  int
	}{
		"nobody needs it":  {chain("upstream.db.default.default.dc1", "db", "240.0.0.1"), 0},
		"somebody does so": {tls, 1},
	} {
		listener := outbound(c.chain).Add(9, inspector)
		if _, err := names.Rewrite(listener, []uint16{80}, names.NewAddresses(), names.Scope{}); err != nil {
			t.Fatal(err)
		}
		if n := len(listener.Contents(9)); n != c.want {
			t.Errorf("%s: %d listener filters", name, n)
		}
	}
}

// FuzzRewrite wants no panic of any bytes, and fields that nobody knows as they came.
func FuzzRewrite(f *testing.F) {
	f.Add(read(f, "usual.bin").Bytes())
	f.Add(outbound(chain("upstream.api.default.default.dc1", "api", "240.0.0.1")).Bytes())
	f.Add(outbound(chain("upstream_peered.api.default.east", "api", "2000::1")).SetUint(4, 1).Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		const unknown = 1234
		listener, err := wire.Parse(data)
		if err != nil {
			return
		}
		listener.AddText(unknown, "kept")
		want := listener.Texts(unknown)
		table, err := names.Rewrite(listener, []uint16{80}, names.NewAddresses(), names.Scope{})
		if err != nil {
			return
		}
		again, err := wire.Parse(listener.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, again.Texts(unknown)); diff != "" {
			t.Error(diff)
		}
		if table != nil && (again.Has(25) || again.Has(4) || len(again.Contents(3)) == 0) {
			t.Error("the listener leads elsewhere")
		}
	})
}

func FuzzLookup(f *testing.F) {
	f.Add("api.virtual.dc1.dc.consul.")
	listener := outbound(chain("upstream.api.default.default.dc1", "api", "240.0.0.1"))
	table, err := names.Rewrite(listener, []uint16{80}, names.NewAddresses(), names.Scope{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if address, found, ours := table.Lookup(name); found && (!ours || address.String() != "127.64.0.1") {
			t.Errorf("%q is %s", name, address)
		}
	})
}
