package provider_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/world"
)

const controllerResource = "consulecs_controller.this"

// Whether a mesh task says that it depends on the controller. Terraform has both at once where it does not.
const (
	inOrder = "depends_on = [consulecs_controller.this]"
	atOnce  = ""
)

// providerIn is the provider's configuration for a world.
func providerIn(w *world.World) string {
	return fmt.Sprintf(`
provider "consulecs" {
  region = %[1]q
  endpoints {
    ecs = %[2]q
    iam = %[2]q
    sts = %[2]q
    secretsmanager = %[2]q
    sqs = %[2]q
    events = %[2]q
  }
  agent_image = "consulecs-agent:local"
  consul_servers {
    hosts = %[3]q
    tls {
      server_name = %[4]q
      ca_secret_arn = %[5]q
    }
  }
  login {
    enabled = true
    sts_endpoint = %[2]q
    iam_endpoint = %[2]q
  }
}
`, w.Region, w.AWS, w.ConsulHost, w.ConsulServerName, w.CASecretARN)
}

// meshConfig is a controller and a mesh task with an ECS service, for a world.
func meshConfig(w *world.World, order, release string, desired int) string {
	return providerIn(w) + fmt.Sprintf(`
resource "consulecs_controller" "this" {
  cluster          = %[1]q
  token_secret_arn = %[2]q
  subnets          = ["subnet-0123456789abcdef0"]
  launch_type      = "EC2"
  timeouts {
    create = "5m"
    update = "5m"
    delete = "5m"
  }
}

resource "consulecs_mesh_task" "this" {
  family  = "api"
  service { port = 9090 }
  task {
    cpu = 256
    memory = 512
    launch_types = ["EC2", "FARGATE"]
  }
  container {
    name        = "app"
    image       = "consulecs-demo-app:local"
    essential   = true
    environment = { NAME = "api", LISTEN = "127.0.0.1:9090", RELEASE = %[3]q }

    # The program that delays the end runs in another image than its own, as another user, on a root that nobody can write to.
    entry_point              = [] # the image has none
    command                  = ["/demo-app"]
    user                     = "1000"
    readonly_root_filesystem = true
    mesh {
      shutdown_delay  = "1s"
      readiness_probe {
        type = "http"
        port = 9090
        path = "/healthz"
      }
    }
  }
  ecs_service {
    cluster               = %[1]q
    desired_count         = %[4]d
    launch_type           = "EC2"
    subnets               = ["subnet-0123456789abcdef0"]
    wait_for_steady_state = true
  }
  timeouts {
    create = "5m"
    update = "5m"
    delete = "5m"
  }
  %[5]s
}
`, w.Cluster, w.TokenSecretARN, release, desired, order)
}

func TestAMeshIsAppliedChangedAndDestroyed(t *testing.T) {
	for emulator, order := range map[world.Emulator]string{world.Moto: atOnce, world.LocalStack: inOrder} {
		t.Run(string(emulator), func(t *testing.T) {
			w, err := world.Start(t.Context(), world.Config{Name: "provider-" + string(emulator), Dir: t.TempDir(), Emulator: emulator})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := w.Close(); err != nil {
					t.Error(err)
				}
			})
			beside := func(*terraform.State) error { return nil }
			if emulator == world.Moto { // once is enough: the emulator has no part in it
				beside = func(*terraform.State) error { testScheduledTask(t, w, cloudAt(w.AWS)); return nil }
			}
			testMesh(t, w, order, beside)
			if emulator == world.Moto { // one is enough: the controller's calls are the same
				testMeshWithController(t, w)
			}
		})
	}
}

// testMesh has beside done once the controller and a task of api run.
func testMesh(t *testing.T, w *world.World, order string, beside resource.TestCheckFunc) {
	c := cloudAt(w.AWS)
	end := violentEnd{World: w, service: "api"}
	emptyAfter := resource.ConfigPlanChecks{PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
	updates := resource.ConfigPlanChecks{
		PreApply: []plancheck.PlanCheck{
			plancheck.ExpectResourceAction(meshTaskName, plancheck.ResourceActionUpdate),
			plancheck.ExpectResourceAction(controllerResource, plancheck.ResourceActionNoop),
		},
		PostApplyPostRefresh: emptyAfter.PostApplyPostRefresh,
	}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		CheckDestroy: resource.ComposeAggregateTestCheckFunc(
			c.nothingLeft(t, "api"), c.nothingLeft(t, "consul-ecs-controller"), c.noTasks(t, w.Cluster),
			inAWS(func() error { return end.leftNothing(context.WithoutCancel(t.Context())) })),
		Steps: []resource.TestStep{
			{
				Config: meshConfig(w, order, "1", 1), ConfigPlanChecks: emptyAfter,
				Check: resource.ComposeAggregateTestCheckFunc(c.wantTasks(t, w.Cluster, "api", 1, "api:1"), beside),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue(meshTaskName, tfjsonpath.New("ecs_service_name"), knownvalue.StringExact("api")),
					statecheck.CompareValuePairs(meshTaskName, tfjsonpath.New("ecs_service_running_arn"), meshTaskName, tfjsonpath.New("arn"), sameValue{}),
				},
			},
			{ResourceName: meshTaskName, ImportState: true, ImportStateVerify: true, ImportStateId: w.Cluster[strings.LastIndexByte(w.Cluster, '/')+1:] + "/api",
				ImportStateVerifyIgnore: spelledOut},
			{ResourceName: controllerResource, ImportState: true, ImportStateVerify: true, ImportStateId: w.Cluster[strings.LastIndexByte(w.Cluster, '/')+1:] + "/consul-ecs-controller",
				ImportStateVerifyIgnore: spelledOut},
			{ // a new revision in place
				Config: meshConfig(w, order, "2", 1), ConfigPlanChecks: updates,
				Check: resource.ComposeAggregateTestCheckFunc(c.wantRevisions(t, "api", "2"), c.wantTasks(t, w.Cluster, "api", 1, "api:2")),
			},
			{ // more tasks, no new revision
				Config: meshConfig(w, order, "2", 2), ConfigPlanChecks: updates,
				Check: resource.ComposeAggregateTestCheckFunc(c.wantRevisions(t, "api", "2"), c.wantTasks(t, w.Cluster, "api", 2, "api:2")),
			},
			{ // scaled by others
				PreConfig: func() {
					if _, err := c.ecs.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: &w.Cluster, Service: aws.String("api"), DesiredCount: aws.Int32(1)}); err != nil {
						t.Fatal(err)
					}
				},
				Config: meshConfig(w, order, "2", 2), ConfigPlanChecks: updates, Check: c.wantTasks(t, w.Cluster, "api", 2, "api:2"),
			},
			{ // deleted by others
				PreConfig: func() {
					if _, err := c.ecs.DeleteService(t.Context(), &ecs.DeleteServiceInput{Cluster: &w.Cluster, Service: aws.String("api"), Force: aws.Bool(true)}); err != nil {
						t.Fatal(err)
					}
				},
				Config: meshConfig(w, order, "2", 1), ConfigPlanChecks: updates,
				Check: resource.ComposeAggregateTestCheckFunc(c.wantTasks(t, w.Cluster, "api", 1, "api:2"), inAWS(func() error { return end.begin(t.Context(), c) })),
			},
		},
	})
}

// wantTasks checks that so many tasks of the service run, all of the one revision.
func (c cloud) wantTasks(t *testing.T, ecsCluster, service string, count int, revision string) resource.TestCheckFunc {
	return inAWS(func() error {
		listed, err := c.ecs.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: &ecsCluster, ServiceName: &service})
		if err != nil {
			return err
		}
		if len(listed.TaskArns) != count {
			return fmt.Errorf("tasks of %s: %v, want %d", service, listed.TaskArns, count)
		}
		described, err := c.ecs.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: &ecsCluster, Tasks: listed.TaskArns})
		if err != nil {
			return err
		}
		for _, task := range described.Tasks {
			if !strings.HasSuffix(*task.TaskDefinitionArn, "/"+revision) || *task.LastStatus != "RUNNING" {
				return fmt.Errorf("task %s is %s with %s, want RUNNING with %s", *task.TaskArn, *task.LastStatus, *task.TaskDefinitionArn, revision)
			}
		}
		return nil
	})
}

func (c cloud) noTasks(t *testing.T, ecsCluster string) resource.TestCheckFunc {
	return inAWS(func() error {
		listed, err := c.ecs.ListTasks(context.WithoutCancel(t.Context()), &ecs.ListTasksInput{Cluster: &ecsCluster})
		if err != nil {
			return err
		}
		if len(listed.TaskArns) > 0 {
			return fmt.Errorf("tasks %v still run", listed.TaskArns)
		}
		return nil
	})
}

// violentEnd has tasks of an ECS service die without a goodbye once Terraform destroys it, so that only the controller can remove
// what they leave in Consul, which Terraform is about to destroy, too.
type violentEnd struct {
	*world.World
	service string
	killed  chan error
}

// begin waits in the background for the service's end.
func (e *violentEnd) begin(ctx context.Context, c cloud) error {
	services, tokens, err := e.held()
	if err == nil && (len(services) == 0 || tokens == 0) {
		err = fmt.Errorf("while tasks run, Consul holds the services %v and %d tokens", services, tokens)
	}
	if err != nil {
		return err
	}
	listed, err := c.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &e.Cluster, ServiceName: &e.service})
	if err != nil {
		return err
	}
	e.killed = make(chan error, 1)
	go func() {
		_, err := eventually.Seen(ctx, "the service is destroyed", 5*time.Minute, func() (string, error) {
			is, err := c.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &e.Cluster, Services: []string{e.service}})
			if err == nil && len(is.Services) == 1 && aws.ToString(is.Services[0].Status) == "ACTIVE" {
				return "it is ACTIVE", nil
			}
			return "", err
		})
		for _, task := range listed.TaskArns {
			err = errors.Join(err, e.KillTask(ctx, task))
		}
		e.killed <- err
	}()
	return nil
}

// leftNothing fails where Consul holds something of tasks after the end.
func (e *violentEnd) leftNothing(ctx context.Context) error {
	if e.killed == nil {
		return nil // a step before has failed
	}
	if err := <-e.killed; err != nil {
		return err
	}
	services, tokens, err := e.held()
	if err == nil && len(services)+tokens > 0 {
		err = fmt.Errorf("Consul holds the services %v and %d tokens of dead tasks", services, tokens)
	}
	checks, _, checksErr := e.Consul.API.Health().Node(e.Cluster, (&api.QueryOptions{}).WithContext(ctx))
	for _, c := range checks {
		err = errors.Join(err, fmt.Errorf("Consul holds the check %s of service %q", c.CheckID, c.ServiceID))
	}
	return errors.Join(err, checksErr)
}

// held are the IDs of the services on the ECS cluster's node, and how many tokens there are of logins.
func (e *violentEnd) held() (services []string, tokens int, err error) {
	node, _, err := e.Consul.API.Catalog().NodeServiceList(e.Cluster, nil)
	if err != nil {
		return nil, 0, err
	}
	for _, s := range node.Services {
		services = append(services, s.ID)
	}
	logins, _, err := e.Consul.API.ACL().TokenListFiltered(api.ACLTokenFilterOptions{AuthMethod: mesh.AuthMethod}, nil)
	return services, len(logins), err
}

// sameValue wants all values to be equal.
type sameValue struct{}

func (sameValue) CompareValues(values ...any) error {
	if len(slices.Compact(values)) != 1 {
		return fmt.Errorf("values differ: %v", values)
	}
	return nil
}
