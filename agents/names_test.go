package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// usual is a resolver's configuration as a task finds it.
const usual = "search eu-central-1.compute.internal\nnameserver 10.0.0.2\n"

// newNamer is a task of the service web that calls by name, with a resolver's configuration of its own.
func newNamer(t *testing.T) *player {
	t.Helper()
	p := newPlayer(t)
	p.cfg.Names = &agentconfig.Names{Enabled: new(true)}
	p.resolver = filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(p.resolver, []byte(usual), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// resolverIs compares the resolver's configuration.
func (p *player) resolverIs(t *testing.T, want string) {
	t.Helper()
	content, err := os.ReadFile(p.resolver)
	if diff := cmp.Diff(want, string(content)); err != nil || diff != "" {
		t.Errorf("the resolver's configuration: %v\n%s", err, diff)
	}
}

func TestATaskThatCallsByNameIsRegisteredAndResolves(t *testing.T) {
	t.Parallel()
	p := newNamer(t)
	p.cfg.Names.Ports = []int{80, 8000}
	p.cfg.Services = []agentconfig.FurtherService{{Service: &agentconfig.Service{Name: "web-admin", Port: 8081}}}
	maps.Copy(p.env, stage.RoleEnv(t, mesh.RolePath, p.id+"-twofold", "web", "web-admin"))
	for range 2 { // once more changes nothing
		p.start(t, "mesh-init").exits(t, 0, 30*time.Second)
		p.resolverIs(t, strings.Replace(usual, "nameserver", "nameserver 127.0.0.1\nnameserver", 1))
	}
	services := stage.Services(t, p.node)
	first, second := mesh.ServiceID("web", p.id), mesh.ServiceID("web-admin", p.id)
	modes := []api.ProxyMode{services[mesh.ProxyID(first)].Proxy.Mode, services[mesh.ProxyID(second)].Proxy.Mode}
	if diff := cmp.Diff([]api.ProxyMode{api.ProxyModeTransparent, api.ProxyModeDefault}, modes); diff != "" {
		t.Errorf("the modes of the two proxies (-want +got):\n%s", diff)
	}
	if tagged := services[first].TaggedAddresses; len(tagged) != 0 {
		t.Errorf("the service has the addresses %v, though nothing leads what arrives there to its proxy", tagged)
	}
	file, err := dataplanefile.Read(p.file(dataplanefile.Name))
	if err != nil {
		t.Fatal(err)
	}
	at, on := file.DNS()
	if diff := cmp.Diff([]any{"127.0.0.1:53", true, []int{80, 8000}}, []any{at.String(), on, file.Names.Ports}); diff != "" {
		t.Errorf("the dataplane's file (-want +got):\n%s", diff)
	}
}

func TestAResolverThatCannotBeWrittenLeavesNothingRegistered(t *testing.T) {
	t.Parallel()
	p := newNamer(t)
	p.mountOptions = "bind,ro" // as where the container's root is read-only
	r := p.start(t, "mesh-init")
	r.exits(t, 1, 30*time.Second)
	for _, want := range []string{"add name server: open /etc/resolv.conf: read-only file system", "needs a writable root file system"} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("it did not say %q:\n%s", want, r.log)
		}
	}
	p.leftNothing(t)
}
