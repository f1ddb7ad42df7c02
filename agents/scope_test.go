package main

import (
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/dataplanefile"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/front"
)

func TestATaskLivesInItsScope(t *testing.T) {
	t.Parallel()
	scope := mesh.Scope{Partition: "retail", Namespace: "team"}
	consul := front.Start(t, stage.Consul)
	off := false
	p := newPlayer(t)
	p.cfg.ConsulServers = agentconfig.ConsulServers{
		Hosts: "127.0.0.1", Defaults: &agentconfig.ServerDefaults{TLS: &off},
		HTTP: &agentconfig.ServerHTTP{Port: consul.HTTPPort, HTTPS: &off}, GRPC: &agentconfig.ServerGRPC{Port: consul.GRPCPort},
	}
	p.cfg.Service.Partition, p.cfg.Service.Namespace = scope.Partition, scope.Namespace
	p.start(t, "mesh-init").exits(t, 0, 20*time.Second)
	r := p.start(t, "health-sync")
	p.setReady(true)
	p.set("RUNNING", "HEALTHY")
	p.checksAre(t, "passing", 20*time.Second)
	r.signal(t, syscall.SIGTERM)
	p.checksAre(t, "critical", 20*time.Second)
	p.set("STOPPED", "HEALTHY")
	r.exits(t, 0, 20*time.Second)
	p.leftNothing(t)

	for _, sent := range consul.Sent() {
		want := scope
		if sent.Call == front.Login || sent.Call == "PUT /v1/catalog/register" && sent.Place == "body " {
			want.Namespace = "" // neither auth methods nor nodes of ours lie in one
		}
		if sent.Scope != want {
			t.Errorf("%s, %s: %+v, want %+v", sent.Call, sent.Place, sent.Scope, want)
		}
	}
	file, err := dataplanefile.Read(p.file(dataplanefile.Name))
	if err != nil {
		t.Fatal(err)
	}
	login := file.Consul.Credentials.Login
	got := [2]mesh.Scope{{Partition: file.Proxy.Partition, Namespace: file.Proxy.Namespace}, {Partition: login.Partition, Namespace: login.Namespace}}
	if diff := cmp.Diff([2]mesh.Scope{scope, {Partition: scope.Partition}}, got); diff != "" {
		t.Errorf("the proxy and the login in the dataplane's file:\n%s", diff)
	}
}
