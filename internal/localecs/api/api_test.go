package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/api"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/control"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/eventbus"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/quota"
)

// serve runs the whole endpoint before the given emulator and above an engine that does nothing.
func serve(t *testing.T, emulator string, operator api.Operator) (endpoint string, c *control.Control) {
	t.Helper()
	c, err := control.New(control.Config{
		Account: names.Account{Region: "us-east-1", ID: "123456789012"}, StateFile: filepath.Join(t.TempDir(), "state.json"),
		Run: func(engine.Task) {}, Stop: func(string, ecstypes.TaskStopCode, string) {}, SetTags: func(string, []ecstypes.Tag) {},
		Publish: func(ecstypes.Task, time.Time) {}, Logger: hclog.NewNullLogger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(emulator)
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	t.Cleanup(c.Close)
	var quotas quota.Quotas
	operator.Quotas = quotas.Switch
	server := httptest.NewServer(api.New(c, target, api.Admin(operator, hclog.NewNullLogger()), &quotas, hclog.NewNullLogger()))
	t.Cleanup(server.Close)
	return server.URL, c
}

func client(endpoint string) *ecs.Client {
	return ecs.New(ecs.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
}

func TestDefinitionSurvivesTheWire(t *testing.T) {
	t.Parallel()
	endpoint, _ := serve(t, "http://127.0.0.1:1", api.Operator{})
	in := &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("web"), NetworkMode: "awsvpc", Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []ecstypes.Compatibility{"EC2", "FARGATE"},
		Volumes:                 []ecstypes.Volume{{Name: aws.String("consul_data")}},
		ContainerDefinitions: []ecstypes.ContainerDefinition{{
			Name: aws.String("app"), Image: aws.String("web:1"), Command: []string{"a", "b"}, User: aws.String("100:100"),
			ReadonlyRootFilesystem: aws.Bool(false), StopTimeout: aws.Int32(0), MemoryReservation: aws.Int32(64),
			MountPoints:   []ecstypes.MountPoint{{SourceVolume: aws.String("consul_data"), ContainerPath: aws.String("/consul"), ReadOnly: aws.Bool(true)}},
			PortMappings:  []ecstypes.PortMapping{{ContainerPort: aws.Int32(20000)}},
			Environment:   []ecstypes.KeyValuePair{{Name: aws.String("EMPTY"), Value: aws.String("")}},
			RestartPolicy: &ecstypes.ContainerRestartPolicy{Enabled: aws.Bool(true), RestartAttemptPeriod: aws.Int32(60), IgnoredExitCodes: []int32{0}},
			Ulimits:       []ecstypes.Ulimit{{Name: "nofile", SoftLimit: 1024, HardLimit: 2048}},
			DockerLabels:  map[string]string{"Some.Label": "x"},
		}},
	}
	registered, err := client(endpoint).RegisterTaskDefinition(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	described, err := client(endpoint).DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("web")})
	if err != nil {
		t.Fatal(err)
	}
	want, got := in.ContainerDefinitions[0], described.TaskDefinition.ContainerDefinitions[0]
	want.Essential, want.VolumesFrom, want.SystemControls = aws.Bool(true), []ecstypes.VolumeFrom{}, []ecstypes.SystemControl{}
	want.PortMappings = []ecstypes.PortMapping{{ContainerPort: aws.Int32(20000), HostPort: aws.Int32(20000), Protocol: "tcp"}}
	if diff := cmp.Diff(text(t, want), text(t, got)); diff != "" {
		t.Errorf("described (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(text(t, registered.TaskDefinition), text(t, described.TaskDefinition)); diff != "" {
		t.Errorf("registered and described differ (-registered +described):\n%s", diff)
	}
	if age := time.Since(*described.TaskDefinition.RegisteredAt); age < 0 || age > time.Minute {
		t.Errorf("registered %s ago", age)
	}
}

// text is a value in a form that tells nil from empty.
func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestErrorsReachTheSDKAsItsTypes(t *testing.T) {
	t.Parallel()
	endpoint, _ := serve(t, "http://127.0.0.1:1", api.Operator{})
	_, err := client(endpoint).ListTasks(t.Context(), &ecs.ListTasksInput{})
	var notFound *ecstypes.ClusterNotFoundException
	if !errors.As(err, &notFound) || notFound.ErrorMessage() != "Cluster not found." {
		t.Errorf("got %v", err)
	}
	for name, c := range map[string]struct{ target, body, want string }{
		"unknown action": {"ListAccountSettings", `{}`, "UnknownOperationException: This local ECS does not know ListAccountSettings."},
		"wrong type":     {"RunTask", `{"count":"1"}`, "SerializationException: count: got a string, want a whole number"},
		"no JSON":        {"RunTask", `count=1`, "SerializationException: parse JSON: invalid character 'c' looking for beginning of value"},
		"unknown key":    {"CreateCluster", `{"clusterName":"a","novelty":1}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Amz-Target", "AmazonEC2ContainerServiceV20141113."+c.target)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var out struct {
				Type    string `json:"__type"`
				Message string `json:"message"`
			}
			if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSuffix(out.Type+": "+out.Message, ": "); got != c.want || (c.want == "") != (resp.StatusCode == 200) {
				t.Errorf("got %d %s, want %s", resp.StatusCode, got, c.want)
			}
			if resp.Header.Get("X-Amzn-Requestid") == "" || resp.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
				t.Errorf("headers %v", resp.Header)
			}
		})
	}
}

func TestOtherServicesPassUntouched(t *testing.T) {
	t.Parallel()
	type seen struct{ Host, Method, URI, Body, Authorization, Agent, Target, Forwarded string }
	emulator := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Amzn-Requestid", "of-the-emulator")
		w.WriteHeader(http.StatusTeapot)
		_ = json.NewEncoder(w).Encode(seen{r.Host, r.Method, r.RequestURI, string(body), r.Header.Get("Authorization"),
			r.Header.Get("User-Agent"), r.Header.Get("X-Amz-Target"), r.Header.Get("X-Forwarded-For")})
	}))
	t.Cleanup(emulator.Close)
	endpoint, _ := serve(t, emulator.URL, api.Operator{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint+"/123/queue%20a?b=1;2&c", strings.NewReader("Action=GetRole"))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "iam.amazonaws.com"
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x")
	req.Header.Set("User-Agent", "sdk")
	req.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got seen
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := seen{"iam.amazonaws.com", "POST", "/123/queue%20a?b=1;2&c", "Action=GetRole", "AWS4-HMAC-SHA256 Credential=x", "sdk", "AmazonSQS.SendMessage", ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the emulator saw (-want +got):\n%s", diff)
	}
	if resp.StatusCode != http.StatusTeapot || resp.Header.Get("X-Amzn-Requestid") != "of-the-emulator" {
		t.Errorf("answer: %s, %v", resp.Status, resp.Header)
	}
}

func TestEmulatorThatIsGoneIsABadGateway(t *testing.T) {
	t.Parallel()
	endpoint, _ := serve(t, "http://127.0.0.1:1", api.Operator{})
	resp, err := http.Get(endpoint + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusBadGateway {
		t.Errorf("got %s", resp.Status)
	}
}

func TestAdminSurface(t *testing.T) {
	t.Parallel()
	did := make(chan string, 10)
	operator := api.Operator{
		TaskARN:  func(id string) (string, bool) { return "task/" + id, id == "1f" },
		TaskARNs: func() []string { return []string{"task/1f", "task/gone"} },
		Containers: func(arn string) ([]engine.ContainerRun, bool) {
			return []engine.ContainerRun{{Name: "app", Restarts: 2}}, arn == "task/1f"
		},
		Logs: func(_ context.Context, arn, container string) ([]byte, error) {
			return []byte("log of " + arn + " " + container), nil
		},
		Kill: func(_ context.Context, arn, container, signal string) error {
			did <- fmt.Sprint("kill ", arn, " ", container, " ", signal)
			return nil
		},
		Session: func(id, token string) (control.Session, bool) {
			return control.Session{TaskARN: "task/1f", Container: "app", Command: "/bin/look  -a"}, id == "s1" && token == "secret"
		},
		Exec: func(_ context.Context, arn, container string, command []string) ([]byte, error) {
			return fmt.Appendf(nil, "%s %s %q", arn, container, command), nil
		},
		StopOrder:  func(o engine.StopOrder) { did <- "order " + string(o) },
		Events:     func(d eventbus.Disorder) { did <- fmt.Sprint("events ", d) },
		EventStats: func() eventbus.Stats { return eventbus.Stats{Delivered: 7} },
	}
	endpoint, _ := serve(t, "http://127.0.0.1:1", operator)
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		want               string
	}{
		"health":         {"GET", "health", "", 200, `"status":"ok"`},
		"tasks":          {"GET", "tasks", "", 200, `[{"taskArn":"task/1f","containers":[{"name":"app"`},
		"timeline":       {"GET", "tasks/1f", "", 200, `"restarts":2`},
		"no timeline":    {"GET", "tasks/2f", "", 404, "task 2f: no such task"},
		"logs":           {"GET", "tasks/1f/logs?container=app", "", 200, "log of task/1f app"},
		"no logs":        {"GET", "tasks/2f/logs", "", 404, "no such task"},
		"session":        {"POST", "sessions/s1", "secret", 200, `task/1f app ["/bin/look" "-a"]`},
		"wrong token":    {"POST", "sessions/s1", "guess", 400, "another one's token"},
		"kill":           {"POST", "kill", `{"task":"1f","container":"app","signal":"TERM"}`, 200, "task/1f"},
		"kill nobody":    {"POST", "kill", `{"task":"2f"}`, 404, "no such task"},
		"kill with typo": {"POST", "kill", `{"tasks":"1f"}`, 400, `unknown field "tasks"`},
		"settings":       {"PUT", "settings", `{"stopOrder":"all-at-once","events":{"duplicates":0.5,"delayMilliseconds":20}}`, 200, "all-at-once"},
		"quotas":         {"PUT", "settings", `{"quotas":true}`, 200, `"quotas":true`},
		"events":         {"GET", "events", "", 200, `"delivered":7`},
		"too many twice": {"PUT", "settings", `{"events":{"duplicates":2}}`, 400, "events: duplicates 2: want a share from 0 to 1"},
		"too late":       {"PUT", "settings", `{"events":{"delayMilliseconds":90000}}`, 400, "events: delayMilliseconds 90000: want 0 to 60000"},
		"unknown order":  {"PUT", "settings", `{"stopOrder":"random"}`, 400, `stopOrder "random"`},
		"unknown path":   {"GET", "nothing", "", 404, "not found"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, endpoint+"/_localecs/"+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || !strings.Contains(string(body), c.want) {
			t.Errorf("%s: got %d %s (%v), want %d with %s", name, resp.StatusCode, body, err, c.status, c.want)
		}
	}
	close(did)
	all := map[string]bool{}
	for what := range did {
		all[what] = true
	}
	if diff := cmp.Diff(map[string]bool{"kill task/1f app TERM": true, "order all-at-once": true, "events {0.5 20}": true}, all); diff != "" {
		t.Errorf("what was done (-want +got):\n%s", diff)
	}
}

func TestQuotasAreSwitchedByTheOperator(t *testing.T) {
	t.Parallel()
	endpoint, _ := serve(t, "http://127.0.0.1:1", api.Operator{})
	switched := func(on bool) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, endpoint+"/_localecs/settings", strings.NewReader(fmt.Sprintf(`{"quotas":%t}`, on)))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
	}
	throttled := func() (calls int) {
		t.Helper()
		for range 60 { // ECS grants 20 at once, and one a second
			nothing := &ecs.RegisterTaskDefinitionInput{Family: aws.String(""), ContainerDefinitions: []ecstypes.ContainerDefinition{}}
			_, err := client(endpoint).RegisterTaskDefinition(t.Context(), nothing, func(o *ecs.Options) { o.Retryer = aws.NopRetryer{} })
			var refused smithy.APIError
			if !errors.As(err, &refused) {
				t.Fatal(err)
			}
			if refused.ErrorCode() == "ThrottlingException" && refused.ErrorMessage() == "Rate exceeded" {
				calls++
			}
		}
		return calls
	}
	if n := throttled(); n != 0 {
		t.Errorf("%d calls throttled before the quotas are on", n)
	}
	switched(true)
	if n := throttled(); n < 10 || n > 40 {
		t.Errorf("%d of 60 calls throttled", n)
	}
	switched(false)
	if n := throttled(); n != 0 {
		t.Errorf("%d calls throttled after the quotas are off", n)
	}
}
