package localecs_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/moby/moby/client"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/api"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/eventbus"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/toolcache"
)

// What the tests of this package share: Docker, one moto and one image, of the engine's actor.
var (
	dockerHost, motoURL string
	image               = fmt.Sprintf("localecs-test:%d", os.Getpid())
	docker              *client.Client
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	tools, _ := toolcache.Find() // what is missing is said below
	if tools.DockerHost == "" || tools.MotoServer == "" {
		log.Print("the tests of localecs need Docker and moto\nhint: run make setup")
		return 1
	}
	dockerHost = tools.DockerHost
	var err error
	if docker, err = client.New(client.FromEnv, client.WithHost(dockerHost)); err != nil {
		log.Print(err)
		return 1
	}
	defer docker.Close()
	if err := importActor(ctx); err != nil {
		log.Print(err)
		return 1
	}
	defer docker.ImageRemove(ctx, image, client.ImageRemoveOptions{Force: true, PruneChildren: true})
	moto, err := testenv.StartMoto(ctx)
	if err != nil {
		log.Print(err)
		return 1
	}
	defer moto.Stop()
	motoURL = moto.URL
	return m.Run()
}

// importActor makes an image of the engine's test program.
func importActor(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "localecs-test")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "actor")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "./engine/testdata/actor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build actor: %w: %s", err, out)
	}
	binary, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}); err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: "actor", Mode: 0o755, Size: int64(len(binary))}); err != nil {
		return err
	}
	if _, err := w.Write(binary); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	imported, err := docker.ImageImport(ctx, client.ImageImportSource{Source: &b, SourceName: "-"}, image,
		client.ImageImportOptions{Changes: []string{`ENTRYPOINT ["/actor"]`}})
	if err != nil {
		return fmt.Errorf("import image: %w", err)
	}
	defer imported.Close()
	_, err = io.Copy(io.Discard, imported)
	return err
}

// world is a local ECS and the SDK's client for it.
type world struct {
	*ecs.Client
	*localecs.Server
	t   *testing.T
	cfg localecs.Config
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	w := &world{t: t, cfg: localecs.Config{
		Name: "localecs-" + names.TaskID()[:8], DockerHost: dockerHost, EmulatorURL: motoURL, StateDir: t.TempDir(),
	}}
	t.Cleanup(func() {
		if w.Server != nil {
			_ = w.Server.Close() // some tests have closed it already
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := localecs.Down(ctx, w.cfg); err != nil {
			t.Error(err)
		}
	})
	w.start()
	w.must(w.CreateCluster(t.Context(), &ecs.CreateClusterInput{}))
	return w
}

func (w *world) start() {
	w.t.Helper()
	var err error
	if w.Server, err = localecs.Start(w.t.Context(), w.cfg); err != nil {
		w.t.Fatal(err)
	}
	w.Client = ecs.New(ecs.Options{Region: "us-east-1", BaseEndpoint: &w.Endpoint, Credentials: aws.CredentialsProviderFunc(credentials)})
}

func credentials(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
}

func (w *world) must(_ any, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// register makes the next revision of a family with one container that plays the given acts.
func (w *world) register(family string, acts ...string) string {
	w.t.Helper()
	return w.registerContainer(family, ecstypes.ContainerDefinition{Command: acts})
}

func (w *world) registerContainer(family string, c ecstypes.ContainerDefinition) string {
	w.t.Helper()
	c.Name, c.Image, c.StopTimeout = aws.String("app"), &image, aws.Int32(5)
	out, err := w.RegisterTaskDefinition(w.t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: &family, NetworkMode: "awsvpc", RequiresCompatibilities: []ecstypes.Compatibility{"FARGATE"},
		Cpu: aws.String("256"), Memory: aws.String("512"),
		ContainerDefinitions: []ecstypes.ContainerDefinition{c},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return *out.TaskDefinition.TaskDefinitionArn
}

func network() *ecstypes.NetworkConfiguration {
	return &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}}
}

func (w *world) createService(definition string, desired int32) {
	w.t.Helper()
	w.must(w.CreateService(w.t.Context(), &ecs.CreateServiceInput{
		ServiceName: aws.String("web"), TaskDefinition: &definition, DesiredCount: &desired, LaunchType: "FARGATE", NetworkConfiguration: network(),
	}))
	w.stable()
}

// stable waits with the SDK's own waiter, which does not look at health, then until the deployment is completed.
func (w *world) stable() {
	w.t.Helper()
	waiter := ecs.NewServicesStableWaiter(w.Client, func(o *ecs.ServicesStableWaiterOptions) {
		o.MinDelay, o.MaxDelay = 100*time.Millisecond, 200*time.Millisecond
	})
	in := &ecs.DescribeServicesInput{Services: []string{"web"}}
	if err := waiter.Wait(w.t.Context(), in, time.Minute); err != nil {
		w.t.Fatal(err)
	}
	eventually.True(w.t, "the deployment is completed", 40*time.Second, func() bool {
		out, err := w.DescribeServices(w.t.Context(), in)
		return err == nil && out.Services[0].Deployments[0].RolloutState == "COMPLETED"
	})
}

func (w *world) tasks(desired ecstypes.DesiredStatus) []ecstypes.Task {
	w.t.Helper()
	list, err := w.ListTasks(w.t.Context(), &ecs.ListTasksInput{DesiredStatus: desired})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(list.TaskArns) == 0 {
		return nil
	}
	out, err := w.DescribeTasks(w.t.Context(), &ecs.DescribeTasksInput{Tasks: list.TaskArns})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Tasks
}

// left lists what carries the world's label: containers, networks and volumes.
func (w *world) left() []string {
	w.t.Helper()
	label := client.Filters{}.Add("label", "localecs.world="+w.cfg.Name)
	var out []string
	containers, err := docker.ContainerList(w.t.Context(), client.ContainerListOptions{All: true, Filters: label})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range containers.Items {
		out = append(out, "container "+strings.Join(c.Names, " ")+" "+string(c.State))
	}
	networks, err := docker.NetworkList(w.t.Context(), client.NetworkListOptions{Filters: label})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, n := range networks.Items {
		out = append(out, "network "+n.Name)
	}
	volumes, err := docker.VolumeList(w.t.Context(), client.VolumeListOptions{Filters: label})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, v := range volumes.Items {
		out = append(out, "volume "+v.Name)
	}
	return out
}

// TestServiceRollsOnDocker replaces a service's task by one of another revision and looks at the containers: the old
// one gets its SIGTERM only after the new one runs.
func TestServiceRollsOnDocker(t *testing.T) {
	w := newWorld(t)
	w.createService(w.register("web", "hold"), 1)
	old := w.tasks("RUNNING")[0]
	second := w.register("web", "hold")
	w.must(w.UpdateService(t.Context(), &ecs.UpdateServiceInput{Service: aws.String("web"), TaskDefinition: &second}))
	w.stable()
	now := w.tasks("RUNNING")
	if len(now) != 1 || *now[0].TaskDefinitionArn != second {
		t.Fatalf("tasks after the rolling: %v", now)
	}
	out, err := w.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Tasks: []string{*old.TaskArn}})
	if err != nil {
		t.Fatal(err)
	}
	gone := out.Tasks[0]
	if gone.StopCode != "ServiceSchedulerInitiated" || aws.ToInt32(gone.Containers[0].ExitCode) != 143 {
		t.Errorf("old task: stop code %s, exit code %d", gone.StopCode, aws.ToInt32(gone.Containers[0].ExitCode))
	}
	if !gone.StoppingAt.After(*now[0].StartedAt) {
		t.Errorf("old task stopping at %s, new one started at %s", gone.StoppingAt, now[0].StartedAt)
	}
}

// TestRollingWaitsForHealthOnDocker rolls to a task that runs for three seconds before its health check passes: the old
// one has to stay for that long.
func TestRollingWaitsForHealthOnDocker(t *testing.T) {
	w := newWorld(t)
	check := &ecstypes.HealthCheck{Command: []string{"CMD", "/actor", "check"}, Interval: aws.Int32(5), StartPeriod: aws.Int32(30)}
	w.createService(w.registerContainer("web", ecstypes.ContainerDefinition{Command: []string{"healthy", "hold"}, HealthCheck: check}), 1)
	old := *w.tasks("RUNNING")[0].TaskArn
	second := w.registerContainer("web", ecstypes.ContainerDefinition{Command: []string{"sleep=3s", "healthy", "hold"}, HealthCheck: check})
	w.must(w.UpdateService(t.Context(), &ecs.UpdateServiceInput{Service: aws.String("web"), TaskDefinition: &second}))
	w.stable()
	out, err := w.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Tasks: []string{old, *w.tasks("RUNNING")[0].TaskArn}})
	if err != nil {
		t.Fatal(err)
	}
	if waited := out.Tasks[0].StoppingAt.Sub(*out.Tasks[1].StartedAt); waited < 3*time.Second || out.Tasks[1].HealthStatus != "HEALTHY" {
		t.Errorf("the old task was stopped %s after the new one started, which is %s", waited, out.Tasks[1].HealthStatus)
	}
}

// subscribe makes a queue and a rule that sends it the task state changes of a family, which other worlds in the emulator must not
// have, all through the one endpoint.
func (w *world) subscribe(family string) (queues *sqs.Client, url *string) {
	w.t.Helper()
	queues = sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: &w.Endpoint, Credentials: aws.CredentialsProviderFunc(credentials)})
	rules := eventbridge.New(eventbridge.Options{Region: "us-east-1", BaseEndpoint: &w.Endpoint, Credentials: aws.CredentialsProviderFunc(credentials)})
	name := "events-" + w.cfg.Name
	queue, err := queues.CreateQueue(w.t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{
		"Policy": `{"Statement":{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*",
			"Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:events:us-east-1:123456789012:rule/` + name + `"}}}}`,
	}})
	w.must(queue, err)
	w.must(rules.PutRule(w.t.Context(), &eventbridge.PutRuleInput{Name: &name, EventPattern: aws.String(`{
		"source":["aws.ecs"],"detail-type":["ECS Task State Change"],
		"detail":{
			"clusterArn":["arn:aws:ecs:us-east-1:123456789012:cluster/default"],"lastStatus":["STOPPED","RUNNING"],
			"taskDefinitionArn":[{"prefix":"arn:aws:ecs:us-east-1:123456789012:task-definition/` + family + `:"}]}}`)}))
	w.must(rules.PutTargets(w.t.Context(), &eventbridge.PutTargetsInput{Rule: &name, Targets: []ebtypes.Target{
		{Id: aws.String("queue"), Arn: aws.String("arn:aws:sqs:us-east-1:123456789012:" + name)},
	}}))
	return queues, queue.QueueUrl
}

// TestKilledTaskIsReplacedAndTold kills every container of a service's task: the service replaces it, and a rule sends
// the events of both to its queue, each of them twice.
func TestKilledTaskIsReplacedAndTold(t *testing.T) {
	w := newWorld(t)
	queues, queue := w.subscribe("told")
	w.admin(http.MethodPut, "settings", api.Settings{Events: &eventbus.Disorder{Duplicates: 1, DelayMilliseconds: 100}}, nil)
	w.createService(w.register("told", "hold"), 1)
	victim := *w.tasks("RUNNING")[0].TaskArn
	killed := time.Now()
	w.admin(http.MethodPost, "kill", api.KillRequest{Task: names.Last(victim)}, nil)
	eventually.True(w.t, "another task runs", 40*time.Second, func() bool {
		tasks := w.tasks("RUNNING")
		return len(tasks) == 1 && *tasks[0].TaskArn != victim && *tasks[0].LastStatus == "RUNNING"
	})
	t.Logf("killed to replaced: %s", time.Since(killed).Round(time.Millisecond))

	type told struct {
		DetailType string `json:"detail-type"`
		ID         string `json:"id"`
		Detail     struct {
			ClusterARN    string `json:"clusterArn"`
			TaskARN       string `json:"taskArn"`
			LastStatus    string `json:"lastStatus"`
			DesiredStatus string `json:"desiredStatus"`
			StopCode      string `json:"stopCode"`
			StoppedReason string `json:"stoppedReason"`
			StoppedAt     string `json:"stoppedAt"`
			Group         string `json:"group"`
			Version       int    `json:"version"`
			Containers    []struct{ Name string }
		} `json:"detail"`
	}
	last, times := map[string]told{}, map[string]int{}
	eventually.True(w.t, "the events of both tasks have come, twice", 40*time.Second, func() bool {
		got, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue, MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range got.Messages {
			var event told
			if err := json.Unmarshal([]byte(*m.Body), &event); err != nil || event.DetailType != "ECS Task State Change" {
				t.Fatalf("event %s: %v", *m.Body, err)
			}
			if event.Detail.ClusterARN != "arn:aws:ecs:us-east-1:123456789012:cluster/default" || event.Detail.LastStatus != "RUNNING" && event.Detail.LastStatus != "STOPPED" {
				t.Errorf("the rule does not ask for %+v", event)
			}
			times[event.ID]++
			if event.Detail.Version >= last[event.Detail.TaskARN].Detail.Version {
				last[event.Detail.TaskARN] = event
			}
		}
		for _, n := range times {
			if n != 2 {
				return false
			}
		}
		return last[victim].Detail.LastStatus == "STOPPED" && len(last) == 2 && last[*w.tasks("RUNNING")[0].TaskArn].Detail.LastStatus == "RUNNING"
	})
	d := last[victim].Detail
	if d.DesiredStatus != "STOPPED" || d.StopCode != "EssentialContainerExited" || d.StoppedReason == "" || d.Group != "service:web" || d.Version < 3 || d.StoppedAt == "" || len(d.Containers) != 1 || d.Containers[0].Name != "app" {
		t.Errorf("the victim's last event: %+v", d)
	}
	var stats eventbus.Stats
	w.admin(http.MethodGet, "events", nil, &stats)
	if stats.Delivered != 2*len(times) || stats.Duplicates != stats.Events || stats.Events <= len(times) || stats.Refused+stats.Lost != 0 { // what still waits is of no interest to the rule
		t.Errorf("%d events in the queue; %+v", len(times), stats)
	}
	var timeline api.Timeline
	w.admin(http.MethodGet, "tasks/"+names.Last(victim), nil, &timeline)
	if len(timeline.Containers) == 0 || timeline.Containers[0].Name != "app" {
		t.Errorf("timeline: %+v", timeline)
	}
}

func (w *world) admin(method, path string, body, answer any) {
	w.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.Endpoint+"/_localecs/"+path, bytes.NewReader(text))
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		w.t.Fatalf("%s %s: %s: %s (%v)", method, path, resp.Status, out, err)
	}
	if answer != nil {
		if err := json.Unmarshal(out, answer); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestRestartTakesTasksOver ends a world's server with one task running and one that dies while nobody looks.
func TestRestartTakesTasksOver(t *testing.T) {
	w := newWorld(t)
	w.createService(w.register("web", "hold"), 1)
	w.must(w.RunTask(t.Context(), &ecs.RunTaskInput{
		TaskDefinition: aws.String(w.register("short", "sleep=1500ms", "exit=3")), LaunchType: "FARGATE", NetworkConfiguration: network(),
	}))
	eventually.True(w.t, "both run", 40*time.Second, func() bool {
		n := 0
		for _, task := range w.tasks("RUNNING") {
			if *task.LastStatus == "RUNNING" {
				n++
			}
		}
		return n == 2
	})
	endpoint := w.Endpoint
	kept := runtimeID(w, "service:web")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second) // the short task's own time, in which nobody looks
	w.start()
	if w.Endpoint != endpoint {
		t.Errorf("endpoint %s after %s: the tasks call the former", w.Endpoint, endpoint)
	}
	eventually.True(w.t, "the short task is told as stopped", 40*time.Second, func() bool {
		stopped := w.tasks("STOPPED")
		return len(stopped) == 1 && *stopped[0].LastStatus == "STOPPED"
	})
	if got := w.tasks("STOPPED")[0]; got.StopCode != "EssentialContainerExited" || aws.ToInt32(got.Containers[0].ExitCode) != 3 {
		t.Errorf("short task: %s, exit code %d", got.StopCode, aws.ToInt32(got.Containers[0].ExitCode))
	}
	w.stable()
	if now := runtimeID(w, "service:web"); now != kept {
		t.Errorf("container %s of the service became %s", kept, now)
	}
	w.must(w.StopTask(t.Context(), &ecs.StopTaskInput{Task: w.tasks("RUNNING")[0].TaskArn}))
	eventually.True(w.t, "the adopted task has stopped and another one runs", 40*time.Second, func() bool {
		tasks := w.tasks("RUNNING")
		return len(w.tasks("STOPPED")) == 2 && len(tasks) == 1 && *tasks[0].LastStatus == "RUNNING"
	})
}

// runtimeID is the Docker ID of the first container of the task of a group.
func runtimeID(w *world, group string) string {
	w.t.Helper()
	for _, task := range w.tasks("RUNNING") {
		if *task.Group == group {
			return aws.ToString(task.Containers[0].RuntimeId)
		}
	}
	w.t.Fatalf("no task of %s", group)
	return ""
}

func TestDownLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.createService(w.register("web", "hold"), 2)
	if len(w.left()) < 5 { // two tasks of a pause container and the app, and the network
		t.Errorf("a running world has only %v", w.left())
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time finds nothing, and is content
		if err := localecs.Down(t.Context(), w.cfg); err != nil {
			t.Fatal(err)
		}
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("left on Docker: %v", left)
	}
	if files, err := os.ReadDir(w.cfg.StateDir); err != nil || len(files) > 0 {
		t.Errorf("left in the state folder: %v, %v", files, err)
	}
}

func TestStartExplainsWhatIsWrong(t *testing.T) {
	t.Parallel()
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "localecs.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg  localecs.Config
		want string
	}{
		"no emulator":  {localecs.Config{StateDir: t.TempDir()}, `emulator URL "" is not of the form http://host:port`},
		"broken state": {localecs.Config{EmulatorURL: "http://127.0.0.1:1", StateDir: broken}, "hint: remove the file to start with an empty ECS"},
		"no Docker":    {localecs.Config{EmulatorURL: "http://127.0.0.1:1", StateDir: t.TempDir(), DockerHost: "unix:///nowhere.sock"}, "reach Docker"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := localecs.Start(t.Context(), c.cfg)
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
