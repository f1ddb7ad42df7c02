package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

const noPort = "service.port is 0: the task only calls others"

func (f *facts) lookApp(ctx context.Context) Finding {
	return f.eachService(func(pair agentconfig.Pair) Finding { return f.lookAppOf(ctx, pair) })
}

// eachService is what is found of the task's services: of the first that something is wrong with, else of the first.
func (f *facts) eachService(look func(agentconfig.Pair) Finding) Finding {
	var first Finding
	for i, pair := range f.cfg.Pairs("") {
		found := look(pair)
		if i > 0 && found.Status == OK {
			continue
		}
		if first = found; found.Status != OK {
			break
		}
	}
	return first
}

func (f *facts) lookAppOf(ctx context.Context, pair agentconfig.Pair) Finding {
	port := pair.Service.Port
	if port == 0 {
		return notAsked(noPort)
	}
	at := net.JoinHostPort(cmp.Or(pair.Proxy.LocalServiceAddress, "127.0.0.1"), strconv.Itoa(port))
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", at)
	if err == nil {
		conn.Close()
	}
	sockets, listed := listening()
	if listed != nil {
		return failed(listed, "")
	}
	return appFinding(at, err, onPort(sockets, port), f.application())
}

// application is how far the application's containers have come: running as soon as one does.
func (f *facts) application() life {
	if f.task == nil {
		return lifeUnknown
	}
	return lifeOfAll(f.task.Others(mesh.InjectedContainers()...))
}

func lifeOfAll(containers []taskmeta.Container) life {
	all := lifeOver
	for _, c := range containers {
		switch lifeOf(c) {
		case lifeRuns:
			return lifeRuns
		case lifeAhead:
			all = lifeAhead
		}
	}
	return all
}

// onPort are the sockets on a port that are not the dataplane's.
func onPort(sockets []socket, port int) []socket {
	return slices.DeleteFunc(slices.Clone(sockets), func(s socket) bool { return int(s.at.Port()) != port || s.uid == mesh.UIDDataplane })
}

// appFinding judges the try to connect to the application where its proxy does.
func appFinding(at string, dialed error, sockets []socket, application life) Finding {
	switch {
	case dialed == nil:
		return ok("%s answers", at)
	case application == lifeAhead:
		return skip("needs the application, which does not run yet")
	case len(sockets) > 0:
		return fail(fmt.Sprintf("not at %s, where the proxy looks for it, but at %s", at, places(sockets)),
			"let the application listen on 127.0.0.1, or set proxy.localServiceAddress")
	}
	return fail(fmt.Sprintf("nothing answers at %s: %v", at, dialed), "let the application listen there, or set service.port; its log may say why it does not")
}

func places(sockets []socket) string {
	var list []string
	for _, s := range sockets {
		list = append(list, s.at.String())
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ", ")
}

func (f *facts) lookBypass(context.Context) Finding { return f.eachService(f.lookBypassOf) }

func (f *facts) lookBypassOf(pair agentconfig.Pair) Finding {
	port := pair.Service.Port
	if port == 0 {
		return notAsked(noPort)
	}
	sockets, err := listening()
	if err != nil {
		return failed(err, "")
	}
	excluded := slices.Contains(f.cfg.TransparentProxySettings().ExcludeInboundPorts, port)
	return bypassFinding(onPort(sockets, port), f.cfg.RedirectsTraffic(), excluded)
}

// bypassFinding decides whether the application can be called past its proxy, and so past the mesh's identities and
// intentions. excluded says that the configuration keeps its port out of the redirection.
func bypassFinding(sockets []socket, redirected, excluded bool) Finding {
	open := slices.DeleteFunc(slices.Clone(sockets), func(s socket) bool { return s.at.Addr().IsLoopback() })
	switch {
	case len(sockets) == 0:
		return skip("needs the application: nothing listens at its port")
	case len(open) == 0:
		return ok("only the task itself can call it, at %s", places(sockets))
	case redirected && !excluded:
		return ok("it listens at %s, and calls from outside are redirected into the proxy", places(open))
	case redirected:
		return warn("everybody in the network can call it past the proxy: its port is in transparentProxy.excludeInboundPorts", "take the port off that list")
	}
	return warn(fmt.Sprintf("everybody in the network can call it past the proxy, at %s", places(open)),
		"let the application listen on 127.0.0.1, or close its port in the task's security group")
}
