package consul

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul-server-connection-manager/discovery"
	"github.com/hashicorp/consul/proto-public/pbacl"
	"github.com/hashicorp/consul/proto-public/pbdataplane"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	expcredentials "google.golang.org/grpc/experimental/credentials"
	"google.golang.org/grpc/status"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/link"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

const serverTimeout = 10 * time.Second // of one try at one server: dial, TLS, login

// session holds the agent's ACL token. It finds a server of its own for each login, so that it depends on nothing that
// needs a token.
type session struct {
	settings Settings
	servers  discovery.Config
	log      hclog.Logger
	current  atomic.Pointer[aclToken]
	renewing chan struct{} // holds one element while someone logs in
}

// aclToken is a token and when we got it: a server that lags behind its leader does not know a fresh one yet.
type aclToken struct {
	secretID, accessorID string
	since                time.Time
	replaced             chan struct{} // closed when another token has taken its place
}

func newSession(s Settings, log hclog.Logger) (*session, error) {
	servers, err := s.discovery()
	if err != nil {
		return nil, err
	}
	n := &session{settings: s, servers: servers, log: log, renewing: make(chan struct{}, 1)}
	n.hold(&aclToken{secretID: s.Token})
	return n, nil
}

func (n *session) token() string { return n.current.Load().secretID }

// hold makes token the current one.
func (n *session) hold(token *aclToken) {
	token.replaced = make(chan struct{})
	if old := n.current.Swap(token); old != nil {
		close(old.replaced)
	}
}

// replaced is closed once the current token is another than the one with this SecretID.
func (n *session) replaced(secretID string) <-chan struct{} {
	current := n.current.Load()
	if current.secretID != secretID {
		done := make(chan struct{})
		close(done)
		return done
	}
	return current.replaced
}

// open reaches a server and logs in if asked, until ctx ends.
func (n *session) open(ctx context.Context) error {
	return Retry(ctx, n.log, "reach the servers at "+n.settings.Hosts, n.logIn)
}

// renew replaces the stale token, unless someone has done so already.
func (n *session) renew(ctx context.Context, stale string) error {
	return n.exchange(ctx, stale, "logging in again: Consul does not know the ACL token any more")
}

// exchange is replace, and destroys the token that was current until then.
func (n *session) exchange(ctx context.Context, stale, why string) error {
	old, err := n.replace(ctx, stale, why)
	if err != nil || old == nil {
		return err
	}
	// A server that is just starting denies tokens that the others still know.
	if err := n.destroyAnywhere(ctx, old); err != nil {
		n.log.Warn("left the old ACL token to the controller", append([]any{"accessor_id", old.accessorID}, agentlog.Fields(err)...)...)
	}
	return nil
}

// replace logs in again and returns the token that was current until then, nil where it was no longer the stale one.
func (n *session) replace(ctx context.Context, stale, why string) (old *aclToken, err error) {
	if n.settings.Login == nil {
		return nil, errors.New("the ACL token was given, not got by a login: it cannot be renewed")
	}
	select {
	case n.renewing <- struct{}{}:
		defer func() { <-n.renewing }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if n.token() != stale {
		return nil, nil
	}
	old = n.current.Load()
	n.log.Info(why, "accessor_id", old.accessorID)
	if err := n.open(ctx); err != nil {
		return nil, err
	}
	return old, nil
}

// logIn tries every server once, in random order. What a server answers on behalf of all of them ends the round. What it may
// answer only because it has just started does not: the others are asked first.
func (n *session) logIn(ctx context.Context) error {
	addresses, err := n.discover(ctx)
	if err != nil {
		return err
	}
	var bearer string
	if n.settings.Login != nil {
		if bearer, err = n.settings.Login.Mint(ctx, n.log); err != nil {
			return fmt.Errorf("mint bearer token: %w", err)
		}
	}
	var unreached []error
	var doubted error
	var by string
	for _, addr := range addresses {
		token, err := n.tryServer(ctx, addr, bearer)
		switch {
		case err == nil:
			n.hold(token)
			return nil
		case isUnreached(err):
			unreached = append(unreached, fmt.Errorf("server %s: %w", addr, err))
		case isBehind(err):
			doubted, by = err, addr
		default:
			return fmt.Errorf("server %s: %w", addr, n.explain(ctx, err))
		}
	}
	if doubted != nil {
		return fmt.Errorf("server %s: %w", by, n.explain(ctx, doubted))
	}
	return unreachable(unreached, n.settings)
}

// discover resolves the servers' addresses anew, in random order.
func (n *session) discover(ctx context.Context) ([]string, error) {
	began := time.Now()
	found, err := discovery.NewNetaddrsDiscoverer(n.servers, agentlog.Quieter(n.log, "discovery")).Discover(ctx)
	if err != nil {
		return nil, fmt.Errorf("discover: %w", err)
	}
	n.settings.took(StepDiscover, began)
	addresses := make([]string, len(found))
	for i, j := range rand.Perm(len(found)) {
		addresses[i] = found[j].String()
	}
	return addresses, nil
}

// explain is refused, and looks at the task role where Consul only says that it could not make a token.
func (n *session) explain(ctx context.Context, err error) error {
	refusal := refused(err, n.settings)
	if code := status.Code(err); n.settings.Login == nil || !n.settings.Login.IncludeEntity || code != codes.Internal && code != codes.PermissionDenied {
		return refusal
	}
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	var tag *Refusal
	if errors.As(untagged(ctx, *n.settings.Login), &tag) {
		return &Refusal{Err: fmt.Errorf("%w: %w", refusal.Err, tag.Err), Hint: tag.Hint, Tries: tag.Tries}
	}
	return refusal
}

// unknown reports whether the servers say that they do not know the token: one that knows it outweighs any number of others,
// which may have just started.
func (n *session) unknown(ctx context.Context, token string) (lost bool) {
	addresses, err := n.discover(ctx)
	if err != nil {
		return false
	}
	for _, addr := range addresses {
		err := n.at(ctx, addr, func(ctx context.Context, conn grpc.ClientConnInterface) error { return probe(ctx, conn, token) })
		switch {
		case link.TokenLost(err):
			lost = true
		case err == nil || !isUnreached(err):
			return false
		}
	}
	return lost
}

// at calls do with a connection to one server. When ctx ends, a call that is under way has a moment to finish: Consul makes
// the token of a login that it has got, and cut off, nobody would know that there is one to log out.
func (n *session) at(ctx context.Context, addr string, do func(context.Context, grpc.ClientConnInterface) error) error {
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(transport(n.servers.TLS)), grpc.WithNoProxy())
	if err != nil {
		return err
	}
	defer conn.Close()
	patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), serverTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if conn.GetState() == connectivity.Ready {
			sleep.For(patient, logoutTimeout)
		}
		cancel()
	})()
	return do(patient, conn)
}

// tryServer logs in at one server, or finds out whether it takes the static token (or none).
func (n *session) tryServer(ctx context.Context, addr, bearer string) (token *aclToken, err error) {
	began := time.Now()
	err = n.at(ctx, addr, func(ctx context.Context, conn grpc.ClientConnInterface) (err error) {
		if n.settings.Login == nil {
			token = &aclToken{secretID: n.settings.Token}
			return probe(ctx, conn, n.settings.Token)
		}
		token, err = login(ctx, conn, *n.settings.Login, bearer)
		return err
	})
	if err == nil && n.settings.Login != nil {
		n.settings.took(StepLogin, began)
		n.log.Info("logged in", "auth_method", n.settings.Login.Method, "accessor_id", token.accessorID, "consul_addr", addr)
	}
	return token, err
}

// probe makes a call for which Consul wants any valid token.
func probe(ctx context.Context, conn grpc.ClientConnInterface, token string) error {
	ctx = link.Outgoing(ctx, token)
	_, err := pbdataplane.NewDataplaneServiceClient(conn).GetSupportedDataplaneFeatures(ctx, &pbdataplane.GetSupportedDataplaneFeaturesRequest{})
	return err
}

func login(ctx context.Context, conn grpc.ClientConnInterface, l Login, bearer string) (*aclToken, error) {
	resp, err := pbacl.NewACLServiceClient(conn).Login(ctx, &pbacl.LoginRequest{
		AuthMethod: l.Method, BearerToken: bearer, Meta: l.Meta,
		Namespace: l.Namespace, Partition: l.Partition, Datacenter: l.Datacenter,
	})
	if err != nil {
		return nil, err
	}
	token := resp.GetToken()
	if token.GetSecretId() == "" {
		return nil, errors.New("the login's answer holds no token")
	}
	return &aclToken{secretID: token.GetSecretId(), accessorID: token.GetAccessorId(), since: time.Now()}, nil
}

// logOut destroys the token of a login, until ctx ends.
func (n *session) logOut(ctx context.Context, conn grpc.ClientConnInterface) error {
	token := n.current.Load()
	if n.settings.Login == nil || token.secretID == "" {
		return nil
	}
	if err := Retry(ctx, n.log, "log out", func(ctx context.Context) error { return n.destroy(ctx, conn, token) }); err != nil {
		return fmt.Errorf("token %s: %w", token.accessorID, err)
	}
	n.current.Store(&aclToken{replaced: make(chan struct{})})
	n.log.Info("logged out", "accessor_id", token.accessorID)
	return nil
}

// logOutAlone is logOut without a connection, for a start that failed half way.
func (n *session) logOutAlone() error {
	token := n.current.Load()
	if n.settings.Login == nil || token.secretID == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), logoutTimeout)
	defer cancel()
	return n.destroyAnywhere(ctx, token)
}

// destroy makes the token of a login invalid. A token that is gone already is no error.
func (n *session) destroy(ctx context.Context, conn grpc.ClientConnInterface, token *aclToken) error {
	_, err := pbacl.NewACLServiceClient(conn).Logout(ctx, &pbacl.LogoutRequest{Token: token.secretID, Datacenter: n.settings.Login.Datacenter})
	return err
}

// destroyAnywhere is destroy at the first server that can be spoken to and has caught up with the others.
func (n *session) destroyAnywhere(ctx context.Context, token *aclToken) error {
	addresses, err := n.discover(ctx)
	for _, addr := range addresses {
		err = n.at(ctx, addr, func(ctx context.Context, conn grpc.ClientConnInterface) error { return n.destroy(ctx, conn, token) })
		if err == nil || !isUnreached(err) && !isBehind(err) {
			break
		}
	}
	return err
}

// transport is TLS as the server manager does it: Consul's multiplexed port does not negotiate by ALPN.
func transport(cfg *tls.Config) credentials.TransportCredentials {
	if cfg == nil {
		return insecure.NewCredentials()
	}
	return expcredentials.NewTLSWithALPNDisabled(cfg)
}
