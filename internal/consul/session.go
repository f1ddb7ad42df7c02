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
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	expcredentials "google.golang.org/grpc/experimental/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
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
}

func newSession(s Settings, log hclog.Logger) (*session, error) {
	servers, err := s.discovery()
	if err != nil {
		return nil, err
	}
	n := &session{settings: s, servers: servers, log: log, renewing: make(chan struct{}, 1)}
	n.current.Store(&aclToken{secretID: s.Token})
	return n, nil
}

func (n *session) token() string { return n.current.Load().secretID }

// open reaches a server and logs in if asked, until ctx ends.
func (n *session) open(ctx context.Context) error {
	return Retry(ctx, n.log, "reach the servers at "+n.settings.Hosts, n.logIn)
}

// renew replaces the stale token, unless someone has done so already.
func (n *session) renew(ctx context.Context, stale string) error {
	if n.settings.Login == nil {
		return errors.New("the ACL token was given, not got by a login: it cannot be renewed")
	}
	select {
	case n.renewing <- struct{}{}:
		defer func() { <-n.renewing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if n.token() != stale {
		return nil
	}
	n.log.Info("logging in again: Consul does not know the ACL token any more", "accessor_id", n.current.Load().accessorID)
	return n.open(ctx)
}

// logIn tries every server once, in random order. What a server answers on behalf of all of them ends the round.
func (n *session) logIn(ctx context.Context) error {
	addresses, err := discovery.NewNetaddrsDiscoverer(n.servers, agentlog.Quieter(n.log, "discovery")).Discover(ctx)
	if err != nil {
		return fmt.Errorf("discover: %w", err)
	}
	var bearer string
	if n.settings.Login != nil {
		if bearer, err = mint(ctx, *n.settings.Login, n.log); err != nil {
			return fmt.Errorf("mint bearer token: %w", err)
		}
	}
	rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
	var unreached []error
	for _, addr := range addresses {
		token, err := n.tryServer(ctx, addr.String(), bearer)
		switch {
		case err == nil:
			n.current.Store(token)
			return nil
		case !isUnreached(err):
			return fmt.Errorf("server %s: %w", addr.String(), n.explain(ctx, err))
		}
		unreached = append(unreached, fmt.Errorf("server %s: %w", addr.String(), err))
	}
	return unreachable(unreached, n.settings)
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

// tryServer logs in at one server, or finds out whether it takes the static token (or none).
func (n *session) tryServer(ctx context.Context, addr, bearer string) (*aclToken, error) {
	ctx, cancel := context.WithTimeout(ctx, serverTimeout)
	defer cancel()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(transport(n.servers.TLS)), grpc.WithNoProxy())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if n.settings.Login == nil {
		if n.settings.Token != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, tokenField, n.settings.Token)
		}
		_, err := pbdataplane.NewDataplaneServiceClient(conn).GetSupportedDataplaneFeatures(ctx, &pbdataplane.GetSupportedDataplaneFeaturesRequest{})
		return &aclToken{secretID: n.settings.Token}, err
	}
	login := n.settings.Login
	resp, err := pbacl.NewACLServiceClient(conn).Login(ctx, &pbacl.LoginRequest{
		AuthMethod: login.Method, BearerToken: bearer, Meta: login.Meta,
		Namespace: login.Namespace, Partition: login.Partition, Datacenter: login.Datacenter,
	})
	if err != nil {
		return nil, err
	}
	token := resp.GetToken()
	if token.GetSecretId() == "" {
		return nil, errors.New("the login's answer holds no token")
	}
	n.log.Info("logged in", "auth_method", login.Method, "accessor_id", token.GetAccessorId(), "consul_addr", addr)
	return &aclToken{secretID: token.GetSecretId(), accessorID: token.GetAccessorId(), since: time.Now()}, nil
}

// logOut destroys the token of a login, until ctx ends. A token that is gone already counts as logged out.
func (n *session) logOut(ctx context.Context, conn grpc.ClientConnInterface) error {
	token := n.current.Load()
	if n.settings.Login == nil || token.secretID == "" {
		return nil
	}
	err := Retry(ctx, n.log, "log out", func(ctx context.Context) error {
		_, err := pbacl.NewACLServiceClient(conn).Logout(ctx, &pbacl.LogoutRequest{
			Token: token.secretID, Datacenter: n.settings.Login.Datacenter,
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("token %s: %w", token.accessorID, err)
	}
	n.current.Store(&aclToken{})
	n.log.Info("logged out", "accessor_id", token.accessorID)
	return nil
}

// logOutAlone is logOut without a connection, for a start that failed half way.
func (n *session) logOutAlone() error {
	ctx, cancel := context.WithTimeout(context.Background(), logoutTimeout)
	defer cancel()
	addresses, err := discovery.NewNetaddrsDiscoverer(n.servers, hclog.NewNullLogger()).Discover(ctx)
	if err != nil || len(addresses) == 0 {
		return err
	}
	conn, err := grpc.NewClient("passthrough:///"+addresses[0].String(), grpc.WithTransportCredentials(transport(n.servers.TLS)), grpc.WithNoProxy())
	if err != nil {
		return err
	}
	defer conn.Close()
	return n.logOut(ctx, conn)
}

// transport is TLS as the server manager does it: Consul's multiplexed port does not negotiate by ALPN.
func transport(cfg *tls.Config) credentials.TransportCredentials {
	if cfg == nil {
		return insecure.NewCredentials()
	}
	return expcredentials.NewTLSWithALPNDisabled(cfg)
}
