package fleet_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

func TestASplitterSharesTheTrafficOut(t *testing.T) {
	t.Parallel()
	s := quiet
	for _, name := range []string{"split", "split-next"} {
		s.configure(t, &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: name, Protocol: "http"})
	}
	s.configure(t, &api.ServiceSplitterConfigEntry{Kind: api.ServiceSplitter, Name: "split", Splits: []api.ServiceSplit{
		{Weight: 80, Service: "split"}, {Weight: 20, Service: "split-next"},
	}})
	s.allow(t, "web-split", "split", "split-next")
	api := s.service(t, app{name: "split", port: 9090})
	next := s.service(t, app{name: "split-next", port: 9090})
	web := s.service(t, app{name: "web-split", port: 8080, upstream: "split"})
	s.calls(t, web, "split", api)
	s.calls(t, web, "split-next", next)
	const requests = 200
	shares := map[string]int{}
	for range requests {
		shares[answeredBy(t, web)]++
	}
	t.Log(shares)
	// 160 are to be expected; off by more than 35 it is once in a billion.
	if got := shares["split"]; got < 125 || got > 195 || got+shares["split-next"] != requests {
		t.Errorf("the answers came from %v, want about 80 %% from split and the rest from split-next", shares)
	}
}

// answeredBy makes a request to web and returns which service its upstream says it is.
func answeredBy(t *testing.T, web ecstypes.Task) (service string) {
	t.Helper()
	resp, err := client.Get(url(web))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Called struct {
			Error  string
			Answer struct{ Service string }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %+v (%v)", resp.Status, answer, err)
	}
	return answer.Called.Answer.Service
}

func TestTasksDoWithoutTLSAndACLs(t *testing.T) {
	t.Parallel()
	s := plain
	api, web := s.mesh(t, "")
	controller := s.only(t, controllerService)
	waitFor(t, "the controller says that there are no ACLs", func() (string, error) {
		log, err := s.Logs(t.Context(), aws.ToString(controller.TaskArn), mesh.ContainerController)
		if err != nil || strings.Contains(log, "the ACL system of Consul is off") {
			return "", err
		}
		return log, nil
	})
	lost := s.service(t, app{name: "lost", port: 9090})
	s.kill(t, lost, "")
	s.gone(t, "lost", s.stopped(t, lost)) // the controller is at work nonetheless
	for name, task := range map[string]ecstypes.Task{"api": api, "web": web} {
		s.ended(t, s.stop(t, task))
		s.gone(t, name, task)
	}
	if again := s.only(t, controllerService); fleet.TaskID(again) != fleet.TaskID(controller) {
		t.Error("the controller was replaced: it has ended meanwhile")
	}
}

func TestAStaticTokenTakesThePlaceOfALogin(t *testing.T) {
	t.Parallel()
	s := quiet
	token, _, err := s.catalog.ACL().TokenCreate(&api.ACLToken{ServiceIdentities: []*api.ACLServiceIdentity{{ServiceName: "api-token"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	secret := s.secret(t, "static-token", token.SecretID)
	given := func(d *taskdef.Definition) {
		for i := range d.ContainerDefinitions {
			switch c := &d.ContainerDefinitions[i]; aws.ToString(c.Name) {
			case mesh.ContainerMeshInit, mesh.ContainerDataplane, mesh.ContainerHealthSync:
				c.Secrets = append(c.Secrets, ecstypes.Secret{Name: aws.String(mesh.VariableToken), ValueFrom: &secret})
			}
		}
	}
	task, web := s.pair(t, app{name: "api-token", port: 9090, differ: fleet.Difference{Definition: given}},
		app{name: "web-token", port: 8080})
	if tokens, err := s.catalog.LoginTokens(t.Context(), fleet.TaskID(task)); err != nil || len(tokens) > 0 {
		t.Errorf("the task has logged in and got %v (%v)", tokens, err)
	}
	s.ended(t, s.stop(t, task))
	s.gone(t, "api-token", task)
	if _, _, err := s.catalog.ACL().TokenRead(token.AccessorID, nil); err != nil {
		t.Errorf("the token that was given did not outlive the task: %v", err)
	}
	s.stop(t, web)
}

func TestAnUpstreamListensWhereItIsTold(t *testing.T) {
	t.Parallel()
	s := quiet
	s.allow(t, "web-bound", "api-bound")
	s.service(t, app{name: "api-bound", port: 9090})
	web := s.service(t, app{name: "web-bound", port: 8080, change: func(spec *taskdef.Spec) {
		up := fleet.Upstream("api-bound", 1234)
		up.LocalBindAddress = "127.0.0.9"
		spec.Proxy.Upstreams = append(spec.Proxy.Upstreams, up)
		setenv(&spec.Containers[0].Definition, "UPSTREAM", "http://127.0.0.9:1234")
	}})
	answers(t, web)
	if got := answeredBy(t, web); got != "api-bound" {
		t.Errorf("%q answered, want api-bound", got)
	}
}

// setenv gives a variable of a container another value.
func setenv(c *ecstypes.ContainerDefinition, name, value string) {
	for i, variable := range c.Environment {
		if aws.ToString(variable.Name) == name {
			c.Environment[i].Value = &value
		}
	}
}

func TestEveryApplicationOfATaskIsTracked(t *testing.T) {
	t.Parallel()
	s := quiet
	task := s.service(t, app{name: "two", port: 9090, healthCheck: true, change: func(spec *taskdef.Spec) {
		second := fleet.App("two-b", "0.0.0.0:9091", "", true)
		second.Name, second.Essential = aws.String("second"), aws.Bool(false) // so that the task goes on without it
		spec.Containers = append(spec.Containers, taskdef.Container{Definition: second, HealthSync: aws.Bool(true)})
	}})
	id := "two-" + fleet.TaskID(task)
	checks := func() map[string]*api.HealthCheck {
		found, _, err := s.catalog.Health().Checks("two", nil)
		if err != nil {
			t.Fatal(err)
		}
		by := map[string]*api.HealthCheck{}
		for _, c := range found {
			by[c.CheckID] = c
		}
		return by
	}
	app, second, proxy := mesh.CheckID(id, "app"), mesh.CheckID(id, "second"), mesh.CheckID(id, mesh.ContainerDataplane)
	if got := checks(); got[app] == nil || got[second] == nil || got[proxy] == nil {
		t.Fatalf("the service has the checks %v, want one for each application and the dataplane's", got)
	}
	s.kill(t, task, "second")
	waitFor(t, "the loss of the second takes the task out of the mesh", func() (string, error) {
		got := checks()
		if got[app].Status == "passing" && got[second].Status == "critical" && got[proxy].Status == "critical" && strings.Contains(got[proxy].Output, `"second"`) {
			return "", nil
		}
		return got[app].Status + ", " + got[second].Status + ", " + got[proxy].Status + ": " + got[proxy].Output, nil
	})
	s.gone(t, "two", s.stop(t, task))
}
