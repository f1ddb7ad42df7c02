package taskevent_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/taskevent"
)

var (
	account = names.Account{Region: "us-east-1", ID: "123456789012"}
	noon    = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
)

func task(version int64) ecstypes.Task {
	return ecstypes.Task{
		TaskArn: aws.String("arn:aws:ecs:us-east-1:123456789012:task/demo/1f"), ClusterArn: aws.String("arn:aws:ecs:us-east-1:123456789012:cluster/demo"),
		LastStatus: aws.String("STOPPED"), DesiredStatus: aws.String("STOPPED"), StopCode: "EssentialContainerExited", Version: version,
		StoppedReason: aws.String("Essential container in task exited"), Group: aws.String("service:web"), HealthStatus: "UNHEALTHY",
		CreatedAt: aws.Time(noon.Add(-time.Minute)), StoppedAt: aws.Time(noon.Add(-1500 * time.Millisecond)),
		Attachments: []ecstypes.Attachment{{Type: aws.String("ElasticNetworkInterface"), Status: aws.String("DELETED")}},
		Containers:  []ecstypes.Container{{Name: aws.String("app"), ExitCode: aws.Int32(0), HealthStatus: "UNHEALTHY"}},
		Tags:        []ecstypes.Tag{{Key: aws.String("secret"), Value: aws.String("no")}},
	}
}

func TestEventHasTheFormOfEventBridge(t *testing.T) {
	t.Parallel()
	given := task(7)
	text, err := taskevent.Marshal(given, account, noon)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if id, _ := got["id"].(string); len(id) != 36 {
		t.Errorf("id %q", id)
	}
	delete(got, "id")
	want := map[string]any{
		"version": "0", "detail-type": "ECS Task State Change", "source": "aws.ecs", "account": "123456789012",
		"time": "2026-11-23T12:00:00Z", "region": "us-east-1", "resources": []any{"arn:aws:ecs:us-east-1:123456789012:task/demo/1f"},
		"detail": map[string]any{
			"taskArn": "arn:aws:ecs:us-east-1:123456789012:task/demo/1f", "clusterArn": "arn:aws:ecs:us-east-1:123456789012:cluster/demo",
			"lastStatus": "STOPPED", "desiredStatus": "STOPPED", "stopCode": "EssentialContainerExited", "version": 7.0,
			"stoppedReason": "Essential container in task exited", "group": "service:web",
			"createdAt": "2026-11-23T11:59:00.000Z", "stoppedAt": "2026-11-23T11:59:58.500Z", "updatedAt": "2026-11-23T12:00:00.000Z",
			"attachments": []any{map[string]any{"type": "eni", "status": "DELETED"}},
			"containers":  []any{map[string]any{"name": "app", "exitCode": 0.0}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(task(7), given, cmpopts.IgnoreUnexported(ecstypes.Task{}, ecstypes.Attachment{}, ecstypes.Container{}, ecstypes.Tag{})); diff != "" {
		t.Errorf("to tell of a task changed it (-before +after):\n%s", diff)
	}
}
