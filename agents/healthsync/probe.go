package healthsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

const (
	probeTimeout  = time.Second
	probePoll     = 100 * time.Millisecond // until a container has been ready once
	probeAgain    = 3 * slowPoll           // after that
	probePatience = 3                      // failures in a row that make a ready container unready
)

// probes are the readiness probes of a task, by container.
type probes map[string]*probe

// probe asks one container. What it knows is of one run of the container: after a restart it begins anew.
type probe struct {
	try func(context.Context) error

	run      string    // which one of the container's
	ready    bool      // it was, and has not failed too often since
	failures int       // in a row
	problem  string    // of the last try
	next     time.Time // when to try again
}

func newProbes(cfg agentconfig.Config) probes {
	all := probes{}
	host := cmp.Or(cfg.ProxySettings().LocalServiceAddress, "127.0.0.1")
	for _, p := range cfg.ReadinessProbes {
		all[p.Container] = &probe{try: tryOf(p, net.JoinHostPort(host, strconv.Itoa(p.Port)))}
	}
	return all
}

// ask returns what is wrong with each container that has a probe, runs, and on which ECS has no verdict; "" for nothing.
func (ps probes) ask(ctx context.Context, task taskmeta.Task) map[string]string {
	found := map[string]string{}
	for name, p := range ps {
		c, there := task.Container(name)
		if !there || !c.Running() || hasVerdict(c) {
			p.run, p.problem = "", ""
			continue
		}
		found[name] = p.ask(ctx, fmt.Sprint(c.StartedAt, c.RestartCount))
	}
	return found
}

// pending reports whether a container that was asked has not been ready yet.
func (ps probes) pending() bool {
	for _, p := range ps {
		if p.run != "" && !p.ready {
			return true
		}
	}
	return false
}

// ask tries if it is time to, and returns what is wrong.
func (p *probe) ask(ctx context.Context, run string) string {
	if p.run != run {
		p.run, p.ready, p.failures, p.problem, p.next = run, false, 0, "", time.Time{}
	}
	if time.Now().Before(p.next) {
		return p.problem
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err := p.try(ctx)
	switch {
	case err == nil:
		p.ready, p.failures, p.problem, p.next = true, 0, "", time.Now().Add(probeAgain)
	case p.ready && p.failures+1 < probePatience:
		p.failures++
	default:
		p.ready, p.problem = false, err.Error()
	}
	return p.problem
}

// tryOf is one try of the probe at addr.
func tryOf(p agentconfig.ReadinessProbe, addr string) func(context.Context) error {
	switch p.Type {
	case "http":
		return func(ctx context.Context) error { return getOnce(ctx, "http://"+addr+cmp.Or(p.Path, "/")) }
	case "grpc":
		return func(ctx context.Context) error { return askHealth(ctx, addr, p.Service) }
	default:
		return func(ctx context.Context) error {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			if err != nil {
				return err
			}
			return conn.Close()
		}
	}
}

// loopback reaches the application without a proxy, without redirects, on a connection of each request's own.
var loopback = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func getOnce(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := loopback.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return nil
}

func askHealth(ctx context.Context, addr, service string) error {
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		return err
	}
	defer conn.Close()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	switch {
	case err != nil:
		return err
	case answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING:
		return errors.New("the gRPC health service answers " + answer.GetStatus().String())
	}
	return nil
}
