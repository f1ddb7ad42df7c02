package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"
	"github.com/miekg/dns"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
	"github.com/consulecs/terraform-provider-consulecs/internal/bench/hammer"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/link"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
	"github.com/consulecs/terraform-provider-consulecs/internal/xds"
)

// The two services with an application: one is called by name, the other one at a port.
const (
	byName = "by-name"
	byPort = "by-port"

	namesConnections = 16
)

// names measures calls by name beside calls at a port, with one application and as many other services as a proxy has upstreams.
func (b *bench) names(ctx context.Context) error {
	return withConsul(ctx, testenv.ConsulConfig{}, func(c *testenv.Consul) (err error) {
		tools, err := toolcache.Find()
		if err != nil {
			return err
		}
		at, err := loopbacks(3)
		if err != nil {
			return err
		}
		app, port, name := at[0], at[1], at[2]
		server := &http.Server{Addr: app.String(), ReadHeaderTimeout: limit, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })}
		go func() { _ = server.ListenAndServe() }() // who asks it tells
		defer server.Close()
		b.say("Consul gets %d services", b.Upstreams)
		f := configuring{consul: c, envoy: tools.Envoy, upstreams: b.Upstreams}
		if err := errors.Join(f.services(ctx), permitAll(ctx, c)); err != nil {
			return err
		}
		for _, service := range []string{byName, byPort} {
			d, err := b.startDataplane(ctx, c, service, func(p *api.AgentServiceConnectProxyConfig) { p.LocalServicePort = int(app.Port()) }, func(*dataplanefile.File) {})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.end()) }()
		}
		d, err := b.startDataplane(ctx, c, caller, func(p *api.AgentServiceConnectProxyConfig) {
			p.Mode = api.ProxyModeTransparent
			p.Upstreams = []api.Upstream{{DestinationName: byPort, LocalBindPort: int(port.Port())}}
		}, func(file *dataplanefile.File) { file.Names = &dataplanefile.Names{Ports: []int{int(name.Port())}} })
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.end()) }()
		f.token = d.token
		return errors.Join(b.rewrite(ctx, f, d), b.answers(ctx, d), b.requests(ctx, d, name.Port(), port))
	})
}

// permitAll lets the caller call every service, all of which speak HTTP.
func permitAll(ctx context.Context, c *testenv.Consul) error {
	for _, entry := range []api.ConfigEntry{
		&api.ProxyConfigEntry{Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal, Config: map[string]any{"protocol": "http"}},
		&api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: "*", Sources: []*api.SourceIntention{{Name: caller, Action: api.IntentionActionAllow}}},
	} {
		if _, _, err := c.API.ConfigEntries().Set(entry, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// rewrite times what is done with each listener of Consul's, on one that it has sent.
func (b *bench) rewrite(ctx context.Context, f configuring, d *dataplane) error {
	var sent sync.Map
	proxy, err := xds.Start(netip.MustParseAddrPort("127.0.0.1:0"), link.Link{
		Conn: d.consul, Token: func() string { return f.token }, Replaced: func(string) <-chan struct{} { return nil },
		Renew: func(context.Context, string) error { return errors.New("the token was refused") },
	}, hclog.NewNullLogger())
	if err != nil {
		return err
	}
	defer proxy.Close()
	proxy.Shape(func(typeURL string) func(*wire.Message) error {
		if typeURL != xds.TypeListener {
			return nil
		}
		return func(listener *wire.Message) error {
			if names.IsOutbound(listener.Text(1)) {
				sent.Store(len(listener.Contents(3)), listener.Bytes())
			}
			return xds.ErrLeftOut // another Envoy has the ports
		}
	})
	if _, err := f.run(ctx, proxy.Addr(), func(bootstrap []byte) ([]byte, error) { return bootstrap, nil }); err != nil {
		return err
	}
	most, listener := 0, []byte(nil)
	sent.Range(func(chains, data any) bool {
		if n := chains.(int); n > most {
			most, listener = n, data.([]byte)
		}
		return true
	})
	if most < b.Upstreams {
		return fmt.Errorf("the listener has %d chains, want %d or more", most, b.Upstreams)
	}
	const times = 20 // of each sample
	addresses := names.NewAddresses()
	for range b.Samples {
		began := time.Now()
		for range times {
			m, err := wire.Parse(listener)
			if err != nil {
				return err
			}
			if _, err := names.Rewrite(m, []uint16{80}, addresses, names.Scope{}); err != nil {
				return err
			}
			m.Bytes()
		}
		b.add(figures.Figure{Name: fmt.Sprintf("listener with %d names rewritten", b.Upstreams), Unit: "ms", Goal: "< 5 ms"}, time.Since(began).Seconds()*1000/times)
	}
	b.say("%d chains, %d bytes", most, len(listener))
	return nil
}

// answers asks for a name that the listener has, at a steady rate and as fast as answers come.
func (b *bench) answers(ctx context.Context, d *dataplane) error {
	if err := b.awaitName(ctx, d); err != nil {
		return err
	}
	asks, end, err := d.askers(func(int) string { return byName + ".virtual.consul" })
	if err != nil {
		return err
	}
	defer end()
	if _, err := hammer.Flat(ctx, warmUp, asks); err != nil {
		return err
	}
	for i := range b.Samples {
		steady, err := hammer.Steady(ctx, b.Round, dnsRate, asks)
		if err != nil {
			return err
		}
		flat, err := hammer.Flat(ctx, b.Round, asks)
		if err != nil {
			return err
		}
		b.say("round %d of %d: %d/s asked: %s; as fast as answers come: %s", i+1, b.Samples, dnsRate, steady, flat)
		if err := errors.Join(steady.Err, flat.Err); err != nil {
			return err
		}
		b.add(figures.Figure{Name: fmt.Sprintf("names of the listener asked for %d times a second, p99", dnsRate), Unit: "ms", Goal: "< 1 ms"}, steady.Milliseconds(0.99))
		b.add(figures.Figure{Name: fmt.Sprintf("names of the listener, %d clients without a pause, answers/s", dnsClients), Unit: "/s", Goal: "100,000/s"}, flat.Rate())
	}
	return nil
}

func (b *bench) awaitName(ctx context.Context, d *dataplane) error {
	_, err := eventually.Seen(ctx, "the name has an address", limit, func() (string, error) {
		_, err := d.resolve(ctx)
		return "", err
	})
	return err
}

// resolve is the address of the service that is called by name.
func (d *dataplane) resolve(ctx context.Context) (netip.Addr, error) {
	query := new(dns.Msg).SetQuestion(byName+".virtual.consul.", dns.TypeA)
	answer, _, err := new(dns.Client).ExchangeContext(ctx, query, d.dns.String())
	if err != nil {
		return netip.Addr{}, err
	}
	for _, record := range answer.Answer {
		if a, ok := record.(*dns.A); ok {
			return netip.ParseAddr(a.A.String())
		}
	}
	return netip.Addr{}, errors.New("no address")
}

// requests asks the same application by name and at a port, in turn.
func (b *bench) requests(ctx context.Context, d *dataplane, namePort uint16, port netip.AddrPort) error {
	address, err := d.resolve(ctx)
	if err != nil {
		return err
	}
	ways := []struct{ what, address string }{
		{"by name", net.JoinHostPort(address.String(), strconv.Itoa(int(namePort)))}, {"by a port", port.String()},
	}
	for i := range b.Samples {
		if i%2 == 1 {
			slices.Reverse(ways)
		}
		rates := map[string]float64{}
		for _, way := range ways {
			result, err := loadFrom(ctx, way.address, b.Round)
			if err != nil {
				return fmt.Errorf("%s: %w", way.what, err)
			}
			b.say("round %d of %d, %s: %s", i+1, b.Samples, way.what, result)
			rates[way.what] = result.Rate()
			b.add(figures.Figure{Name: fmt.Sprintf("requests/s, %d connections, two Envoys, %s", namesConnections, way.what), Unit: "/s"}, result.Rate())
			b.add(figures.Figure{Name: fmt.Sprintf("p99, %d connections, two Envoys, %s", namesConnections, way.what), Unit: "ms"}, result.Milliseconds(0.99))
		}
		b.add(figures.Figure{Name: "requests/s by name, of those by a port", Unit: "%", Goal: "> 97 %"}, 100*rates["by name"]/rates["by a port"])
	}
	return nil
}

// loadFrom asks at the address over connections of its own.
func loadFrom(ctx context.Context, address string, d time.Duration) (hammer.Result, error) {
	var asks []hammer.Ask
	for range namesConnections {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return hammer.Result{}, err
		}
		defer conn.Close()
		asks = append(asks, hammer.HTTP(conn, "/"))
	}
	return flatAfterWarmUp(ctx, d, asks)
}

// flatAfterWarmUp asks without a pause, after a while that does not count.
func flatAfterWarmUp(ctx context.Context, d time.Duration, asks []hammer.Ask) (hammer.Result, error) {
	if _, err := hammer.Flat(ctx, warmUp, asks); err != nil {
		return hammer.Result{}, err
	}
	result, err := hammer.Flat(ctx, d, asks)
	return result, errors.Join(err, result.Err)
}
