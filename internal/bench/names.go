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
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/procs"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
	"github.com/consulecs/terraform-provider-consulecs/internal/xds"
)

// The two services with an application: one is called by name, the other one at a port, also by a caller that calls nobody by name.
const (
	byName       = "by-name"
	byPort       = "by-port"
	listedCaller = "web-listed"

	namesConnections = 16
)

// names measures calls by name beside calls at a port, with one application and as many other services as a proxy has upstreams. At first
// callers may call that application alone, and then every service.
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
		if err := errors.Join(f.services(ctx), speakHTTP(ctx, c), permit(ctx, c, byName, caller), permit(ctx, c, byPort, caller, listedCaller)); err != nil {
			return err
		}
		for _, service := range []string{byName, byPort} {
			d, err := b.startDataplane(ctx, c, service, func(p *api.AgentServiceConnectProxyConfig) { p.LocalServicePort = int(app.Port()) }, func(*dataplanefile.File) {})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.end()) }()
		}
		calls := callerByName(name.Port(), port)
		few, err := b.callersStart(ctx, c, calls, callerAtPort(port))
		if err != nil {
			return err
		}
		if err := permit(ctx, c, "*", caller); err != nil {
			return err
		}
		d, err := b.startDataplane(ctx, c, calls.service, calls.proxy, calls.file)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.end()) }()
		f.token = d.token
		return errors.Join(b.rewrite(ctx, f, d), b.memoryOfNames(ctx, d, few), b.answers(ctx, d), b.requests(ctx, d, name.Port(), port))
	})
}

// speakHTTP has all services speak HTTP.
func speakHTTP(ctx context.Context, c *testenv.Consul) error {
	_, _, err := c.API.ConfigEntries().Set(&api.ProxyConfigEntry{Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal, Config: map[string]any{"protocol": "http"}},
		(&api.WriteOptions{}).WithContext(ctx))
	return err
}

// permit lets callers call a service, which may be all, "*".
func permit(ctx context.Context, c *testenv.Consul, service string, callers ...string) error {
	entry := &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: service}
	for _, name := range callers {
		entry.Sources = append(entry.Sources, &api.SourceIntention{Name: name, Action: api.IntentionActionAllow})
	}
	_, _, err := c.API.ConfigEntries().Set(entry, (&api.WriteOptions{}).WithContext(ctx))
	return err
}

// calling is a task that calls a service: what Consul and its agent know of it, and where the service is, by its DNS.
type calling struct {
	what, service string
	proxy         func(*api.AgentServiceConnectProxyConfig)
	file          func(*dataplanefile.File)
	at            func(ctx context.Context, resolver netip.AddrPort) (string, error)
}

// callerByName calls one service by name, and has another one listed.
func callerByName(namePort uint16, port netip.AddrPort) calling {
	listed := callerAtPort(port)
	return calling{"by name", caller,
		func(p *api.AgentServiceConnectProxyConfig) {
			listed.proxy(p)
			p.Mode = api.ProxyModeTransparent
		},
		func(file *dataplanefile.File) { file.Names = &dataplanefile.Names{Ports: []int{int(namePort)}} },
		func(ctx context.Context, resolver netip.AddrPort) (string, error) {
			address, err := resolve(ctx, resolver)
			return net.JoinHostPort(address.String(), strconv.Itoa(int(namePort))), err
		},
	}
}

// callerAtPort calls a service that is listed.
func callerAtPort(port netip.AddrPort) calling {
	return calling{"by a port", listedCaller,
		func(p *api.AgentServiceConnectProxyConfig) {
			p.Upstreams = []api.Upstream{{DestinationName: byPort, LocalBindPort: int(port.Port())}}
		},
		func(*dataplanefile.File) {},
		func(context.Context, netip.AddrPort) (string, error) { return port.String(), nil },
	}
}

// callersStart starts each of the callers in turn, and times it from its agent's start until its first request is answered. It returns
// what those by name take of memory.
func (b *bench) callersStart(ctx context.Context, c *testenv.Consul, callers ...calling) (byNames []taken, err error) {
	for i := range b.Samples {
		for _, k := range callers {
			var began time.Time
			answered := make(chan error, 1)
			d, err := b.startDataplane(ctx, c, k.service, k.proxy, func(file *dataplanefile.File) {
				k.file(file)
				resolver := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(*file.DNSServer.BindPort))
				began = time.Now()
				go func() { answered <- answer(ctx, func() (string, error) { return k.at(ctx, resolver) }) }()
			})
			if err != nil {
				return nil, err
			}
			err = <-answered
			took := time.Since(began)
			b.say("%d of %d started, its first request %s answered after %s", i+1, b.Samples, k.what, took.Round(time.Millisecond))
			b.add(figures.Figure{Name: "dataplane agent's start → first request answered, " + k.what, Unit: "s"}, took.Seconds())
			if err == nil && k.service == caller {
				var t taken
				t, err = b.takes(ctx, d)
				byNames = append(byNames, t)
			}
			if err := errors.Join(err, d.end()); err != nil {
				return nil, err
			}
		}
		slices.Reverse(callers) // what Consul still knows of the last one helps the next
	}
	return byNames, nil
}

// answer asks at an address, on a connection of its own each time, until it is answered.
func answer(ctx context.Context, at func() (string, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := func() error {
			address, err := at()
			if err != nil {
				return err
			}
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err != nil {
				return err
			}
			defer conn.Close()
			return hammer.HTTP(conn, "/")()
		}()
		if err == nil {
			return nil
		}
		if !sleep.For(ctx, time.Millisecond) {
			return fmt.Errorf("no answer within %s: %w", limit, err)
		}
	}
}

// taken is what a dataplane takes of memory, in bytes.
type taken struct{ agent, envoy int64 }

// takes looks at a dataplane once its agent has given back what its start needed.
func (b *bench) takes(ctx context.Context, d *dataplane) (t taken, err error) {
	if !sleep.For(ctx, 3*time.Second) {
		return t, context.Cause(ctx)
	}
	envoys, err := procs.Children(d.child.PID())
	if err != nil {
		return t, err
	}
	if len(envoys) != 1 {
		return t, fmt.Errorf("the dataplane has %d children, want Envoy alone", len(envoys))
	}
	if t.agent, err = procs.Resident(d.child.PID()); err != nil {
		return t, err
	}
	t.envoy, err = procs.Resident(envoys[0])
	return t, err
}

// memoryOfNames compares a dataplane with such that have one name.
func (b *bench) memoryOfNames(ctx context.Context, d *dataplane, few []taken) error {
	many, err := b.takes(ctx, d)
	if err != nil {
		return err
	}
	b.say("with %d names the agent takes %d MiB and Envoy %d MiB", b.Upstreams+1, many.agent/mebibyte, many.envoy/mebibyte)
	for _, one := range few {
		b.add(figures.Figure{Name: "memory of a name, Envoy's", Unit: "KiB"}, float64(many.envoy-one.envoy)/kibibyte/float64(b.Upstreams))
		b.add(figures.Figure{Name: "memory of a name, the agent's", Unit: "KiB"}, float64(many.agent-one.agent)/kibibyte/float64(b.Upstreams))
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
		_, err := resolve(ctx, d.dns)
		return "", err
	})
	return err
}

// resolve is the address of the service that is called by name, by the DNS of its caller.
func resolve(ctx context.Context, at netip.AddrPort) (netip.Addr, error) {
	query := new(dns.Msg).SetQuestion(byName+".virtual.consul.", dns.TypeA)
	answer, _, err := new(dns.Client).ExchangeContext(ctx, query, at.String())
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
	address, err := resolve(ctx, d.dns)
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
