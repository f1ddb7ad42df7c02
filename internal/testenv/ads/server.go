// Package ads is an xDS server for tests that holds its answers back until it is told to give them, and that fails when
// it is told to. It answers every type of resource with an empty set: enough for Envoy to become live.
package ads

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Server is the xDS server. Its methods may be called at any time.
type Server struct {
	Addr netip.AddrPort

	grpc    *grpc.Server
	mu      sync.Mutex
	changed *sync.Cond
	answer  map[string]bool // types that are answered
	padding int
	tokens  []string
	badness map[string]error // by token
	broken  int              // streams that are to end: all with a lower number
	begun   int
}

// Start serves on loopback until the test ends.
func Start(t *testing.T) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: listener.Addr().(*net.TCPAddr).AddrPort(), answer: map[string]bool{}, badness: map[string]error{}}
	s.changed = sync.NewCond(&s.mu)
	s.grpc = grpc.NewServer(grpc.UnknownServiceHandler(s.handle), grpc.MaxRecvMsgSize(64<<20))
	go s.grpc.Serve(listener)
	t.Cleanup(s.grpc.Stop)
	return s
}

// Stop ends the server before the test does.
func (s *Server) Stop() { s.grpc.Stop() }

func (s *Server) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	s.changed.Broadcast()
}

// Answer answers what was and will be asked about the types.
func (s *Server) Answer(types ...string) {
	s.change(func() {
		for _, t := range types {
			s.answer[t] = true
		}
	})
}

// Pad makes each answer at least n bytes long.
func (s *Server) Pad(n int) { s.change(func() { s.padding = n }) }

// Refuse ends the streams that come with token with a status.
func (s *Server) Refuse(token string, code codes.Code, message string) {
	s.change(func() { s.badness[token] = status.Error(code, message) })
}

// Break ends the streams that are open.
func (s *Server) Break() { s.change(func() { s.broken = s.begun }) }

// Tokens lists the tokens of the streams so far.
func (s *Server) Tokens() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.tokens...)
}

// stream is one client's stream. Its fields are guarded by the server's mutex.
type stream struct {
	number int
	asked  []string // types that wait for their first answer
	known  map[string]bool
	ended  bool
}

func (s *Server) handle(_ any, wire grpc.ServerStream) error {
	md, _ := metadata.FromIncomingContext(wire.Context())
	token := ""
	if t := md.Get("x-consul-token"); len(t) > 0 {
		token = t[0]
	}
	st := &stream{known: map[string]bool{}}
	var bad error
	s.change(func() {
		s.tokens = append(s.tokens, token)
		s.begun++
		st.number, bad = s.begun, s.badness[token]
	})
	if bad != nil {
		return bad
	}
	go s.listen(wire, st)
	for {
		typeURL, padding, err := s.next(st)
		if err != nil || typeURL == "" {
			return err
		}
		if err := wire.SendMsg(response(typeURL, padding)); err != nil {
			return err
		}
	}
}

func (s *Server) listen(wire grpc.ServerStream, st *stream) {
	for {
		var m emptypb.Empty // its unknown fields are the request
		err := wire.RecvMsg(&m)
		s.change(func() {
			typeURL := typeOf(m.ProtoReflect().GetUnknown())
			if err == nil && !st.known[typeURL] {
				st.known[typeURL], st.asked = true, append(st.asked, typeURL)
			}
			st.ended = err != nil
		})
		if err != nil {
			return
		}
	}
}

// next waits for a type that was asked about and may be answered; "" means that the client is gone.
func (s *Server) next(st *stream) (typeURL string, padding int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if st.number <= s.broken {
			return "", 0, status.Error(codes.Unavailable, "broken by the test")
		}
		if st.ended {
			return "", 0, nil
		}
		if i := slices.IndexFunc(st.asked, func(t string) bool { return s.answer[t] }); i >= 0 {
			typeURL = st.asked[i]
			st.asked = slices.Delete(st.asked, i, i+1)
			return typeURL, s.padding, nil
		}
		s.changed.Wait()
	}
}

// typeOf reads type_url, field 2 of a DeltaDiscoveryRequest.
func typeOf(request []byte) string {
	for len(request) > 0 {
		num, typ, n := protowire.ConsumeField(request)
		if n < 0 {
			return ""
		}
		if num == 2 && typ == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(request)
			value, _ := protowire.ConsumeString(request[tag:])
			return value
		}
		request = request[n:]
	}
	return ""
}

// response is a DeltaDiscoveryResponse without resources: system_version_info 1 (as padding), type_url 4, nonce 5.
func response(typeURL string, padding int) *emptypb.Empty {
	var b []byte
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendBytes(b, bytes.Repeat([]byte{'v'}, padding))
	b = protowire.AppendTag(b, 4, protowire.BytesType)
	b = protowire.AppendString(b, typeURL)
	b = protowire.AppendTag(b, 5, protowire.BytesType)
	b = protowire.AppendString(b, "1")
	m := &emptypb.Empty{}
	m.ProtoReflect().SetUnknown(b)
	return m
}
