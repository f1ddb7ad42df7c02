package control_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/api"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/control"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/quota"
)

// plane is a control plane that the real SDK talks to, above an engine whose tasks behave as their image's name says,
// on the clock of a synctest bubble: what a scheduler does in half an hour cannot be watched on Docker.
type plane struct {
	*ecs.Client
	t       *testing.T
	control *control.Control

	acts   sync.WaitGroup
	mu     sync.Mutex
	ran    []engine.Task
	at     []time.Time
	events []ecstypes.Task
}

const startTime = 2 * time.Second // of a task, from Run to RUNNING

func newPlane(t *testing.T, file string) *plane {
	t.Helper()
	s := &plane{t: t}
	var err error
	s.control, err = control.New(control.Config{
		Account: names.Account{Region: "us-east-1", ID: "123456789012"}, StateFile: file, Logger: hclog.NewNullLogger(),
		Run: s.run, Stop: s.stop, SetTags: func(string, []ecstypes.Tag) {}, Publish: s.publish,
	})
	if err != nil {
		t.Fatal(err)
	}
	handler := api.New(s.control, &url.URL{Scheme: "http", Host: "emulator.invalid"}, http.NotFoundHandler(), &quota.Quotas{}, hclog.NewNullLogger())
	s.Client = ecs.New(ecs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://localecs.invalid"), HTTPClient: direct{handler}, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
	s.control.Start()
	t.Cleanup(func() {
		s.control.Close()
		s.acts.Wait()
	})
	return s
}

// direct hands the SDK's requests to a handler without a socket, which a bubble's clock could not see.
type direct struct{ http.Handler }

func (d direct) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

// inBubble runs a test on a clock of its own, with a cluster "demo".
func inBubble(t *testing.T, test func(t *testing.T, s *plane)) {
	t.Helper()
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	synctest.Test(t, func(t *testing.T) {
		s := newPlane(t, file)
		must(s.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("demo")}))(t)
		test(t, s)
	})
}

// run plays a task: "ok" runs and is healthy, "sick" runs and is unhealthy after 5 s, "crash" never runs, and "short"
// runs for a second.
func (s *plane) run(task engine.Task) {
	s.mu.Lock()
	s.ran, s.at = append(s.ran, task), append(s.at, time.Now())
	s.mu.Unlock()
	status := engine.Status{TaskARN: task.ARN, LastStatus: engine.StatusPending, DesiredStatus: engine.StatusRunning}
	s.control.Changed(status)
	s.acts.Go(func() {
		time.Sleep(startTime)
		image, _, _ := strings.Cut(*task.Definition.ContainerDefinitions[0].Image, ":")
		if image == "crash" {
			s.end(task.ARN, ecstypes.TaskStopCodeTaskFailedToStart, "it always does")
			return
		}
		status.LastStatus, status.StartedAt, status.HealthStatus = engine.StatusRunning, aws.Time(time.Now()), ecstypes.HealthStatusHealthy
		if image == "sick" {
			status.HealthStatus = ecstypes.HealthStatusUnknown
		}
		s.control.Changed(status)
		switch image {
		case "sick":
			time.Sleep(5 * time.Second)
			status.HealthStatus = ecstypes.HealthStatusUnhealthy
			s.control.Changed(status)
		case "short":
			time.Sleep(time.Second)
			s.end(task.ARN, ecstypes.TaskStopCodeEssentialContainerExited, "Essential container in task exited")
		}
	})
}

// end reports a task's end in two steps, as the engine does: it ought not to run any more, and half a second later it
// has stopped.
func (s *plane) end(arn string, code ecstypes.TaskStopCode, reason string) {
	status := engine.Status{TaskARN: arn, LastStatus: engine.StatusDeprovisioning, DesiredStatus: engine.StatusStopped, StopCode: code, StoppedReason: reason}
	s.control.Changed(status)
	time.Sleep(500 * time.Millisecond)
	status.LastStatus, status.StoppedAt = engine.StatusStopped, aws.Time(time.Now())
	s.control.Changed(status)
}

func (s *plane) stop(arn string, code ecstypes.TaskStopCode, reason string) {
	s.acts.Go(func() {
		time.Sleep(time.Second)
		s.end(arn, code, reason)
	})
}

func (s *plane) publish(task ecstypes.Task, _ time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, task)
}

// starts lists when tasks were started, in whole seconds since the first.
func (s *plane) starts() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []int
	for _, at := range s.at {
		out = append(out, int(at.Sub(s.at[0]).Seconds()))
	}
	return out
}

// after lets the bubble's clock run.
func (s *plane) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// must turns a call into its answer: must(call())(t).
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// register makes the next revision of family "web", whose task behaves as image says.
func (s *plane) register(image string) string {
	s.t.Helper()
	out := must(s.RegisterTaskDefinition(s.t.Context(), webTask(image)))(s.t)
	return names.Last(*out.TaskDefinition.TaskDefinitionArn)
}

func webTask(image string) *ecs.RegisterTaskDefinitionInput {
	return &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("web"), NetworkMode: ecstypes.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		Tags: []ecstypes.Tag{{Key: aws.String("from"), Value: aws.String("definition")}},
		ContainerDefinitions: []ecstypes.ContainerDefinition{{
			Name: aws.String("app"), Image: aws.String(image + ":1"),
			HealthCheck: &ecstypes.HealthCheck{Command: []string{"CMD", "true"}},
		}},
	}
}

func network() *ecstypes.NetworkConfiguration {
	return &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{
		Subnets: []string{"subnet-1"}, SecurityGroups: []string{"sg-1"},
	}}
}

func webService(definition string, desired int32) *ecs.CreateServiceInput {
	return &ecs.CreateServiceInput{
		Cluster: aws.String("demo"), ServiceName: aws.String("web"), TaskDefinition: &definition, DesiredCount: &desired,
		LaunchType: ecstypes.LaunchTypeFargate, NetworkConfiguration: network(),
	}
}

func (s *plane) create(in *ecs.CreateServiceInput) { must(s.CreateService(s.t.Context(), in))(s.t) }

func (s *plane) service() ecstypes.Service {
	s.t.Helper()
	out := must(s.DescribeServices(s.t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("demo"), Services: []string{"web"}}))(s.t)
	if len(out.Services) != 1 {
		s.t.Fatalf("services: %v, failures: %v", out.Services, out.Failures)
	}
	return out.Services[0]
}

// tasks lists the service's tasks that ought to run, or not.
func (s *plane) tasks(desired ecstypes.DesiredStatus) []ecstypes.Task {
	s.t.Helper()
	list := must(s.ListTasks(s.t.Context(), &ecs.ListTasksInput{Cluster: aws.String("demo"), DesiredStatus: desired}))(s.t)
	if len(list.TaskArns) == 0 {
		return nil
	}
	return must(s.DescribeTasks(s.t.Context(), &ecs.DescribeTasksInput{
		Cluster: aws.String("demo"), Tasks: list.TaskArns, Include: []ecstypes.TaskField{ecstypes.TaskFieldTags}}))(s.t).Tasks
}

// summary is a service in one line: status, running/pending/desired, then each deployment's status, state, revision
// and counts.
func summary(s ecstypes.Service) string {
	text := fmt.Sprintf("%s %d/%d/%d", *s.Status, s.RunningCount, s.PendingCount, s.DesiredCount)
	for _, d := range s.Deployments {
		text += fmt.Sprintf("; %s %s %s %d/%d/%d failed %d", *d.Status, d.RolloutState, names.Last(*d.TaskDefinition), d.RunningCount, d.PendingCount, d.DesiredCount, d.FailedTasks)
	}
	return text
}

// told lists a service's events, oldest first, without IDs.
func told(s ecstypes.Service) []string {
	var out []string
	for i := range s.Events {
		words := strings.Fields(*s.Events[len(s.Events)-1-i].Message)
		for j, w := range words {
			if len(strings.Trim(names.Last(w), ").")) >= 19 {
				words[j] = "ID)"
			}
		}
		out = append(out, strings.Join(words, " "))
	}
	return out
}

// code is the error code that ECS would give, and the message.
func code(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return fmt.Sprint(err)
	}
	return api.ErrorCode() + ": " + api.ErrorMessage()
}
