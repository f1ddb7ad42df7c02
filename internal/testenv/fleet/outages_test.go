package fleet_test

import (
	"slices"
	"testing"
	"time"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

// away is how long a part of the world stays away: longer than the controller's passes are apart.
const away = 12 * time.Second

func TestTasksOutliveWhatTheyLeanOn(t *testing.T) {
	t.Parallel()
	apiTask, webTask := troubled.mesh(t, "")
	pair := outage{troubled, apiTask, webTask}
	for _, step := range []struct {
		name string
		run  func(outage, *testing.T)
	}{
		{"the controller is killed", outage.controllerKilled},
		{"Consul is killed", outage.consulKilled},
		{"Consul hangs", outage.consulHangs},
		{"ECS is away", outage.ecsAway},
		{"the synthetic node is deleted", outage.nodeDeleted},
		{"Consul is replaced at another address", outage.consulReplaced}, // last: new tasks look for it where it was
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(pair, t) }) {
			return // the next step needs a sound world
		}
	}
	for name, task := range map[string]ecstypes.Task{"web": webTask, "api": apiTask} {
		task = troubled.stop(t, task)
		troubled.ended(t, task)
		troubled.gone(t, name, task)
	}
}

// outage is a pair of tasks through which traffic flows, in a world of which parts go away.
type outage struct {
	*stage
	api, web ecstypes.Task
}

// undisturbed watches the pair until end, which fails the test if an instance was ever gone or not passing, or a request
// was lost, or something is not as it should be.
func (o outage) undisturbed(t *testing.T) (end func()) {
	t.Helper()
	unwatch := o.watched(t)
	return func() {
		t.Helper()
		unwatch()
		o.sound(t)
	}
}

// watched watches the pair until end, which fails the test if an instance was ever gone or not passing, or a request was
// lost.
func (o outage) watched(t *testing.T) (end func()) {
	t.Helper()
	endLoad, endAPI, endWeb := o.load(t, o.web), o.watch(t, "api", o.api), o.watch(t, "web", o.web)
	return func() {
		t.Helper()
		endLoad()
		for _, states := range []map[string][]string{endAPI(), endWeb()} {
			for id, seen := range states {
				if !slices.Equal(seen, []string{api.HealthPassing}) {
					t.Errorf("%s was %v, want passing all the time", id, seen)
				}
			}
		}
	}
}

// sound checks that Consul holds of the pair what it should.
func (o outage) sound(t *testing.T) {
	t.Helper()
	o.passes(t, "api", o.api)
	o.passes(t, "web", o.web)
	for _, task := range []ecstypes.Task{o.api, o.web} {
		tokens, err := o.catalog.LoginTokens(t.Context(), fleet.TaskID(task))
		if err != nil || len(tokens) != 2 {
			t.Errorf("task %s has the tokens %v (%v), want the dataplane's and health-sync's", fleet.TaskID(task), tokens, err)
		}
	}
}

func (o outage) controllerKilled(t *testing.T) {
	lost := o.service(t, app{name: "lost", port: 9090})
	end := o.undisturbed(t)
	controller := o.only(t, controllerService)
	o.kill(t, controller, "")
	o.kill(t, lost, "") // nobody is there to see it
	o.stopped(t, controller)
	o.gone(t, "lost", lost)
	if next := o.only(t, controllerService); fleet.TaskID(next) == fleet.TaskID(controller) {
		t.Error("the controller was not replaced")
	}
	end()
}

func (o outage) consulKilled(t *testing.T) {
	stopping := o.service(t, app{name: "stopping", port: 9090})
	end := o.undisturbed(t)
	o.world.Consul.Kill()
	if err := o.Stop(t.Context(), *stopping.TaskArn); err != nil {
		t.Fatal(err)
	}
	time.Sleep(away)
	if err := o.world.Consul.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopping = o.stopped(t, stopping)
	o.gone(t, "stopping", stopping)
	o.ended(t, stopping)
	end()
	o.obeysIntentions(t)
}

func (o outage) consulHangs(t *testing.T) {
	end := o.undisturbed(t)
	if err := o.world.Consul.Freeze(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(away)
	if err := o.world.Consul.Thaw(); err != nil {
		t.Fatal(err)
	}
	end()
	o.obeysIntentions(t)
}

// obeysIntentions shows that the proxies still hear from Consul.
func (o outage) obeysIntentions(t *testing.T) {
	t.Helper()
	if _, err := o.catalog.ConfigEntries().Delete(api.ServiceIntentions, "api", nil); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "web is refused without an intention", func() (string, error) {
		if err := fleet.Ask(t.Context(), client, url(o.web)); err == nil {
			return "it still gets its answer", nil
		}
		return "", nil
	})
	if err := o.catalog.Allow(t.Context(), "web", "api"); err != nil {
		t.Fatal(err)
	}
	answers(t, o.web)
}

func (o outage) consulReplaced(t *testing.T) {
	end := o.watched(t)
	if err := o.world.ReplaceConsul(t.Context()); err != nil {
		t.Fatal(err)
	}
	end()
	catalog, err := fleet.NewCatalog(o.world.Address, o.world.Consul.BootstrapToken)
	if err != nil {
		t.Fatal(err)
	}
	o.catalog = catalog
	o.sound(t)
	o.obeysIntentions(t)
}

func (o outage) ecsAway(t *testing.T) {
	end := o.undisturbed(t)
	if err := o.world.StopECS(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(away)
	if err := o.world.StartECS(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(away)
	end()
	lost := o.service(t, app{name: "lost-later", port: 9090})
	o.kill(t, lost, "")
	o.gone(t, "lost-later", lost)
}

func (o outage) nodeDeleted(t *testing.T) {
	if _, err := o.catalog.Catalog().Deregister(&api.CatalogDeregistration{Node: o.Cluster}, nil); err != nil {
		t.Fatal(err)
	}
	for service, task := range map[string]ecstypes.Task{"web": o.web, "api": o.api} {
		if of, err := o.instances(t.Context(), service, task); err != nil || len(of) > 0 {
			t.Fatalf("%v are left after the deletion (%v)", of, err)
		}
	}
	o.passes(t, "api", o.api)
	o.passes(t, "web", o.web)
	answers(t, o.web)
}
