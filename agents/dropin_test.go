package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

func TestTheAgentIsSharedWithTheIncumbentsDefinitionsAlone(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for name, tc := range map[string]struct {
		share     *bool
		dataplane *agentconfig.Dataplane
		want      bool
	}{
		"the incumbent's":        {nil, nil, true},
		"the incumbent's, not":   {&no, nil, false},
		"ours":                   {nil, &agentconfig.Dataplane{StopWithinSeconds: 40}, false},
		"ours, where it is used": {&yes, &agentconfig.Dataplane{StopWithinSeconds: 40}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlayer(t)
			p.cfg.ShareAgent, p.cfg.Proxy.Dataplane = tc.share, tc.dataplane
			for range 2 { // the second one finds what the first one left
				p.start(t, "mesh-init").exits(t, 0, 20*time.Second)
			}
			if left, err := filepath.Glob(p.file(".*")); err != nil || len(left) != 0 {
				t.Errorf("%v are left in the volume (%v)", left, err)
			}
			info, err := os.Stat(p.file("consul-ecs"))
			if !tc.want {
				if !os.IsNotExist(err) {
					t.Errorf("the agent is in the volume: %v, %v", info, err)
				}
				return
			}
			if err != nil || info.Mode().Perm() != 0o755 {
				t.Fatalf("the agent in the volume: %v (%v), want mode 0755", info, err)
			}
			shared := exec.Command(p.file("consul-ecs"), "version")
			shared.Env = append(os.Environ(), asAgent+"=1")
			if out, err := shared.Output(); err != nil || string(out) != "consulecs-agent dev\n" {
				t.Errorf("the agent in the volume says %q (%v)", out, err)
			}
		})
	}
}

// TestTheOfficialDataplaneCanLogIn checks the one thing by which the official dataplane's login differs from ours: it sends
// the bearer token that it finds in its file.
func TestTheOfficialDataplaneCanLogIn(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	p.start(t, "mesh-init").exits(t, 0, 20*time.Second)
	if file := official(t, p.file(dataplanefile.Name)); file.Consul.Credentials.Login.BearerToken != "" {
		t.Error("the file holds a bearer token that nobody asked for")
	}
	p.cfg.ConsulLogin.EmbedBearerToken = true
	r := p.start(t, "mesh-init")
	r.exits(t, 0, 20*time.Second)

	login := official(t, p.file(dataplanefile.Name)).Consul.Credentials.Login
	token, _, err := stage.Consul.API.ACL().Login(&api.ACLLoginParams{AuthMethod: login.AuthMethod, BearerToken: login.BearerToken, Meta: login.Meta}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(token.ServiceIdentities) != 1 || token.ServiceIdentities[0].ServiceName != "web" || !strings.Contains(token.Description, p.id) {
		t.Errorf("the token is %q for %+v, want it for the service web", token.Description, token.ServiceIdentities)
	}
	if strings.Contains(r.log.String(), login.BearerToken) {
		t.Error("the bearer token is in the log")
	}
	p.env[mesh.VariableToken] = token.SecretID // with a static token there is no login, hence no bearer token
	p.start(t, "mesh-init").exits(t, 0, 20*time.Second)
	if file := official(t, p.file(dataplanefile.Name)); file.Consul.Credentials != nil {
		t.Error("the file holds credentials beside a static token")
	}
	if _, err := stage.Consul.API.ACL().Logout(&api.WriteOptions{Token: token.SecretID}); err != nil {
		t.Error(err)
	}
}

// officialFile is the part of the official dataplane's format that concerns the login.
type officialFile struct {
	Consul struct {
		Credentials *struct {
			Type  string
			Login struct {
				AuthMethod, BearerToken, Datacenter string
				Meta                                map[string]string
			}
		}
	}
}

func official(t *testing.T, name string) (f officialFile) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	return f
}
