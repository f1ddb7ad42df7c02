package fleet_test

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/miekg/dns"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/contained"
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
		setenv(&s.Containers[0].Definition, "UPSTREAM", upstream)
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

// resolves asks as a program in web's task does: from its network, over both protocols.
func resolves(t *testing.T, web, api ecstypes.Task) {
	t.Helper()
	wanted := map[string]string{
		"api-transparent.virtual.consul.": "240.0.0.",
		"api-transparent.service.consul.": fleet.IPAddress(api),
	}
	network := contained.NetworkOf(t, netip.MustParseAddr(fleet.IPAddress(web)))
	out, err := contained.Run(t, contained.Command{Network: network, Env: []string{askVariable + "=" + strings.Join(slices.Collect(maps.Keys(wanted)), " ")}})
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, want := range wanted {
		for _, protocol := range protocols {
			if !strings.Contains(out, name+" "+protocol+" "+want) {
				t.Errorf("%s over %s: want %s… in\n%s", name, protocol, want, out)
			}
		}
	}
}

// askVariable makes this program ask for the addresses of the names in it and print them.
const askVariable = "FLEET_TEST_ASK"

var protocols = []string{"udp", "tcp"}

// ask prints NAME PROTOCOL ADDRESS, or why there is none, for each answer to each query.
func ask(names []string) {
	for _, name := range names {
		for _, protocol := range protocols {
			c := &dns.Client{Net: protocol, Timeout: 5 * time.Second}
			answer, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), "127.0.0.1:53")
			if err != nil {
				fmt.Println(name, protocol, err)
				continue
			}
			for _, record := range answer.Answer {
				if a, ok := record.(*dns.A); ok {
					fmt.Println(name, protocol, a.A)
				}
			}
		}
	}
}
