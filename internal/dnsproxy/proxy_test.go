package dnsproxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/proto-public/pbdns"
	"github.com/hashicorp/go-hclog"
	"github.com/miekg/dns"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/link"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

// server is a Consul that misbehaves on purpose.
type server struct {
	pbdns.UnimplementedDNSServiceServer
	answer func(ctx context.Context, req *pbdns.QueryRequest) ([]byte, error)
}

func (s server) Query(ctx context.Context, req *pbdns.QueryRequest) (*pbdns.QueryResponse, error) {
	answer, err := s.answer(ctx, req)
	return &pbdns.QueryResponse{Msg: answer}, err
}

// start serves what answer says and returns a proxy before it.
func start(t *testing.T, answer func(context.Context, *pbdns.QueryRequest) ([]byte, error)) *Proxy {
	t.Helper()
	return startAs(t, func() string { return "secret" }, nil, answer)
}

// startAs is start with a token, and with names that are answered before.
func startAs(t *testing.T, token func() string, names Names, answer func(context.Context, *pbdns.QueryRequest) ([]byte, error)) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	pbdns.RegisterDNSServiceServer(s, server{answer: answer})
	go func() { _ = s.Serve(listener) }() // ends with Stop
	t.Cleanup(s.Stop)
	conn := connect(t, listener.Addr().String())
	p, err := Start(anyPort, Consul{
		Link:  link.Link{Conn: conn, Token: token},
		Scope: mesh.Scope{Partition: "ap1", Namespace: "ns1"},
	}, names, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// connect is a connection that has a server, as those have that are kept.
func connect(t *testing.T, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.Connect()
	for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
		if !conn.WaitForStateChange(t.Context(), state) {
			t.Fatal("no connection")
		}
	}
	return conn
}

func TestALostServerIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	go func() { _ = s.Serve(listener) }() // ends with Stop
	conn := connect(t, listener.Addr().String())
	s.Stop()
	for state := conn.GetState(); state != connectivity.Idle; state = conn.GetState() {
		conn.WaitForStateChange(t.Context(), state)
	}
	p := &Proxy{consul: Consul{Link: link.Link{Conn: conn, Token: func() string { return "" }}}, log: hclog.NewNullLogger()}
	query := message(headerSize)
	if got := p.answer(t.Context(), query, pbdns.Protocol_PROTOCOL_UDP); !bytes.Equal(got, failure(query)) {
		t.Errorf("got %x, want a failure", got)
	}
	if state := conn.GetState(); state != connectivity.Idle {
		t.Errorf("the connection is %s: it asks for the lost server", state)
	}
}

// message is one of size bytes that begins as a query does.
func message(size int) []byte {
	m := make([]byte, size)
	binary.BigEndian.PutUint16(m, 4711)
	return m
}

// question is a query that asks something else for each n.
func question(n int) []byte {
	return binary.BigEndian.AppendUint32(message(headerSize), uint32(n))
}

// answerOf is one of size bytes.
func answerOf(size int) []byte {
	m := message(size)
	m[2] = 0x80
	return m
}

func dial(t *testing.T, p *Proxy, network string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// ask sends a query and returns the answer.
func ask(t *testing.T, conn net.Conn, query []byte) []byte {
	t.Helper()
	if conn.RemoteAddr().Network() == "tcp" {
		query = frame(query)
	}
	if _, err := conn.Write(query); err != nil {
		t.Fatal(err)
	}
	if conn.RemoteAddr().Network() == "tcp" {
		answer, err := readFrame(conn)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	answer := make([]byte, maxMessage)
	n, err := conn.Read(answer)
	if err != nil {
		t.Fatal(err)
	}
	return answer[:n]
}

func TestEveryLegalSizePasses(t *testing.T) {
	t.Parallel()
	const datagram = 65507 // what UDP over IPv4 can hold
	for name, c := range map[string]struct {
		network       string
		query, answer int
	}{
		"smallest":                 {"udp", headerSize, headerSize},
		"long query":               {"udp", 4096, 50},
		"longest query":            {"udp", datagram, 50},
		"long answer":              {"udp", 50, 9216},
		"longest answer":           {"udp", 50, datagram},
		"smallest over TCP":        {"tcp", headerSize, headerSize},
		"longest query over TCP":   {"tcp", maxMessage, 50},
		"longest answer over TCP":  {"tcp", 50, maxMessage},
		"both longest over TCP":    {"tcp", maxMessage, maxMessage},
		"longer than UDP over TCP": {"tcp", 50, datagram + 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := make(chan *pbdns.QueryRequest, 1)
			p := start(t, func(_ context.Context, req *pbdns.QueryRequest) ([]byte, error) {
				got <- req
				return answerOf(c.answer), nil
			})
			if answer := ask(t, dial(t, p, c.network), message(c.query)); !bytes.Equal(answer, answerOf(c.answer)) {
				t.Errorf("answer of %d bytes, want %d", len(answer), c.answer)
			}
			want := map[string]pbdns.Protocol{"udp": pbdns.Protocol_PROTOCOL_UDP, "tcp": pbdns.Protocol_PROTOCOL_TCP}[c.network]
			if req := <-got; !bytes.Equal(req.Msg, message(c.query)) || req.Protocol != want {
				t.Errorf("consul got %d bytes over %s, want %d over %s", len(req.Msg), req.Protocol, c.query, want)
			}
		})
	}
}

func TestClientsAreToldAtOnceThatThereIsNoAnswer(t *testing.T) {
	t.Parallel()
	question := new(dns.Msg).SetQuestion("api.virtual.consul.", dns.TypeA).SetEdns0(1232, true)
	packed, err := question.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]func(context.Context, *pbdns.QueryRequest) ([]byte, error){
		"refused": func(context.Context, *pbdns.QueryRequest) ([]byte, error) {
			return nil, status.Error(codes.Unavailable, "")
		},
		"empty":         func(context.Context, *pbdns.QueryRequest) ([]byte, error) { return nil, nil },
		"too long":      func(context.Context, *pbdns.QueryRequest) ([]byte, error) { return answerOf(maxMessage + 1), nil },
		"never answers": func(ctx context.Context, _ *pbdns.QueryRequest) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() },
	} {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(name+" "+network, func(t *testing.T) {
				t.Parallel()
				conn := dial(t, start(t, answer), network)
				for range 2 { // the connection stays
					got := new(dns.Msg)
					if err := got.Unpack(ask(t, conn, packed)); err != nil {
						t.Fatal(err)
					}
					if got.Id != question.Id || !got.Response || got.Rcode != dns.RcodeServerFailure || got.IsEdns0() == nil {
						t.Errorf("got %v", got)
					}
					if diff := cmp.Diff(question.Question, got.Question); diff != "" {
						t.Error(diff)
					}
				}
			})
		}
	}
}

func TestAnAnswerThatNoDatagramHoldsSendsTheClientToTCP(t *testing.T) {
	t.Parallel()
	p := start(t, func(context.Context, *pbdns.QueryRequest) ([]byte, error) { return answerOf(maxMessage), nil })
	got := new(dns.Msg)
	if err := got.Unpack(ask(t, dial(t, p, "udp"), message(headerSize))); err != nil {
		t.Fatal(err)
	}
	if got.Id != 4711 || !got.Response || !got.Truncated || got.Rcode != dns.RcodeSuccess {
		t.Errorf("got %v", got)
	}
}

func TestQueriesCarryTheCurrentTokenAndTheScope(t *testing.T) {
	t.Parallel()
	got := make(chan metadata.MD, 1)
	var token atomic.Pointer[string]
	p := startAs(t, func() string { return *token.Load() }, nil, func(ctx context.Context, _ *pbdns.QueryRequest) ([]byte, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		got <- md
		return answerOf(headerSize), nil
	})
	for _, want := range []string{"first", "renewed", ""} {
		token.Store(&want)
		ask(t, dial(t, p, "udp"), message(headerSize))
		md := <-got
		for key, value := range map[string]string{"x-consul-token": want, "x-consul-partition": "ap1", "x-consul-namespace": "ns1"} {
			var values []string // none where there is no token
			if value != "" {
				values = []string{value}
			}
			if diff := cmp.Diff(values, md.Get(key)); diff != "" {
				t.Errorf("%s: %s", key, diff)
			}
		}
	}
}

func TestAFloodIsAnsweredAFewAtATime(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int64
	p := start(t, func(context.Context, *pbdns.QueryRequest) ([]byte, error) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
		return answerOf(headerSize), nil
	})
	var wait sync.WaitGroup
	for client := range 4 * maxQueries / 10 {
		wait.Go(func() {
			conn := dial(t, p, "tcp")
			for n := range 10 {
				ask(t, conn, question(10*client+n))
			}
		})
		conn := dial(t, p, "udp")
		for n := range 10 {
			if _, err := conn.Write(question(10*client + n)); err != nil {
				t.Error(err)
			}
		}
	}
	wait.Wait()
	if most.Load() > maxQueries {
		t.Errorf("%d queries at a time, want at most %d", most.Load(), maxQueries)
	}
}

func TestThoseWhoAskTheSameAtTheSameMomentShareAnAnswer(t *testing.T) {
	t.Parallel()
	const clients = 50
	var calls atomic.Int64
	asked, answer := make(chan struct{}, clients), make(chan struct{})
	p := start(t, func(_ context.Context, req *pbdns.QueryRequest) ([]byte, error) {
		if bytes.Equal(req.Msg[idSize:], question(1)[idSize:]) && req.Protocol == pbdns.Protocol_PROTOCOL_UDP {
			calls.Add(1)
			asked <- struct{}{}
			<-answer
		}
		return slices.Concat(answerOf(headerSize), req.Msg[headerSize:]), nil
	})
	var conns [clients]net.Conn
	send := func(id int) {
		query := question(1)
		binary.BigEndian.PutUint16(query, uint16(id))
		conns[id] = dial(t, p, "udp")
		if _, err := conns[id].Write(query); err != nil {
			t.Fatal(err)
		}
	}
	send(0)
	<-asked
	for id := 1; id < clients; id++ {
		send(id)
	}
	if got := ask(t, dial(t, p, "udp"), question(2)); !bytes.Equal(got[headerSize:], question(2)[headerSize:]) {
		t.Errorf("another question meanwhile: %x", got)
	}
	ask(t, dial(t, p, "tcp"), question(1)) // what is short enough for TCP may be cut for a datagram
	eventually.True(t, "all have been read", eventually.Soon, func() bool { return len(p.queries) >= clients })
	close(answer)
	for id, conn := range conns {
		got := make([]byte, maxMessage)
		n, err := conn.Read(got)
		if err != nil {
			t.Fatal(err)
		}
		if binary.BigEndian.Uint16(got) != uint16(id) || !bytes.Equal(got[headerSize:n], question(1)[headerSize:]) {
			t.Errorf("client %d: %x", id, got[:n])
		}
	}
	if n := calls.Load(); n > clients/2 { // a client that comes after the answer asks anew
		t.Errorf("consul was asked %d times by %d clients, want about once", n, clients)
	}
}

func TestNonsenseGetsNoAnswer(t *testing.T) {
	t.Parallel()
	p := start(t, func(context.Context, *pbdns.QueryRequest) ([]byte, error) { return answerOf(headerSize), nil })
	conn := dial(t, p, "udp")
	for _, nonsense := range [][]byte{{}, message(headerSize - 1), answerOf(headerSize)} {
		if _, err := conn.Write(nonsense); err != nil {
			t.Fatal(err)
		}
		tcp := dial(t, p, "tcp")
		if _, err := tcp.Write(frame(nonsense)); err != nil {
			t.Fatal(err)
		}
		if answer, err := readFrame(tcp); err == nil {
			t.Errorf("%d bytes got %d over TCP", len(nonsense), len(answer))
		}
	}
	if got := ask(t, conn, message(headerSize)); !bytes.Equal(got, answerOf(headerSize)) {
		t.Errorf("the first answer is %v", got) // and not one to nonsense
	}
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 2)
	p := start(t, func(ctx context.Context, _ *pbdns.QueryRequest) ([]byte, error) {
		asked <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	for _, network := range []string{"udp", "tcp"} {
		conn, query := dial(t, p, network), message(headerSize)
		if network == "tcp" {
			query = frame(query)
		}
		if _, err := conn.Write(query); err != nil {
			t.Fatal(err)
		}
	}
	dial(t, p, "tcp") // idle
	<-asked
	<-asked
	begin := time.Now()
	p.Close()
	if took := time.Since(begin); took > queryTimeout-500*time.Millisecond {
		t.Errorf("took %s", took)
	}
	if _, err := net.Dial("tcp", p.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("still listens: %v", err)
	}
}

// exhausted is a listener that for a while has no descriptors left.
type exhausted struct {
	net.Listener
	refusals atomic.Int32
}

func (l *exhausted) Accept() (net.Conn, error) {
	if l.refusals.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

func TestRefusedAcceptsAreSurvived(t *testing.T) {
	t.Parallel()
	p := start(t, func(context.Context, *pbdns.QueryRequest) ([]byte, error) { return answerOf(headerSize), nil })
	ctx, cancel := context.WithCancel(t.Context())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	flaky := &exhausted{Listener: listener}
	flaky.refusals.Store(5)
	second := &Proxy{consul: p.consul, log: p.log, tcp: flaky, queries: make(chan struct{}, 1), clients: make(chan struct{}, 1)}
	second.work.Go(func() { second.serveTCP(ctx) })
	if got := ask(t, dial(t, second, "tcp"), message(headerSize)); !bytes.Equal(got, answerOf(headerSize)) {
		t.Errorf("got %v", got)
	}
	cancel()
	listener.Close()
	second.work.Wait()
}

func TestOnlyLoopbackIsServed(t *testing.T) {
	t.Parallel()
	if p, err := Start(netip.MustParseAddrPort("0.0.0.0:0"), Consul{}, nil, hclog.NewNullLogger()); err == nil {
		p.Close()
		t.Error("0.0.0.0 was taken")
	}
}

func TestATakenPortIsAnError(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	if second, err := Start(p.Addr(), Consul{}, nil, hclog.NewNullLogger()); !errors.Is(err, syscall.EADDRINUSE) {
		if err == nil {
			second.Close()
		}
		t.Errorf("got %v", err)
	}
}

func FuzzFailure(f *testing.F) {
	for _, name := range []string{"api.virtual.consul.", ".", "a.b.c.d.e.", `\000\255.example.`} {
		packed, err := new(dns.Msg).SetQuestion(name, dns.TypeSRV).SetEdns0(4096, true).Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
		f.Add(packed[:len(packed)-3])
	}
	f.Add(message(headerSize))
	f.Add(append(message(headerSize), 0xc0, 0x0c))
	f.Fuzz(func(t *testing.T, query []byte) {
		if !isQuery(query) {
			return
		}
		for _, answer := range [][]byte{failure(query), truncated(query)} {
			got := new(dns.Msg)
			if err := got.Unpack(answer); err != nil {
				t.Fatalf("%x gets %x: %v", query, answer, err)
			}
			if got.Id != binary.BigEndian.Uint16(query) || !got.Response || isQuery(answer) {
				t.Errorf("%x gets %v", query, got)
			}
		}
	})
}
