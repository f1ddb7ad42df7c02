package main

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// TestAGivenTokenServesATasksWholeLife has a configuration that asks for logins too, as the incumbent's module writes it.
func TestAGivenTokenServesATasksWholeLife(t *testing.T) {
	t.Parallel()
	token, _, err := stage.Consul.API.ACL().TokenCreate(&api.ACLToken{ServiceIdentities: []*api.ACLServiceIdentity{{ServiceName: "web"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlayer(t)
	p.env[mesh.VariableToken] = token.SecretID + "\n"
	for name := range p.env { // no AWS is needed
		if strings.HasPrefix(name, "AWS_") {
			p.env[name] = ""
		}
	}
	p.start(t, "mesh-init").exits(t, 0, 20*time.Second)
	file, err := dataplanefile.Read(p.file(dataplanefile.Name))
	if err != nil || file.Consul.Credentials != nil {
		t.Errorf("the dataplane's file has the credentials %+v (%v), want none: its environment has the token", file.Consul.Credentials, err)
	}
	p.end(t, p.begin(t))
	if _, _, err := stage.Consul.API.ACL().TokenRead(token.AccessorID, nil); err != nil {
		t.Errorf("the token is gone after the task: %v", err)
	}
}

func TestNoTokenIsRefusedWhereConsulWantsOne(t *testing.T) {
	t.Parallel()
	p := newPlayer(t)
	p.cfg.ConsulLogin = nil
	r := p.start(t, "mesh-init")
	r.exits(t, 1, 20*time.Second)
	if want := "Consul's ACL system is on: set consulLogin.enabled to true"; !strings.Contains(r.log.String(), want) {
		t.Errorf("it did not say %q:\n%s", want, r.log)
	}
}

// TestTheDataplaneIsToldHowLongItsTokensLive: by itself it could not find out, as it reaches no HTTP API.
func TestTheDataplaneIsToldHowLongItsTokensLive(t *testing.T) {
	t.Parallel()
	acl := stage.Consul.API.ACL()
	method, _, err := acl.AuthMethodRead(mesh.AuthMethod, nil)
	if err != nil {
		t.Fatal(err)
	}
	method.Name, method.MaxTokenTTL = "two-hours", 2*time.Hour
	if _, _, err := acl.AuthMethodCreate(method, nil); err != nil {
		t.Fatal(err)
	}
	rule := &api.ACLBindingRule{AuthMethod: method.Name, BindType: api.BindingRuleBindTypeService, BindName: "web"}
	if _, _, err := acl.BindingRuleCreate(rule, nil); err != nil {
		t.Fatal(err)
	}
	p := newPlayer(t)
	p.cfg.ConsulLogin.Method = method.Name
	p.start(t, "mesh-init").exits(t, 0, 20*time.Second)
	file, err := dataplanefile.Read(p.file(dataplanefile.Name))
	if err != nil || file.Consul.Credentials == nil || file.Consul.Credentials.Login.TokenTTLSeconds != 7200 {
		t.Errorf("the dataplane's file has the credentials %+v (%v), want tokens of two hours", file.Consul.Credentials, err)
	}
}
