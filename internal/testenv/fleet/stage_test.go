package fleet_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	admin "github.com/consulecs/terraform-provider-consulecs/internal/localecs/api"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/fleet"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/world"
)

// The worlds of these tests: in quiet, tests run side by side, each with tasks of its own; in troubled, one after the
// other, since each takes away what all tasks need. In plain, Consul has neither TLS nor ACLs.
var quiet, troubled, plain *stage

// controllerService is the ECS service that keeps a world's controller running.
const controllerService = "controller"

// The limits are for two busy cores; how fast it is elsewhere, the benchmarks say.
const limit = 2 * time.Minute

// client calls the applications of tasks.
var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// stage is a world with the controller at work.
type stage struct {
	*fleet.Fleet
	catalog *fleet.Catalog
	world   *world.World
}

func TestMain(m *testing.M) {
	if names := os.Getenv(askVariable); names != "" {
		ask(strings.Fields(names))
		return
	}
	if name := os.Getenv(lookUpVariable); name != "" {
		fmt.Println(net.LookupHost(name))
		return
	}
	if os.Getenv(rulesVariable) != "" {
		if err := printRules(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	if service, at, found := strings.Cut(os.Getenv(callsVariable), " "); found {
		if err := awaitCall(service, at); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	flag.Parse()
	// The tests wait nearly all of their time, so there may be more of them than cores; but each starts an Envoy or two.
	if err := flag.Set("test.parallel", "6"); err != nil {
		fmt.Println(err)
		return 1
	}
	dir, err := os.MkdirTemp("", "fleet-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(dir)
	var group sync.WaitGroup
	var bad [3]error
	for i, s := range []**stage{&quiet, &troubled, &plain} {
		group.Go(func() {
			*s, bad[i] = openStage(world.Config{
				Name: fmt.Sprint("consulecs-fleet-", i), Dir: filepath.Join(dir, fmt.Sprint(i)), Log: worldLog(), Plain: s == &plain,
			}, map[bool]int{true: 2, false: 1}[s == &quiet])
		})
	}
	group.Wait()
	code := 1
	if err := errors.Join(bad[:]...); err != nil {
		fmt.Println(err)
	} else {
		code = m.Run()
	}
	for _, s := range []*stage{quiet, troubled, plain} {
		if err := s.close(); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	return code
}

// openStage starts a world with so many controllers. Where there are several, they hear of events.
func openStage(cfg world.Config, controllers int) (s *stage, err error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	ctx := context.Background()
	s = &stage{}
	if s.world, err = world.Start(ctx, cfg); err != nil {
		return s, err
	}
	if s.catalog, err = fleet.NewCatalog(s.world.Address, s.world.Consul.BootstrapToken); err != nil {
		return s, err
	}
	s.Fleet = fleet.New(s.world.Address)
	events := fleet.Events{}
	if controllers > 1 {
		if events, err = s.MakeEvents(ctx); err != nil {
			return s, err
		}
	}
	controller, err := s.RegisterController(ctx, events)
	if err != nil {
		return s, err
	}
	return s, errors.Join(s.Serve(ctx, controllerService, controller), s.Scale(ctx, controllerService, controllers))
}

// close takes the world down and looks whether anything is left of it.
func (s *stage) close() error {
	if s == nil || s.world == nil {
		return nil
	}
	err := s.world.Close()
	left, looked := world.Leftovers(context.Background(), s.world.World)
	if len(left) > 0 {
		looked = fmt.Errorf("left of %s: %s", s.world.World, strings.Join(left, ", "))
	}
	return errors.Join(err, looked)
}

// worldLog is where the worlds' logs go: kept where WORLD_LOG names a file, else nowhere.
func worldLog() io.Writer {
	f, err := os.OpenFile(os.Getenv("WORLD_LOG"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil
	}
	return f
}

// app says what a task of a test runs.
type app struct {
	name        string
	port        int
	upstream    string // the service that each request to the app calls first
	healthCheck bool
	release     string              // tells two definitions apart
	serveOn     string              // how long the application serves on after SIGTERM; "" = a second
	launchType  ecstypes.LaunchType // "": EC2
	change      func(*taskdef.Spec)
	differ      fleet.Difference
}

// patience is how long an application serves on after SIGTERM where how long it has to is not what a test is about: its
// callers and the test have heard of the end by then, also where the machine is busy.
const patience = "5s"

func (s *stage) spec(a app) taskdef.Spec {
	url := ""
	if a.upstream != "" {
		url = "http://127.0.0.1:1234"
	}
	container := fleet.App(a.name, fmt.Sprintf("0.0.0.0:%d", a.port), url, a.healthCheck)
	container.Environment = append(container.Environment,
		ecstypes.KeyValuePair{Name: aws.String("RELEASE"), Value: &a.release},
		ecstypes.KeyValuePair{Name: aws.String("SERVE_ON"), Value: &a.serveOn})
	spec := s.Spec(a.name, a.port, container)
	if a.upstream != "" {
		spec.Proxy.Upstreams = append(spec.Proxy.Upstreams, fleet.Upstream(a.upstream, 1234))
	}
	if a.change != nil {
		a.change(&spec)
	}
	return spec
}

func (s *stage) register(t *testing.T, a app) (definition string) {
	t.Helper()
	definition, err := s.RegisterAs(t.Context(), s.spec(a), a.differ)
	if err != nil {
		t.Fatal(err)
	}
	return definition
}

func (s *stage) start(t *testing.T, a app) ecstypes.Task {
	return s.runOn(t, s.register(t, a), cmp.Or(a.launchType, ecstypes.LaunchTypeEc2))
}

// run is runOn on EC2.
func (s *stage) run(t *testing.T, definition string) ecstypes.Task {
	t.Helper()
	return s.runOn(t, definition, ecstypes.LaunchTypeEc2)
}

// runOn runs one task, which is stopped when the test ends. When the test fails, the logs of its containers are shown.
func (s *stage) runOn(t *testing.T, definition string, launchType ecstypes.LaunchType) ecstypes.Task {
	t.Helper()
	task, err := s.RunOn(t.Context(), definition, launchType)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			s.showLogs(t, task)
		}
		if err := s.Stop(context.Background(), aws.ToString(task.TaskArn)); err != nil {
			t.Error(err)
		}
	})
	return task
}

// logs are those of a task's containers, by their names.
func (s *stage) logs(t *testing.T, task ecstypes.Task) map[string]string {
	t.Helper()
	logs := map[string]string{}
	for _, c := range task.Containers {
		name := aws.ToString(c.Name)
		var err error
		if logs[name], err = s.Logs(t.Context(), aws.ToString(task.TaskArn), name); err != nil {
			t.Fatal(err)
		}
	}
	return logs
}

// rest has tasks to which nothing happens go on for so long, and checks that their containers say nothing of it.
func (s *stage) rest(t *testing.T, within time.Duration, tasks ...ecstypes.Task) {
	t.Helper()
	before := make([]map[string]string, len(tasks))
	for i, task := range tasks {
		before[i] = s.logs(t, task)
	}
	time.Sleep(within)
	for i, task := range tasks {
		for container, log := range s.logs(t, task) {
			if log != before[i][container] {
				t.Errorf("at rest, container %s of task %s says:\n%s", container, fleet.TaskID(task), strings.TrimPrefix(log, before[i][container]))
			}
		}
	}
}

func (s *stage) showLogs(t *testing.T, task ecstypes.Task) {
	for _, c := range task.Containers {
		logs, err := s.Logs(context.Background(), aws.ToString(task.TaskArn), aws.ToString(c.Name))
		lines := slices.DeleteFunc(strings.Split(logs, "\n"), func(line string) bool { return strings.Contains(line, "[INFO]  envoy.main: ") }) // its list of extensions
		t.Logf("── task %s container %s (%v)\n%s", fleet.TaskID(task), aws.ToString(c.Name), err, strings.Join(lines, "\n"))
	}
}

// service runs one task and waits until it passes.
func (s *stage) service(t *testing.T, a app) ecstypes.Task {
	t.Helper()
	task := s.start(t, a)
	s.passes(t, a.name, task)
	return s.again(t, task)
}

// mesh runs an api and a web that calls it, and waits until it gets its answers. suffix tells them from those of other tests.
func (s *stage) mesh(t *testing.T, suffix string) (api, web ecstypes.Task) {
	t.Helper()
	return s.pair(t, app{name: "api" + suffix, port: 9090}, app{name: "web" + suffix, port: 8080})
}

// pair runs an api and a web that calls it, and waits until it gets its answers.
func (s *stage) pair(t *testing.T, apiApp, webApp app) (api, web ecstypes.Task) {
	t.Helper()
	s.allow(t, webApp.name, apiApp.name)
	api = s.service(t, apiApp)
	webApp.upstream = apiApp.name
	web = s.service(t, webApp)
	answers(t, web)
	return api, web
}

// allow writes the intentions that let source call the destinations.
func (s *stage) allow(t *testing.T, source string, destinations ...string) {
	t.Helper()
	for _, destination := range destinations {
		if err := s.catalog.Allow(t.Context(), source, destination); err != nil {
			t.Fatal(err)
		}
	}
}

// again reads a task anew.
func (s *stage) again(t *testing.T, task ecstypes.Task) ecstypes.Task {
	t.Helper()
	task, err := s.Task(t.Context(), aws.ToString(task.TaskArn))
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// stop asks ECS to stop a task and waits until it has stopped.
func (s *stage) stop(t *testing.T, task ecstypes.Task) ecstypes.Task {
	t.Helper()
	if err := s.Stop(t.Context(), aws.ToString(task.TaskArn)); err != nil {
		t.Fatal(err)
	}
	return s.stopped(t, task)
}

// stopped waits until a task has stopped.
func (s *stage) stopped(t *testing.T, task ecstypes.Task) ecstypes.Task {
	t.Helper()
	waitFor(t, "task "+fleet.TaskID(task)+" has stopped", func() (string, error) {
		task = s.again(t, task)
		if status := aws.ToString(task.LastStatus); status != "STOPPED" {
			return status, nil
		}
		return "", nil
	})
	return task
}

// ended checks that every container of a stopped task has exited with 0, and that none has called anything an error.
func (s *stage) ended(t *testing.T, task ecstypes.Task) {
	t.Helper()
	for container, log := range s.logs(t, task) {
		for line := range strings.Lines(log) {
			if strings.Contains(line, "[ERROR]") {
				t.Errorf("container %s of task %s says at ERROR: %s", container, fleet.TaskID(task), line)
			}
		}
	}
	for _, c := range task.Containers {
		if c.ExitCode == nil || *c.ExitCode != 0 {
			t.Errorf("container %s of task %s: exit code %s (%s), want 0", aws.ToString(c.Name), fleet.TaskID(task), text(c.ExitCode), aws.ToString(c.Reason))
		}
	}
}

func text(code *int32) string {
	if code == nil {
		return "none"
	}
	return fmt.Sprint(*code)
}

// kill kills a container of a task, or with "" all of them at once.
func (s *stage) kill(t *testing.T, task ecstypes.Task, container string) {
	t.Helper()
	if err := s.Kill(t.Context(), admin.KillRequest{Task: aws.ToString(task.TaskArn), Container: container}); err != nil {
		t.Fatal(err)
	}
}

// gone waits until Consul holds nothing of a task any more: no service, no proxy, no token.
func (s *stage) gone(t *testing.T, service string, task ecstypes.Task) {
	t.Helper()
	waitFor(t, "nothing of task "+fleet.TaskID(task)+" is left", func() (string, error) {
		of, err := s.instances(t.Context(), service, task)
		if err != nil || len(of) > 0 {
			return fmt.Sprint(of), err
		}
		tokens, err := s.catalog.LoginTokens(t.Context(), fleet.TaskID(task))
		return strings.Join(tokens, ", "), err
	})
}

// instances are the task's service and its proxy.
func (s *stage) instances(ctx context.Context, service string, task ecstypes.Task) ([]fleet.Instance, error) {
	all, err := s.catalog.Instances(ctx, service, service+"-sidecar-proxy")
	return fleet.Of(fleet.TaskID(task), all), err
}

// whole are a task's instances when it is registered as it should be and passes; else missing says what it is not.
func (s *stage) whole(ctx context.Context, service string, task ecstypes.Task) (missing string, err error) {
	of, err := s.instances(ctx, service, task)
	bad := func(i fleet.Instance) bool { return i.Status != "passing" || i.Checks == 0 }
	if err != nil || len(of) == 2 && !slices.ContainsFunc(of, bad) {
		return "", err
	}
	return fmt.Sprint("the catalog has ", of), nil
}

// passes waits until service and proxy of a task pass.
func (s *stage) passes(t *testing.T, service string, task ecstypes.Task) {
	t.Helper()
	waitFor(t, "task "+fleet.TaskID(task)+" of "+service+" passes", func() (string, error) { return s.whole(t.Context(), service, task) })
}

// healthy waits until ECS takes a task for HEALTHY: only then another one may be replaced by it.
func (s *stage) healthy(t *testing.T, task ecstypes.Task) {
	t.Helper()
	waitFor(t, "task "+fleet.TaskID(task)+" is HEALTHY", func() (string, error) {
		if task = s.again(t, task); task.HealthStatus != ecstypes.HealthStatusHealthy {
			return string(task.HealthStatus), nil
		}
		return "", nil
	})
}

func url(web ecstypes.Task) string { return fmt.Sprintf("http://%s:8080/", fleet.IPAddress(web)) }

// answers waits until web gets its answer from its upstream.
func answers(t *testing.T, web ecstypes.Task) {
	t.Helper()
	waitFor(t, "web gets its answer", func() (string, error) {
		if err := fleet.Ask(t.Context(), client, url(web)); err != nil {
			return err.Error(), nil
		}
		return "", nil
	})
}

// load asks web 25 times a second until end is called, which fails the test if any request did.
func (s *stage) load(t *testing.T, web ecstypes.Task) (end func()) {
	t.Helper()
	stop := s.apply(t, web, fleet.Traffic{URL: url(web), Rate: 25})
	return func() {
		t.Helper()
		loads, stood := stop()
		if lost(t, loads) > 0 {
			t.Errorf("requests were lost; the machine stood still for up to %s meanwhile", stood)
		}
	}
}

// apply sends traffic until end is called. stood is for how long web's task stood still at the worst: the answers that its
// application gives directly, past the mesh, tell.
func (s *stage) apply(t *testing.T, web ecstypes.Task, traffic ...fleet.Traffic) (end func() (loads []fleet.Load, stood time.Duration)) {
	t.Helper()
	const longest = 10 * time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	traffic = append(traffic, fleet.Traffic{URL: url(web) + "healthz", Rate: 10, Kept: true})
	loads := make([]fleet.Load, len(traffic))
	var group sync.WaitGroup
	for i, of := range traffic {
		group.Go(func() { loads[i] = of.Apply(ctx, of.Rate*int(longest/time.Second)) })
	}
	return func() ([]fleet.Load, time.Duration) {
		cancel()
		group.Wait()
		last := len(loads) - 1
		return loads[:last], loads[last].Stalled().Round(time.Millisecond)
	}
}

// lost counts the requests that failed.
func lost(t *testing.T, loads []fleet.Load) (n int) {
	t.Helper()
	for _, load := range loads {
		t.Log(load)
		n += len(load.Failed)
		if load.Sent == 0 {
			t.Error("no request was sent")
		}
	}
	return n
}

// waitFor waits until nothing is missing.
func waitFor(t *testing.T, what string, seen func() (missing string, err error)) {
	t.Helper()
	if _, err := eventually.Seen(t.Context(), what, limit, seen); err != nil {
		t.Fatal(err)
	}
}
