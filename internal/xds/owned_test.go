package xds

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/link"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
)

// talk is a stream of an Envoy's through a proxy to a server, of which the test plays both ends.
type talk struct {
	t      *testing.T
	proxy  *Proxy
	dialed *grpc.ClientConn // to the proxy
	opened chan grpc.ServerStream
	envoy  grpc.ClientStream
	consul grpc.ServerStream
	breaks context.CancelFunc // the stream
	asked  chan request       // what the server has got
}

func startTalk(t *testing.T, shape Shape, owner Owner) *talk {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &talk{t: t, asked: make(chan request, 100), opened: make(chan grpc.ServerStream, 1)}
	server := grpc.NewServer(grpc.ForceServerCodecV2(rawCodec{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		k.opened <- stream
		for {
			var f frame
			if err := stream.RecvMsg(&f); err != nil {
				return err
			}
			r, err := parseRequest(f.data.Materialize())
			if err != nil {
				return err
			}
			k.asked <- r
		}
	}))
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	dial := func(addr string) *grpc.ClientConn {
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	k.proxy, err = Start(netip.MustParseAddrPort("127.0.0.1:0"), link.Link{
		Conn: dial(listener.Addr().String()), Token: func() string { return "" }, Replaced: func(string) <-chan struct{} { return nil },
	}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.proxy.Close)
	k.proxy.Shape(shape)
	k.proxy.Own(TypeListener, owner)
	k.dialed = dial(k.proxy.Addr().String())
	k.open()
	return k
}

// open begins a stream, on which Envoy says what it has. The one before it breaks.
func (k *talk) open(has ...string) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), 30*time.Second)
	k.t.Cleanup(cancel)
	if k.breaks != nil {
		k.breaks()
	}
	k.breaks = cancel
	var err error
	k.envoy, err = k.dialed.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method, grpc.ForceCodecV2(rawCodec{}))
	if err != nil {
		k.t.Fatal(err)
	}
	first := acceptance(response{typeURL: TypeListener})
	for _, name := range has {
		first = appendBytes(first, fieldHas, appendBytes(nil, fieldHasName, []byte(name)))
	}
	k.write(first)
	k.hears("")
	k.consul = <-k.opened
}

func (k *talk) write(request []byte) {
	k.t.Helper()
	if err := k.envoy.SendMsg(&frame{mem.BufferSlice{mem.SliceBuffer(request)}}); err != nil {
		k.t.Fatal(err)
	}
}

// say is what Envoy says about listeners.
func (k *talk) say(nonce, refusal string) {
	k.t.Helper()
	data := acceptance(response{typeURL: TypeListener, nonce: nonce})
	if refusal != "" {
		data = appendBytes(data, fieldErrorDetail, appendBytes(nil, fieldStatusMessage, []byte(refusal)))
	}
	k.write(data)
}

// hears wants the server to get an acceptance of the nonce next.
func (k *talk) hears(nonce string) {
	k.t.Helper()
	select {
	case r := <-k.asked:
		if r.nonce != nonce || r.refused {
			k.t.Errorf("Consul hears %+v, want an acceptance of %q", r, nonce)
		}
	case <-time.After(20 * time.Second):
		k.t.Fatalf("Consul hears nothing of %q", nonce)
	}
}

// send is what Consul sends.
func (k *talk) send(r response) {
	k.t.Helper()
	r.typeURL = TypeListener
	if err := k.consul.SendMsg(&frame{mem.BufferSlice{mem.SliceBuffer(r.marshal())}}); err != nil {
		k.t.Fatal(err)
	}
}

// gets is what Envoy gets next.
func (k *talk) gets() (r response, content string) {
	k.t.Helper()
	var f frame
	if err := k.envoy.RecvMsg(&f); err != nil {
		k.t.Fatal(err)
	}
	r, err := parseResponse(f.data.Materialize())
	if err != nil {
		k.t.Fatal(err)
	}
	for _, one := range r.resources {
		m, err := wire.Parse(one.data)
		if err != nil {
			k.t.Fatal(err)
		}
		value, err := m.Message(fieldResource)
		if err != nil {
			k.t.Fatal(err)
		}
		listener, err := wire.Parse([]byte(value.Text(2)))
		if err != nil {
			k.t.Fatal(err)
		}
		content += fmt.Sprintf("%s=%s ", one.name, listener.Text(1))
	}
	return r, strings.TrimSpace(content)
}

// getsAnother has the owner make another shape, which Envoy gets.
func (k *talk) getsAnother(m *mine, what string) response {
	k.t.Helper()
	m.make(what)
	k.proxy.Reshape(TypeListener)
	r, _ := k.gets()
	return r
}

func listenerNamed(name, version string) resource {
	m := new(wire.Message).SetText(fieldResourceName, name).SetText(fieldVersion, version).
		Set(fieldResource, wire.Any(TypeListener, new(wire.Message).SetText(1, name)))
	return resource{name, version, m.Bytes()}
}

// mine is an owner of the resource "mine", of which it makes what it is told to; nothing has it left out.
type mine struct {
	sync.Mutex
	made    string
	answers []string
}

func (m *mine) make(what string) {
	m.Lock()
	defer m.Unlock()
	m.made = what
}

func (m *mine) heard() []string {
	m.Lock()
	defer m.Unlock()
	return m.answers
}

func (m *mine) shape(string) func(*wire.Message) error {
	return func(listener *wire.Message) error {
		m.Lock()
		defer m.Unlock()
		switch {
		case listener.Text(1) != "mine":
			return nil
		case m.made == "":
			return fmt.Errorf("%w: nothing is to be had", ErrLeftOut)
		}
		listener.SetText(1, m.made)
		return nil
	}
}

func (m *mine) owner() Owner {
	note := func(name, what string) {
		m.Lock()
		defer m.Unlock()
		m.answers = append(m.answers, name+": "+what)
	}
	return Owner{
		Owns:     func(name string) bool { return name == "mine" },
		Answered: func(name, refusal string) { note(name, refusal) },
		Gone:     func(name string) { note(name, "gone") },
	}
}

func TestConsulNeverHearsOfARefusalOfWhatIsOwned(t *testing.T) {
	t.Parallel()
	m := &mine{made: "first"}
	k := startTalk(t, m.shape, m.owner())
	k.send(response{nonce: "1", resources: []resource{listenerNamed("public", "v1"), listenerNamed("mine", "v1")}})
	if _, content := k.gets(); !strings.Contains(content, "first") {
		t.Errorf("Envoy gets %s", content)
	}
	m.make("second")
	k.say("1", "cannot bind '0.0.0.0:80': Address already in use") // it takes the other one
	k.hears("1")
	for range 2 { // each by itself, in any order: Consul hears nothing of it
		r, content := k.gets()
		if strings.Contains(content, "mine") {
			if !strings.Contains(content, "second") {
				t.Errorf("Envoy is offered what it has refused: %s", content)
			}
			k.say(r.nonce, "cannot bind '0.0.0.0:80'")
		} else {
			k.say(r.nonce, "")
		}
	}
	eventually.True(t, "the owner hears of the refusal", eventually.Soon, func() bool { return len(m.heard()) == 1 })
	m.make("third")
	r, content := k.gets() // after the pause
	if !strings.Contains(content, "third") {
		t.Errorf("Envoy is offered %s", content)
	}
	k.say(r.nonce, "")
	k.send(response{nonce: "2", resources: []resource{listenerNamed("mine", "v2")}})
	k.gets()
	k.say("2", "")
	k.hears("2")
	if diff := cmp.Diff([]string{"mine: cannot bind '0.0.0.0:80'", "mine: ", "mine: "}, m.heard()); diff != "" {
		t.Errorf("the owner hears (-want +got):\n%s", diff)
	}
	select {
	case <-k.proxy.Configured():
		t.Error("configured without clusters")
	case <-k.proxy.Done():
		t.Errorf("the proxy has ended: %v", k.proxy.Err())
	default:
	}
}

func TestAnOwnerHasAnotherShapeOfTheSameSent(t *testing.T) {
	t.Parallel()
	m := &mine{}
	k := startTalk(t, m.shape, m.owner())
	k.proxy.Reshape(TypeListener) // of which there is none yet
	k.send(response{nonce: "1", resources: []resource{listenerNamed("mine", "v1"), listenerNamed("public", "v1")}})
	r, content := k.gets()
	if diff := cmp.Diff([]string{"mine"}, r.removed); diff != "" || strings.Contains(content, "mine") {
		t.Errorf("what is left out is removed (-want +got):\n%s", diff)
	}
	k.say("1", "")
	k.hears("1")
	m.make("first")
	k.proxy.Reshape(TypeListener)
	r, content = k.gets()
	if !strings.Contains(content, "first") || r.resources[0].version != "v1" {
		t.Errorf("Envoy gets %s", content)
	}
	k.say(r.nonce, "no") // and is offered it again after the pause, with nobody asking for it
	if r, content = k.gets(); !strings.Contains(content, "first") {
		t.Errorf("Envoy gets %s", content)
	}
	k.say(r.nonce, "")
	eventually.True(t, "the owner hears of it", eventually.Soon, func() bool { return len(m.heard()) == 2 })
	k.send(response{nonce: "2", removed: []string{"mine"}})
	k.gets()
	k.say("2", "")
	k.hears("2")
	k.proxy.Reshape(TypeListener) // of which there is none any more
	if diff := cmp.Diff([]string{"mine: no", "mine: ", "mine: gone"}, m.heard()); diff != "" {
		t.Errorf("the owner hears (-want +got):\n%s", diff)
	}
}

// Consul sends nothing again of which Envoy says that it has it, and Envoy says so of a version.
func TestANewShapeThatWasLostWithItsStreamIsSentOnTheNext(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(k *talk, m *mine)
		want   string
	}{
		"Envoy had not answered": {func(k *talk, m *mine) { k.getsAnother(m, "second") }, "mine=second"},
		"Envoy had refused it": {func(k *talk, m *mine) {
			k.say(k.getsAnother(m, "second").nonce, "no")
			eventually.True(k.t, "the owner hears of the refusal", eventually.Soon, func() bool { return len(m.heard()) == 2 })
		}, "mine=second"},
		"it was to be left out": {func(k *talk, m *mine) { k.getsAnother(m, "") }, ""},
		"it is another without a stream": {func(k *talk, m *mine) {
			k.breaks()
			m.make("second")
			k.proxy.Reshape(TypeListener)
		}, "mine=second"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &mine{made: "first"}
			k := startTalk(t, m.shape, m.owner())
			k.send(response{nonce: "1", resources: []resource{listenerNamed("mine", "v1"), listenerNamed("public", "v1")}})
			k.gets()
			k.say("1", "")
			k.hears("1")
			c.change(k, m)
			k.open("mine", "public")
			r, content := k.gets()
			if content != c.want || (c.want == "") != cmp.Equal(r.removed, []string{"mine"}) {
				t.Errorf("Envoy gets %q without %q, want %q", content, r.removed, c.want)
			}
		})
	}
}

// What Envoy does not have on a new stream, Consul sends again, unless it is no more.
func TestWhatEnvoyDoesNotHaveOnANewStreamIsForgotten(t *testing.T) {
	t.Parallel()
	m := &mine{}
	k := startTalk(t, m.shape, m.owner())
	k.send(response{nonce: "1", resources: []resource{listenerNamed("mine", "v1")}})
	k.gets()
	k.say("1", "")
	k.hears("1")
	k.open()
	if diff := cmp.Diff([]string{"mine: gone"}, m.heard()); diff != "" {
		t.Errorf("the owner hears (-want +got):\n%s", diff)
	}
	m.make("first")
	k.proxy.Reshape(TypeListener)
	k.send(response{nonce: "1", resources: []resource{listenerNamed("public", "v1")}})
	if _, content := k.gets(); content != "public=public" {
		t.Errorf("Envoy gets %q", content)
	}
}

// A port of the public listener that is taken ends the agent, whatever else is refused beside it.
func TestARefusalOfSomethingElseEndsTheProxyStill(t *testing.T) {
	t.Parallel()
	m := &mine{made: "first"}
	k := startTalk(t, m.shape, m.owner())
	k.send(response{nonce: "1", resources: []resource{listenerNamed("public", "v1"), listenerNamed("mine", "v1")}})
	k.gets()
	k.say("1", "cannot bind")
	for range 2 {
		r, content := k.gets()
		k.say(r.nonce, "cannot bind")
		if strings.Contains(content, "public") {
			break
		}
	}
	select {
	case <-k.proxy.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the proxy goes on")
	}
	if err := k.proxy.Err(); err == nil || !strings.Contains(err.Error(), "cannot bind") {
		t.Errorf("ended with %v", err)
	}
}

func TestOneShapeComesAfterTheOther(t *testing.T) {
	t.Parallel()
	add := func(text string, err error) Shape {
		return func(typeURL string) func(*wire.Message) error {
			if typeURL != TypeListener {
				return nil
			}
			return func(m *wire.Message) error { m.AddText(7, text); return err }
		}
	}
	if Shapes(add("a", nil))(TypeCluster) != nil {
		t.Error("a type that no shape is for is read")
	}
	m := new(wire.Message)
	err := Shapes(add("a", nil), add("b", ErrLeftOut), add("c", nil))(TypeListener)(m)
	if diff := cmp.Diff([]string{"a", "b"}, m.Texts(7)); diff != "" || !errors.Is(err, ErrLeftOut) {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
