package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/proto-public/pbdns"
	"github.com/miekg/dns"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
	"github.com/consulecs/terraform-provider-consulecs/internal/bench/hammer"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/process"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/procs"
)

const (
	dnsRate    = 5000 // questions a second
	dnsClients = 32   // that ask at the same time
	dnsName    = "api.service.consul"
)

// dns asks a dataplane agent for names in a real Consul, at a steady rate and as fast as answers come, and looks at the
// agent's memory before and after.
func (b *bench) dns(ctx context.Context) error {
	return withConsul(ctx, testenv.ConsulConfig{}, func(c *testenv.Consul) error {
		d, err := b.startDataplane(ctx, c, "api", func(*api.AgentServiceConnectProxyConfig) {}, func(*dataplanefile.File) {})
		if err != nil {
			return err
		}
		return errors.Join(b.askNames(ctx, d), d.end())
	})
}

func (b *bench) askNames(ctx context.Context, d *dataplane) error {
	if !sleep.For(ctx, 3*time.Second) { // the agent gives back what its start needed
		return context.Cause(ctx)
	}
	if err := b.addResident(d, "before the first question"); err != nil {
		return err
	}
	asks, end, err := d.askers(func(int) string { return dnsName })
	if err != nil {
		return err
	}
	defer end()
	alone, end, err := d.askers(spelling)
	if err != nil {
		return err
	}
	defer end()
	if _, err := hammer.Flat(ctx, warmUp, asks); err != nil {
		return err
	}
	answers := 0
	for i := range b.Samples {
		steady, err := hammer.Steady(ctx, b.Round, dnsRate, asks)
		if err != nil {
			return err
		}
		unshared, err := hammer.Steady(ctx, b.Round, dnsRate, alone)
		if err != nil {
			return err
		}
		before, err := procs.CPU(d.child.PID())
		if err != nil {
			return err
		}
		flat, err := hammer.Flat(ctx, b.Round, asks)
		if err != nil {
			return err
		}
		after, err := procs.CPU(d.child.PID())
		if err != nil {
			return err
		}
		straight, err := hammer.Steady(ctx, b.Round, dnsRate, d.straight(ctx))
		if err != nil {
			return err
		}
		b.say("round %d of %d: %d/s asked: %s; each client for another name: %s; the same straight from Consul: %s; as fast as answers come: %s", i+1, b.Samples, dnsRate, steady, unshared, straight, flat)
		if err := errors.Join(steady.Err, unshared.Err, flat.Err, straight.Err); err != nil {
			return err
		}
		answers += len(steady.Latency) + len(unshared.Latency) + len(flat.Latency)
		b.add(figures.Figure{Name: "DNS proxy, processor time of its agent for 1,000 answers", Unit: "s"}, 1000*(after-before).Seconds()/float64(len(flat.Latency)))
		b.add(figures.Figure{Name: fmt.Sprintf("DNS proxy asked %d times a second, answers/s", dnsRate), Unit: "/s", Goal: "5,000/s"}, steady.Rate())
		b.add(figures.Figure{Name: fmt.Sprintf("DNS proxy asked %d times a second, p99", dnsRate), Unit: "ms", Goal: "< 5 ms"}, steady.Milliseconds(0.99))
		b.add(figures.Figure{Name: fmt.Sprintf("DNS proxy asked %d times a second, each client for another name, p99", dnsRate), Unit: "ms"}, unshared.Milliseconds(0.99))
		b.add(figures.Figure{Name: fmt.Sprintf("Consul itself asked %d times a second by gRPC, p99", dnsRate), Unit: "ms"}, straight.Milliseconds(0.99))
		b.add(figures.Figure{Name: fmt.Sprintf("DNS proxy, %d clients without a pause, answers/s", dnsClients), Unit: "/s"}, flat.Rate())
		if err := b.addResident(d, "after each round of questions"); err != nil {
			return err
		}
	}
	b.say("%d answers", answers)
	return nil
}

func (b *bench) addResident(d *dataplane, when string) error {
	n, err := procs.Resident(d.child.PID())
	if err != nil {
		return err
	}
	b.add(figures.Figure{Name: "DNS proxy, memory of its agent " + when, Unit: "MiB", Goal: "flat"}, float64(n)/mebibyte)
	return nil
}

// dataplane is an agent with its Envoy on loopback.
type dataplane struct {
	child  *process.Child
	dns    netip.AddrPort
	consul *grpc.ClientConn // a connection of ours to the agent's Consul
	token  string
}

// startDataplane starts the agent that ships, for a service of its own, and waits until its Envoy serves. The two functions change what
// Consul knows of the proxy and what the agent reads.
func (b *bench) startDataplane(ctx context.Context, c *testenv.Consul, service string, proxy func(*api.AgentServiceConnectProxyConfig),
	change func(*dataplanefile.File)) (d *dataplane, err error) {
	at, err := loopbacks(2)
	if err != nil {
		return nil, err
	}
	public, names := at[0], at[1]
	token, err := registerTask(ctx, c, service, taskID, public, proxy)
	if err != nil {
		return nil, err
	}
	d = &dataplane{dns: names, token: token}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(c.CAPEM))
	d.consul, err = grpc.NewClient(net.JoinHostPort(c.Address, strconv.Itoa(c.GRPCPort)),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: c.ServerName})))
	if err != nil {
		return nil, err
	}
	d.child, err = b.runDataplane(ctx, c, mesh.ServiceID(service, taskID), token, func(f *dataplanefile.File) {
		f.DNSServer = &dataplanefile.DNSServer{BindPort: aws.Int(int(names.Port()))}
		change(f)
	})
	if err != nil {
		return nil, errors.Join(err, d.consul.Close())
	}
	return d, nil
}

// end ends the agent.
func (d *dataplane) end() error {
	killed(d.child)
	return d.consul.Close()
}

// straight asks Consul itself as the agent does.
func (d *dataplane) straight(ctx context.Context) []hammer.Ask {
	ctx = metadata.AppendToOutgoingContext(ctx, "x-consul-token", d.token)
	query, err := new(dns.Msg).SetQuestion(dns.Fqdn(dnsName), dns.TypeA).Pack()
	ask := func() error {
		if err != nil {
			return err
		}
		_, err := pbdns.NewDNSServiceClient(d.consul).Query(ctx, &pbdns.QueryRequest{Msg: query, Protocol: pbdns.Protocol_PROTOCOL_UDP})
		return err
	}
	return slices.Repeat([]hammer.Ask{ask}, dnsClients)
}

// spelling is dnsName as only one client writes it, which to Consul is the same name, and to who shares answers is another.
func spelling(client int) string {
	letters := []byte(dnsName)
	for i, bit := 0, 1; bit < dnsClients; i++ {
		if letters[i] == '.' {
			continue
		}
		if client&bit != 0 {
			letters[i] -= 'a' - 'A'
		}
		bit <<= 1
	}
	return string(letters)
}

// askers ask for a service in Consul by the name that each client has for it, each on a socket of its own.
func (d *dataplane) askers(name func(client int) string) (asks []hammer.Ask, end func(), err error) {
	var conns []net.Conn
	end = func() {
		for _, conn := range conns {
			conn.Close()
		}
	}
	for client := range dnsClients {
		conn, err := net.Dial("udp", d.dns.String())
		if err != nil {
			end()
			return nil, nil, err
		}
		conns = append(conns, conn)
		ask, err := hammer.DNS(conn, name(client))
		if err != nil {
			end()
			return nil, nil, err
		}
		asks = append(asks, ask)
	}
	return asks, end, nil
}
