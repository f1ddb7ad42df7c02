// Package link is the gRPC connection to Consul's current server as those share it who call there: when it has lost its server,
// when the server does not know its token any more, and how the token goes with a call. What is said of that is said here alone.
package link

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Link is the connection and its token.
type Link struct {
	Conn     *grpc.ClientConn                              // follows fail-over
	Token    func() string                                 // the current SecretID; "" means none. Never log it
	Replaced func(token string) <-chan struct{}            // closed once the current token is another; nil for never
	Renew    func(ctx context.Context, stale string) error // gets another token than stale

	// Settle is how long a call may wait at the most for whoever keeps the connection to lead it to the next server. A call
	// meanwhile would have it ask for the lost one, and what that answers, or does not, is taken for the next one's. 0 is for a
	// connection that nobody leads.
	Settle time.Duration
}

// tokenField is the gRPC metadata key of the ACL token.
const tokenField = "x-consul-token"

// Unknown is in Consul's answer, by HTTP and gRPC, where it does not know a token (any more).
const Unknown = "ACL not found"

// TokenLost reports whether err is Consul's way to say over gRPC that it does not know the token (any more).
func TokenLost(err error) bool {
	s := status.Convert(err)
	return s.Code() == codes.Unauthenticated || s.Code() == codes.PermissionDenied && strings.Contains(s.Message(), Unknown)
}

// Outgoing gives the calls of ctx the token, and no other; "" for none.
func Outgoing(ctx context.Context, token string) context.Context {
	md, _ := metadata.FromOutgoingContext(ctx) // a copy
	if md == nil {
		md = metadata.MD{}
	}
	if md.Delete(tokenField); token != "" {
		md.Set(tokenField, token)
	}
	return metadata.NewOutgoingContext(ctx, md)
}

// Ready reports whether there is a server that takes calls.
func (l Link) Ready() bool { return l.Conn.GetState() == connectivity.Ready }

// Lost reports whether the connection has lost its server and waits to be led to the next one.
func (l Link) Lost() bool { return l.Conn.GetState() == connectivity.Idle }

// AwaitReady returns once there is a server, after Settle, or when ctx ends.
func (l Link) AwaitReady(ctx context.Context) {
	if l.Settle == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, l.Settle)
	defer cancel()
	for state := l.Conn.GetState(); state != connectivity.Ready && l.Conn.WaitForStateChange(ctx, state); state = l.Conn.GetState() {
	}
}

// AwaitLoss returns once there is no server that takes calls, or false when ctx ends.
func (l Link) AwaitLoss(ctx context.Context) bool {
	for l.Ready() {
		if !l.Conn.WaitForStateChange(ctx, connectivity.Ready) {
			return false
		}
	}
	return true
}
