package fleet_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

const (
	rollings = 5
	rollTime = time.Minute // for which the requests go on at the least

	// starved is for how long the machine may stand still, as far as web's application notices, for a run of rollings to
	// count: the stopped application serves on for a second, within which its callers must have heard of it. Who has
	// less of the machine than that loses requests, whatever the mesh does.
	starved = 500 * time.Millisecond
)

// rolls has ECS services replace their tasks again and again, under requests of every kind: on connections of their own to
// a service of protocol tcp and to one of http, and on kept connections to the latter. Every other task of these serves on
// for a second after SIGTERM, the rest are held for as long by the app wrapper and gone at SIGTERM. The third service is
// always gone at SIGTERM, and it is its callers' proxies that make up for it, with nothing configured in Consul.
func (s *stage) rolls(t *testing.T, order engine.StopOrder) {
	t.Helper()
	r := s.newRolling(t, string(order))
	loads, stood := r.run(t)
	failed := lost(t, loads) - underWay(loads)
	if failed > 0 && stood > starved {
		t.Logf("%d requests were lost on a starved machine: once more", failed)
		loads, _ = r.run(t)
		failed = lost(t, loads) - underWay(loads)
	}
	if failed > 0 {
		t.Errorf("%d requests were lost", failed)
	}
}

// underWay counts requests that an application may have had when it went, of the service that is gone at SIGTERM: nobody may send
// them again. There are no more of them than a few.
func underWay(loads []fleet.Load) (n int) {
	for _, failure := range loads[len(loads)-1].Failed {
		if strings.Contains(failure.Err.Error(), "reset reason: connection termination") {
			n++
		}
	}
	return min(n, rollings)
}

// rolling is a web and the services that it calls, each of one task.
type rolling struct {
	*stage
	web      ecstypes.Task
	services []app
	running  map[string]ecstypes.Task // by service
	release  int
}

// newRolling starts the tasks of a rolling.
func (s *stage) newRolling(t *testing.T, name string) *rolling {
	t.Helper()
	r := &rolling{stage: s, running: map[string]ecstypes.Task{}, services: []app{
		{name: "tcp-" + name, port: 9090, healthCheck: true},
		{name: "http-" + name, port: 9090, healthCheck: true},
		{name: "gone-" + name, port: 9090, healthCheck: true, serveOn: "0s"},
	}}
	web := app{name: "web-" + name, port: 8080, change: func(spec *taskdef.Spec) {
		for i, service := range r.services {
			up := fleet.Upstream(service.name, 1234+i)
			up.LocalBindAddress = "0.0.0.0" // so that the requests come straight from the test
			spec.Proxy.Upstreams = append(spec.Proxy.Upstreams, up)
		}
	}}
	for _, service := range r.services[1:] {
		s.configure(t, &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: service.name, Protocol: "http"})
	}
	for i, service := range r.services {
		s.allow(t, web.name, service.name)
		if err := s.Serve(t.Context(), service.name, s.register(t, r.next(t, i))); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Retire(context.Background(), service.name); err != nil {
				t.Error(err)
			}
		})
	}
	r.web = s.service(t, web)
	for _, service := range r.services {
		task := s.only(t, service.name)
		s.healthy(t, task)
		s.calls(t, r.web, service.name, task)
		r.running[service.name] = task
	}
	return r
}

// next is the next release of a service.
func (r *rolling) next(t *testing.T, i int) app {
	t.Helper()
	a := r.services[i]
	a.release = fmt.Sprint(r.release)
	if a.serveOn == "" && r.release%2 == 1 {
		a.serveOn, a.differ.Definition = "0s", func(d *taskdef.Definition) { wrap(t, d, "1s") }
	}
	return a
}

// wrap runs the application in the app wrapper, which comes from the shared volume.
func wrap(t *testing.T, d *taskdef.Definition, delay string) {
	t.Helper()
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		switch aws.ToString(c.Name) {
		case "app":
			c.EntryPoint, c.Command = []string{mesh.BootstrapDir + "/consul-ecs", "app", "-shutdown-delay", delay}, []string{"/demo-app"}
			c.MountPoints = append(c.MountPoints, ecstypes.MountPoint{SourceVolume: aws.String(mesh.VolumeName), ContainerPath: aws.String(mesh.BootstrapDir), ReadOnly: aws.Bool(true)})
		case mesh.ContainerMeshInit:
			editConfig(t, c, func(cfg *agentconfig.Config) { cfg.ShareAgent = aws.Bool(true) })
		}
	}
}

// editConfig changes what a container tells its agent.
func editConfig(t *testing.T, c *ecstypes.ContainerDefinition, edit func(*agentconfig.Config)) {
	t.Helper()
	for _, variable := range c.Environment {
		if aws.ToString(variable.Name) != mesh.ConfigVariable {
			continue
		}
		cfg, err := agentconfig.Parse([]byte(*variable.Value))
		if err != nil {
			t.Fatal(err)
		}
		edit(&cfg)
		text, err := agentconfig.Marshal(cfg)
		if err != nil {
			t.Fatal(err)
		}
		setenv(c, mesh.ConfigVariable, string(text))
	}
}

// run applies the load while the services are rolled.
func (r *rolling) run(t *testing.T) (loads []fleet.Load, stood time.Duration) {
	t.Helper()
	at := func(i int) string { return fmt.Sprintf("http://%s:%d/", fleet.IPAddress(r.web), 1234+i) }
	end := r.apply(t, r.web,
		fleet.Traffic{URL: at(0), Rate: 55},
		fleet.Traffic{URL: at(1), Rate: 50},
		fleet.Traffic{URL: at(1), Rate: 50, Kept: true},
		fleet.Traffic{URL: at(2), Rate: 45})
	least := time.NewTimer(rollTime)
	for range rollings {
		r.roll(t)
	}
	<-least.C
	loads, stood = end()
	t.Logf("the machine stood still for up to %s", stood)
	return loads, stood
}

// roll replaces the task of each service and waits until nothing is left of it.
func (r *rolling) roll(t *testing.T) {
	t.Helper()
	r.release++
	for i, service := range r.services {
		if err := r.Roll(t.Context(), service.name, r.register(t, r.next(t, i))); err != nil {
			t.Fatal(err)
		}
	}
	for _, service := range r.services {
		task := r.stopped(t, r.running[service.name])
		r.gone(t, service.name, task)
		r.ended(t, task)
		next := r.only(t, service.name)
		if fleet.TaskID(next) == fleet.TaskID(task) {
			t.Fatalf("the task of %s was not replaced", service.name)
		}
		r.running[service.name] = next
	}
}

// configure writes configuration entries. They stay: services of a name belong to one test.
func (s *stage) configure(t *testing.T, entries ...api.ConfigEntry) {
	t.Helper()
	for _, entry := range entries {
		if _, _, err := s.catalog.ConfigEntries().Set(entry, nil); err != nil {
			t.Fatal(err)
		}
	}
}
