package fleet_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

// transparent asks for transparent proxy with Consul DNS. upstream is the URL that the app calls, "" for none.
func transparent(upstream string) func(*taskdef.Spec) {
	return func(s *taskdef.Spec) {
		s.Task.LaunchTypes = []ecstypes.Compatibility{ecstypes.CompatibilityEc2}
		s.TransparentProxy = agentconfig.TransparentProxy{Enabled: aws.Bool(true), ConsulDNS: &agentconfig.ConsulDNS{Enabled: aws.Bool(true)}}
		if upstream == "" {
			return
		}
		s.TransparentProxy.ExcludeInboundPorts = []int{s.Service.Port} // the test calls it from outside the mesh
		for i, variable := range s.Containers[0].Definition.Environment {
			if aws.ToString(variable.Name) == "UPSTREAM" {
				s.Containers[0].Definition.Environment[i].Value = &upstream
			}
		}
	}
}

func TestATransparentProxyCarriesTrafficByName(t *testing.T) {
	t.Parallel()
	s := quiet
	if err := s.catalog.Allow(t.Context(), "web-transparent", "api-transparent"); err != nil {
		t.Fatal(err)
	}
	api := s.service(t, app{name: "api-transparent", port: 9090, change: transparent("")})
	web := s.service(t, app{name: "web-transparent", port: 8080, change: transparent("http://api-transparent.virtual.consul")})
	answers(t, web)

	t.Run("nobody gets past the proxy", func(t *testing.T) { guarded(t, net.JoinHostPort(fleet.IPAddress(api), "9090")) })
	t.Run("an intention still decides", func(t *testing.T) {
		stranger := s.service(t, app{name: "stranger-transparent", port: 8080, change: transparent("http://api-transparent.virtual.consul")})
		if err := fleet.Ask(t.Context(), client, url(stranger)); err == nil {
			t.Error("a service without an intention got an answer")
		}
	})
	t.Run("names resolve in the task", func(t *testing.T) { resolves(t, web, api) })
}

// guarded wants the address not to answer to those who have no certificate of the mesh.
func guarded(t *testing.T, address string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: api\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 512)
	n, err := conn.Read(answer)
	if timeout, ok := err.(net.Error); n > 0 || err == nil || ok && timeout.Timeout() {
		t.Errorf("got %q, %v, want a closed connection", answer[:n], err)
	}
}

// resolves asks as a program in web's task does.
func resolves(t *testing.T, web, api ecstypes.Task) {
	t.Helper()
	for name, want := range map[string]string{
		"api-transparent.virtual.consul.": "240.0.0.",
		"api-transparent.service.consul.": fleet.IPAddress(api),
	} {
		for _, network := range []string{"udp", "tcp"} {
			var answer *dns.Msg
			err := inNetwork(t, fleet.IPAddress(web), func() (err error) {
				c := &dns.Client{Net: network, Timeout: 5 * time.Second}
				answer, _, err = c.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), "127.0.0.1:53")
				return err
			})
			if err != nil {
				t.Errorf("%s over %s: %v", name, network, err)
				continue
			}
			if !slices.ContainsFunc(answer.Answer, func(rr dns.RR) bool {
				a, ok := rr.(*dns.A)
				return ok && strings.HasPrefix(a.A.String(), want)
			}) {
				t.Errorf("%s over %s: got %v, want %s…", name, network, answer, want)
			}
		}
	}
}

// inNetwork runs do in the network namespace that has the address.
func inNetwork(t *testing.T, address string, do func() error) error {
	t.Helper()
	tables, err := filepath.Glob("/proc/[0-9]*/net/fib_trie")
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		routes, err := os.ReadFile(table)
		if err != nil || !strings.Contains(strings.Join(strings.Fields(string(routes)), " "), "|-- "+address+" /32 host LOCAL") {
			continue // the process is gone, or elsewhere
		}
		namespace, err := os.Open(filepath.Join(filepath.Dir(table), "..", "ns", "net"))
		if err != nil {
			continue
		}
		defer namespace.Close()
		done := make(chan error)
		go func() {
			runtime.LockOSThread() // for good: the thread ends with this goroutine
			if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
				done <- err
				return
			}
			done <- do()
		}()
		return <-done
	}
	t.Fatalf("no process has the address %s", address)
	return nil
}
