package dnsproxy

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"github.com/consulecs/terraform-provider-consulecs/internal/names"
)

// Names are the names that are answered without Consul. They may change at any time.
type Names func() *names.Table

// Bits of a DNS header's flags.
const (
	flagOpcode           = 0x7800
	flagAuthoritative    = 0x0400
	flagRecursionDesired = 0x0100
)

// inquiry is the one question of a query that a program's resolver asks. Others, though allowed, are left to Consul.
type inquiry struct {
	name      string // as whole names are written, with a dot at its end
	kind      uint16
	end       int  // of the question in the message
	extension bool // there is an OPT record, which wants one in the answer
}

// readQuestion reads what a resolver asks, by hand: it is most of the work of an answer.
func readQuestion(query []byte) (q inquiry, ok bool) {
	if len(query) < headerSize || binary.BigEndian.Uint16(query[2:])&flagOpcode != 0 || binary.BigEndian.Uint16(query[4:]) != 1 ||
		binary.BigEndian.Uint32(query[6:]) != 0 {
		return inquiry{}, false
	}
	var name strings.Builder
	at := headerSize
	for {
		if at >= len(query) {
			return inquiry{}, false
		}
		size := int(query[at])
		at++
		if size == 0 {
			break
		}
		if size > 63 || at+size > len(query) || name.Len()+size > 254 { // a pointer, in a question, is nobody's
			return inquiry{}, false
		}
		for _, c := range query[at : at+size] {
			if c <= ' ' || c == '.' || c >= 0x7f {
				return inquiry{}, false
			}
			name.WriteByte(c)
		}
		name.WriteByte('.')
		at += size
	}
	if at+4 > len(query) || binary.BigEndian.Uint16(query[at+2:]) != dns.ClassINET {
		return inquiry{}, false
	}
	q = inquiry{name.String(), binary.BigEndian.Uint16(query[at:]), at + 4, false}
	switch more := query[q.end:]; binary.BigEndian.Uint16(query[10:]) {
	case 0:
		return q, true
	case 1:
		q.extension = len(more) >= 11 && more[0] == 0 && binary.BigEndian.Uint16(more[1:]) == dns.TypeOPT
		return q, q.extension
	default:
		return inquiry{}, false
	}
}

// named is the answer to a query for a name of ours, as Consul would answer: without records where there is no such name, or none of
// the kind. It is nil for any other query. Nobody may keep the answer, since services come and go.
func (p *Proxy) named(query []byte) []byte {
	if p.names == nil {
		return nil
	}
	q, ok := readQuestion(query)
	if !ok {
		return nil
	}
	address, found, ours := p.names().Lookup(q.name)
	if !ours {
		return nil
	}
	found = found && (q.kind == dns.TypeA || q.kind == dns.TypeANY)
	answer := make([]byte, q.end, q.end+32)
	copy(answer, query)
	flags := 0x8000 | flagAuthoritative | binary.BigEndian.Uint16(query[2:])&flagRecursionDesired
	binary.BigEndian.PutUint16(answer[2:], uint16(flags))
	if found {
		answer[7] = 1
		answer = append(answer, 0xc0, headerSize, 0, byte(dns.TypeA), 0, dns.ClassINET, 0, 0, 0, 0, 0, 4) // the question's name, and no time to live
		answer = append(answer, address.AsSlice()...)
	}
	answer[11] = 0
	if q.extension {
		answer[11] = 1
		answer = append(answer, 0, 0, byte(dns.TypeOPT), dns.DefaultMsgSize>>8, dns.DefaultMsgSize&0xff, 0, 0, 0, 0, 0, 0)
	}
	return answer
}

// outsideConsul reports whether a query is for a name outside of Consul's usual domain. Where a task calls by name, every name that its
// programs look up comes here first, those of AWS as well, and another name server of the task knows them. Consul's servers may know
// them, too, as they may have another domain or ask others, so they are asked as long as they answer.
func outsideConsul(query []byte) bool {
	q, ok := readQuestion(query)
	return ok && !names.IsConsuls(q.name)
}

// consulsVirtual is Consul's usual network of virtual addresses, of which no packet reaches anybody without redirection.
var consulsVirtual = netip.MustParsePrefix("240.0.0.0/4")

// mapped is an answer of Consul's with our addresses for its virtual ones, and without those that lead nowhere. Such answers come
// where its servers have another domain, or two.
func (p *Proxy) mapped(answer []byte) []byte {
	if p.names == nil {
		return answer
	}
	m := new(dns.Msg)
	if m.Unpack(answer) != nil {
		return answer
	}
	if !mapRecords(m, p.names()) {
		return answer
	}
	packed, err := m.Pack()
	if err != nil {
		return answer
	}
	return packed
}

// mapRecords changes what is in an answer, and reports whether anything is another now.
func mapRecords(m *dns.Msg, table *names.Table) (changed bool) {
	var ours []dns.RR // for virtual addresses of IPv6, which Consul puts beside the answer to who asks for one of IPv4
	for _, section := range []*[]dns.RR{&m.Answer, &m.Extra} {
		var left []dns.RR
		for _, record := range *section {
			address := addressIn(record)
			mapped, known := table.Of(address)
			switch header := *record.Header(); {
			case known && address.Is6():
				changed = true
				header.Rrtype = dns.TypeA
				if len(m.Question) == 1 && m.Question[0].Qtype == dns.TypeA {
					ours = append(ours, &dns.A{Hdr: header, A: mapped.AsSlice()})
				}
			case known:
				changed = true
				left = append(left, &dns.A{Hdr: header, A: mapped.AsSlice()})
			case consulsVirtual.Contains(address):
				changed = true
			default:
				left = append(left, record)
			}
		}
		*section = left
	}
	m.Answer = append(m.Answer, ours...)
	return changed
}

// addressIn is the address in a record, the zero one where it has none.
func addressIn(record dns.RR) netip.Addr {
	var address netip.Addr
	switch r := record.(type) {
	case *dns.A:
		address, _ = netip.AddrFromSlice(r.A.To4())
	case *dns.AAAA:
		address, _ = netip.AddrFromSlice(r.AAAA)
	}
	return address
}
