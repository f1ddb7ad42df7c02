package engine

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/metadata"
)

const taskRole, executionRole = "arn:aws:iam::123456789012:role/path/task", "arn:aws:iam::123456789012:role/execution"

// secret stores a secret with moto and returns its ARN.
func (s stage) secret(t *testing.T, name, value string) string {
	t.Helper()
	client := secretsmanager.New(secretsmanager.Options{
		Region: "us-east-1", BaseEndpoint: &s.motoURL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	})
	out, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: &value})
	if err != nil {
		t.Fatal(err)
	}
	return *out.ARN
}

func TestSecretsAreReadForTheContainer(t *testing.T) {
	s := onStage(t)
	plain, object := s.secret(t, "plain", "hush=hush"), s.secret(t, "object", `{"word":"text","number":12}`)
	app := actor("app", "env=PLAIN", "env=WORD", "env=NUMBER", "env=STAGED")
	for name, from := range map[string]string{"PLAIN": plain, "WORD": object + ":word::", "NUMBER": object + ":number::", "STAGED": object + "::AWSCURRENT:"} {
		app.Secrets = append(app.Secrets, ecstypes.Secret{Name: &name, ValueFrom: &from})
	}
	task := s.task(app)
	task.ExecutionRoleARN = executionRole
	arn := s.play(t, task)
	s.heard.awaitWord(t, arn, StatusStopped)
	if got, want := s.logs(t, arn, "app"), "hush=hush\ntext\n12\n{\"word\":\"text\",\"number\":12}"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSecretThatCannotBeReadStopsTheTask(t *testing.T) {
	object := shared.secret(t, "partial", `{"word":"text"}`)
	cases := map[string]struct{ from, role, want string }{
		"missing secret":    {"arn:aws:secretsmanager:us-east-1:123456789012:secret:none-AbCdEf", executionRole, "ResourceNotFoundException"},
		"missing key":       {object + ":nokey::", executionRole, "read key nokey of secret " + object + ": no such key"},
		"no execution role": {object, "", "the task has secrets and no execution role"},
		"another service":   {"arn:aws:ssm:us-east-1:123456789012:parameter/x", executionRole, "is not a Secrets Manager ARN"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := onStage(t)
			app := actor("app", "hold")
			app.Secrets = []ecstypes.Secret{{Name: aws.String("S"), ValueFrom: &c.from}}
			task := s.task(app)
			task.ExecutionRoleARN = c.role
			arn := s.play(t, task)
			last := s.heard.awaitWord(t, arn, StatusStopped)
			if last.StopCode != ecstypes.TaskStopCodeTaskFailedToStart || !strings.HasPrefix(last.StoppedReason, "ResourceInitializationError: ") || !strings.Contains(last.StoppedReason, c.want) {
				t.Errorf("task: %s %q, want %q in it", last.StopCode, last.StoppedReason, c.want)
			}
			if strings.Contains(last.StoppedReason, "text") {
				t.Error("the reason gives a secret away")
			}
		})
	}
}

func TestTaskRoleCredentials(t *testing.T) {
	s := onStage(t)
	task := s.task(actor("app", "get=AWS_CONTAINER_CREDENTIALS_FULL_URI,", "get=AWS_CONTAINER_CREDENTIALS_FULL_URI,"))
	task.TaskRoleARN = taskRole
	arn := s.play(t, task)
	s.heard.awaitWord(t, arn, StatusStopped)
	answers := strings.Split(s.logs(t, arn, "app"), "\n\n")
	if len(answers) != 2 || answers[0] != answers[1] {
		t.Fatalf("answers %q, want two alike: credentials are kept until they near their end", answers)
	}
	var got map[string]string
	if err := json.Unmarshal([]byte(answers[0]), &got); err != nil {
		t.Fatalf("%v: %s", err, answers[0])
	}
	if end, err := time.Parse(time.RFC3339, got["Expiration"]); err != nil || time.Until(end) < time.Minute || got["RoleArn"] != taskRole {
		t.Errorf("role %s, expiration %s", got["RoleArn"], got["Expiration"])
	}
	client := sts.New(sts.Options{
		Region: "us-east-1", BaseEndpoint: &s.motoURL,
		Credentials: credentials.NewStaticCredentialsProvider(got["AccessKeyId"], got["SecretAccessKey"], got["Token"]),
	})
	who, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "assumed-role/task/" + taskID(arn); !strings.HasSuffix(*who.Arn, want) {
		t.Errorf("the credentials are %s, want …%s", *who.Arn, want)
	}
}

func TestNoTaskRoleNoCredentials(t *testing.T) {
	s := onStage(t)
	arn := s.play(t, s.task(actor("app", "env=AWS_CONTAINER_CREDENTIALS_FULL_URI")))
	s.heard.awaitWord(t, arn, StatusStopped)
	if got := s.logs(t, arn, "app"); got != "" {
		t.Errorf("credentials at %q", got)
	}
}

// fetch reads a metadata URL of the task's first container from this machine.
func (s stage) fetch(t *testing.T, arn, path string, into any) {
	t.Helper()
	resp, err := http.Get(fmt.Sprintf("http://%s:%d/v4/%s-0%s", linkLocalServer, s.wiring.port, taskID(arn), path))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(raw, into)
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s: %v: %s", path, resp.Status, err, raw)
	}
}

func TestMetadataOfATask(t *testing.T) {
	s := onStage(t)
	app := checked(actor("app", "healthy", "get=ECS_CONTAINER_METADATA_URI_V4,", "get=ECS_CONTAINER_METADATA_URI_V4,/task", "hold"))
	app.DockerLabels = map[string]string{"team": "blue"}
	app.RestartPolicy = &ecstypes.ContainerRestartPolicy{Enabled: aws.Bool(true)}
	task := s.task(app, after(extra("late", "hold"), "app:HEALTHY"), extra("over", "exit=4"))
	task.Tags = []ecstypes.Tag{{Key: aws.String("k"), Value: aws.String("v")}}
	task.AvailabilityZone, task.ServiceName = "us-east-1a", "web"
	arn := s.play(t, task)
	now := s.heard.awaitWord(t, arn, StatusRunning)

	var got metadata.Task
	s.fetch(t, arn, "/taskWithTags", &got)
	want := metadata.Task{
		Cluster: task.ClusterARN, TaskARN: arn, Family: "family", ServiceName: "web", Revision: "7",
		DesiredStatus: "RUNNING", KnownStatus: "RUNNING", Limits: &metadata.Limits{CPU: 0.5, Memory: 1024},
		PullStartedAt: got.PullStartedAt, PullStoppedAt: got.PullStoppedAt,
		AvailabilityZone: "us-east-1a", LaunchType: "FARGATE", TaskTags: map[string]string{"k": "v"}, Containers: got.Containers,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("task (-want +got):\n%s", diff)
	}
	if len(got.Containers) != 3 || got.PullStartedAt == nil || got.PullStoppedAt == nil {
		t.Fatalf("%d containers, pulled from %v to %v", len(got.Containers), got.PullStartedAt, got.PullStoppedAt)
	}
	first, last := got.Containers[0], got.Containers[2]
	if first.Name != "app" || first.KnownStatus != "RUNNING" || first.Type != "NORMAL" || first.Health == nil || first.Health.Status != "HEALTHY" ||
		first.Labels["team"] != "blue" || *first.RestartCount != 0 || first.DockerID != *now.container("app").RuntimeId {
		t.Errorf("app: %+v", first)
	}
	if n := first.Networks; len(n) != 1 || n[0].NetworkMode != "awsvpc" || n[0].IPv4Addresses[0] != *now.Containers[0].NetworkInterfaces[0].PrivateIpv4Address {
		t.Errorf("networks: %+v", n)
	}
	if last.KnownStatus != "STOPPED" || last.DesiredStatus != "RUNNING" || last.ExitCode == nil || *last.ExitCode != 4 || last.Health != nil || last.FinishedAt == nil {
		t.Errorf("over: %+v", last)
	}

	// From within, app has seen itself, and late only as an image.
	inside := strings.Split(s.logs(t, arn, "app"), "\n\n")
	var self metadata.Container
	var early metadata.Task
	if err := json.Unmarshal([]byte(inside[0]), &self); err != nil || self.Name != "app" {
		t.Errorf("from within: %v: %q", err, inside[0])
	}
	if err := json.Unmarshal([]byte(inside[1]), &early); err != nil || len(early.TaskTags) > 0 || early.KnownStatus == "RUNNING" {
		t.Errorf("from within: %v: %q", err, inside[1])
	}
}

func TestMetadataOnEC2NamesTheCluster(t *testing.T) {
	s := onStage(t)
	task := s.task(actor("app", "hold"))
	task.LaunchType = ecstypes.LaunchTypeEc2
	arn := s.play(t, task)
	s.heard.awaitWord(t, arn, StatusRunning)
	var got metadata.Task
	s.fetch(t, arn, "/task", &got)
	if got.Cluster != "blue" || got.LaunchType != "EC2" {
		t.Errorf("cluster %s, launch type %s", got.Cluster, got.LaunchType)
	}
}

func TestMetadataStats(t *testing.T) {
	s := onStage(t)
	arn := s.play(t, s.task(actor("app", "hold"), extra("over", "exit=0")))
	now := s.heard.await(t, arn, "over has stopped", func(st Status) bool { return st.LastStatus == StatusRunning && exitCode(st.container("over")) == "0" })
	var one struct {
		Read string `json:"read"`
	}
	s.fetch(t, arn, "/stats", &one)
	if one.Read == "" {
		t.Error("no statistics of app")
	}
	all := map[string]json.RawMessage{}
	s.fetch(t, arn, "/task/stats", &all)
	if len(all) != 2 || string(all[*now.container("over").RuntimeId]) != "null" {
		t.Errorf("statistics of %d containers, of the stopped one: %s", len(all), all[*now.container("over").RuntimeId])
	}
}

// What the metadata endpoint says is never older than what Changed has told.
func TestMetadataIsCurrent(t *testing.T) {
	s := onStage(t)
	arn := s.play(t, s.task(checked(actor("app", "healthy", "term=0,1s", "hold"))))
	s.heard.awaitHealth(t, arn, ecstypes.HealthStatusHealthy)
	var got metadata.Task
	if s.fetch(t, arn, "/task", &got); got.Containers[0].Health.Status != "HEALTHY" || got.Containers[0].Health.StatusSince == nil {
		t.Errorf("health %+v", got.Containers[0].Health)
	}
	s.Stop(arn, ecstypes.TaskStopCodeUserInitiated, "")
	s.heard.awaitWord(t, arn, StatusStopping)
	if s.fetch(t, arn, "/task", &got); got.Containers[0].DesiredStatus != "STOPPED" || got.Containers[0].KnownStatus != "RUNNING" {
		t.Errorf("stopping: desired %s, known %s", got.Containers[0].DesiredStatus, got.Containers[0].KnownStatus)
	}
}
