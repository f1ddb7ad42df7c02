package consul

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

// Tokens that Consul does not know, or not yet.
const (
	unknownToken = "5f4a0f6e-0000-0000-0000-000000000000"
	lateToken    = "5f4a0f6e-0000-0000-0000-000000000001"
	firstToken   = "5f4a0f6e-0000-0000-0000-000000000002"
)

// startEach starts servers at the usual ports, each a Consul of its own.
func startEach(t *testing.T, at map[string]testenv.ConsulConfig) map[string]*testenv.Consul {
	t.Helper()
	var group errgroup.Group
	started := make(chan *testenv.Consul, len(at))
	for address, cfg := range at {
		cfg.Address, cfg.UsualPorts, cfg.Plaintext = address, true, true
		group.Go(func() error {
			server, err := testenv.StartConsul(t.Context(), cfg)
			if err == nil {
				started <- server
			}
			return err
		})
	}
	err := group.Wait()
	close(started)
	servers := map[string]*testenv.Consul{}
	for server := range started {
		servers[server.Address] = server
		t.Cleanup(func() {
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return servers
}

// atUsualPorts are settings for the servers of startEach.
func atUsualPorts(addresses ...string) Settings {
	return Settings{
		Hosts: "exec=echo " + strings.Join(addresses, " "),
		HTTP:  agentconfig.Endpoint{Port: mesh.PortConsulHTTP}, GRPC: agentconfig.Endpoint{Port: mesh.PortConsulGRPC},
	}
}

// Servers that know no token and no auth method stand in for one that has just started: the first waits for others before it has
// a leader, the second has elected itself and was never bootstrapped.
func TestAServerThatHasJustStartedDoesNotSpeakForTheOthers(t *testing.T) {
	t.Parallel()
	const waits, alone, knows = "127.0.0.61", "127.0.0.62", "127.0.0.63"
	servers := startEach(t, map[string]testenv.ConsulConfig{waits: {Fresh: true, Expects: 3}, alone: {Fresh: true}, knows: {}})
	byToken := atUsualPorts(waits, alone, knows)
	byToken.Token = servers[knows].BootstrapToken
	byLogin := atUsualPorts(alone, knows) // the one that waits for a leader does so for ten seconds
	logins := newLogins(t, servers[knows].API, "jwt")
	bearer, err := logins.bearer("web")
	if err != nil {
		t.Fatal(err)
	}
	byLogin.Login = &Login{Method: logins.method, BearerFile: filepath.Join(t.TempDir(), "bearer")}
	if err := os.WriteFile(byLogin.Login.BearerFile, []byte(bearer), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, s := range map[string]Settings{"token": byToken, "login": byLogin} {
		for range 10 { // they are asked in random order
			c, err := Attempt(t.Context(), s, hclog.NewNullLogger())
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if token := c.Token(); c.session.unknown(t.Context(), token) {
				t.Errorf("%s: it counts as lost", what)
			}
			if err := c.Close(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	left, _, err := servers[knows].API.ACL().TokenList(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range left {
		if token.AuthMethod != "" {
			t.Errorf("token %s is left", token.AccessorID)
		}
	}

	t.Run("a Consul that nobody has bootstrapped is named", func(t *testing.T) {
		t.Parallel()
		s := atUsualPorts(waits)
		s.Token = unknownToken
		refusedInTime(t, s, "ACL system must be bootstrapped", "hint: Consul knows no token yet: run consul acl bootstrap")
	})
	t.Run("one that is bootstrapped in time is waited for", func(t *testing.T) {
		t.Parallel()
		s := atUsualPorts(alone)
		s.Token = firstToken
		afterTwoRefusals(t, s, func() error {
			_, err := servers[alone].API.Raw().Write("/v1/acl/bootstrap", map[string]string{"BootstrapSecret": firstToken}, nil, nil)
			return err
		})
	})
}

// refusedInTime connects, which must end with the texts long before the agent is out of time.
func refusedInTime(t *testing.T, s Settings, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), StartTimeout)
	defer cancel()
	start := time.Now()
	_, err := Connect(ctx, s, hclog.NewNullLogger())
	t.Logf("after %s: %v", time.Since(start), err)
	var refusal *Refusal
	if !errors.As(err, &refusal) || ctx.Err() != nil {
		t.Fatalf("got %v, want a refusal", err)
	}
	for _, text := range want {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q is not in: %v", text, err)
		}
	}
}

// afterTwoRefusals connects with a token that is not known, and has it made known when that has been refused twice.
func afterTwoRefusals(t *testing.T, s Settings, makeKnown func() error) {
	t.Helper()
	refusals := &retries{atSecond: func() {
		if err := makeKnown(); err != nil {
			t.Error(err)
		}
	}}
	log := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: t.Output()})
	log.RegisterSink(refusals)
	ctx, cancel := context.WithTimeout(t.Context(), StartTimeout)
	defer cancel()
	c, err := Connect(ctx, s, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if refusals.n < 2 {
		t.Errorf("refused %d times", refusals.n)
	}
}

// retries counts what a log tells of Retry, whose caller writes it.
type retries struct {
	n        int
	atSecond func()
}

// Accept is told each message.
func (r *retries) Accept(_ string, _ hclog.Level, message string, _ ...any) {
	if message != "will retry" {
		return
	}
	if r.n++; r.n == 2 {
		r.atSecond()
	}
}

// The server that a task follows answers by HTTP as one that has just started: it refuses some requests, or all. By gRPC it is itself,
// and stands for the others.
func TestARefusalOfOneServerIsNoReasonToLogInAgain(t *testing.T) {
	address, err := url.Parse(fmt.Sprintf("https://%s:%d", stage.Consul.Address, stage.Consul.HTTPPort))
	if err != nil {
		t.Fatal(err)
	}
	for name, refusals := range map[string]int64{"it catches up": 3, "it stays behind": math.MaxInt64} {
		t.Run(name, func(t *testing.T) {
			asRole(t, mesh.RolePath, "web")
			stage.Node(t, clusterName(t))
			behind := httputil.NewSingleHostReverseProxy(address)
			behind.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			var asked atomic.Int64
			front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) <= refusals {
					http.Error(w, "ACL not found", http.StatusForbidden)
					return
				}
				behind.ServeHTTP(w, r)
			}))
			if front.Listener, err = net.Listen("tcp", net.JoinHostPort(stage.Consul.Address, "0")); err != nil {
				t.Fatal(err)
			}
			front.Start()
			defer front.Close()
			c := mustConnect(t, settings(t, taskOf(t, strings.ReplaceAll(name, " ", "-")), func(s *Settings) {
				s.HTTP = agentconfig.Endpoint{Port: front.Listener.Addr().(*net.TCPAddr).Port}
			}))
			aged := *c.session.current.Load()
			aged.since = time.Now().Add(-time.Hour)
			c.session.current.Store(&aged)
			if _, _, err := c.Lookup(t.Context(), aRegistration(t)); (err == nil) != (refusals < math.MaxInt64) {
				t.Errorf("after %d requests: %v", asked.Load(), err)
			}
			if c.Token() != aged.secretID {
				t.Error("it has logged in again")
			}
			if n := asked.Load(); n < 4 || n > 20 {
				t.Errorf("the server is asked %d times", n)
			}
		})
	}
}

func TestATokenThatConsulDoesNotKnowYetIsWaitedForAWhile(t *testing.T) {
	t.Parallel()
	s := Settings{Hosts: stage.Consul.Address, GRPCCAPEM: stage.Consul.CAPEM, HTTPCAPEM: stage.Consul.CAPEM,
		GRPC: endpointOf(stage.Consul, stage.Consul.GRPCPort), HTTP: endpointOf(stage.Consul, stage.Consul.HTTPPort)}
	t.Run("never known", func(t *testing.T) {
		t.Parallel()
		s := s
		s.Token = unknownToken
		refusedInTime(t, s, "ACL token refused: Unauthenticated: ACL not found", "hint: Consul does not know the token in CONSUL_HTTP_TOKEN")
	})
	t.Run("known in time", func(t *testing.T) {
		t.Parallel()
		s := s
		s.Token = lateToken
		afterTwoRefusals(t, s, func() error {
			_, _, err := stage.Consul.API.ACL().TokenCreate(&api.ACLToken{SecretID: lateToken, ServiceIdentities: []*api.ACLServiceIdentity{{ServiceName: "web"}}}, nil)
			return err
		})
	})
}

func TestWhatAServerThatHasJustStartedSaysIsNotFinal(t *testing.T) {
	t.Parallel()
	const fresh = "ACL system must be bootstrapped before making any requests that require authorization: ACL not found"
	for name, tc := range map[string]struct {
		code   codes.Code
		text   string
		behind bool
		tries  int
		hint   string
	}{
		"token not known":    {codes.Unauthenticated, "ACL not found", true, settling, "does not know the token in CONSUL_HTTP_TOKEN"},
		"no token known":     {codes.Unauthenticated, fresh, true, settling, "run consul acl bootstrap"},
		"no auth method":     {codes.InvalidArgument, `auth method "m" not found`, true, 0, "the controller creates it"},
		"no leader":          {codes.Unknown, "No cluster leader", true, 0, ""},
		"role not trusted":   {codes.Unauthenticated, "IAM principal x is not trusted", false, 1, "the auth method admits other roles"},
		"no binding rule":    {codes.PermissionDenied, "Permission denied", false, briefly, "no binding rule"},
		"ACLs are off":       {codes.FailedPrecondition, "ACL support disabled", false, 1, "set consulLogin.enabled to false"},
		"no token was given": {codes.Unauthenticated, "An ACL token must be provided", false, 1, "ACL system is on"},
	} {
		err := status.Error(tc.code, tc.text)
		if got := isBehind(err); got != tc.behind {
			t.Errorf("%s: another server may know better: %v", name, got)
		}
		if got := refused(err, Settings{}); got.Tries != tc.tries || !strings.Contains(got.Hint, tc.hint) {
			t.Errorf("%s: %d tries, hint %q", name, got.Tries, got.Hint)
		}
	}
	for text, hint := range map[string]string{fresh: "run consul acl bootstrap", "ACL not found": "does not know the controller's token"} {
		err := api.StatusError{Code: 403, Body: text}
		var ofController, ofTask *Refusal
		if !errors.As(aclRefusal(err), &ofController) || ofController.Tries != settling || !strings.Contains(ofController.Hint, hint) {
			t.Errorf("%s: a controller gets %+v", text, ofController)
		}
		if !errors.As(catalogRefusal(err), &ofTask) || ofTask.Tries != settling {
			t.Errorf("%s: a task gets %+v", text, ofTask)
		}
	}
}
