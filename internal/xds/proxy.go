// Package xds is the local end of Envoy's configuration stream: a gRPC server on loopback that passes Envoy's aggregated
// delta xDS stream on to a Consul server with the task's current token. Messages are passed as they come, in both
// directions, and so is the status that ends the stream; when the server is lost the stream ends, and Envoy opens a new
// one, which goes to the next server. A configuration that Envoy refuses is paced, see pacer.
package xds

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/link"
)

// method is the only one that is passed on.
const method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"

// maxMessage is the limit of one message on both sides: a configuration with thousands of upstreams is tens of MiB.
const maxMessage = 50 << 20

// renewTimeout bounds a login in the midst of a failing stream: Envoy waits for its status meanwhile.
const renewTimeout = 15 * time.Second

// Proxy is the local xDS server.
type Proxy struct {
	consul   link.Link
	log      hclog.Logger
	listener net.Listener
	server   *grpc.Server
	done     chan struct{}
	err      error    // written before done is closed
	owners   sync.Map // by the type of their resources

	mu         sync.Mutex
	waiting    map[string]bool // types whose first response Envoy has not applied yet
	configured chan struct{}
	unbound    error // Envoy cannot listen where it should
	status     Status
	stream     *exchange // the last one; nil before the first
	shape      Shape     // nil: all is passed on as it comes

	making sync.Mutex // held from when something is made for Envoy until it is sent, so that nothing older is sent after it
	kept   map[place]*kept
}

// Status is how Envoy's streams to Consul fare.
type Status struct {
	Streams   int                // that are open up to a server
	Ended     map[codes.Code]int // streams that ended otherwise than by Envoy's will, by Consul's status
	TokenLost bool               // Consul has refused the token, and there is no other
	Refusals  map[string]int     // how often Envoy has refused a configuration, by the name of its type
	Refusing  map[string]int     // how many resources it refuses now
}

// Start listens at addr, which must be loopback, and serves. Port 0 means any free port.
func Start(addr netip.AddrPort, consul link.Link, log hclog.Logger) (*Proxy, error) {
	if !addr.Addr().IsLoopback() {
		return nil, fmt.Errorf("listen for xDS at %s: not a loopback address", addr)
	}
	listener, err := net.Listen("tcp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("listen for xDS: %w", err)
	}
	p := &Proxy{
		consul: consul, log: log, listener: listener, done: make(chan struct{}),
		waiting: map[string]bool{TypeCluster: true, TypeListener: true}, configured: make(chan struct{}),
		kept:   map[place]*kept{},
		status: Status{Ended: map[codes.Code]int{}, Refusals: map[string]int{}},
	}
	p.server = grpc.NewServer(
		grpc.ForceServerCodecV2(rawCodec{}),
		grpc.UnknownServiceHandler(p.handle),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage),
	)
	go func() {
		p.err = p.serve()
		close(p.done)
	}()
	return p, nil
}

func (p *Proxy) serve() error {
	if err := p.server.Serve(p.listener); err != nil {
		return fmt.Errorf("serve xDS: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unbound
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() netip.AddrPort { return p.listener.Addr().(*net.TCPAddr).AddrPort() }

// Configured is closed once Envoy has applied its first clusters and its first listeners.
func (p *Proxy) Configured() <-chan struct{} { return p.configured }

// Status tells how it is now.
func (p *Proxy) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.status
	s.Ended, s.Refusals = maps.Clone(s.Ended), maps.Clone(s.Refusals)
	if p.stream != nil {
		s.Refusing = p.stream.pacer.refusing()
	}
	return s
}

func (p *Proxy) note(change func(*Status)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.status)
}

// Done is closed when the proxy serves no more.
func (p *Proxy) Done() <-chan struct{} { return p.done }

// Err says, once Done is closed, why; nil after Close. That Envoy cannot listen where it should is a reason too.
func (p *Proxy) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Close ends all streams and waits until the proxy serves no more.
func (p *Proxy) Close() {
	p.server.Stop()
	<-p.done
}

func (p *Proxy) handle(_ any, fromEnvoy grpc.ServerStream) error {
	name, _ := grpc.MethodFromServerStream(fromEnvoy)
	if name != method {
		return status.Errorf(codes.Unimplemented, "unknown method %s", name)
	}
	p.consul.AwaitReady(fromEnvoy.Context()) // the stream before this one may have lost its server
	token := p.consul.Token()
	err := p.relay(fromEnvoy, token)
	switch {
	case err == nil || fromEnvoy.Context().Err() != nil:
	case errors.Is(err, errReplaced):
		p.log.Info("xds stream ended: its ACL token was replaced")
	default:
		p.log.Warn("xds stream ended", "err", err)
		p.note(func(s *Status) { s.Ended[status.Code(err)]++ })
		p.renew(fromEnvoy.Context(), err, token)
	}
	return err
}

// renew gets a new token when the stream ended for the want of a good one, so that Envoy's next stream succeeds.
func (p *Proxy) renew(ctx context.Context, cause error, stale string) {
	if !link.TokenLost(cause) {
		return
	}
	p.note(func(s *Status) { s.TokenLost = true })
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	if err := p.consul.Renew(ctx, stale); err != nil {
		p.log.Warn("token not renewed", "err", err)
		return
	}
	p.note(func(s *Status) { s.TokenLost = false })
	p.log.Info("token renewed")
}

// refused tells of a configuration that Envoy does not take, once for each resource. If it cannot listen where its first
// listeners should be, there is no use in going on: Envoy calls itself ready nonetheless, and nobody would reach the task.
func (p *Proxy) refused(r request, n news) {
	switch {
	case len(n.first) > 0:
		p.log.Warn("configuration refused by envoy", "type", short(r.typeURL), "names", n.first, "reason", r.complain, "hint", hint(r.complain, len(n.own) > 0 && r.typeURL == TypeListener))
	case !n.ours && !n.among:
		p.log.Warn("configuration refused by envoy", "type", short(r.typeURL), "reason", r.complain)
	default:
		p.log.Debug("configuration refused by envoy again", "type", short(r.typeURL), "reason", r.complain)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Refusals[short(r.typeURL)]++
	if len(n.own) == 0 && r.typeURL == TypeListener && p.waiting[TypeListener] && p.unbound == nil && strings.Contains(r.complain, cannotBind) {
		p.unbound = fmt.Errorf("envoy: %s\nhint: another container of the task listens there: let it listen elsewhere, or change proxy.publicListenerPort or the upstream's localBindPort",
			strings.TrimSpace(r.complain))
		go p.server.Stop() // it waits for the stream that told us
	}
}

// cannotBind is in Envoy's reason where somebody else listens at a listener's address.
const cannotBind = "cannot bind"

// hint is what an operator can do about Envoy's refusal.
func hint(reason string, own bool) string {
	switch bound := strings.Contains(reason, cannotBind); {
	case own && bound:
		return "another program of the task listens there: let it listen elsewhere, or choose other names.ports; envoy is offered it again, at least once a minute"
	case own:
		return "calls by name need Linux 5.7 or newer, and for a port below 1024 the system control net.ipv4.ip_unprivileged_port_start; envoy is offered it again, at least once a minute"
	case bound:
		return "another program of the task listens there: let it listen elsewhere, or change the upstream's localBindPort; envoy is offered it again, at least once a minute"
	}
	return "see what Consul has of this proxy: proxy-defaults, service-defaults, extensions and envoy_ keys; envoy is offered it again, at least once a minute"
}

// short is the name of a type without its package.
func short(typeURL string) string { return typeURL[strings.LastIndexByte(typeURL, '.')+1:] }

// saw notes what Envoy tells about the configuration it has got.
func (p *Proxy) saw(r request, n news) {
	for _, name := range n.own {
		if owner, _ := p.owner(r.typeURL, name); owner.Answered != nil && !n.among { // else nobody knows yet
			owner.Answered(name, r.complain)
		}
	}
	if r.refused {
		p.refused(r, n)
		return
	}
	if len(n.taken) > 0 {
		p.log.Info("configuration taken by envoy that it had refused", "type", short(r.typeURL), "names", n.taken)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.waiting[r.typeURL] || n.ours && !n.whole {
		return
	}
	delete(p.waiting, r.typeURL)
	if len(p.waiting) == 0 {
		p.log.Info("first configuration applied")
		close(p.configured)
	}
}

// begin makes the exchange of a stream: from now on it is the one that there is.
func (p *Proxy) begin(fromEnvoy grpc.ServerStream, toConsul grpc.ClientStream) *exchange {
	e := &exchange{proxy: p, pacer: newPacer(p.owns), fromEnvoy: fromEnvoy, toConsul: toConsul, stale: map[string]bool{}}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stream = e
	return e
}
