package dataplane_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

// TestEnvoyHearsOfChangesAfterTheTokenOfItsStreamHasExpired has tokens that live for a minute, the least that Consul takes. One
// dataplane knows of it, as mesh-init tells it; another does not, as where the auth method has changed since.
func TestEnvoyHearsOfChangesAfterTheTokenOfItsStreamHasExpired(t *testing.T) {
	t.Parallel()
	stage := startMesh(t)
	method, _, err := stage.Consul.API.ACL().AuthMethodRead(mesh.AuthMethod, nil)
	if err != nil {
		t.Fatal(err)
	}
	method.MaxTokenTTL = time.Minute
	if _, _, err := stage.Consul.API.ACL().AuthMethodUpdate(method, nil); err != nil {
		t.Fatal(err)
	}
	for name, ttl := range map[string]int{"told": 60, "untold": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, first := logsIn(t, stage, name, func(login *dataplanefile.Login) { login.TokenTTLSeconds = ttl })
			eventually.True(t, "the first token has expired", 75*time.Second, func() bool {
				token, _, err := stage.Consul.API.ACL().TokenRead(first, nil)
				return err != nil || token.ExpirationTime.Before(time.Now())
			})
			began := time.Now()
			_, _, err := stage.Consul.API.ConfigEntries().Set(&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: k.service, Protocol: "http"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			eventually.True(t, "Envoy hears of the new protocol", 30*time.Second, func() bool {
				return strings.Contains(ask(k.file.Envoy.AdminBindPort, "/config_dump?resource=dynamic_listeners"), "http_connection_manager")
			})
			t.Logf("heard after %s", time.Since(began))
			if told := strings.Contains(k.output.String(), "the ACL token is about to expire"); told != (ttl > 0) {
				t.Errorf("renewed in time: %v", told)
			}
			if lost := strings.Contains(k.output.String(), "Consul does not know the ACL token"); lost != (ttl == 0) {
				t.Errorf("the token was used after its end: %v", lost)
			}
		})
	}
}
