// Package dnsproxy answers the task's DNS queries on loopback, over UDP and TCP, with what a Consul server answers to them, and those for
// services that Envoy can be reached for by itself.
// Messages are passed as they come, in both directions, over the agent's own connection and with its current token. When
// Consul cannot be asked, the client is told at once (SERVFAIL), so that it turns to its next name server.
package dnsproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/proto-public/pbdns"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc/metadata"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/link"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

const (
	maxMessage = 65535 // of DNS, by any protocol

	// queryTimeout is less than the 5 s after which a resolver gives up by itself.
	queryTimeout = 3 * time.Second
	// hangsFor is how long Consul counts as hanging after it has let a query wait for as long. Then one query tries again.
	hangsFor = 5 * time.Second
	// idleTimeout is how long a TCP connection may be without a query.
	idleTimeout = 10 * time.Second
	// writeTimeout is how long a TCP client may take to read an answer.
	writeTimeout = 2 * time.Second

	maxQueries     = 256 // at the same time; the kernel's queue holds the rest
	maxConnections = 128 // over TCP at the same time

	firstPause = 5 * time.Millisecond // after a refused accept or read, when descriptors or memory are short
	maxPause   = time.Second
)

// Consul is how the proxy reaches a Consul server, and for whom it asks.
type Consul struct {
	link.Link
	Scope mesh.Scope // names without a partition or namespace of their own are looked up here
}

// Proxy is the local DNS server.
type Proxy struct {
	consul  Consul
	names   Names // nil: Consul answers for all
	log     hclog.Logger
	udp     *net.UDPConn
	tcp     net.Listener
	queries chan struct{} // holds one element for each query that is being answered
	clients chan struct{} // the same for TCP connections
	asked   singleflight.Group
	hung    atomic.Int64 // until when Consul counts as hanging, in nanoseconds of Unix time; 0: it answers

	life context.CancelFunc
	work sync.WaitGroup
}

// Start listens at addr, which must be loopback, and serves over UDP and TCP. Port 0 means any port that is free for both. names, which
// may be nil, answer before Consul is asked.
func Start(addr netip.AddrPort, consul Consul, names Names, log hclog.Logger) (*Proxy, error) {
	if !addr.Addr().IsLoopback() {
		return nil, fmt.Errorf("listen for DNS at %s: not a loopback address", addr)
	}
	p := &Proxy{
		consul: consul, names: names, log: log.Named("dns"),
		queries: make(chan struct{}, maxQueries), clients: make(chan struct{}, maxConnections),
	}
	if err := p.listen(addr); err != nil {
		return nil, fmt.Errorf("listen for DNS: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.life = cancel
	p.work.Go(func() { p.serveUDP(ctx) })
	p.work.Go(func() { p.serveTCP(ctx) })
	return p, nil
}

// listen binds both protocols to one port. A port that the kernel has chosen for TCP may be taken for UDP: then another.
func (p *Proxy) listen(addr netip.AddrPort) (err error) {
	for range 10 {
		if p.tcp, err = net.Listen("tcp", addr.String()); err != nil {
			return err
		}
		if p.udp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(p.Addr())); err == nil {
			return nil
		}
		p.tcp.Close()
		if addr.Port() != 0 {
			return err
		}
	}
	return err
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() netip.AddrPort { return p.tcp.Addr().(*net.TCPAddr).AddrPort() }

// Close ends all queries and returns when none is left.
func (p *Proxy) Close() {
	p.life()
	p.tcp.Close()
	p.udp.Close()
	p.work.Wait()
}

// answer is Consul's answer to a query, or one that says why there is none; nil where nobody could make sense of any.
func (p *Proxy) answer(ctx context.Context, query []byte, protocol pbdns.Protocol) []byte {
	if !isQuery(query) {
		return nil
	}
	if answer := p.named(query); answer != nil {
		return answer
	}
	return p.passed(ctx, query, protocol)
}

// passed is the answer to a query for no name of ours. Those who ask the same at the same moment get the same answer: programs ask for
// few names, and often many at once.
func (p *Proxy) passed(ctx context.Context, query []byte, protocol pbdns.Protocol) []byte {
	if p.names != nil && p.hung.Load() != 0 && outsideConsul(query) && p.hangs(time.Now()) {
		return failure(query)
	}
	question := protocol.String() + string(query[idSize:])
	found, _, _ := p.asked.Do(question, func() (any, error) { return p.ask(ctx, query, protocol), nil })
	answer := found.([]byte)
	if id := query[:idSize]; !slices.Equal(answer[:idSize], id) { // it is the answer to somebody else's query
		answer = slices.Concat(id, answer[idSize:])
	}
	return answer
}

// ask has Consul answer.
func (p *Proxy) ask(ctx context.Context, query []byte, protocol pbdns.Protocol) []byte {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	if p.consul.Lost() {
		// The connection has lost its server, and is left to who leads it to the next one: a query would have it ask for the old one
		// again, and what that answers is taken for the next one's.
		return failure(query)
	}
	ctx = metadata.AppendToOutgoingContext(link.Outgoing(ctx, p.consul.Token()),
		"x-consul-partition", p.consul.Scope.Partition,
		"x-consul-namespace", p.consul.Scope.Namespace,
	)
	resp, err := pbdns.NewDNSServiceClient(p.consul.Conn).Query(ctx, &pbdns.QueryRequest{Msg: query, Protocol: protocol})
	switch {
	case err != nil:
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			p.hung.Store(time.Now().Add(hangsFor).UnixNano())
		}
		p.log.Debug("query not answered by consul", "err", err)
		return failure(query)
	case len(resp.GetMsg()) < headerSize, len(resp.GetMsg()) > maxMessage:
		p.log.Debug("answer of consul is no DNS message", "bytes", len(resp.GetMsg()))
		return failure(query)
	}
	p.hung.Store(0)
	return p.mapped(resp.GetMsg())
}

// hangs reports whether to go past Consul, which has let a query wait. When the time is over, the first query tries, and the others
// go past until that has an answer.
func (p *Proxy) hangs(now time.Time) bool {
	until := p.hung.Load()
	if until == 0 || now.UnixNano() < until {
		return until != 0
	}
	return !p.hung.CompareAndSwap(until, now.Add(queryTimeout).UnixNano())
}

// acquire takes a place, if need be when one is free.
func acquire(ctx context.Context, places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// again waits before the next try after an error that may pass, twice as long each time. It reports false when the socket
// has been closed.
func (p *Proxy) again(ctx context.Context, err error, pause *time.Duration) bool {
	if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
		return false
	}
	if *pause == 0 {
		p.log.Warn("socket refused, will retry", "err", err)
	}
	*pause = min(max(2**pause, firstPause), maxPause)
	return sleep.For(ctx, *pause)
}
