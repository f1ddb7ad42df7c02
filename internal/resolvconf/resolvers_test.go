package resolvconf_test

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/consulecs/terraform-provider-consulecs/internal/resolvconf"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/contained"
)

const (
	insideVariable = "RESOLVCONF_TEST_INSIDE" // marks the process in the container, where /etc/resolv.conf is the test's
	lookupVariable = "RESOLVCONF_TEST_LOOKUP" // makes this program look a name up and print its addresses

	quickExit = "GORACE=atexit_sleep_ms=0" // makes a program with the race detector in it end at once instead of after a second

	probe, probed = "probe", "192.0.2.7"
)

func TestMain(m *testing.M) {
	name := os.Getenv(lookupVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	addresses, err := net.LookupHost(name)
	fmt.Println(addresses, err)
}

// TestResolversAskTheAddedServer lets Go's resolver and glibc's read the files: what they ask, and whom, is what counts.
func TestResolversAskTheAddedServer(t *testing.T) {
	if os.Getenv(insideVariable) != "" {
		resolversAsk(t)
		return
	}
	t.Parallel()
	out, err := contained.Run(t, contained.Command{
		Args: []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.timeout=5m"}, Env: []string{insideVariable + "=1", quickExit},
	})
	if err != nil || !strings.Contains(out, "--- PASS: "+t.Name()) {
		t.Fatalf("%v\n%s", err, out)
	}
}

func resolversAsk(t *testing.T) {
	consul, other := serve(t, "127.0.0.1:53"), serve(t, "127.0.0.11:53")
	for name, c := range contents {
		if err := os.WriteFile(resolvconf.Path, []byte(c.before), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := resolvconf.Add(resolvconf.Path, netip.MustParseAddr("127.0.0.1")); err != nil {
			t.Fatal(err)
		}
		for _, resolver := range []string{"go", "cgo"} {
			if got := lookUp(t, resolver); !strings.Contains(got, "["+probed+"]") {
				t.Errorf("%s, resolver %s: %s", name, resolver, got)
			}
			if diff := cmp.Diff(c.asked(), consul.taken()); diff != "" {
				t.Errorf("%s, resolver %s, asked (-want +got):\n%s", name, resolver, diff)
			}
			if asked := other.taken(); len(asked) > 0 {
				t.Errorf("%s, resolver %s: another server was asked for %v", name, resolver, asked)
			}
		}
	}
}

// lookUp looks the probe up in a process of its own, because a resolver keeps what it has read.
func lookUp(t *testing.T, resolver string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = []string{lookupVariable + "=" + probe, "GODEBUG=netdns=" + resolver + "+1", quickExit}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := map[string]string{"go": "forcing use of the Go resolver", "cgo": "forcing use of the cgo resolver"}[resolver]; !bytes.Contains(out, []byte(want)) {
		t.Fatalf("resolver %s is not in use:\n%s", resolver, out)
	}
	return string(out)
}

// names are the names that a server was asked for, each once, in order.
type names struct {
	mu   sync.Mutex
	list []string
}

func (n *names) taken() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.list
	n.list = nil
	return list
}

// serve answers for the probe alone, without any domain behind it.
func serve(t *testing.T, address string) *names {
	t.Helper()
	asked := new(names)
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		question := query.Question[0]
		asked.mu.Lock()
		if !slices.Contains(asked.list, question.Name) {
			asked.list = append(asked.list, question.Name)
		}
		asked.mu.Unlock()
		answer := new(dns.Msg).SetReply(query)
		answer.Authoritative = true // as Consul's answers are
		switch {
		case question.Name != probe+".":
			answer.Rcode = dns.RcodeNameError
		case question.Qtype == dns.TypeA:
			answer.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: question.Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.ParseIP(probed)}}
		}
		_ = w.WriteMsg(answer) // a client that has gone tells by itself
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
	return asked
}
