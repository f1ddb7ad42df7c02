package xds_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/link"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/ads"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/xds"
)

const method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"

// tokens is a token that changes when it is renewed.
type tokens struct {
	mu      sync.Mutex
	current string
	renewed []string
	next    chan struct{} // closed when the current one is replaced; nil until somebody waits for that
}

func (t *tokens) get() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current
}

func (t *tokens) replaced(token string) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != token {
		done := make(chan struct{})
		close(done)
		return done
	}
	if t.next == nil {
		t.next = make(chan struct{})
	}
	return t.next
}

func (t *tokens) renew(_ context.Context, stale string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.renewed = append(t.renewed, stale)
	if stale == "hopeless" {
		return errors.New("login refused")
	}
	t.current = "fresh"
	if t.next != nil {
		close(t.next)
		t.next = nil
	}
	return nil
}

// world is an xDS server, the proxy before it, and a client as Envoy is one.
type world struct {
	server *ads.Server
	tokens *tokens
	proxy  *xds.Proxy
	client *grpc.ClientConn
}

func start(t *testing.T, token string) world {
	t.Helper()
	w := world{server: ads.Start(t), tokens: &tokens{current: token}}
	conn := dial(t, w.server.Addr)
	var err error
	w.proxy, err = xds.Start(netip.MustParseAddrPort("127.0.0.1:0"), link.Link{
		Conn: conn, Token: w.tokens.get, Replaced: w.tokens.replaced, Renew: w.tokens.renew,
	}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.proxy.Close)
	w.client = dial(t, w.proxy.Addr())
	return w
}

func dial(t *testing.T, addr netip.AddrPort) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr.String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func (w world) open(t *testing.T, name string) grpc.ClientStream {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	ctx = metadata.AppendToOutgoingContext(ctx, "x-consul-token", "from-envoy")
	stream, err := w.client.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, name)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// send sends a DeltaDiscoveryRequest about typeURL; an answer to an earlier response carries a nonce.
func send(t *testing.T, stream grpc.ClientStream, typeURL, nonce, refusal string) {
	t.Helper()
	var b []byte
	for num, value := range map[protowire.Number]string{2: typeURL, 6: nonce} {
		if value != "" {
			b = protowire.AppendTag(b, num, protowire.BytesType)
			b = protowire.AppendString(b, value)
		}
	}
	if refusal != "" {
		detail := protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), refusal)
		b = protowire.AppendBytes(protowire.AppendTag(b, 7, protowire.BytesType), detail)
	}
	m := &emptypb.Empty{}
	m.ProtoReflect().SetUnknown(b)
	if err := stream.SendMsg(m); err != nil {
		t.Fatal(err)
	}
}

func receive(stream grpc.ClientStream) (size int, err error) {
	var m emptypb.Empty
	err = stream.RecvMsg(&m)
	return len(m.ProtoReflect().GetUnknown()), err
}

func TestMessagesPassBothWaysWithOurToken(t *testing.T) {
	t.Parallel()
	w := start(t, "secret")
	w.server.Answer(xds.TypeCluster)
	stream := w.open(t, method)
	send(t, stream, xds.TypeCluster, "", "")
	if _, err := receive(stream); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"secret"}, w.server.Tokens()); diff != "" {
		t.Error(diff)
	}
}

func TestAMessageOf40MiBPasses(t *testing.T) {
	t.Parallel()
	const large = 40 << 20
	w := start(t, "")
	w.server.Pad(large)
	w.server.Answer(xds.TypeCluster)
	stream := w.open(t, method)
	send(t, stream, xds.TypeCluster, "", "")
	if size, err := receive(stream); err != nil || size < large {
		t.Errorf("got %d bytes, %v", size, err)
	}
}

func TestOnlyTheDeltaStreamIsPassedOn(t *testing.T) {
	t.Parallel()
	w := start(t, "")
	stream := w.open(t, "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources")
	if _, err := receive(stream); status.Code(err) != codes.Unimplemented {
		t.Errorf("got %v, want Unimplemented", err)
	}
	if got := w.server.Tokens(); len(got) != 0 {
		t.Errorf("the server saw %d streams", len(got))
	}
}

func TestTheStatusPassesUnchangedAndALostTokenIsRenewed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code    codes.Code
		message string
		renewed []string
		next    codes.Code // of the next stream, which then uses the current token
	}{
		"unknown token":       {codes.Unauthenticated, "unauthenticated: ACL not found", []string{"stale"}, codes.OK},
		"unknown, old server": {codes.PermissionDenied, "rpc error: ACL not found", []string{"stale"}, codes.OK},
		"not allowed":         {codes.PermissionDenied, "lacks permission service:write", nil, codes.PermissionDenied},
		"overloaded":          {codes.ResourceExhausted, "this server has too many xDS streams open", nil, codes.ResourceExhausted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, "stale")
			w.server.Answer(xds.TypeCluster)
			w.server.Refuse("stale", c.code, c.message)
			_, err := receive(w.open(t, method))
			if diff := cmp.Diff(status.New(c.code, c.message).String(), status.Convert(err).String()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.renewed, w.tokens.renewed); diff != "" {
				t.Error(diff)
			}
			again := w.open(t, method)
			send(t, again, xds.TypeCluster, "", "")
			if _, err := receive(again); status.Code(err) != c.next {
				t.Errorf("next stream: %v, want %v", err, c.next)
			}
		})
	}
}

func TestAStreamEndsWhenItsTokenWasReplaced(t *testing.T) {
	t.Parallel()
	w := start(t, "stale")
	w.server.Answer(xds.TypeCluster)
	stream := w.open(t, method)
	send(t, stream, xds.TypeCluster, "", "")
	if _, err := receive(stream); err != nil {
		t.Fatal(err)
	}
	if err := w.tokens.renew(t.Context(), "stale"); err != nil { // as the connection does when it hears of the loss first
		t.Fatal(err)
	}
	if _, err := receive(stream); status.Code(err) != codes.Unavailable {
		t.Fatalf("got %v, want Unavailable", err)
	}
	again := w.open(t, method)
	send(t, again, xds.TypeCluster, "", "")
	if _, err := receive(again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"stale", "fresh"}, w.server.Tokens()); diff != "" {
		t.Error(diff)
	}
}

func TestAFailedRenewalLeavesTheStatusAsItIs(t *testing.T) {
	t.Parallel()
	w := start(t, "hopeless")
	w.server.Refuse("hopeless", codes.Unauthenticated, "ACL not found")
	if _, err := receive(w.open(t, method)); status.Convert(err).Message() != "ACL not found" {
		t.Errorf("got %v", err)
	}
}

func TestConfiguredOnceEnvoyHasAppliedClustersAndListeners(t *testing.T) {
	t.Parallel()
	w := start(t, "")
	stream := w.open(t, method)
	w.server.Answer(xds.TypeCluster, xds.TypeListener)
	for _, step := range []struct{ typeURL, nonce, refusal string }{
		{xds.TypeCluster, "", ""},
		{xds.TypeCluster, "1", ""},
		{xds.TypeListener, "", ""},
		{xds.TypeListener, "1", "address already in use"},
	} {
		send(t, stream, step.typeURL, step.nonce, step.refusal)
		if step.nonce == "" {
			if _, err := receive(stream); err != nil {
				t.Fatal(err)
			}
		}
	}
	select {
	case <-w.proxy.Configured():
		t.Error("configured, although Envoy refused the listeners")
	case <-time.After(100 * time.Millisecond):
	}
	send(t, stream, xds.TypeListener, "2", "")
	select {
	case <-w.proxy.Configured():
	case <-time.After(eventually.Soon):
		t.Error("not configured")
	}
}

func TestTheStreamEndsWithTheServers(t *testing.T) {
	t.Parallel()
	w := start(t, "")
	w.server.Answer(xds.TypeCluster)
	stream := w.open(t, method)
	send(t, stream, xds.TypeCluster, "", "")
	if _, err := receive(stream); err != nil {
		t.Fatal(err)
	}
	w.server.Break()
	if _, err := receive(stream); status.Convert(err).Message() != "broken by the test" {
		t.Errorf("got %v", err)
	}
}

func TestCloseEndsStreamsAndListener(t *testing.T) {
	t.Parallel()
	w := start(t, "")
	stream := w.open(t, method)
	send(t, stream, xds.TypeCluster, "", "")
	eventually.True(t, "the stream has reached the server", eventually.Soon, func() bool { return slices.Equal(w.server.Tokens(), []string{""}) })
	w.proxy.Close()
	if _, err := receive(stream); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
	<-w.proxy.Done()
	if err := w.proxy.Err(); err != nil {
		t.Error(err)
	}
}

func TestTheAddressIsCheckedAndTaken(t *testing.T) {
	t.Parallel()
	w := start(t, "")
	for addr, want := range map[string]string{
		"0.0.0.0:0":             "listen for xDS at 0.0.0.0:0: not a loopback address",
		w.proxy.Addr().String(): "listen for xDS: listen tcp " + w.proxy.Addr().String() + ": bind: address already in use",
	} {
		_, err := xds.Start(netip.MustParseAddrPort(addr), link.Link{}, hclog.NewNullLogger())
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestTheStatusTellsHowTheStreamsFare(t *testing.T) {
	t.Parallel()
	w := start(t, "hopeless")
	fares := func(what string, condition func(xds.Status) bool) {
		t.Helper()
		eventually.Nil(t, what, eventually.Soon, func() error {
			if s := w.proxy.Status(); !condition(s) {
				return fmt.Errorf("the status is %+v", s)
			}
			return nil
		})
	}
	w.server.Answer(xds.TypeCluster)
	stream := w.open(t, method)
	send(t, stream, xds.TypeCluster, "", "")
	if _, err := receive(stream); err != nil {
		t.Fatal(err)
	}
	fares("a stream is open", func(s xds.Status) bool { return s.Streams == 1 && len(s.Ended) == 0 && !s.TokenLost })
	w.server.Break()
	fares("it has ended", func(s xds.Status) bool { return s.Streams == 0 && s.Ended[codes.Unavailable] == 1 && !s.TokenLost })

	w.server.Refuse("hopeless", codes.Unauthenticated, "ACL not found")
	_, _ = receive(w.open(t, method))
	fares("the token is lost", func(s xds.Status) bool { return s.TokenLost && s.Ended[codes.Unauthenticated] == 1 })

	w.server.Refuse("hopeless", codes.OK, "") // the token is known again
	stream = w.open(t, method)
	send(t, stream, xds.TypeCluster, "", "")
	fares("the token is good", func(s xds.Status) bool { return s.Streams == 1 && !s.TokenLost })
}
