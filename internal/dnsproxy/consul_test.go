package dnsproxy

import (
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"
	"github.com/miekg/dns"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/link"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/required"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// instances are so many that their addresses fit into no usual datagram. Consul sends as many as fit.
const instances = 150

// TestARealConsulsAnswersArriveWhole asks as resolvers do, by every way that makes answers longer, and once more when there
// is no Consul any more.
func TestARealConsulsAnswersArriveWhole(t *testing.T) {
	t.Parallel()
	consul := consulWithInstances(t)
	p := startBefore(t, consul)
	for name, c := range map[string]struct {
		network string
		size    uint16 // that a datagram may have, by EDNS0; 0 for none
		service string
		code    int
		least   int // addresses
	}{
		"plain":               {"udp", 0, "many", dns.RcodeSuccess, 1},
		"EDNS0":               {"udp", 1232, "many", dns.RcodeSuccess, 40}, // 512 bytes hold fewer than 32
		"long EDNS0":          {"udp", 8192, "many", dns.RcodeSuccess, instances},
		"TCP":                 {"tcp", 0, "many", dns.RcodeSuccess, instances},
		"TCP and EDNS0":       {"tcp", 1232, "many", dns.RcodeSuccess, instances},
		"no such service":     {"udp", 1232, "none", dns.RcodeNameError, 0},
		"no such one, by TCP": {"tcp", 0, "none", dns.RcodeNameError, 0},
	} {
		answer := resolve(t, p, c.network, c.service, c.size)
		if answer.Rcode != c.code || answer.Truncated || len(answer.Answer) < c.least {
			t.Errorf("%s: code %d, truncated %v, %d addresses; want %d, false, %d or more", name, answer.Rcode, answer.Truncated, len(answer.Answer), c.code, c.least)
		}
	}
	consul.Kill()
	for _, network := range []string{"udp", "tcp"} {
		if answer := resolve(t, p, network, "many", 1232); answer.Rcode != dns.RcodeServerFailure {
			t.Errorf("%s, without Consul: code %d, want SERVFAIL", network, answer.Rcode)
		}
	}
}

func resolve(t *testing.T, p *Proxy, network, service string, size uint16) *dns.Msg {
	t.Helper()
	query := new(dns.Msg).SetQuestion(service+".service.consul.", dns.TypeA)
	if size > 0 {
		query.SetEdns0(size, false)
	}
	client := &dns.Client{Net: network, Timeout: 30 * time.Second}
	answer, _, err := client.Exchange(query, p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func consulWithInstances(t *testing.T) *testenv.Consul {
	t.Helper()
	tools, err := toolcache.Find()
	required.Tool(t, "Consul", tools.Consul, err)
	consul := testenv.ConsulDuring(t, testenv.ConsulConfig{Plaintext: true})
	for i := range instances {
		_, err := consul.API.Catalog().Register(&api.CatalogRegistration{
			Node: fmt.Sprintf("node-%d", i), Address: fmt.Sprintf("10.0.0.%d", i+1), Service: &api.AgentService{Service: "many", Port: 80},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	return consul
}

// startBefore starts a proxy that asks the server.
func startBefore(t *testing.T, consul *testenv.Consul) *Proxy {
	t.Helper()
	conn := connect(t, net.JoinHostPort(consul.Address, strconv.Itoa(consul.GRPCPort)))
	p, err := Start(anyPort, Consul{Link: link.Link{Conn: conn, Token: func() string { return consul.BootstrapToken }}}, nil, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}
