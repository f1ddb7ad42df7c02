package dnsproxy

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/hashicorp/consul/proto-public/pbdns"
)

// serveUDP answers each datagram by itself.
func (p *Proxy) serveUDP(ctx context.Context) {
	buffer := make([]byte, maxMessage)
	var pause time.Duration
	for {
		n, client, err := p.udp.ReadFromUDPAddrPort(buffer)
		if err != nil {
			if !p.again(ctx, err, &pause) {
				return
			}
			continue
		}
		pause = 0
		if !isQuery(buffer[:n]) {
			continue
		}
		if answer := p.named(buffer[:n]); answer != nil { // with nobody to wait for
			p.reply(buffer[:n], answer, client)
			continue
		}
		if !acquire(ctx, p.queries) {
			return
		}
		query := slices.Clone(buffer[:n])
		p.work.Go(func() {
			defer func() { <-p.queries }()
			p.reply(query, p.passed(ctx, query, pbdns.Protocol_PROTOCOL_UDP), client)
		})
	}
}

// reply sends an answer over UDP. One that no datagram can hold is announced, so that the client asks again over TCP.
func (p *Proxy) reply(query, answer []byte, client netip.AddrPort) {
	if answer == nil {
		return
	}
	_, err := p.udp.WriteToUDPAddrPort(answer, client)
	if errors.Is(err, syscall.EMSGSIZE) {
		_, err = p.udp.WriteToUDPAddrPort(truncated(query), client)
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		p.log.Debug("answer not sent", "err", err)
	}
}

// serveTCP answers on each connection as long as the client likes.
func (p *Proxy) serveTCP(ctx context.Context) {
	var pause time.Duration
	for acquire(ctx, p.clients) {
		conn, err := p.tcp.Accept()
		if err != nil {
			<-p.clients
			if !p.again(ctx, err, &pause) {
				return
			}
			continue
		}
		pause = 0
		p.work.Go(func() {
			defer func() { <-p.clients }()
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			if err := p.converse(ctx, conn); err != nil && ctx.Err() == nil {
				p.log.Debug("client lost", "err", err)
			}
		})
	}
}

// converse answers the queries of one connection in turn, until the client has no more or is idle.
func (p *Proxy) converse(ctx context.Context, conn net.Conn) error {
	in := bufio.NewReaderSize(conn, 512) // most queries are shorter
	for {
		if err := conn.SetReadDeadline(time.Now().Add(idleTimeout)); err != nil {
			return err
		}
		query, err := readFrame(in)
		var late net.Error
		if errors.Is(err, io.EOF) || errors.As(err, &late) && late.Timeout() {
			return nil
		} else if err != nil {
			return err
		}
		if !acquire(ctx, p.queries) {
			return nil
		}
		answer := p.answer(ctx, query, pbdns.Protocol_PROTOCOL_TCP)
		<-p.queries
		if answer == nil {
			return errors.New("not a DNS query")
		}
		if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		if _, err := conn.Write(frame(answer)); err != nil {
			return err
		}
	}
}

// readFrame reads a message with its length before it.
func readFrame(in io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(in, length[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(in, message); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return message, nil
}

// frame puts a message's length before it, for one write. The message is at most maxMessage long.
func frame(message []byte) []byte {
	return append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(message)), uint16(len(message))), message...)
}
