package bench

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
	"github.com/consulecs/terraform-provider-consulecs/internal/bench/hammer"
	"github.com/consulecs/terraform-provider-consulecs/internal/bench/netns"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

const (
	connections = 32
	warmUp      = 500 * time.Millisecond // of each round, not counted
)

// route is a way from a client's task to a server.
type route struct {
	name     string
	inside   *netns.Namespace // the client's task
	address  string
	rate     figures.Figure
	p50, p99 figures.Figure
}

// traffic loads a server through two Envoys, with one and with two worker threads each, and past them, in turn: so that
// what else happens on the machine hits all of them. The client is in the client's task.
func (b *bench) traffic(ctx context.Context) error {
	s, err := b.stage(ctx)
	if err != nil {
		return err
	}
	var routes []route
	for _, threads := range []int{1, 2} {
		pair, err := b.pair(ctx, s, threads)
		if err != nil {
			return err
		}
		defer pair.end()
		if threads == 1 {
			routes = append(routes, newRoute("direct", pair.inside, net.JoinHostPort(pair.server, fmt.Sprint(samplePort)), "", "77,000/s", "0.33 ms", ""))
		}
		name := fmt.Sprintf("through two Envoys of %d threads", threads)
		routes = append(routes, newRoute(name, pair.inside, "127.0.0.1:1234", "no worse than the incumbent", "20,700/s", "1.4 ms", "7 ms"))
	}
	for i := range b.Samples {
		for _, r := range routes {
			result, err := r.load(ctx, b.Round)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			b.say("round %d of %d, %s: %s", i+1, b.Samples, r.name, result)
			if result.Failed > 0 {
				return fmt.Errorf("%s: %d connections failed: %w", r.name, result.Failed, result.Err)
			}
			b.add(r.rate, result.Rate())
			b.add(r.p50, result.Milliseconds(0.5))
			b.add(r.p99, result.Milliseconds(0.99))
		}
	}
	return nil
}

// newRoute names the figures of a route; rate, p50 and p99 are the incumbent's.
func newRoute(name string, inside *netns.Namespace, address, goal, rate, p50, p99 string) route {
	figure := func(what, unit, incumbent string) figures.Figure {
		return figures.Figure{Name: fmt.Sprintf("%s, %d connections, %s", what, connections, name), Unit: unit, Goal: goal, Incumbent: incumbent}
	}
	return route{
		name: name, inside: inside, address: address,
		rate: figure("requests/s", "/s", rate), p50: figure("p50", "ms", p50), p99: figure("p99", "ms", p99),
	}
}

// load asks over all connections for d.
func (r route) load(ctx context.Context, d time.Duration) (hammer.Result, error) {
	var asks []hammer.Ask
	for range connections {
		conn, err := r.inside.Dial(ctx, "tcp", r.address)
		if err != nil {
			return hammer.Result{}, err
		}
		defer conn.Close()
		asks = append(asks, hammer.HTTP(conn, "/healthz"))
	}
	if _, err := hammer.Flat(ctx, warmUp, asks); err != nil {
		return hammer.Result{}, err
	}
	return hammer.Flat(ctx, d, asks)
}

// pair is a client's task and a server's.
type pair struct {
	inside *netns.Namespace // the client's
	server string           // its IP address
	end    func()
}

// pair starts a server and a client whose Envoys have so many worker threads.
func (b *bench) pair(ctx context.Context, s *stage, threads int) (p pair, err error) {
	b.say("a client and a server start, their Envoys with %d threads", threads)
	server, client := fmt.Sprintf("server-%d", threads), fmt.Sprintf("client-%d", threads)
	if err := s.catalog.Allow(ctx, client, server); err != nil {
		return p, err
	}
	var tasks []string
	for _, name := range []string{server, client} {
		spec := s.Spec(name, samplePort, fleet.App(name, fmt.Sprintf("0.0.0.0:%d", samplePort), "", false))
		spec.Proxy.Dataplane = &agentconfig.Dataplane{Concurrency: threads}
		if name == client {
			spec.Proxy.Upstreams = append(spec.Proxy.Upstreams, fleet.Upstream(server, 1234))
		}
		definition, err := s.Register(ctx, spec)
		if err != nil {
			return p, err
		}
		task, err := s.passing(ctx, definition)
		if err != nil {
			return p, err
		}
		tasks = append(tasks, aws.ToString(task.TaskArn))
		if name == server {
			p.server = fleet.IPAddress(task)
			continue
		}
		if p.inside, err = netns.Of(fleet.IPAddress(task)); err != nil {
			return p, err
		}
	}
	p.end = func() {
		p.inside.Close()
		for _, task := range tasks {
			if err := s.Stop(context.WithoutCancel(ctx), task); err != nil {
				b.say("task %s not stopped: %v", task, err)
			}
		}
	}
	_, err = eventually.Seen(ctx, client+" → "+server+" answers", limit, func() (string, error) {
		conn, err := p.inside.Dial(ctx, "tcp", "127.0.0.1:1234")
		if err != nil {
			return err.Error(), nil
		}
		defer conn.Close()
		if err := hammer.HTTP(conn, "/healthz")(); err != nil {
			return err.Error(), nil
		}
		return "", nil
	})
	return p, err
}
