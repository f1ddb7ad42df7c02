package fleet_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

// besides adds a second container, which listens at port and calls upstream first.
func besides(s *taskdef.Spec, name string, port int, upstream string) {
	second := fleet.App(name, fmt.Sprintf("0.0.0.0:%d", port), upstream, false)
	second.Name = aws.String("second")
	s.Containers = append(s.Containers, taskdef.Container{Definition: second})
}

// TestATaskIsTwoServices has the task shop, which is also shop-admin, and the task front, which calls the one through its port 8080
// and the other through 8081. shop-admin calls shop before it answers, as itself: by the proxy that is its own.
func TestATaskIsTwoServices(t *testing.T) {
	t.Parallel()
	s := quiet
	definition := s.register(t, app{name: "shop", port: 9090, serveOn: patience, change: func(spec *taskdef.Spec) {
		besides(spec, "shop-admin", 9091, "http://127.0.0.1:1236")
		spec.Services = []agentconfig.FurtherService{{
			Service: &agentconfig.Service{Name: "shop-admin", Port: 9091}, Proxy: &agentconfig.Proxy{Upstreams: []agentconfig.Upstream{fleet.Upstream("shop", 1236)}},
		}}
	}})
	shop := s.run(t, definition)
	front := s.start(t, app{name: "front", port: 8080, upstream: "shop", change: func(spec *taskdef.Spec) {
		besides(spec, "front", 8081, "http://127.0.0.1:1235")
		spec.Proxy.Upstreams = append(spec.Proxy.Upstreams, fleet.Upstream("shop-admin", 1235))
	}})
	for service, task := range map[string]ecstypes.Task{"front": front, "shop": shop, "shop-admin": shop} {
		s.passes(t, service, task)
	}
	front = s.again(t, front)
	if of, err := s.instances(t.Context(), "shop-admin", shop); err != nil || len(of) != 2 {
		t.Errorf("shop-admin is %v in the catalog (%v), want a service and a proxy", of, err)
	}

	const allow, deny = api.IntentionActionAllow, api.IntentionActionDeny
	s.intend(t, "shop", map[string]api.IntentionAction{"front": allow, "shop-admin": allow})
	s.intend(t, "shop-admin", map[string]api.IntentionAction{"front": deny})
	s.reaches(t, front, 8080, true)
	s.reaches(t, front, 8081, false)
	s.intend(t, "shop", map[string]api.IntentionAction{"front": deny, "shop-admin": allow})
	s.intend(t, "shop-admin", map[string]api.IntentionAction{"front": allow})
	s.reaches(t, front, 8081, true)
	s.reaches(t, front, 8080, false)
	s.intend(t, "shop", map[string]api.IntentionAction{"front": allow, "shop-admin": deny})
	s.reaches(t, front, 8080, true)
	s.reaches(t, front, 8081, false)

	s.ended(t, s.stop(t, shop))
	for _, service := range []string{"shop", "shop-admin"} {
		s.gone(t, service, shop)
	}
	// One that is killed cannot deregister itself: the controller finds all of its services.
	killed := s.run(t, definition)
	s.passes(t, "shop-admin", killed)
	s.kill(t, killed, "")
	for _, service := range []string{"shop", "shop-admin"} {
		s.gone(t, service, killed)
	}
}

// intend says which services may call the service.
func (s *stage) intend(t *testing.T, service string, callers map[string]api.IntentionAction) {
	t.Helper()
	var sources []*api.SourceIntention
	for name, action := range callers {
		sources = append(sources, &api.SourceIntention{Name: name, Action: action})
	}
	_, _, err := s.catalog.ConfigEntries().Set(&api.ServiceIntentionsConfigEntry{
		Kind: api.ServiceIntentions, Name: service, Sources: sources,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// reaches waits until the application at the port of the task gets its answer from its upstream, or gets none.
func (s *stage) reaches(t *testing.T, task ecstypes.Task, port int, want bool) {
	t.Helper()
	waitFor(t, fmt.Sprintf("the upstream of port %d answers: %t", port, want), func() (string, error) {
		err := fleet.Ask(t.Context(), client, fmt.Sprintf("http://%s:%d/", fleet.IPAddress(task), port))
		if (err == nil) != want {
			return fmt.Sprint("got ", err), nil
		}
		return "", nil
	})
}
