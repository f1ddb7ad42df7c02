package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/process"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/wire"
	"github.com/consulecs/terraform-provider-consulecs/internal/zones"
)

const (
	zonesRate    = 200 // requests a second of each caller
	zonesService = "api"
	zonesSplit   = 500 // services whose endpoints are split
)

// zones has two tasks in zone a call a service that has two instances there and two in b: one of them prefers its zone. Then the two
// instances in a are killed, and Consul is not told.
func (b *bench) zones(ctx context.Context) error {
	if err := b.splitting(); err != nil {
		return err
	}
	for i := range b.Samples {
		if err := withConsul(ctx, testenv.ConsulConfig{}, func(c *testenv.Consul) error {
			w := &zonesWorld{bench: b, consul: c}
			defer w.end()
			return w.play(ctx)
		}); err != nil {
			return err
		}
		b.say("%d of %d zones lost", i+1, b.Samples)
	}
	return nil
}

// splitting times how the endpoints of many services are split, three of each.
func (b *bench) splitting() error {
	networks, err := zones.ParseNetworks(map[string]string{"10.0.1.0/24": "a", "10.0.2.0/24": "b"})
	if err != nil {
		return err
	}
	var came [][]byte
	for i := range zonesSplit {
		name := fmt.Sprintf("upstream-%d.default.dc1.internal.4a8c2ef0-97c1-4a7d-8e0c-6d53bff1d8f3.consul", i)
		group := new(wire.Message)
		for n, subnet := range []int{1, 2, 2} {
			socket := new(wire.Message).SetText(2, fmt.Sprintf("10.0.%d.%d", subnet, n+1)).SetUint(3, mesh.PortPublicListener)
			group.Add(2, new(wire.Message).Set(1, new(wire.Message).Set(1, new(wire.Message).Set(1, socket))).SetUint(2, 1).SetWrapped(4, 1))
		}
		came = append(came, new(wire.Message).SetText(1, name).Add(2, group).Bytes())
	}
	for range b.Samples {
		split := zones.New(zones.Settings{Own: zones.Locality{Zone: "a"}, Networks: networks, Datacenter: "dc1"}).Shape(zones.TypeEndpoints)
		begin := processorTime()
		for _, data := range came {
			m, err := wire.Parse(data)
			if err == nil {
				err = split(m)
			}
			if err != nil {
				return err
			}
			m.Bytes()
		}
		b.add(figures.Figure{Name: fmt.Sprintf("endpoints of %d services, split by zone, processor time", zonesSplit), Unit: "ms", Goal: "< 5 ms"}, (processorTime()-begin).Seconds()*1000)
	}
	return nil
}

// zonesWorld is what the tasks are made of.
type zonesWorld struct {
	*bench
	consul *testenv.Consul
	ca     string // file of the CA of the servers' HTTP API
	ends   []func()
}

// end ends what was started.
func (w *zonesWorld) end() {
	for _, end := range w.ends {
		end()
	}
}

func (w *zonesWorld) play(ctx context.Context) error {
	dir, err := os.MkdirTemp(w.Dir, "zones-")
	if err != nil {
		return err
	}
	w.ends = append(w.ends, func() { _ = os.RemoveAll(dir) })
	w.ca = filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(w.ca, []byte(w.consul.CAPEM), 0o600); err != nil {
		return err
	}
	instances := map[string]*process.Child{}
	for i, name := range []string{"a1", "a2", "b1", "b2"} {
		child, _, err := w.start(ctx, zonesService, name, netip.AddrFrom4([4]byte{127, 9, 0, byte(i + 1)}), false)
		if err != nil {
			return err
		}
		instances[name] = child
	}
	callers := map[string]netip.AddrPort{}
	for i, name := range []string{"with", "without"} {
		_, at, err := w.start(ctx, name, "a-"+name, netip.AddrFrom4([4]byte{127, 9, 1, byte(i + 1)}), name == "with")
		if err != nil {
			return err
		}
		callers[name] = at
	}
	if err := permit(ctx, w.consul, zonesService, "with", "without"); err != nil {
		return err
	}
	for name, at := range callers {
		if _, err := eventually.Seen(ctx, name+" reaches the service", limit, func() (string, error) { _, err := call(at); return "", err }); err != nil {
			return err
		}
	}
	if !sleep.For(ctx, time.Second) { // until zones are known
		return context.Cause(ctx)
	}
	for name, got := range w.load(ctx, callers, func() {}) {
		w.add(figures.Figure{Name: "requests into another zone, " + name + " a preference", Unit: "%", Goal: map[string]string{"with": "0 %"}[name]}, 100*float64(got.elsewhere)/float64(got.sent))
	}
	for name, got := range w.load(ctx, callers, func() {
		for _, instance := range []string{"a1", "a2"} {
			_ = instances[instance].Signal(syscall.SIGKILL) // its Envoy dies with it
		}
	}) {
		w.say("%s a preference: %d of %d requests lost with the zone", name, got.lost, got.sent)
		w.add(figures.Figure{Name: "requests lost when a zone dies, " + name + " a preference", Goal: map[string]string{"with": "≤ 2 × without"}[name]}, float64(got.lost))
	}
	return nil
}

// call asks who answers.
func call(at netip.AddrPort) (string, error) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + at.String())
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(body), err
}

// crossing is what became of a caller's requests.
type crossing struct{ sent, lost, elsewhere int }

// load has all callers call for a round, in the midst of which something happens.
func (w *zonesWorld) load(ctx context.Context, callers map[string]netip.AddrPort, happens func()) map[string]crossing {
	got := map[string]crossing{}
	var mu sync.Mutex
	var all sync.WaitGroup
	tick := time.NewTicker(time.Second / zonesRate)
	defer tick.Stop()
	begin, happened := time.Now(), false
	for ctx.Err() == nil && time.Since(begin) < w.Round {
		if !happened && time.Since(begin) > w.Round/4 {
			happens()
			happened = true
		}
		for name, at := range callers {
			all.Go(func() {
				who, err := call(at)
				mu.Lock()
				defer mu.Unlock()
				sum := got[name]
				sum.sent++
				switch {
				case err != nil:
					sum.lost++
				case who[0] != 'a':
					sum.elsewhere++
				}
				got[name] = sum
			})
		}
		<-tick.C
	}
	all.Wait()
	return got
}

// start starts a dataplane for an instance of a service in the zone that its name begins with, and an application that answers with
// that name. It returns where the instance reaches zonesService.
func (w *zonesWorld) start(ctx context.Context, service, name string, host netip.Addr, prefer bool) (child *process.Child, upstream netip.AddrPort, err error) {
	at, err := loopbacks(2)
	if err != nil {
		return nil, upstream, err
	}
	public, upstream := netip.AddrPortFrom(host, at[0].Port()), at[1]
	app := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, name) }))
	w.ends = append(w.ends, app.Close)
	speaksHTTP := map[string]any{"protocol": "http"}
	token, err := registerAt(ctx, w.consul, &api.Locality{Region: "r", Zone: name[:1]}, service, name, public, func(p *api.AgentServiceConnectProxyConfig) {
		p.LocalServicePort, p.Config = app.Listener.Addr().(*net.TCPAddr).Port, speaksHTTP
		if service != zonesService {
			p.Upstreams = []api.Upstream{{DestinationName: zonesService, LocalBindAddress: upstream.Addr().String(), LocalBindPort: int(upstream.Port()), Config: speaksHTTP}}
		}
	})
	if err != nil {
		return nil, upstream, err
	}
	child, err = w.runDataplane(ctx, w.consul, mesh.ServiceID(service, name), token, func(f *dataplanefile.File) {
		if prefer {
			f.Locality = &dataplanefile.Locality{Region: "r", Zone: "a", HTTP: &dataplanefile.HTTP{Port: w.consul.HTTPPort, ServerName: w.consul.ServerName, CACertsPath: w.ca}}
		}
	})
	if err != nil {
		return nil, upstream, err
	}
	w.ends = append(w.ends, func() { killed(child) })
	return child, upstream, nil
}
