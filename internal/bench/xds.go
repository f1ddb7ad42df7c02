package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/link"
	"github.com/consulecs/terraform-provider-consulecs/internal/envoy"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
	"github.com/consulecs/terraform-provider-consulecs/internal/xds"
)

// bound is where the listeners of the proxy with many upstreams are: a loopback address that nobody else uses.
const bound = "127.0.0.77"

// configuring is what the first configurations are made of.
type configuring struct {
	consul    *testenv.Consul
	server    netip.AddrPort // Consul's gRPC
	envoy     string         // the program
	token     string
	upstreams int
}

// xds times the first configuration of a proxy with many upstreams, in turn through our xDS proxy and straight from Consul.
// Both ways are in plain text, so that they differ by the proxy alone: with TLS, Envoy's own work would be another too.
func (b *bench) xds(ctx context.Context) error {
	return withConsul(ctx, testenv.ConsulConfig{Plaintext: true}, func(c *testenv.Consul) error {
		tools, err := toolcache.Find()
		if err != nil {
			return err
		}
		b.say("Consul gets %d services", b.Upstreams)
		f := configuring{consul: c, envoy: tools.Envoy, upstreams: b.Upstreams}
		f.server = netip.AddrPortFrom(netip.MustParseAddr(c.Address), uint16(c.GRPCPort))
		if f.token, err = f.populate(ctx); err != nil {
			return err
		}
		return b.configure(ctx, f)
	})
}

func (b *bench) configure(ctx context.Context, f configuring) error {
	name := fmt.Sprintf("first configuration of %d upstreams", f.upstreams)
	for i := range b.Samples {
		var straight, through configuration
		ways := []func() error{
			func() (err error) { straight, err = f.straight(ctx); return err },
			func() (err error) { through, err = f.through(ctx); return err },
		}
		if i%2 == 1 {
			slices.Reverse(ways) // what Consul still knows of the last one helps the next
		}
		for _, way := range ways {
			if err := way(); err != nil {
				return err
			}
		}
		b.say("%d of %d: through the xDS proxy %s, straight %s", i+1, b.Samples, through, straight)
		b.add(figures.Figure{Name: name + ", through the xDS proxy", Unit: "s"}, through.took.Seconds())
		b.add(figures.Figure{Name: name + ", straight from Consul", Unit: "s"}, straight.took.Seconds())
		b.add(figures.Figure{Name: name + ", xDS proxy's share by the clock", Unit: "%", Goal: "< 5 %"}, 100*share(through.took-straight.took, through.took))
		b.add(figures.Figure{Name: name + ", xDS proxy's share by its processor time", Unit: "%", Goal: "< 5 %"}, 100*share(through.own-straight.own, through.took))
	}
	return nil
}

func share(of, all time.Duration) float64 { return float64(of) / float64(all) }

// populate fills Consul with services that have a proxy each, and with one that calls all of them. It returns a token of
// that one.
func (f configuring) populate(ctx context.Context) (token string, err error) {
	if err := f.services(ctx); err != nil {
		return "", err
	}
	var all []api.Upstream
	for i := range f.upstreams {
		all = append(all, api.Upstream{DestinationName: upstream(i), LocalBindAddress: bound, LocalBindPort: 10000 + i})
	}
	return registerTask(ctx, f.consul, caller, taskID, netip.AddrPortFrom(netip.MustParseAddr(bound), mesh.PortPublicListener),
		func(proxy *api.AgentServiceConnectProxyConfig) { proxy.Upstreams = all })
}

// services fills Consul with services that have a proxy each.
func (f configuring) services(ctx context.Context) error {
	const atOnce = 8
	var group sync.WaitGroup
	errs := make([]error, atOnce)
	for worker := range atOnce {
		group.Go(func() {
			for i := worker; i < f.upstreams && errs[worker] == nil; i += atOnce {
				errs[worker] = register(ctx, f.consul, &api.AgentService{
					ID: mesh.ProxyID(mesh.ServiceID(upstream(i), taskID)), Service: mesh.ProxyName(upstream(i)), Kind: api.ServiceKindConnectProxy,
					Address: fmt.Sprintf("10.1.%d.%d", i/250, i%250+1), Port: mesh.PortPublicListener,
					Proxy: &api.AgentServiceConnectProxyConfig{DestinationServiceName: upstream(i)},
				})
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func upstream(i int) string { return fmt.Sprintf("upstream-%d", i) }

// configuration is how a first configuration went.
type configuration struct {
	took time.Duration // from Envoy's start until it serves
	own  time.Duration // processor time of this process meanwhile: the xDS proxy's, where there is one, and that of waiting
}

func (c configuration) String() string {
	return fmt.Sprintf("%s (own processor time %s)", c.took.Round(time.Millisecond), c.own.Round(time.Millisecond))
}

// through has Envoy configured through our xDS proxy.
func (f configuring) through(ctx context.Context) (configuration, error) {
	conn, err := grpc.NewClient(f.server.String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return configuration{}, err
	}
	defer conn.Close()
	proxy, err := xds.Start(netip.MustParseAddrPort("127.0.0.1:0"), link.Link{
		Conn: conn, Token: func() string { return f.token },
		Replaced: func(string) <-chan struct{} { return nil },
		Renew:    func(context.Context, string) error { return errors.New("the token was refused") },
	}, hclog.NewNullLogger())
	if err != nil {
		return configuration{}, err
	}
	defer proxy.Close()
	c, err := f.run(ctx, proxy.Addr(), func(bootstrap []byte) ([]byte, error) { return bootstrap, nil })
	if err != nil {
		return c, fmt.Errorf("through the xDS proxy: %w", err)
	}
	return c, nil
}

// straight has Envoy configured by Consul itself, with the token in the bootstrap.
func (f configuring) straight(ctx context.Context) (configuration, error) {
	c, err := f.run(ctx, f.server, func(bootstrap []byte) ([]byte, error) { return withToken(bootstrap, f.token) })
	if err != nil {
		return c, fmt.Errorf("straight from Consul: %w", err)
	}
	return c, nil
}

// withToken has Envoy send a token with its stream.
func withToken(bootstrap []byte, token string) ([]byte, error) {
	var all map[string]any
	if err := json.Unmarshal(bootstrap, &all); err != nil {
		return nil, err
	}
	dynamic, _ := all["dynamic_resources"].(map[string]any)
	ads, _ := dynamic["ads_config"].(map[string]any)
	services, _ := ads["grpc_services"].([]any)
	if len(services) != 1 {
		return nil, errors.New("the bootstrap has no single ADS service")
	}
	service, _ := services[0].(map[string]any)
	service["initial_metadata"] = []any{map[string]any{"key": "x-consul-token", "value": token}}
	return json.Marshal(all)
}

// run starts an Envoy that gets its configuration at source, and ends it once it serves.
func (f configuring) run(ctx context.Context, source netip.AddrPort, change func(bootstrap []byte) ([]byte, error)) (c configuration, err error) {
	at, err := loopbacks(2)
	if err != nil {
		return c, err
	}
	admin, ready := at[0], at[1]
	bootstrap, err := envoy.Bootstrap{
		ProxyID: mesh.ProxyID(mesh.ServiceID(caller, taskID)), Service: caller, NodeName: node, XDS: source, Admin: admin, Ready: ready,
	}.JSON()
	if err != nil {
		return c, err
	}
	if bootstrap, err = change(bootstrap); err != nil {
		return c, err
	}
	own, begin := processorTime(), time.Now()
	child, err := envoy.Start(bootstrap, envoy.Settings{Path: f.envoy, Concurrency: 1, LogLevel: "error"})
	if err != nil {
		return c, err
	}
	defer func() {
		_ = child.Signal(syscall.SIGKILL) // an error: it has ended
		<-child.Done()
	}()
	if err := awaitEnvoy(ctx, ready, child.Done()); err != nil {
		return c, fmt.Errorf("%w; Envoy's last lines:\n\t%s", err, strings.Join(child.LastLines(), "\n\t"))
	}
	c = configuration{took: time.Since(begin), own: processorTime() - own}
	return c, f.complete(ctx, admin)
}

// complete checks that the configuration is the whole one: every upstream has its endpoint.
func (f configuring) complete(ctx context.Context, admin netip.AddrPort) error {
	var page bytes.Buffer
	if err := envoy.NewAdmin(admin).Metrics(ctx, "filter="+url.QueryEscape(`membership_total$`), &page); err != nil {
		return err
	}
	if n := endpoints(page.String()); n != f.upstreams {
		return fmt.Errorf("envoy serves with %d upstreams that have an endpoint, want %d", n, f.upstreams)
	}
	return nil
}

// endpoints counts the upstreams that have one endpoint, in a page of Envoy's metrics.
func endpoints(page string) (n int) {
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "envoy_cluster_membership_total{") && strings.Contains(line, `consul_destination_service="upstream-`) && strings.HasSuffix(line, "} 1\n") {
			n++
		}
	}
	return n
}

// processorTime is this process's so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // cannot be: the arguments are right
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
