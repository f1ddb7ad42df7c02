package xds

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/link"
)

// errReplaced makes Envoy open a stream anew: Consul keeps one open whose token is gone, but stops telling it what changes.
var errReplaced = status.Error(codes.Unavailable, Replaced)

// Replaced is in what Envoy says of a stream that ended because its token was replaced by another.
const Replaced = "the stream's ACL token was replaced"

// relay opens the stream to Consul and passes messages both ways until either side ends it. It returns Consul's status
// as it is.
func (p *Proxy) relay(fromEnvoy grpc.ServerStream, token string) error {
	ctx, cancel := context.WithCancel(outgoing(fromEnvoy.Context(), token))
	defer cancel() // ends both pumps
	// While there is no server the stream waits for one, rather than Envoy's back-off for the stream.
	toConsul, err := p.consul.Conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method,
		grpc.ForceCodecV2(rawCodec{}), grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage), grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	p.note(func(s *Status) { s.Streams++ })
	defer p.note(func(s *Status) { s.Streams-- })
	e := p.begin(fromEnvoy, toConsul)
	up := make(chan error, 1)
	go func() { up <- e.requests() }()
	down := make(chan error, 1)
	go func() { down <- e.responses() }()
	go e.offers(ctx)
	replaced := p.consul.Replaced(token)
	for {
		select {
		case err := <-down:
			fromEnvoy.SetTrailer(toConsul.Trailer())
			return err
		case err := <-up:
			if err != nil {
				return err
			}
			up = nil // Envoy has said all it had to say; Consul may still answer
		case <-replaced:
			return errReplaced
		}
	}
}

// outgoing is the context of Envoy's stream for that to Consul: with Envoy's metadata, and our token.
func outgoing(ctx context.Context, token string) context.Context {
	md, _ := metadata.FromIncomingContext(ctx)
	return link.Outgoing(metadata.NewOutgoingContext(ctx, md.Copy()), token)
}
