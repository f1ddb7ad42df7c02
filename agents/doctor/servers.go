package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
)

func (f *facts) lookServers(ctx context.Context) Finding {
	servers, err := f.settings.Servers(ctx, f.log)
	if err != nil {
		return failed(err, "")
	}
	f.servers = servers
	var list []string
	for _, s := range servers {
		list = append(list, s.String())
	}
	return ok("%s", strings.Join(list, ", "))
}

// answer is what one server said, or why it said nothing.
type answer struct {
	server netip.Addr
	said   string
	err    error
}

// askAll asks all the servers at the same time. The order of the answers is that of the servers.
func (f *facts) askAll(ask func(netip.Addr) (string, error)) []answer {
	answers := make([]answer, len(f.servers))
	var group sync.WaitGroup
	for i, server := range f.servers {
		group.Go(func() {
			said, err := ask(server)
			answers[i] = answer{server, said, err}
		})
	}
	group.Wait()
	return answers
}

// serversFinding is what the answers come to: one server that does well is enough for a task, but not for good.
func serversFinding(answers []answer, otherwise string) Finding {
	var good, bad []string
	var first Finding // of the servers that did not do well
	for _, a := range answers {
		if a.err == nil {
			good = append(good, strings.TrimSpace(a.server.String()+" "+a.said))
			continue
		}
		finding := failed(a.err, otherwise)
		if bad == nil {
			first = finding
		}
		bad = append(bad, a.server.String()+": "+finding.Found)
	}
	switch {
	case len(bad) == 0:
		return ok("%s", strings.Join(good, ", "))
	case len(good) == 0:
		return fail(strings.Join(bad, "; "), first.Fix)
	}
	return warn(strings.Join(append(bad, "well: "+strings.Join(good, ", ")), "; "), first.Fix)
}

func (f *facts) lookGRPCPort(ctx context.Context) Finding { return f.lookPort(ctx, consul.PortGRPC) }
func (f *facts) lookHTTPPort(ctx context.Context) Finding { return f.lookPort(ctx, consul.PortHTTP) }

func (f *facts) lookPort(ctx context.Context, port consul.Port) Finding {
	return serversFinding(f.askAll(func(server netip.Addr) (string, error) {
		at := f.settings.At(port, server).Port()
		return fmt.Sprintf("port %d", at), explainDial(f.settings.Dial(ctx, port, server), port)
	}), "")
}

// explainDial adds what an operator can do where no connection came about.
func explainDial(err error, port consul.Port) error {
	var timeout net.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w\nhint: nothing listens there: see consulServers.%s.port, and the ports of the servers' configuration", err, port)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%w\nhint: let the servers' security group admit the task's, and see that there is a route", err)
	}
	return fmt.Errorf("%w\nhint: see consulServers.hosts and the task's routes", err)
}

func (f *facts) lookGRPCGreeting(ctx context.Context) Finding {
	return f.lookGreeting(ctx, consul.PortGRPC)
}

func (f *facts) lookHTTPGreeting(ctx context.Context) Finding {
	return f.lookGreeting(ctx, consul.PortHTTP)
}

func (f *facts) lookGreeting(ctx context.Context, port consul.Port) Finding {
	return serversFinding(f.askAll(func(server netip.Addr) (string, error) {
		shaken, err := f.settings.Greet(ctx, port, server)
		if err != nil || !shaken.TLS {
			return "plain text, as configured", err
		}
		said := "certificate good until " + shaken.Expires.UTC().Format(time.DateOnly)
		if shaken.ServerName != "" {
			said += " for " + shaken.ServerName
		}
		return said, nil
	}), "see what listens at the port, and what stands between it and the task")
}

func (f *facts) lookLeader(ctx context.Context) Finding {
	return serversFinding(f.askAll(func(server netip.Addr) (string, error) {
		leader, err := f.settings.Leader(ctx, server)
		return "follows " + leader, err
	}), "see the log of Consul's servers")
}
