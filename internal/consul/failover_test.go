package consul

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/front"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/required"
)

// awaitServer waits until the connection's calls are answered by the server at ip.
func awaitServer(t *testing.T, c *Connection, ip string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	err := Retry(ctx, hclog.NewNullLogger(), "be answered by "+ip, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		host, err := c.server(ctx)
		if err != nil || !strings.HasPrefix(host, ip+":") {
			return fmt.Errorf("the server is %s (%v)", host, err)
		}
		_, _, err = c.NodeServices(ctx, "none")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// twoServers are real ones at two addresses and the same ports, which know the same token.
func twoServers(t *testing.T) (servers [2]*testenv.Consul) {
	t.Helper()
	var group errgroup.Group
	for i, ip := range []string{"127.0.0.21", "127.0.0.22"} {
		group.Go(func() (err error) {
			servers[i], err = testenv.StartConsul(t.Context(), testenv.ConsulConfig{Address: ip, UsualPorts: true, Plaintext: true})
			return err
		})
	}
	err := group.Wait()
	t.Cleanup(func() {
		for _, s := range servers {
			if s != nil && s.Stop() != nil {
				t.Errorf("server %s has not stopped", s.Address)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return servers
}

// nameServer is the address of the DNS server that this process asks; none for the machine's own.
var nameServer atomic.Pointer[string]

// dialNameServer is for the resolver of the tests.
func dialNameServer(ctx context.Context, network, address string) (net.Conn, error) {
	if own := nameServer.Load(); own != nil {
		network, address = "udp", *own
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// resolve makes a DNS server the one that this process asks. It answers consul.test with what answer says, and knows no other name.
func resolve(t *testing.T, answer func() string) {
	t.Helper()
	address := freeport.Loopback(t).String()
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg).SetReply(query)
		if q := query.Question[0]; q.Qtype == dns.TypeA && q.Name == "consul.test." {
			reply.Answer = append(reply.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.ParseIP(answer())})
		}
		_ = w.WriteMsg(reply)
	})}
	go server.ActivateAndServe()
	nameServer.Store(&address)
	t.Cleanup(func() {
		nameServer.Store(nil)
		if err := server.Shutdown(); err != nil {
			t.Error(err)
		}
	})
}

func TestAServerThatMovedIsFound(t *testing.T) {
	t.Parallel()
	servers := twoServers(t)
	file := filepath.Join(t.TempDir(), "addresses") // that both DNS and the command tell
	say := func(ip string) {
		if err := os.WriteFile(file, []byte(ip), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	say(servers[0].Address)
	resolve(t, func() string {
		ip, _ := os.ReadFile(file)
		return string(ip)
	})
	from, to := servers[0], servers[1]
	connections := map[string]*Connection{}
	for name, s := range map[string]Settings{
		"name, watched":        {Hosts: "consul.test"},
		"name, not watched":    {Hosts: "consul.test", SkipServerWatch: true},
		"command, watched":     {Hosts: "exec=cat " + file},
		"command, not watched": {Hosts: "exec=cat " + file, SkipServerWatch: true},
	} {
		s.Token, s.HTTP, s.GRPC = from.BootstrapToken, agentconfig.Endpoint{Port: mesh.PortConsulHTTP}, agentconfig.Endpoint{Port: mesh.PortConsulGRPC}
		connections[name] = mustConnect(t, s)
		awaitServer(t, connections[name], from.Address)
	}
	from.Kill()
	say(to.Address)
	start := time.Now()
	t.Run("found", func(t *testing.T) {
		for name, c := range connections {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				awaitServer(t, c, to.Address)
				t.Logf("after %s", time.Since(start))
			})
		}
	})
}

// openStream opens a stream of configuration, as Envoy's proxy does, and returns the status by which it ends.
func openStream(t *testing.T, c *Connection) codes.Code {
	t.Helper()
	ctx, cancel := context.WithTimeout(c.WithToken(t.Context()), 10*time.Second)
	defer cancel()
	stream, err := c.GRPC().NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, front.XDS)
	if err == nil {
		err = stream.RecvMsg(&emptypb.Empty{})
	}
	return status.Code(err)
}

// TestAServerThatHasTooManyStreamsIsLeft has two servers that are the same Consul behind two fronts.
func TestAServerThatHasTooManyStreamsIsLeft(t *testing.T) {
	asRole(t, mesh.RolePath, "web")
	port := int(freeport.Loopback(t).Port())
	fronts := map[string]*front.Consul{}
	for _, ip := range []string{"127.0.0.31", "127.0.0.32"} {
		fronts[ip] = front.At(t, stage.Consul, fmt.Sprintf("%s:%d", ip, port))
	}
	for name, tc := range map[string]struct {
		hosts string
		skip  bool
		next  []string // servers to which it may go
	}{
		"of two":                    {"exec=echo 127.0.0.31 127.0.0.32", true, []string{"127.0.0.31", "127.0.0.32"}},
		"alone":                     {"127.0.0.31", true, []string{"127.0.0.31"}},
		"with one that it tells of": {"127.0.0.31", false, []string{"127.0.0.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			if !tc.skip { // Consul tells that it is at 127.0.0.1
				front.At(t, stage.Consul, fmt.Sprintf("127.0.0.1:%d", port))
			}
			c := mustConnect(t, settings(t, taskOf(t, "t1"), func(s *Settings) {
				s.Hosts, s.SkipServerWatch, s.GRPC = tc.hosts, tc.skip, agentconfig.Endpoint{Port: port}
			}))
			state, err := c.watcher.State()
			if err != nil {
				t.Fatal(err)
			}
			first, token := state.Address.IP.String(), c.Token()
			fronts[first].Exhaust()
			if code := openStream(t, c); code != codes.ResourceExhausted {
				t.Fatalf("the stream ended with %s", code)
			}
			next := slices.DeleteFunc(slices.Clone(tc.next), func(ip string) bool { return ip == first && len(tc.next) > 1 })
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			err = Retry(ctx, hclog.NewNullLogger(), "go to "+next[0], func(context.Context) error {
				state, err := c.watcher.State()
				if err == nil && state.Address.IP.String() != next[0] {
					err = fmt.Errorf("it is at %s, where a stream ends with %s", state.Address.IP, openStream(t, c))
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
			if c.Token() != token {
				t.Error("it logged in again")
			}
		})
	}
}

func TestAServerMayHaveAnIPv6Address(t *testing.T) {
	t.Parallel()
	server, err := testenv.StartConsul(t.Context(), testenv.ConsulConfig{Address: "::1"})
	if err != nil {
		required.Missing(t, "this machine has no IPv6: ", err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	c := operated(t, server)
	if _, found, err := c.NodeServices(t.Context(), "server"); err != nil || !found {
		t.Errorf("the server's own node: found %v, %v", found, err)
	}
}
