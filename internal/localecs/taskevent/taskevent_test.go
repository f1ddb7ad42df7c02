package taskevent_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

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
		CreatedAt: aws.Time(noon.Add(-time.Minute)), StoppedAt: aws.Time(noon.Add(-1500 * time.Millisecond)),
		Attachments: []ecstypes.Attachment{{Type: aws.String("ElasticNetworkInterface"), Status: aws.String("DELETED")}},
		Containers:  []ecstypes.Container{{Name: aws.String("app"), ExitCode: aws.Int32(0)}},
		Tags:        []ecstypes.Tag{{Key: aws.String("secret"), Value: aws.String("no")}},
	}
}

func TestEventHasTheFormOfEventBridge(t *testing.T) {
	t.Parallel()
	text, err := taskevent.Marshal(task(7), account, noon)
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
			"createdAt": "2026-11-23T11:59:00.000Z", "stoppedAt": "2026-11-23T11:59:58.500Z", "updatedAt": "2026-11-23T12:00:00.000Z",
			"attachments": []any{map[string]any{"type": "eni", "status": "DELETED"}},
			"containers":  []any{map[string]any{"name": "app", "exitCode": 0.0}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

// TestSenderDeliversInOrderThroughAnOutage has a queue that refuses for a while: nothing is lost or out of order.
func TestSenderDeliversInOrderThroughAnOutage(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var refused int
	got := make(chan float64, 10)
	queue := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if refused++; refused <= 3 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		var sent struct{ QueueUrl, MessageBody string }
		var event struct{ Detail struct{ Version float64 } }
		if json.Unmarshal(body, &sent) == nil && json.Unmarshal([]byte(sent.MessageBody), &event) == nil && sent.QueueUrl == "http://queue/1" {
			got <- event.Detail.Version
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = w.Write([]byte(`{}`))
	}))
	t.Cleanup(queue.Close)
	s := taskevent.NewSender(taskevent.Config{EmulatorURL: queue.URL, QueueURL: "http://queue/1", Account: account, Logger: hclog.NewNullLogger()})
	for v := range 3 {
		s.Send(task(int64(v+1)), noon)
	}
	for want := range 3 {
		select {
		case v := <-got:
			if v != float64(want+1) {
				t.Errorf("got event %v, want %d", v, want+1)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("event %d did not arrive", want+1)
		}
	}
	s.SetQueue("")
	s.Send(task(4), noon)
	s.Close()
	if len(got) != 0 {
		t.Error("an event arrived that was to go nowhere")
	}
}
