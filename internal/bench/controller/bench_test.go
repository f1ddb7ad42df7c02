package controllerbench

import (
	"context"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/bench/figures"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/procs"
)

func simulated(t *testing.T) (*simAWS, aws.Config) {
	t.Helper()
	a, err := startAWS()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.stop(); err != nil {
			t.Error(err)
		}
	})
	return a, aws.Config{Region: account.Region, BaseEndpoint: &a.url, Credentials: credentials.NewStaticCredentialsProvider("bench", "bench", "")}
}

func TestTheSDKSeesTheSimulatedTasks(t *testing.T) {
	t.Parallel()
	a, cfg := simulated(t)
	client := ecs.NewFromConfig(cfg)
	known := map[string]bool{account.Task(ecsClusterName, a.self.id): true}
	var some []*simTask
	for range 250 {
		task := a.ecs.start("web-00")
		known[account.Task(ecsClusterName, task.id)] = true
		some = append(some, task)
	}
	a.ecs.stop(some[:1])
	listed, pages := map[string]bool{}, 0
	for p := ecs.NewListTasksPaginator(client, &ecs.ListTasksInput{Cluster: &ecsCluster, DesiredStatus: ecstypes.DesiredStatusRunning}); p.HasMorePages(); pages++ {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, arn := range page.TaskArns {
			listed[arn] = true
		}
	}
	delete(known, account.Task(ecsClusterName, some[0].id))
	if pages != 3 || !maps.Equal(listed, known) {
		t.Errorf("%d pages list %d tasks, want 3 and %d", pages, len(listed), len(known))
	}
	out, err := client.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{
		Cluster: &ecsCluster, Tasks: []string{some[0].id, account.Task(ecsClusterName, some[1].id), newID()}, Include: []ecstypes.TaskField{ecstypes.TaskFieldTags},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Tasks) != 2 || *out.Tasks[0].LastStatus != "STOPPED" || *out.Tasks[1].LastStatus != "RUNNING" || len(out.Tasks[1].Tags) != 2 ||
		len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" {
		t.Errorf("described: %+v", out)
	}
	definition, err := client.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: out.Tasks[1].TaskDefinitionArn})
	if err != nil || *definition.TaskDefinition.Family != "web-00" || len(definition.Tags) != 2 {
		t.Errorf("definition: %+v, %v", definition, err)
	}
}

func TestTheSDKTakesMessagesFromTheSimulatedQueue(t *testing.T) {
	t.Parallel()
	a, cfg := simulated(t)
	client, url := sqs.NewFromConfig(cfg), a.queueURL()
	receive := func(most, wait int32) []sqstypes.Message {
		t.Helper()
		out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: most, WaitTimeSeconds: wait, VisibilityTimeout: 1})
		if err != nil {
			t.Fatal(err)
		}
		return out.Messages
	}
	time.AfterFunc(100*time.Millisecond, func() { a.queue.send([]string{"one", "two", "three"}) })
	first := receive(2, 5) // waits for them
	if len(first) != 2 || *first[0].Body != "one" || first[0].Attributes["SentTimestamp"] == "" {
		t.Fatalf("received %+v", first)
	}
	if rest := receive(10, 0); len(rest) != 1 || *rest[0].Body != "three" {
		t.Errorf("while two are hidden: %+v", rest)
	}
	entries := []sqstypes.DeleteMessageBatchRequestEntry{{Id: aws.String("0"), ReceiptHandle: first[0].ReceiptHandle}}
	if out, err := client.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: entries}); err != nil || len(out.Successful) != 1 {
		t.Errorf("delete: %+v, %v", out, err)
	}
	again := receive(10, 5)
	if len(again) == 0 || *again[0].Body != "two" || again[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Errorf("once it is seen again: %+v", again)
	}
	out, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url})
	if err != nil || out.Attributes["ApproximateNumberOfMessages"] == "" {
		t.Errorf("attributes: %+v, %v", out, err)
	}
	if _, err := client.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: &url}); err == nil || !strings.Contains(err.Error(), "UnknownOperationException") {
		t.Errorf("what is not simulated: %v", err)
	}
}

func TestASmallWorldIsMeasuredAndNothingIsLeft(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "consulecs-agent")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../../agents")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := Defaults()
	s.Agent, s.Servers, s.Sizes, s.Samples, s.Rest, s.Settle, s.Say = program, []int{1}, []int{20}, 1, time.Second, 0, t.Logf
	var mu sync.Mutex
	reported := map[string]float64{}
	s.Report = func(f figures.Figure, samples ...float64) {
		mu.Lock()
		defer mu.Unlock()
		reported[f.Name] = samples[0]
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := Run(ctx, s); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"start of the controller until it is ready", "at rest, resident memory", "a full look", "a full look, reads of Consul", "a full look, calls of ECS", "one dies, until its services and tokens are gone", "one dies, calls of Consul",
		"one dies, KiB to and from AWS", "services and tokens of a task, made in", "memory of Consul's servers at their peak", "20 die at once, until nothing of them is left", "with tokens that expire, 20 die at once, until nothing of them is left", "20 die at once, peak of Raft writes a second",
		"20 die at once, an unrelated registration meanwhile, worst",
	} {
		if reported["20 tasks, 1 server: "+name] <= 0 {
			t.Errorf("%s: %v; reported are %q", name, reported["20 tasks, 1 server: "+name], slices.Sorted(maps.Keys(reported)))
		}
	}
	if left, err := procs.Running(program); err != nil || len(left) > 0 {
		t.Errorf("controllers %v are left, %v", left, err)
	}
}
