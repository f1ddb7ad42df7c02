package consul

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/proto-public/pbdataplane"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// expiring makes an auth method whose tokens live for a minute, the least that Consul takes.
func expiring(t *testing.T, name string) string {
	t.Helper()
	acl := stage.Consul.API.ACL()
	method, _, err := acl.AuthMethodRead(methodAt(t, name, stage.AWS.URL), nil)
	if err != nil {
		t.Fatal(err)
	}
	method.MaxTokenTTL = time.Minute
	if _, _, err := acl.AuthMethodUpdate(method, nil); err != nil {
		t.Fatal(err)
	}
	return method.Name
}

// counter counts the lines of a log that have a text.
type counter struct {
	text string
	n    atomic.Int32
}

// Accept makes it a sink of hclog.
func (c *counter) Accept(_ string, _ hclog.Level, msg string, _ ...any) {
	if strings.Contains(msg, c.text) {
		c.n.Add(1)
	}
}

func TestATokenIsRenewedBeforeItExpires(t *testing.T) {
	t.Parallel()
	s := settings(t, taskOf(t, "t1"), byRole(t, mesh.RolePath, "web"))
	s.Login.Method = expiring(t, "expiring")
	log := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: t.Output(), IndependentLevels: true})
	refused := &counter{text: "Consul does not know the ACL token"}
	log.RegisterSink(refused)
	c, err := Connect(t.Context(), s, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	first, began := c.Token(), time.Now()
	replaced := c.Replaced(first)
	params := &pbdataplane.GetSupportedDataplaneFeaturesRequest{}
	var renewed time.Duration
	for time.Since(began) < 65*time.Second { // longer than the first token lives
		if _, err := pbdataplane.NewDataplaneServiceClient(c.GRPC()).GetSupportedDataplaneFeatures(c.WithToken(t.Context()), params); err != nil {
			t.Errorf("after %s by gRPC: %v", time.Since(began), err)
		}
		if _, err := c.HasNode(t.Context(), "server"); err != nil {
			t.Errorf("after %s by HTTP: %v", time.Since(began), err)
		}
		select {
		case <-replaced:
			if renewed == 0 {
				renewed = time.Since(began)
			}
		default:
		}
		time.Sleep(250 * time.Millisecond)
	}
	t.Logf("renewed after %s", renewed)
	if renewed < 40*time.Second || renewed > 58*time.Second {
		t.Errorf("renewed after %s, want it in the last third of the minute", renewed)
	}
	if _, _, err := stage.Consul.API.ACL().TokenReadSelf(&api.QueryOptions{Token: first}); err == nil {
		t.Error("the first token lives still: this shows nothing")
	}
	if n := refused.n.Load(); n != 0 {
		t.Errorf("a token was refused %d times, want none that had expired in use", n)
	}
}

func TestTokensAreRenewedInTheLastThirdOfTheirLife(t *testing.T) {
	t.Parallel()
	for _, life := range []time.Duration{time.Minute, time.Hour, 24 * time.Hour} {
		low, high := life, time.Duration(0)
		for range 1000 {
			after := renewalAfter(life)
			low, high = min(low, after), max(high, after)
		}
		if low < life*7/10 || high > life*85/100 || high-low < life/10 {
			t.Errorf("tokens of %s are renewed after %s to %s", life, low, high)
		}
	}
}
