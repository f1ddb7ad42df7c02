package hammer

import (
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"github.com/miekg/dns"
)

// DNS asks for the A records of name by UDP. Anything but an answer with records is an error.
func DNS(conn net.Conn, name string) (Ask, error) {
	query, err := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA).Pack()
	if err != nil {
		return nil, fmt.Errorf("make a query for %s: %w", name, err)
	}
	buffer := make([]byte, dns.MaxMsgSize)
	id := uint16(0)
	return func() error {
		id++
		binary.BigEndian.PutUint16(query, id)
		if err := conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
			return err
		}
		if _, err := conn.Write(query); err != nil {
			return err
		}
		n, err := conn.Read(buffer)
		if err != nil {
			return err
		}
		return checkAnswer(buffer[:n], id, name)
	}, nil
}

// checkAnswer looks at the header alone, for the same reason as HTTP.
func checkAnswer(answer []byte, id uint16, name string) error {
	const header = 12
	if len(answer) < header {
		return fmt.Errorf("query for %s: an answer of %d bytes", name, len(answer))
	}
	got, code, records := binary.BigEndian.Uint16(answer), int(answer[3]&0xf), binary.BigEndian.Uint16(answer[6:])
	if got != id || code != dns.RcodeSuccess || records == 0 {
		return fmt.Errorf("query %d for %s: answer %d, %s, %d records", id, name, got, dns.RcodeToString[code], records)
	}
	return nil
}
