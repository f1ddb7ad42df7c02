package provider_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/world"
)

// trial is a world whose mesh has a dev server for its Consul, behind a fixed address.
type trial struct {
	*world.World
	fleet *fleet.Fleet
	cloud
}

const trialFamily = "consul-dev-server-mesh"

// config is a dev server with what it says besides, and the rest of the configuration.
func (w trial) config(besides, rest string) string {
	return fmt.Sprintf(`
provider "consulecs" {
  region      = "us-east-1"
  agent_image = "consulecs-agent:local"
  endpoints {
    ecs            = %[1]q
    iam            = %[1]q
    sts            = %[1]q
    secretsmanager = %[1]q
    sqs            = %[1]q
    events         = %[1]q
  }
  login {
    enabled      = true
    sts_endpoint = %[1]q
    iam_endpoint = %[1]q
  }
  consul_servers {
    hosts             = %[2]q
    skip_server_watch = true
    tls {
      server_name   = "server.dc1.consul"
      ca_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:%[3]s/ca"
    }
  }
}

`, w.AWS, engine.LinkLocal(), trialFamily) + fmt.Sprintf(`
resource "consulecs_dev_server" "this" {
  cluster     = %[1]q
  image       = %[2]q
  subnets     = ["subnet-0123456789abcdef0"]
  launch_type = "EC2"
  %[3]s
}
`, w.Cluster, toolcache.ConsulImage, besides) + rest
}

// mesh is the controller, and web, which calls api.
func (w trial) mesh() string {
	task := func(name, listen, upstream, more string, port int) string {
		return fmt.Sprintf(`
resource "consulecs_mesh_task" %[1]q {
  family = %[1]q
  service { port = %[4]d }
  %[5]s
  container {
    name        = "app"
    image       = "consulecs-demo-app:local"
    essential   = true
    environment = { NAME = %[1]q, LISTEN = %[2]q, UPSTREAM = %[3]q }
  }
  ecs_service {
    cluster               = %[6]q
    desired_count         = 1
    launch_type           = "EC2"
    subnets               = ["subnet-0123456789abcdef0"]
    wait_for_steady_state = true
  }
  depends_on = [consulecs_controller.this]
}
`, name, listen, upstream, port, more, w.Cluster)
	}
	return fmt.Sprintf(`
resource "consulecs_controller" "this" {
  cluster          = %[1]q
  token_secret_arn = consulecs_dev_server.this.bootstrap_token_secret_arn
  sync_seconds     = 5
  subnets          = ["subnet-0123456789abcdef0"]
  launch_type      = "EC2"
}
`, w.Cluster) +
		task("api", "127.0.0.1:9090", "", "", 9090) +
		task("web", "0.0.0.0:8080", "http://127.0.0.1:1234", "upstream {\n    destination_name = \"api\"\n    local_bind_port  = 1234\n  }", 8080)
}

// stored has the server's data outlive its tasks.
const stored = `
  data_volume = "data"
  task {
    launch_types = ["EC2"]
    volume {
      name = "data"
      docker_volume_configuration {
        scope  = "shared"
        driver = "local"
      }
    }
  }
`

// server is the task of the dev server that ECS holds for healthy.
func (w trial) server(ctx context.Context) (ecstypes.Task, error) {
	tasks, err := w.fleet.Running(ctx, "consul-dev-server")
	if err != nil {
		return ecstypes.Task{}, err
	}
	for _, task := range tasks {
		if task.HealthStatus == ecstypes.HealthStatusHealthy {
			return task, nil
		}
	}
	return ecstypes.Task{}, fmt.Errorf("none of %d tasks is healthy", len(tasks))
}

// balance stands for a network load balancer: it leads connections to the task that ECS runs, at an address that stays.
func (w trial) balance(t *testing.T, port int) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(engine.LinkLocal().String(), strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	t.Cleanup(func() { listener.Close(); cancel(); wg.Wait() })
	wg.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { w.pass(ctx, client, port) })
		}
	})
}

// pass joins a connection with the server's port, until one side closes it or the balancer ends.
func (w trial) pass(ctx context.Context, client net.Conn, port int) {
	defer client.Close()
	tasks, err := w.fleet.Running(ctx, "consul-dev-server")
	if err != nil || len(tasks) == 0 {
		return
	}
	server, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", net.JoinHostPort(fleet.IPAddress(tasks[0]), strconv.Itoa(port)))
	if err != nil {
		return
	}
	defer server.Close()
	stop := context.AfterFunc(ctx, func() { client.Close(); server.Close() })
	defer stop()
	done := make(chan struct{}, 2)
	for from, to := range map[net.Conn]net.Conn{client: server, server: client} {
		go func() { _, _ = io.Copy(to, from); done <- struct{}{} }()
	}
	<-done
}

// catalog is the dev server's, as an operator reads it with the token in Secrets Manager.
func (w trial) catalog(t *testing.T) (*fleet.Catalog, error) {
	values := w.secretValues(t, trialFamily)
	task, err := w.server(t.Context())
	if err != nil {
		return nil, err
	}
	at := w.Address
	at.ConsulHTTPS, at.ConsulServerName, at.ConsulCAPEM = net.JoinHostPort(fleet.IPAddress(task), strconv.Itoa(mesh.PortConsulHTTPS)), "server.dc1.consul", values["ca"]
	return fleet.NewCatalog(at, values["bootstrap-token"])
}

// answers wants web to be allowed to call api, and to be answered through the mesh.
func (w trial) answers(t *testing.T) error {
	catalog, err := w.catalog(t)
	if err != nil {
		return err
	}
	if err := catalog.Allow(t.Context(), "web", "api"); err != nil {
		return err
	}
	tasks, err := w.fleet.Running(t.Context(), "web")
	if err != nil || len(tasks) != 1 {
		return fmt.Errorf("%d tasks of web run: %w", len(tasks), err)
	}
	resp, err := (&http.Client{Timeout: 3 * time.Second}).Get("http://" + net.JoinHostPort(fleet.IPAddress(tasks[0]), "8080") + "/")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Called struct{ Answer struct{ Service string } }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Called.Answer.Service != "api" {
		return fmt.Errorf("web answers %s, %+v: %w", resp.Status, answer, err)
	}
	instances, err := catalog.Instances(t.Context(), "web", "api")
	for _, i := range instances {
		if i.Status != "passing" {
			err = errors.Join(err, fmt.Errorf("in the catalog is %s", i))
		}
	}
	if err == nil && len(instances) != 2 {
		err = fmt.Errorf("in the catalog are %v", instances)
	}
	return err
}

// The mesh comes up on a dev server. A server that is killed comes back empty, with the same token and certificates, and the
// controller and the tasks bring back what the mesh needs: no task of the mesh is replaced.
func TestTheMeshComesUpOnADevServer(t *testing.T) {
	made, err := world.Start(t.Context(), world.Config{Name: "dev-server", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := made.Close(); err != nil {
			t.Error(err)
		}
	})
	w := trial{made, fleet.New(made.Address), cloudAt(made.AWS)}
	for _, port := range []int{mesh.PortConsulHTTPS, mesh.PortConsulGRPCTLS} {
		w.balance(t, port)
	}
	empty := resource.ConfigPlanChecks{PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
	var first ecstypes.Task
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		CheckDestroy:             resource.ComposeAggregateTestCheckFunc(w.nothingLeft(t, "api"), w.nothingLeft(t, trialFamily), w.noTasks(t, w.Cluster)),
		Steps: []resource.TestStep{
			{Config: w.config("", w.mesh()), ConfigPlanChecks: empty, Check: inAWS(func() error {
				took := eventually.Nil(t, "web is answered by api", 3*time.Minute, func() error { return w.answers(t) })
				t.Logf("answered after %v", took)
				return w.outlivesItsServer(t)
			})},
			{Config: w.config("", ""), ConfigPlanChecks: empty, Check: inAWS(func() (err error) { first, err = w.server(t.Context()); return err })},
			{ // one key is gone: all are made anew, and the server is replaced, since it has read the old ones
				PreConfig: func() {
					_, err := w.secretsManager().DeleteSecret(t.Context(), &secretsmanager.DeleteSecretInput{SecretId: aws.String(trialFamily + "/server"), ForceDeleteWithoutRecovery: aws.Bool(true)})
					if err != nil {
						t.Fatal(err)
					}
				},
				Config: w.config("", ""), ConfigPlanChecks: empty, Check: inAWS(func() error {
					next, err := w.server(t.Context())
					if err == nil && *next.TaskArn == *first.TaskArn {
						err = errors.New("the server still runs with the old keys")
					}
					catalog, catalogErr := w.catalog(t)
					if err = errors.Join(err, catalogErr); err == nil {
						_, err = catalog.Instances(t.Context(), "web")
					}
					return err
				}),
			},
			{Config: w.config(stored, ""), ConfigPlanChecks: empty, Check: inAWS(func() error { return w.keepsItsData(t) })},
		},
	})
}

// keepsItsData writes to the server, kills its task, and reads.
func (w trial) keepsItsData(t *testing.T) error {
	catalog, err := w.catalog(t)
	if err != nil {
		return err
	}
	if _, err := catalog.KV().Put(&api.KVPair{Key: "kept", Value: []byte("yes")}, nil); err != nil {
		return err
	}
	if err := w.killServer(t); err != nil {
		return err
	}
	if catalog, err = w.catalog(t); err != nil {
		return err
	}
	is, _, err := catalog.KV().Get("kept", nil)
	if err == nil && (is == nil || string(is.Value) != "yes") {
		err = errors.New("the next server has lost what was written")
	}
	return err
}

// killServer kills the server's task and waits for the next one.
func (w trial) killServer(t *testing.T) error {
	server, err := w.server(t.Context())
	if err == nil {
		err = w.KillTask(t.Context(), *server.TaskArn)
	}
	if err != nil {
		return err
	}
	took := eventually.Nil(t, "another server is there", 3*time.Minute, func() error {
		next, err := w.server(t.Context())
		if err == nil && *next.TaskArn == *server.TaskArn {
			err = errors.New("ECS still shows the one that was killed")
		}
		return err
	})
	t.Logf("another server after %v", took)
	return nil
}

// outlivesItsServer kills the server's task and waits until the mesh is as it was, with the same tasks.
func (w trial) outlivesItsServer(t *testing.T) error {
	before, err := w.meshTasks(t)
	if err != nil {
		return err
	}
	if err := w.killServer(t); err != nil {
		return err
	}
	took := eventually.Nil(t, "web is answered by api again", 3*time.Minute, func() error { return w.answers(t) })
	t.Logf("answered again after %v", took)
	after, err := w.meshTasks(t)
	if err == nil && before != after {
		err = fmt.Errorf("the tasks were %s, and are %s", before, after)
	}
	return err
}

// meshTasks are the IDs of the tasks of the mesh.
func (w trial) meshTasks(t *testing.T) (ids string, err error) {
	for _, service := range []string{"api", "web", "consul-ecs-controller"} {
		tasks, listErr := w.fleet.Running(t.Context(), service)
		for _, task := range tasks {
			ids += " " + fleet.TaskID(task)
		}
		err = errors.Join(err, listErr)
	}
	return ids, err
}
