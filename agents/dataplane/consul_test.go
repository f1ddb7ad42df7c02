package dataplane_test

import (
	"sync"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

const node = "arn:aws:ecs:eu-west-1:123456789012:cluster/test"

// shared is the server of the tests that do not harm theirs.
var shared struct {
	sync.Mutex
	server *testenv.Consul
}

func sharedConsul(t *testing.T) *testenv.Consul {
	t.Helper()
	tool(t, "consul")
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		shared.server = startConsul(t)
	}
	return shared.server
}

func stopSharedConsul() {
	if shared.server != nil {
		_ = shared.server.Stop()
	}
}

// startConsul starts a server, which the caller ends. Services speak HTTP by default.
func startConsul(t *testing.T) *testenv.Consul {
	t.Helper()
	return startConsulAs(t, testenv.ConsulConfig{})
}

// startConsulAs is startConsul for a server that is not as most are.
func startConsulAs(t *testing.T, cfg testenv.ConsulConfig) *testenv.Consul {
	t.Helper()
	tool(t, "consul")
	c, err := testenv.StartConsul(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = c.API.ConfigEntries().Set(&api.ProxyConfigEntry{Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal, Config: map[string]any{"protocol": "http"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newToken makes a token that is the services'.
func newToken(t *testing.T, c *testenv.Consul, services ...string) string {
	t.Helper()
	var identities []*api.ACLServiceIdentity
	for _, service := range services {
		identities = append(identities, &api.ACLServiceIdentity{ServiceName: service})
	}
	token, _, err := c.API.ACL().TokenCreate(&api.ACLToken{ServiceIdentities: identities}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return token.SecretID
}

// intend lets or forbids from call to.
func intend(t *testing.T, c *testenv.Consul, from, to *task, action api.IntentionAction) {
	t.Helper()
	_, _, err := c.API.ConfigEntries().Set(&api.ServiceIntentionsConfigEntry{
		Kind: api.ServiceIntentions, Name: to.service, Sources: []*api.SourceIntention{{Name: from.service, Action: action}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}
