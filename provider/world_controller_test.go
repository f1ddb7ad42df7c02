package provider_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/world"
)

// sharingConfig is two mesh tasks with a block for the controller, of which one calls the other. There is no controller besides.
func sharingConfig(w *world.World) string {
	task := func(name, listen, environment, upstream string) string {
		return fmt.Sprintf(`
resource "consulecs_mesh_task" %[1]q {
  family = %[1]q
  service { port = 9090 }
  task {
    cpu          = 256
    memory       = 512
    launch_types = ["EC2"]
  }
  container {
    name        = "app"
    image       = "consulecs-demo-app:local"
    environment = { NAME = %[1]q, LISTEN = %[2]q%[3]s }
  }
  %[4]s
  controller { token_secret_arn = %[5]q }
  ecs_service {
    cluster               = %[6]q
    desired_count         = 1
    launch_type           = "EC2"
    subnets               = ["subnet-0123456789abcdef0"]
    wait_for_steady_state = true
  }
  timeouts {
    create = "5m"
    delete = "5m"
  }
}
`, name, listen, environment, upstream, w.TokenSecretARN, w.Cluster)
	}
	return providerIn(w) + task("called", "127.0.0.1:9090", "", "") +
		task("calls", "0.0.0.0:9090", `, UPSTREAM = "http://127.0.0.1:1234"`, `
  upstream {
    destination_name = "called"
    local_bind_port  = 1234
  }`)
}

// testMeshWithController has mesh tasks alone bring up their controller, by which they get into the mesh and call each other, and take it
// down with them.
func testMeshWithController(t *testing.T, w *world.World) {
	c, at := cloudAt(w.AWS), surroundings{ecsCluster: w.Cluster}
	end := violentEnd{World: w}
	if err := (&fleet.Catalog{Client: w.Consul.API}).Allow(t.Context(), "calls", "called"); err != nil {
		t.Fatal(err)
	}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		CheckDestroy: resource.ComposeAggregateTestCheckFunc(
			c.nothingLeft(t, "calls"), c.nothingLeft(t, "called"), c.noTasks(t, w.Cluster),
			inAWS(func() error {
				c.wantNotShared(t, at)
				services, tokens, err := end.held()
				if err == nil && len(services)+tokens > 0 {
					err = fmt.Errorf("Consul holds the services %v and %d tokens", services, tokens)
				}
				return err
			})),
		Steps: []resource.TestStep{{
			Config: sharingConfig(w), ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
			Check: resource.ComposeAggregateTestCheckFunc(
				c.wantTasks(t, w.Cluster, "calls", 1, "calls:1"), c.wantTasks(t, w.Cluster, "called", 1, "called:1"),
				c.wantTasks(t, w.Cluster, sharedController, 1, "consul-ecs-shared-controller-mesh:1"),
				inAWS(func() error { return c.answersThrough(t.Context(), w, "calls") }),
			),
		}},
	})
}

// answersThrough has the task of a service answer with what it gets from another one through the mesh, and its controller lead.
func (c cloud) answersThrough(ctx context.Context, w *world.World, service string) error {
	listed, err := c.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &w.Cluster, ServiceName: &service})
	if err != nil {
		return err
	}
	described, err := c.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &w.Cluster, Tasks: listed.TaskArns})
	if err != nil {
		return err
	}
	instances, _, err := w.Consul.API.Health().Service(service, "", true, nil)
	if err != nil {
		return err
	}
	key, _, err := w.Consul.API.KV().Get(mesh.ControllerKey(w.Cluster), nil)
	if err != nil {
		return err
	}
	if len(described.Tasks) != 1 || len(instances) != 1 || key == nil || key.Session == "" {
		return fmt.Errorf("%s has %d tasks and %d passing instances, and the leading controller's key is %+v", service, len(described.Tasks), len(instances), key)
	}
	url := fmt.Sprintf("http://%s:9090/", fleet.IPAddress(described.Tasks[0]))
	_, err = eventually.Seen(ctx, service+" answers", time.Minute, func() (string, error) {
		if err := fleet.Ask(ctx, http.DefaultClient, url); err != nil {
			return err.Error(), nil
		}
		return "", nil
	})
	return err
}
