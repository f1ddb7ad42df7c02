package dataplane_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/hashicorp/consul/api"
)

const (
	node = "arn:aws:ecs:eu-west-1:123456789012:cluster/test"
	root = "root" // the bootstrap token of the test's Consul
)

// consulServer is a real Consul server with ACLs on, everything denied by default, and its data on disk.
type consulServer struct {
	*api.Client
	grpc int
	dir  string
	cmd  *exec.Cmd
}

// shared is the server of the tests that do not harm theirs.
var shared struct {
	sync.Mutex
	server *consulServer
}

func sharedConsul(t *testing.T) *consulServer {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		shared.server = startConsul(t)
	}
	return shared.server
}

func endSharedConsul() {
	if shared.server != nil {
		shared.server.end()
	}
}

// startConsul starts a server, which the caller ends.
func startConsul(t *testing.T) *consulServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "dataplane-consul-")
	if err != nil {
		t.Fatal(err)
	}
	http, grpc := freePort(t), freePort(t)
	config := fmt.Sprintf(`
		server = true
		bootstrap_expect = 1
		node_name = "server"
		bind_addr = "127.0.0.1"
		client_addr = "127.0.0.1"
		log_level = "WARN"
		connect { enabled = true }
		performance { raft_multiplier = 1 }
		acl { enabled = true, default_policy = "deny", tokens { initial_management = "%s" } }
		ports { http = %d, grpc = %d, grpc_tls = -1, dns = -1, serf_lan = %d, serf_wan = -1, server = %d }`,
		root, http.Port(), grpc.Port(), freePort(t).Port(), freePort(t).Port())
	if err := os.WriteFile(filepath.Join(dir, "consul.hcl"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := api.NewClient(&api.Config{Address: http.String(), Token: root})
	if err != nil {
		t.Fatal(err)
	}
	c := &consulServer{Client: client, grpc: int(grpc.Port()), dir: dir}
	c.start(t)
	return c
}

func (c *consulServer) start(t *testing.T) {
	t.Helper()
	c.cmd = exec.Command(tool(t, "consul"), "agent", "-config-file", filepath.Join(c.dir, "consul.hcl"), "-data-dir", filepath.Join(c.dir, "data"))
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Consul serves", func() bool {
		done, _, err := c.ConfigEntries().Set(&api.ProxyConfigEntry{Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal, Config: map[string]any{"protocol": "http"}}, nil)
		return err == nil && done
	})
}

func (c *consulServer) kill() {
	_ = c.cmd.Process.Signal(syscall.SIGKILL)
	_ = c.cmd.Wait()
}

func (c *consulServer) end() {
	c.kill()
	_ = os.RemoveAll(c.dir)
}

// token makes a token that is the service's.
func (c *consulServer) token(t *testing.T, service string) string {
	t.Helper()
	token, _, err := c.ACL().TokenCreate(&api.ACLToken{ServiceIdentities: []*api.ACLServiceIdentity{{ServiceName: service}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return token.SecretID
}

// intend lets or forbids from call to.
func (c *consulServer) intend(t *testing.T, from, to *task, action api.IntentionAction) {
	t.Helper()
	_, _, err := c.ConfigEntries().Set(&api.ServiceIntentionsConfigEntry{
		Kind: api.ServiceIntentions, Name: to.service, Sources: []*api.SourceIntention{{Name: from.service, Action: action}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}
