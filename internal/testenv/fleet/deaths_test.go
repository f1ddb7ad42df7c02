package fleet_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

// restartAfter is how long a container must have run for ECS to restart it in place: the period that the definitions set,
// and a little for the difference of the clocks.
const restartAfter = 61 * time.Second

func TestACrashedSidecarIsRestartedInPlace(t *testing.T) {
	t.Parallel()
	crashed, web := quiet.mesh(t, "-crash")
	quiet.rest(t, restartAfter, crashed, web) // ECS restarts nothing that has not run that long
	for _, container := range []string{mesh.ContainerDataplane, mesh.ContainerHealthSync} {
		quiet.kill(t, crashed, container)
		waitFor(t, container+" runs again", func() (string, error) {
			runs, err := quiet.Timeline(t.Context(), aws.ToString(crashed.TaskArn))
			for _, r := range runs {
				if r.Name == container && r.Restarts == 1 && r.Status == "RUNNING" {
					return "", err
				}
			}
			return "not yet", err
		})
		answers(t, web)
		quiet.passes(t, "api-crash", crashed)
	}
	task := quiet.stop(t, crashed)
	quiet.ended(t, task)
	quiet.gone(t, "api-crash", task)
}

// TestATaskThatDiesWithoutAGoodbyeIsCleanedUp goes before the others: where the lead changes hands, as another test has it, each
// new leader looks at everything, and may be faster than the event.
func TestATaskThatDiesWithoutAGoodbyeIsCleanedUp(t *testing.T) {
	task := quiet.service(t, app{name: "lost", port: 9090})
	other := quiet.service(t, app{name: "lost", port: 9090})
	quiet.kill(t, task, "")
	quiet.stopped(t, task)
	began := time.Now()
	quiet.gone(t, "lost", task)
	t.Logf("gone %v after ECS called it STOPPED", time.Since(began).Round(time.Millisecond))
	waitFor(t, "a controller says that an event told of it", func() (string, error) {
		said, err := quiet.controllersSay(t.Context(), "dead task removed: task_id="+fleet.TaskID(task), "seen_by=event")
		if err != nil || said {
			return "", err
		}
		return "no line says so", nil
	})
	if missing, err := quiet.whole(t.Context(), "lost", other); missing != "" || err != nil {
		t.Errorf("the other task of the service: %s (%v)", missing, err)
	}
}

// controllersSay reports whether a line of a running controller's log has all of the texts.
func (s *stage) controllersSay(ctx context.Context, texts ...string) (bool, error) {
	tasks, err := s.Running(ctx, controllerService)
	if err != nil {
		return false, err
	}
	for _, task := range tasks {
		log, err := s.Logs(ctx, aws.ToString(task.TaskArn), mesh.ContainerController)
		if err != nil {
			return false, err
		}
		for line := range strings.Lines(log) {
			if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
				return true, nil
			}
		}
	}
	return false, nil
}

func TestALostRegistrationIsMadeAgain(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]func(id string) api.CatalogDeregistration{
		"service": func(id string) api.CatalogDeregistration { return api.CatalogDeregistration{ServiceID: id} },
		"proxy": func(id string) api.CatalogDeregistration {
			return api.CatalogDeregistration{ServiceID: id + "-sidecar-proxy"}
		},
		"check": func(id string) api.CatalogDeregistration {
			return api.CatalogDeregistration{CheckID: id + "-consul-dataplane"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := "lose-" + name
			task := quiet.service(t, app{name: service, port: 9090})
			d := lost(service + "-" + fleet.TaskID(task))
			d.Node = quiet.Cluster
			first, err := quiet.madeAt(d)
			if err != nil || first == 0 {
				t.Fatalf("it is not there (%v)", err)
			}
			if _, err := quiet.catalog.Catalog().Deregister(&d, nil); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "it is made again", func() (missing string, err error) { // which may take less than a look
				if now, err := quiet.madeAt(d); err != nil || now <= first {
					return fmt.Sprintf("made at index %d, at first at %d", now, first), err
				}
				return "", nil
			})
			quiet.passes(t, service, task)
		})
	}
}

// madeAt is the index in Consul's log at which the service or check that d names was made, 0 if there is none.
func (s *stage) madeAt(d api.CatalogDeregistration) (uint64, error) {
	if d.CheckID != "" {
		checks, _, err := s.catalog.Health().Node(d.Node, nil)
		for _, c := range checks {
			if c.CheckID == d.CheckID {
				return c.CreateIndex, nil
			}
		}
		return 0, err
	}
	services, _, err := s.catalog.Catalog().NodeServiceList(d.Node, nil)
	if err != nil {
		return 0, err
	}
	for _, of := range services.Services {
		if of.ID == d.ServiceID {
			return of.CreateIndex, nil
		}
	}
	return 0, nil
}

func TestLostTokensAreReplaced(t *testing.T) {
	t.Parallel()
	apiApp := app{name: "api-tokens", port: 9090, serveOn: patience}
	first, web := quiet.pair(t, apiApp, app{name: "web-tokens", port: 8080})
	end := quiet.load(t, web)
	for _, task := range []ecstypes.Task{first, web} {
		quiet.loseTokens(t, task)
	}
	for _, task := range []ecstypes.Task{first, web} {
		waitFor(t, "task "+fleet.TaskID(task)+" has logged in again", func() (string, error) {
			tokens, err := quiet.catalog.LoginTokens(t.Context(), fleet.TaskID(task))
			if err != nil || len(tokens) == 2 {
				return "", err
			}
			return fmt.Sprint("tokens ", tokens), nil
		})
	}
	end()
	end = quiet.load(t, web)
	next := quiet.service(t, apiApp)
	quiet.calls(t, web, apiApp.name, next) // web hears of it by its new token
	if err := quiet.Stop(t.Context(), aws.ToString(first.TaskArn)); err != nil {
		t.Fatal(err)
	}
	quiet.loseTokens(t, first) // while it drains, as the incumbent's controller has it
	first = quiet.stopped(t, first)
	end()
	quiet.gone(t, "api-tokens", first)
	for _, task := range []ecstypes.Task{first, quiet.stop(t, web), quiet.stop(t, next)} {
		quiet.ended(t, task)
	}
	quiet.gone(t, "web-tokens", web)
}

func TestExpiredTokensAreReplaced(t *testing.T) {
	t.Parallel()
	method := quiet.shortLived(t)
	change := func(s *taskdef.Spec) { s.Login.Method = method }
	callee, caller := quiet.pair(t,
		app{name: "api-expiry", port: 9090, serveOn: patience, change: change}, app{name: "web-expiry", port: 8080, change: change})
	tasks := map[string]ecstypes.Task{"api-expiry": callee, "web-expiry": caller}
	end := quiet.load(t, caller)
	for _, task := range tasks {
		first, err := quiet.catalog.LoginTokens(t.Context(), fleet.TaskID(task)) // those that were replaced live until they expire
		if err != nil || len(first) < 2 {
			t.Fatalf("tokens %v (%v), want the dataplane's and health-sync's", first, err)
		}
		waitFor(t, "task "+fleet.TaskID(task)+" has other tokens", func() (string, error) {
			now, err := quiet.catalog.LoginTokens(t.Context(), fleet.TaskID(task))
			if err != nil || len(now) >= 2 && !slices.ContainsFunc(now, func(accessor string) bool { return slices.Contains(first, accessor) }) {
				return "", err
			}
			return fmt.Sprint("tokens ", now, ", first ", first), nil
		})
	}
	next := quiet.service(t, app{name: "api-expiry", port: 9090, serveOn: patience, change: change})
	quiet.calls(t, caller, "api-expiry", next) // it hears of it by its new token
	end()
	quiet.ended(t, quiet.stop(t, next))
	for service, task := range tasks {
		runs, err := quiet.Timeline(t.Context(), aws.ToString(task.TaskArn))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs {
			if r.Restarts != 0 {
				t.Errorf("container %s was restarted", r.Name)
			}
		}
		quiet.ended(t, quiet.stop(t, task))
		quiet.gone(t, service, task)
	}
}

// shortLived is an auth method like the tasks' own whose tokens live for a minute, the least that Consul allows.
func (s *stage) shortLived(t *testing.T) string {
	t.Helper()
	const name = "short-lived"
	acl := s.catalog.ACL()
	var method *api.ACLAuthMethod
	var rules []*api.ACLBindingRule
	waitFor(t, "the controller has made the auth method", func() (missing string, err error) {
		if method, _, err = acl.AuthMethodRead(mesh.AuthMethod, nil); err != nil || method == nil {
			return "auth method", err
		}
		if rules, _, err = acl.BindingRuleList(mesh.AuthMethod, nil); err != nil || len(rules) == 0 { // the one that tasks need comes first
			return "binding rules", err
		}
		return "", nil
	})
	method.Name, method.MaxTokenTTL = name, time.Minute
	if _, _, err := acl.AuthMethodCreate(method, nil); err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		r.ID, r.AuthMethod = "", name
		if _, _, err := acl.BindingRuleCreate(r, nil); err != nil {
			t.Fatal(err)
		}
	}
	return name
}

// loseTokens deletes what a task has logged in with.
func (s *stage) loseTokens(t *testing.T, task ecstypes.Task) {
	t.Helper()
	tokens, err := s.catalog.LoginTokens(t.Context(), fleet.TaskID(task))
	if err != nil || len(tokens) != 2 {
		t.Fatalf("tokens %v (%v), want the dataplane's and health-sync's", tokens, err)
	}
	for _, accessor := range tokens {
		if _, err := s.catalog.ACL().TokenDelete(accessor, nil); err != nil {
			t.Fatal(err)
		}
	}
}
