package dnsproxy

import "github.com/miekg/dns"

const (
	headerSize = 12 // of every DNS message
	idSize     = 2  // what the header begins with, which tells the answers to a client's queries apart
)

// isQuery reports whether a message has a header that asks. To answer answers would make two servers talk for ever.
func isQuery(message []byte) bool {
	const response = 0x80
	return len(message) >= headerSize && message[2]&response == 0
}

// failure tells the client that there is no answer now, or that its query cannot be read.
func failure(query []byte) []byte {
	asked, readable := parse(query)
	if !readable {
		return reply(asked, dns.RcodeFormatError, false)
	}
	return reply(asked, dns.RcodeServerFailure, false)
}

// truncated tells the client to ask again over TCP.
func truncated(query []byte) []byte {
	asked, _ := parse(query)
	return reply(asked, dns.RcodeSuccess, true)
}

// parse reads a query. Of one that cannot be read it returns the header, which isQuery has seen to be there.
func parse(query []byte) (asked *dns.Msg, readable bool) {
	asked = new(dns.Msg)
	if err := asked.Unpack(query); err != nil {
		return &dns.Msg{MsgHdr: asked.MsgHdr}, false
	}
	return asked, true
}

// reply is an answer without records.
func reply(asked *dns.Msg, code int, truncated bool) []byte {
	answer := new(dns.Msg).SetRcode(asked, code)
	answer.Truncated, answer.RecursionAvailable = truncated, asked.RecursionDesired
	if opt := asked.IsEdns0(); opt != nil {
		answer.SetEdns0(dns.DefaultMsgSize, opt.Do())
	}
	packed, err := answer.Pack()
	if err != nil { // a question that can be read but not written: the header alone is an answer, too
		answer.Question = nil
		packed, _ = answer.Pack()
	}
	return packed
}
