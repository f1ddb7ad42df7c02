package taskevent_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/taskevent"
)

const (
	home       = "arn:aws:ecs:us-east-1:123456789012:"
	ecsCluster = home + "cluster/mesh"
	taskARN    = home + "task/mesh/1f0e"
)

// whole is an event as EventBridge delivers it, cut to a few of its fields, and with one that nobody knows yet.
const whole = `{
  "version": "0", "id": "9bcdac79-b31f-4d3d-9410-fbd727c29fab", "detail-type": "ECS Task State Change", "source": "aws.ecs",
  "account": "123456789012", "time": "2026-11-23T12:00:00Z", "region": "us-east-1", "resources": ["` + taskARN + `"], "novelty": [{}],
  "detail": {
    "attachments": [{"id": "1", "type": "eni", "status": "DELETED", "details": []}], "clusterArn": "` + ecsCluster + `",
    "containers": [{"name": "app", "exitCode": 0, "lastStatus": "STOPPED"}], "desiredStatus": "STOPPED", "lastStatus": "STOPPED",
    "group": "service:web", "launchType": "FARGATE", "stopCode": "ServiceSchedulerInitiated", "stoppedReason": "Scaling activity",
    "stoppedAt": "2026-11-23T11:59:58.5Z", "taskArn": "` + taskARN + `", "taskDefinitionArn": "` + home + `task-definition/web:7",
    "updatedAt": "2026-11-23T12:00:00.1Z", "version": 6, "overrides": {"containerOverrides": []}
  }
}`

func TestAnEventIsReadWhole(t *testing.T) {
	t.Parallel()
	got, err := taskevent.Parse([]byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	want := taskevent.Event{
		ID: "9bcdac79-b31f-4d3d-9410-fbd727c29fab", Time: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), ClusterARN: ecsCluster,
		TaskARN: taskARN, TaskID: "1f0e", TaskDefinitionARN: home + "task-definition/web:7", Group: "service:web",
		StopCode: "ServiceSchedulerInitiated", StoppedReason: "Scaling activity", LastStatus: "STOPPED", DesiredStatus: "STOPPED", Version: 6,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if !got.Stopped() {
		t.Error("its task has not stopped")
	}
}

func TestATaskThatIsToStopHasNotStopped(t *testing.T) {
	t.Parallel()
	got, err := taskevent.Parse([]byte(strings.Replace(whole, `"lastStatus": "STOPPED",
    "group"`, `"lastStatus": "DEPROVISIONING",
    "group"`, 1)))
	if err != nil || got.LastStatus != "DEPROVISIONING" || got.DesiredStatus != "STOPPED" || got.Stopped() {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAMessageIsAnEventOrSaysWhyNot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, new, want string }{
		"short ARN of an old account": {taskARN, home + "task/1f0e", ""},
		"other partition":             {"arn:aws:", "arn:aws-cn:", ""},
		"fraction of a second":        {"12:00:00Z\",", "12:00:00.25Z\",", ""},
		"no reason":                   {`"stoppedReason": "Scaling activity",`, "", ""},
		"no JSON":                     {`"version": "0",`, `"version" "0",`, "not JSON"},
		"nothing":                     {whole, "", "not JSON"},
		"a list":                      {whole, "[]", "the whole is a array"},
		"null":                        {whole, "null", "source and detail-type are not"},
		"event of a service":          {"ECS Task State Change", "ECS Service Action", "source and detail-type are not"},
		"event of somebody else":      {"aws.ecs", "com.example", "source and detail-type are not"},
		"no ID":                       {"9bcdac79-b31f-4d3d-9410-fbd727c29fab", "", "no id"},
		"no time":                     {"2026-11-23T12:00:00Z", "today", "time is not of the form"},
		"no detail":                   {`"detail":`, `"details":`, "no detail"},
		"no status":                   {`"desiredStatus": "STOPPED", "lastStatus": "STOPPED",`, "", "no lastStatus or no desiredStatus"},
		"version as a text":           {`"version": 6`, `"version": "6"`, "detail.version is a string"},
		"negative version":            {`"version": 6`, `"version": -6`, "version is negative"},
		"no task":                     {`"taskArn": "` + taskARN + `"`, `"taskArn": ""`, "taskArn is not the ARN of a task"},
		"a service for a task":        {"task/mesh/1f0e", "service/mesh/web", "taskArn is not the ARN of a task"},
		"no ECS cluster":              {`"clusterArn": "` + ecsCluster + `"`, `"clusterArn": "mesh"`, "clusterArn is not the ARN of an ECS cluster"},
		"task of another ECS cluster": {"task/mesh/1f0e", "task/other/1f0e", "taskArn is not that of a task of clusterArn"},
		"task of another account":     {taskARN, strings.Replace(taskARN, "123456789012", "999999999999", 1), "taskArn is not that of a task of clusterArn"},
		"task without an ID":          {"task/mesh/1f0e", "task/mesh/", "taskArn is not that of a task of clusterArn"},
		"task with a path":            {"task/mesh/1f0e", "task/mesh/1f0e/2", "taskArn is not that of a task of clusterArn"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := strings.ReplaceAll(whole, c.old, c.new)
			if body == whole {
				t.Fatal("the case changes nothing")
			}
			got, err := taskevent.Parse([]byte(body))
			switch {
			case c.want == "" && (err != nil || got.TaskID != "1f0e"):
				t.Errorf("got %+v, %v", got, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || got != taskevent.Event{}):
				t.Errorf("got %+v, %v; want an error with %q", got, err, c.want)
			}
		})
	}
}

func FuzzParseNeverPanicsNorTellsOfTheBody(f *testing.F) {
	for _, body := range []string{whole, "", "null", "[1]", `{"detail":{}}`, strings.Replace(whole, "mesh/1f0e", "mesh//", 1), `{"detail":{"version":1e400}}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := taskevent.Parse(body)
		if err != nil {
			if e != (taskevent.Event{}) || len(err.Error()) > 100 {
				t.Errorf("got %+v, %v", e, err)
			}
			return
		}
		if e.ID == "" || e.TaskID == "" || strings.Contains(e.TaskID, "/") || !strings.HasSuffix(e.TaskARN, "/"+e.TaskID) || e.ClusterARN == "" || e.LastStatus == "" || e.Time.IsZero() && !strings.Contains(string(body), "0001") {
			t.Errorf("half an event: %+v", e)
		}
	})
}
