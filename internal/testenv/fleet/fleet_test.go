package fleet_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
)

// stage is a world with the controller at work, shared by the tests of this package.
type stage struct {
	*fleet.Fleet
	catalog *fleet.Catalog
	world   *testenv.World
}

func newStage(t *testing.T, name string) *stage {
	t.Helper()
	world, err := testenv.StartWorld(t.Context(), testenv.WorldConfig{Name: name, Dir: t.TempDir(), Log: logFile(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := world.Close(); err != nil {
			t.Error(err)
		}
	})
	catalog, err := fleet.NewCatalog(world.Address, world.Consul.BootstrapToken)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{fleet.New(world.Address), catalog, world}
	controller, err := s.RegisterController(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.run(t, controller)
	return s
}

// logFile is where a world's log goes: kept where WORLD_LOG names a file, else nowhere.
func logFile(t *testing.T) io.Writer {
	name := os.Getenv("WORLD_LOG")
	if name == "" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// run starts a task; when the test fails, the logs of its containers are shown.
func (s *stage) run(t *testing.T, definition string) ecstypes.Task {
	t.Helper()
	task, err := s.Run(t.Context(), definition)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			s.showLogs(t, task)
		}
	})
	return task
}

func (s *stage) showLogs(t *testing.T, task ecstypes.Task) {
	for _, c := range task.Containers {
		logs, err := s.Logs(context.Background(), aws.ToString(task.TaskArn), aws.ToString(c.Name))
		t.Logf("── task %s container %s (%v)\n%s", fleet.TaskID(task), aws.ToString(c.Name), err, logs)
	}
}

// mesh runs api and web calling it, and lets them talk.
func (s *stage) mesh(t *testing.T) (api, web ecstypes.Task) {
	t.Helper()
	if err := s.catalog.Allow(t.Context(), "web", "api"); err != nil {
		t.Fatal(err)
	}
	return s.service(t, "api", 9090, ""), s.service(t, "web", 8080, "api")
}

// service runs one instance of a service, which calls upstream if one is named, and waits until it passes.
func (s *stage) service(t *testing.T, name string, port int, upstream string) ecstypes.Task {
	t.Helper()
	task := s.start(t, name, port, upstream, false)
	if _, err := s.catalog.Passes(t.Context(), name, fleet.TaskID(task), 30*time.Second); err != nil {
		t.Fatal(err)
	}
	task, err := s.Task(t.Context(), aws.ToString(task.TaskArn))
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// start runs one instance of a service, which calls upstream if one is named.
func (s *stage) start(t *testing.T, name string, port int, upstream string, healthCheck bool) ecstypes.Task {
	t.Helper()
	url := ""
	if upstream != "" {
		url = "http://127.0.0.1:1234"
	}
	spec := s.Spec(name, port, fleet.App(name, fmt.Sprintf("0.0.0.0:%d", port), url, healthCheck))
	if upstream != "" {
		spec.Proxy.Upstreams = append(spec.Proxy.Upstreams, fleet.Upstream(upstream, 1234))
	}
	definition, err := s.Register(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return s.run(t, definition)
}

// answers waits until web gets its answer from api.
func answers(t *testing.T, web ecstypes.Task) {
	t.Helper()
	url := fmt.Sprintf("http://%s:8080/", fleet.IPAddress(web))
	_, err := fleet.Eventually(t.Context(), "web → api answers 200", 20*time.Second, func() (string, error) {
		resp, err := http.Get(url)
		if err != nil {
			return err.Error(), nil
		}
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return "", nil
		}
		body, err := io.ReadAll(resp.Body)
		return fmt.Sprintf("%s: %s", resp.Status, body), err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMeshCarriesTrafficAndCleansUp(t *testing.T) {
	t.Parallel()
	s := newStage(t, "consulecs-fleet-traffic")
	api, web := s.mesh(t)
	answers(t, web)
	for _, task := range []ecstypes.Task{web, api} {
		if err := s.Stop(t.Context(), aws.ToString(task.TaskArn)); err != nil {
			t.Fatal(err)
		}
	}
	for _, task := range []ecstypes.Task{web, api} {
		if _, err := s.catalog.Leaves(t.Context(), fleet.TaskID(task), 30*time.Second, "api", "web", "api-sidecar-proxy", "web-sidecar-proxy"); err != nil {
			t.Error(err)
		}
	}
	_, err := fleet.Eventually(t.Context(), "no login token is left", 20*time.Second, func() (string, error) {
		left, err := s.catalog.LoginTokens(t.Context(), "")
		if len(left) == 0 {
			return "", err
		}
		return fmt.Sprint(left), err
	})
	if err != nil {
		t.Error(err)
	}
}

// replace runs a second api, waits until it passes, stops the first, and returns what a steady load saw of it all.
func (s *stage) replace(t *testing.T, rate int) fleet.Load {
	t.Helper()
	api, web := s.mesh(t)
	answers(t, web)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	done := make(chan fleet.Load, 1)
	go func() { done <- fleet.Apply(ctx, fmt.Sprintf("http://%s:8080/", fleet.IPAddress(web)), rate, 60*rate) }()
	next := s.start(t, "api", 9090, "", true)
	if _, err := fleet.Eventually(ctx, "next is HEALTHY in ECS", 40*time.Second, func() (string, error) {
		task, err := s.Task(ctx, aws.ToString(next.TaskArn))
		if task.HealthStatus == ecstypes.HealthStatusHealthy {
			return "", err
		}
		return string(task.HealthStatus), err
	}); err != nil {
		t.Fatal(err)
	}
	t.Logf("next is HEALTHY at %s", time.Now().Format("15:04:05.000"))
	if err := s.Stop(t.Context(), aws.ToString(api.TaskArn)); err != nil {
		t.Fatal(err)
	}
	t.Logf("first %s is told to stop at %s", fleet.IPAddress(api), time.Now().Format("15:04:05.000"))
	at, err := s.catalog.Leaves(t.Context(), fleet.TaskID(api), 30*time.Second, "api")
	if err != nil {
		t.Error(err)
	}
	t.Logf("first has left the catalog at %s", at.Format("15:04:05.000"))
	end()
	return <-done
}

func TestReplacementLosesNoRequest(t *testing.T) {
	t.Parallel()
	s := newStage(t, "consulecs-fleet-replace")
	load := s.replace(t, 50)
	t.Log(load)
	if len(load.Failed) > 0 {
		t.Errorf("%d of %d requests failed", len(load.Failed), load.Sent)
	}
}
