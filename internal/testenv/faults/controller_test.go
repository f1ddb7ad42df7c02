package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/process"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/freeport"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/logbuffer"
)

// controllerFamily is the task family of controllers.
const controllerFamily = "consul-ecs-controller"

// readyLimit is how long a controller may take to start, on a busy machine.
const readyLimit = time.Minute

// controller is one that runs, in a task of its ECS cluster.
type controller struct {
	*process.Child
	arn  string // of its task
	http string
	log  logbuffer.Buffer
}

// controls starts a controller and waits until it is ready.
func (c *ecsCluster) controls(t *testing.T) *controller {
	t.Helper()
	port, err := freeport.Find("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	k := &controller{arn: c.run(t, controllerFamily, 1)[0], http: fmt.Sprintf("127.0.0.1:%d", port)}
	no := false
	cfg, err := json.Marshal(agentconfig.Config{
		BootstrapDir: mesh.BootstrapDir,
		ConsulServers: agentconfig.ConsulServers{
			Hosts: c.hosts(), Defaults: &agentconfig.ServerDefaults{TLS: &no},
			HTTP: &agentconfig.ServerHTTP{HTTPS: &no, Port: mesh.PortConsulHTTP}, GRPC: &agentconfig.ServerGRPC{Port: mesh.PortConsulGRPC},
		},
		Controller: &agentconfig.Controller{
			HTTPAddress: k.http, EventQueueURL: c.queue, SyncSeconds: &c.syncSeconds,
			AuthMethod: &agentconfig.AuthMethod{STSEndpoint: c.identity.URL, IAMEndpoint: c.identity.URL},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	k.Child, err = process.Start(process.Command{Path: c.agent, Args: []string{"controller"}, Stdout: &k.log, Stderr: &k.log, Env: []string{
		"PATH=" + os.Getenv("PATH"), mesh.ConfigVariable + "=" + string(cfg), taskmeta.Variable + "=" + c.plane.URL + "/v4/" + k.arn,
		mesh.VariableToken + "=" + c.servers[0].BootstrapToken,
		"AWS_ENDPOINT_URL=" + c.proxy.URL, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_REGION=" + account.Region,
	}})
	if err != nil {
		t.Fatal(err)
	}
	c.controllers = append(c.controllers, k)
	c.whole.Cleanup(func() {
		_ = k.Stop(context.Background(), 10*time.Second) // some were killed
		if c.whole.Failed() {
			lines := slices.DeleteFunc(strings.Split(k.log.String(), "\n"), func(line string) bool { return strings.Contains(line, "dead task removed") })
			c.whole.Logf("── controller of task %s\n%s", k.arn, strings.Join(lines, "\n"))
		}
	})
	eventually.Nil(t, "the controller is ready", readyLimit, func() error {
		select {
		case <-k.Done():
			return eventually.Never{Err: fmt.Errorf("it ended: %w\n%s", k.Err(), k.log.String())}
		default:
		}
		_, err := k.get("/readyz")
		return err
	})
	return k
}

// get asks a controller.
func (k *controller) get(path string) (string, error) {
	resp, err := http.Get("http://" + k.http + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", path, resp.Status, body)
	}
	return string(body), err
}

// metric is a line of a controller's metrics, by how it begins.
func (k *controller) metric(t *testing.T, name string) string {
	t.Helper()
	text, err := k.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("no metric %s in\n%s", name, text)
	return ""
}

// leading reports whether the controller does.
func (k *controller) leading() bool {
	text, err := k.get("/readyz")
	var r struct{ Leading bool }
	return err == nil && json.Unmarshal([]byte(text), &r) == nil && r.Leading
}

// kill ends the controller without a goodbye, and its task with it.
func (c *ecsCluster) killController(t *testing.T, k *controller) {
	t.Helper()
	if err := k.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-k.Done()
	c.plane.kill(k.arn)
}

// leader is the controller that leads now.
func (c *ecsCluster) leader(t *testing.T) (leader *controller) {
	t.Helper()
	eventually.True(t, "a controller leads", eventually.Soon, func() bool {
		for _, k := range c.controllers {
			if k.leading() {
				leader = k
			}
		}
		return leader != nil
	})
	return leader
}

// said counts the lines of all controllers that have every one of the texts.
func (c *ecsCluster) said(texts ...string) (n int) {
	for _, k := range c.controllers {
		for line := range strings.Lines(k.log.String()) {
			all := true
			for _, text := range texts {
				all = all && strings.Contains(line, text)
			}
			if all {
				n++
			}
		}
	}
	return n
}
