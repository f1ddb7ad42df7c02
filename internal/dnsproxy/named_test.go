package dnsproxy

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/proto-public/pbdns"
	"github.com/miekg/dns"

	"github.com/consulecs/terraform-provider-consulecs/internal/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// recorded are the names of a listener that a real Consul has sent.
func recorded(t testing.TB) *names.Table {
	t.Helper()
	data, err := os.ReadFile("../names/testdata/usual.bin")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := wire.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	table, err := names.Rewrite(listener, []uint16{80}, names.NewAddresses(), names.Scope{Datacenter: "dc1"})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// exchange asks as a resolver does.
func exchange(t *testing.T, p *Proxy, network string, query *dns.Msg) *dns.Msg {
	t.Helper()
	answer, _, err := (&dns.Client{Net: network}).Exchange(query, p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func records(list []dns.RR) string {
	var all []string
	for _, record := range list {
		all = append(all, strings.ReplaceAll(record.String(), "\t", " "))
	}
	return strings.Join(all, ", ")
}

func TestNamesAreAnsweredWithoutConsul(t *testing.T) {
	t.Parallel()
	table := recorded(t)
	address, _, _ := table.Lookup("api.virtual.consul.")
	away := errors.New("consul is away")
	p := startAs(t, func() string { return "" }, func() *names.Table { return table }, func(context.Context, *pbdns.QueryRequest) ([]byte, error) { return nil, away })
	for name, c := range map[string]struct {
		asked string
		kind  uint16
		want  string
		code  int
	}{
		"an address":             {"api.virtual.consul.", dns.TypeA, "api.virtual.consul. 0 IN A " + address.String(), dns.RcodeSuccess},
		"in capitals":            {"API.Virtual.CONSUL.", dns.TypeA, "API.Virtual.CONSUL. 0 IN A " + address.String(), dns.RcodeSuccess},
		"anything":               {"api.virtual.consul.", dns.TypeANY, "api.virtual.consul. 0 IN A " + address.String(), dns.RcodeSuccess},
		"in this datacenter":     {"api.virtual.dc1.dc.consul.", dns.TypeA, "api.virtual.dc1.dc.consul. 0 IN A " + address.String(), dns.RcodeSuccess},
		"an address of IPv6":     {"api.virtual.consul.", dns.TypeAAAA, "", dns.RcodeSuccess},
		"a text":                 {"api.virtual.consul.", dns.TypeTXT, "", dns.RcodeSuccess},
		"nobody":                 {"nobody.virtual.consul.", dns.TypeA, "", dns.RcodeSuccess},
		"what Consul has to say": {"api.service.consul.", dns.TypeA, "", dns.RcodeServerFailure},
		"another domain":         {"api.virtual.example.com.", dns.TypeA, "", dns.RcodeServerFailure},
	} {
		for _, network := range []string{"udp", "tcp"} {
			for _, extended := range []bool{false, true} {
				query := new(dns.Msg).SetQuestion(c.asked, c.kind)
				if extended {
					query.SetEdns0(1232, false)
				}
				answer := exchange(t, p, network, query)
				if got := records(answer.Answer); got != c.want || answer.Rcode != c.code || answer.Truncated || (answer.IsEdns0() != nil) != extended {
					t.Errorf("%s by %s, extended %v: %s", name, network, extended, answer)
				}
				if answer.Rcode == dns.RcodeSuccess && (!answer.Authoritative || answer.RecursionAvailable || !answer.RecursionDesired) {
					t.Errorf("%s by %s: the flags are not Consul's: %v", name, network, answer.MsgHdr)
				}
			}
		}
	}
}

// TestAConsulThatHangsDoesNotHoldUpOtherNames has a task look up what AWS has, while Consul lets every query wait.
func TestAConsulThatHangsDoesNotHoldUpOtherNames(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		names Names
		asked int // for the other name, while Consul hangs
	}{
		"with names":    {func() *names.Table { return nil }, 1},
		"without names": {nil, 2}, // the task's queries come here for Consul's sake
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			asked, hangs := map[string]int{}, true
			p := startAs(t, func() string { return "" }, tc.names, func(ctx context.Context, req *pbdns.QueryRequest) ([]byte, error) {
				m := new(dns.Msg)
				if err := m.Unpack(req.Msg); err != nil {
					return nil, err
				}
				mu.Lock()
				asked[m.Question[0].Name]++
				wait := hangs
				mu.Unlock()
				if wait {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return new(dns.Msg).SetReply(m).Pack()
			})
			look := func(name string) int {
				query, err := new(dns.Msg).SetQuestion(name, dns.TypeA).Pack()
				if err != nil {
					t.Fatal(err)
				}
				m := new(dns.Msg)
				if err := m.Unpack(p.answer(t.Context(), query, pbdns.Protocol_PROTOCOL_UDP)); err != nil {
					t.Fatal(err)
				}
				return m.Rcode
			}
			const other, consuls = "sqs.eu-west-1.amazonaws.com.", "api.service.consul."
			for range 2 {
				if code := look(other); code != dns.RcodeServerFailure {
					t.Errorf("while Consul hangs: %s", dns.RcodeToString[code])
				}
			}
			look(consuls)
			mu.Lock()
			if asked[other] != tc.asked || asked[consuls] != 1 {
				t.Errorf("while Consul hangs it is asked for %v", asked)
			}
			hangs = false
			mu.Unlock()
			for _, name := range []string{consuls, other} {
				if code := look(name); code != dns.RcodeSuccess {
					t.Errorf("%s, when Consul answers again: %s", name, dns.RcodeToString[code])
				}
			}
		})
	}
}

// TestOneQueryTriesAConsulThatHung: the others go past it meanwhile.
func TestOneQueryTriesAConsulThatHung(t *testing.T) {
	t.Parallel()
	p, now := &Proxy{}, time.Now()
	if p.hangs(now) {
		t.Error("it hangs before anything was asked")
	}
	p.hung.Store(now.Add(hangsFor).UnixNano())
	var got []bool
	for _, after := range []time.Duration{0, hangsFor - 1, hangsFor, hangsFor, hangsFor + queryTimeout - 1, hangsFor + queryTimeout} {
		got = append(got, p.hangs(now.Add(after)))
	}
	if diff := cmp.Diff([]bool{true, true, false, true, true, false}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestVirtualAddressesInConsulsAnswersLeadToEnvoy(t *testing.T) {
	t.Parallel()
	table := recorded(t)
	for name, c := range map[string]struct {
		kind          uint16
		answer, extra []string
		want, beside  string
	}{
		"a service":                {dns.TypeA, []string{"api.virtual.mesh. 0 IN A 240.0.0.5"}, nil, "api.virtual.mesh. 0 IN A 127.64.0.5", ""},
		"one that nobody may call": {dns.TypeA, []string{"api.virtual.mesh. 0 IN A 240.0.0.77"}, nil, "", ""},
		"who asks for IPv6":        {dns.TypeAAAA, nil, []string{"api.virtual.mesh. 0 IN A 240.0.0.5"}, "", "api.virtual.mesh. 0 IN A 127.64.0.5"},
		"somebody else's IPv6":     {dns.TypeAAAA, []string{"www.example.com. 60 IN AAAA 2606:2800:220:1::1"}, nil, "www.example.com. 60 IN AAAA 2606:2800:220:1::1", ""},
		"somebody else's address":  {dns.TypeA, []string{"www.example.com. 60 IN A 192.0.2.1"}, nil, "www.example.com. 60 IN A 192.0.2.1", ""},
		"addresses of both kinds":  {dns.TypeA, []string{"a.virtual.mesh. 0 IN A 240.0.0.5", "a.virtual.mesh. 0 IN A 10.0.0.1"}, nil, "a.virtual.mesh. 0 IN A 127.64.0.5, a.virtual.mesh. 0 IN A 10.0.0.1", ""},
		"no record at all":         {dns.TypeA, nil, nil, "", ""},
	} {
		p := startAs(t, func() string { return "" }, func() *names.Table { return table }, func(_ context.Context, req *pbdns.QueryRequest) ([]byte, error) {
			query := new(dns.Msg)
			if err := query.Unpack(req.Msg); err != nil {
				return nil, err
			}
			answer := new(dns.Msg).SetReply(query)
			for text, section := range map[*[]string]*[]dns.RR{&c.answer: &answer.Answer, &c.extra: &answer.Extra} {
				for _, line := range *text {
					record, err := dns.NewRR(line)
					if err != nil {
						return nil, err
					}
					*section = append(*section, record)
				}
			}
			return answer.Pack()
		})
		answer := exchange(t, p, "udp", new(dns.Msg).SetQuestion("api.virtual.mesh.", c.kind))
		if got, beside := records(answer.Answer), records(answer.Extra); got != c.want || beside != c.beside {
			t.Errorf("%s: %s beside %s", name, got, beside)
		}
	}
}

func TestVirtualAddressesOfIPv6LeadToEnvoy(t *testing.T) {
	t.Parallel()
	match := new(wire.Message).Add(3, new(wire.Message).SetText(1, "2000::ffff:0:1").SetWrapped(2, 128))
	tcp := wire.Any("type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", new(wire.Message).SetText(1, "upstream.api.default.default.dc1"))
	listener := new(wire.Message).SetUint(4, 1).Add(3, new(wire.Message).Set(1, match).Add(3, new(wire.Message).Set(4, tcp)))
	table, err := names.Rewrite(listener, []uint16{80}, names.NewAddresses(), names.Scope{})
	if err != nil {
		t.Fatal(err)
	}
	m := new(dns.Msg).SetQuestion("api.virtual.mesh.", dns.TypeA)
	m.Extra = []dns.RR{&dns.AAAA{Hdr: dns.RR_Header{Name: "api.virtual.mesh.", Rrtype: dns.TypeAAAA, Class: dns.ClassINET}, AAAA: net.ParseIP("2000::ffff:0:1")}}
	if !mapRecords(m, table) || records(m.Answer) != "api.virtual.mesh. 0 IN A 127.64.0.1" || len(m.Extra) > 0 {
		t.Errorf("the answer is %s", m)
	}
}

// FuzzNamed wants answers that another library reads, to the question that was asked.
func FuzzNamed(f *testing.F) {
	table := recorded(f)
	for _, name := range []string{"api.virtual.consul.", "nobody.virtual.peer.consul.", "a.b.c."} {
		for _, size := range []uint16{0, 4096} {
			query := new(dns.Msg).SetQuestion(name, dns.TypeA)
			if size > 0 {
				query.SetEdns0(size, true)
			}
			packed, err := query.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(packed)
		}
	}
	p := &Proxy{names: func() *names.Table { return table }}
	f.Fuzz(func(t *testing.T, query []byte) {
		if !isQuery(query) {
			return
		}
		before := bytes.Clone(query)
		answer := p.named(query)
		if !bytes.Equal(before, query) {
			t.Error("the query is another now")
		}
		if answer == nil {
			return
		}
		asked, got := new(dns.Msg), new(dns.Msg)
		if err := got.Unpack(answer); err != nil {
			t.Fatalf("%x gets %x: %v", query, answer, err)
		}
		if asked.Unpack(query) != nil {
			return // what comes behind the question cannot be read
		}
		if diff := cmp.Diff(asked.Question, got.Question); diff != "" || got.Id != asked.Id || !got.Response {
			t.Errorf("%v gets %v", asked, got)
		}
	})
}
