// Package consul is how the agents reach Consul: they find a server, log in with the task's IAM role, follow fail-over,
// and keep what a task holds in the catalog. It alone knows Consul's API library.
//
// # Organization
//
// connect.go is the connection, settings.go what it is made of, attempt.go and examine.go the same without patience. session.go keeps the
// token, which bearer.go asks for. http.go, stream.go, pace.go, retry.go and refusal.go are how calls are made and what a refusal means.
// outside.go is the connection of somebody who is no task. catalog.go, registration.go, watch.go, central.go, places.go and
// outlier.go serve a task.
// node.go, removal.go, acl.go, acl_tokens.go, wanted.go and leader.go serve a controller; what they write of the ACL system is decided in
// package acl, who leads in package lock.
package consul

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul-server-connection-manager/discovery"
	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/agentlog"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/link"
	"github.com/consulecs/terraform-provider-consulecs/internal/sleep"
)

const (
	// StartTimeout is how long an agent should let Connect try before it gives up.
	StartTimeout = 2 * time.Minute

	logoutTimeout = 2 * time.Second  // of Close
	callTimeout   = 10 * time.Second // of one call of the HTTP API, fail-over included
	guardPause    = 500 * time.Millisecond
	settleWithin  = 15 * time.Second // longer than the pause between two servers that are tried

	// probePause is between two looks at the current server where it is not watched. It bounds how long a lost one is missed;
	// the library's own minute is long for a task that is to be deregistered.
	probePause = 15 * time.Second
)

// Connection is a usable connection to Consul's servers. Its methods may be called at the same time.
type Connection struct {
	settings Settings
	log      hclog.Logger
	session  *session
	http     *api.Client       // keeps to the pace, if there is one
	direct   *api.Client       // does not, for what cannot wait
	sockets  *http.Transport   // of both
	outside  http.RoundTripper // sends what goes past the library where there is no session; nil: there is one
	pace     *pace             // nil: there is none
	narrow   atomic.Bool       // the token may deregister by the node alone
	spoken   atomic.Bool       // an answer has come by them

	watcher    *discovery.Watcher
	watcherLog hclog.Logger
	arrivals   *arrivals
	link       link.Link
	end        context.CancelFunc // of what runs in the background
	closed     atomic.Bool
}

// Connect finds a server, logs in if asked, and returns when the connection is usable. It tries until ctx ends: give it a
// deadline (StartTimeout). What a retry cannot mend, such as a refusal, ends it at once. The connection outlives ctx.
func Connect(ctx context.Context, s Settings, log hclog.Logger) (*Connection, error) {
	return connectBy(ctx, s, log, (*session).open)
}

// connectBy gets its token by logIn.
func connectBy(ctx context.Context, s Settings, log hclog.Logger, logIn func(*session, context.Context) error) (*Connection, error) {
	c := &Connection{settings: s, log: log}
	var err error
	if c.session, err = newSession(s, log); err != nil {
		return nil, fmt.Errorf("connect to Consul: %w", err)
	}
	if err := logIn(c.session, ctx); err != nil {
		return nil, fmt.Errorf("connect to Consul: %w", err)
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	c.end = end
	if err := c.follow(ctx, life); err != nil {
		end()
		return nil, errors.Join(fmt.Errorf("connect to Consul: %w", err), c.session.logOutAlone())
	}
	if c.http, err = c.newHTTP(); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to Consul: %w", err), c.Close())
	}
	if s.Login != nil {
		go c.guard(life)
		go c.renewInTime(life)
	}
	return c, nil
}

// follow starts the server manager and waits until it has a server. The manager gets no credentials of its own: it would
// log in once in its life, with a bearer token minted once, and sleep after it. Its calls carry the session's token instead.
// It lives as long as life.
func (c *Connection) follow(ctx, life context.Context) error {
	cfg, err := c.settings.discovery()
	if err != nil {
		return err
	}
	c.watcherLog = agentlog.Quieter(c.log, "servers")
	c.watcher, err = discovery.NewWatcher(sessionContext{life, c.session}, cfg, c.watcherLog)
	if err != nil {
		return fmt.Errorf("follow Consul's servers: %w", err)
	}
	c.arrivals = newArrivals(life, c.watcher.Subscribe())
	go c.watcher.Run()
	found := make(chan discovery.State, 1)
	go func() {
		if state, err := c.watcher.State(); err == nil { // an error means that Stop was called
			found <- state
		}
	}()
	select {
	case state := <-found:
		c.link = link.Link{Conn: state.GRPCConn, Token: c.Token, Replaced: c.Replaced, Renew: c.Renew, Settle: settleWithin}
		return nil
	case <-ctx.Done():
		c.watcher.Stop()
		return fmt.Errorf("follow Consul's servers: %w", context.Cause(ctx))
	}
}

// guard renews a token that Consul does not know any more. Without a token that Consul knows, the server manager has no
// server, and without a server no call of ours gets as far as to be told. As long as there is a connection there is nothing
// to do: one without a server has no address to be ready at.
func (c *Connection) guard(ctx context.Context) {
	pause := guardPause
	for c.link.AwaitLoss(ctx) && sleep.For(ctx, pause) {
		state, err := c.watcher.State()
		if err != nil || !state.Address.Empty() {
			pause = guardPause
			continue
		}
		token := c.Token()
		if c.session.unknown(ctx, token) {
			if err := c.Renew(ctx, token); err != nil && ctx.Err() == nil {
				c.log.Warn("ACL token not renewed, will retry", agentlog.Fields(err)...)
			}
		}
		pause = min(2*pause, maxPause)
	}
}

// A token is renewed when this part of its life is over, or up to that much more of it, so that the tasks of a fleet do not
// log in at the same moment.
const (
	renewAfterPercent  = 70
	renewSpreadPercent = 15
)

// expiryAfter is how long a token has been in use before somebody asks when it expires. Consul takes no life below a minute,
// and an agent that only starts something has ended by then.
const expiryAfter = 20 * time.Second

// renewInTime logs in again before the token expires. The calls of an agent would bring an expired one to light, but not what
// waits for an answer: Consul keeps Envoy's stream open after its token has expired, and says nothing on it any more. The old
// token is left to expire, as calls with it may be under way.
func (c *Connection) renewInTime(ctx context.Context) {
	for sleep.For(ctx, expiryAfter) {
		token := c.session.current.Load()
		life, err := c.TokenLife(ctx)
		if err != nil {
			if ctx.Err() == nil {
				c.log.Warn("not known when the ACL token expires, will ask again", agentlog.Fields(err)...)
			}
			continue
		}
		var over <-chan time.Time // never for a token that does not expire
		if life > 0 {
			over = time.After(renewalAfter(life) - time.Since(token.since))
		}
		select {
		case <-ctx.Done():
			return
		case <-token.replaced:
			continue
		case <-over:
		}
		if _, err := c.session.replace(ctx, token.secretID, "logging in again: the ACL token is about to expire"); err != nil && ctx.Err() == nil {
			c.log.Warn("ACL token not renewed, will retry", agentlog.Fields(err)...)
		}
	}
}

// TokenLife is how long the current token lives as a whole, by Consul's clock; 0 for one that does not expire, or if nobody
// knows.
func (c *Connection) TokenLife(ctx context.Context) (time.Duration, error) {
	if login := c.settings.Login; c.settings.HTTP.Port == 0 || login != nil && login.LifeGiven {
		return c.settings.Login.TokenLife, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	self, _, err := c.http.ACL().TokenReadSelf(query(ctx))
	if err != nil {
		return 0, aclRefusal(fmt.Errorf("read the ACL token: %w", err))
	}
	if self.ExpirationTime == nil {
		return 0, nil
	}
	return self.ExpirationTime.Sub(self.CreateTime), nil
}

// renewalAfter is the age at which a token that lives so long is renewed.
func renewalAfter(life time.Duration) time.Duration {
	return life*renewAfterPercent/100 + rand.N(life*renewSpreadPercent/100+1)
}

// discovery is the manager's configuration.
func (s Settings) discovery() (discovery.Config, error) {
	tls, err := s.tlsConfig(s.GRPC, s.GRPCCAPEM)
	return discovery.Config{
		Addresses:           s.addresses(),
		GRPCPort:            s.GRPC.Port,
		ServerWatchDisabled: s.SkipServerWatch, ServerWatchDisabledInterval: probePause,
		TLS:          tls,
		ServerEvalFn: discovery.SupportsDataplaneFeatures("DATAPLANE_FEATURES_ENVOY_BOOTSTRAP_CONFIGURATION"),
		BackOff:      discovery.BackOffConfig{InitialInterval: firstPause, MaxInterval: maxPause},
	}, err
}

// ourselves is this program, also when its file has been replaced, and without white space in its name.
const ourselves = "/proc/self/exe"

// addresses is Hosts as the manager takes it, which knows one address, one name or a command. Where there is more to know,
// the command is this very program: the manager looks for servers anew when it has lost all that it knew.
func (s Settings) addresses() string {
	hosts, _ := agentconfig.ParseHosts(s.Hosts) // whoever made the settings has tried it
	switch {
	case hosts.Command != "":
		return s.Hosts
	case hosts.OneName() != "":
		return hosts.OneName()
	}
	return hosts.Exec(ourselves + " " + agentconfig.DiscoverProgram)
}

// sessionContext gives every call of the server manager the token that is current when the call is made, where its own
// credentials would give it the first one for ever.
type sessionContext struct {
	context.Context
	session *session
}

// Value adds the token to the outgoing gRPC metadata.
func (c sessionContext) Value(key any) any {
	return link.Outgoing(c.Context, c.session.token()).Value(key)
}

// Link is the gRPC connection to the current server, and its token.
func (c *Connection) Link() link.Link { return c.link }

// GRPC is the connection to the current server; it follows fail-over. Callers add the token to each call's metadata, as
// WithToken does.
func (c *Connection) GRPC() *grpc.ClientConn { return c.link.Conn }

// Ready reports whether there is a server that takes calls over gRPC.
func (c *Connection) Ready() bool { return c.link.Ready() }

// WithToken adds the current token to the metadata of a call on GRPC.
func (c *Connection) WithToken(ctx context.Context) context.Context {
	return link.Outgoing(ctx, c.Token())
}

// Token is the current SecretID, "" where Consul needs none. Never log it.
func (c *Connection) Token() string { return c.session.token() }

// Replaced is closed once the current token is another than the one with this SecretID.
func (c *Connection) Replaced(secretID string) <-chan struct{} { return c.session.replaced(secretID) }

// Renew logs in again, with a fresh bearer token, if the current token is still the stale one that Consul has refused. Of
// several callers at once the first logs in and the rest get its token.
func (c *Connection) Renew(ctx context.Context, stale string) error {
	return c.session.renew(ctx, stale)
}

// LogInAgain gets a token with the rights that the role has now: those of a token are settled at its login.
func (c *Connection) LogInAgain(ctx context.Context) error {
	return c.session.exchange(ctx, c.Token(), "logging in again: the role's rights have changed")
}

// Close logs out, if this connection logged in, and ends it. It takes two seconds at the most; later calls do nothing.
func (c *Connection) Close() error {
	if c.closed.Swap(true) || c.watcher == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), logoutTimeout)
	defer cancel()
	c.watcherLog.SetLevel(hclog.Off) // it is about to lose its token, and would complain
	c.end()
	err := c.session.logOut(ctx, c.link.Conn)
	c.watcher.Stop()
	if c.sockets != nil {
		c.sockets.CloseIdleConnections()
	}
	return err
}
