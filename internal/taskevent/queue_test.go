package taskevent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskevent"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
)

var (
	moto = sync.OnceValues(func() (*testenv.AWS, error) {
		emulator, err := testenv.StartMoto(context.Background())
		started = emulator
		return emulator, err
	})
	started *testenv.AWS // nil where no test asked for it, as in a fuzzer's workers
)

func TestMain(m *testing.M) {
	code := m.Run()
	if started != nil {
		_ = started.Stop()
	}
	os.Exit(code)
}

// stage is a queue in moto, and the one under test, which reaches it through an AWS that may have a bad day.
type stage struct {
	*taskevent.Queue
	t        *testing.T
	emulator string // its URL
	proxy    *awsfault.Proxy
	sqs      *sqs.Client // past the proxy
	name     string
	url      string
	log      *bytes.Buffer
}

var queues struct {
	sync.Mutex
	made int
}

// newStage makes a queue with attributes in moto. change may alter what the queue under test is told.
func newStage(t *testing.T, attributes map[string]string, change func(*taskevent.Config)) *stage {
	t.Helper()
	t.Parallel()
	emulator, err := moto()
	if err != nil {
		t.Fatal(err)
	}
	return newStageOn(t, emulator, attributes, change)
}

func newStageOn(t *testing.T, emulator *testenv.AWS, attributes map[string]string, change func(*taskevent.Config)) *stage {
	t.Helper()
	queues.Lock()
	queues.made++
	s := &stage{t: t, emulator: emulator.URL, proxy: awsfault.Start(t, emulator.URL), name: fmt.Sprintf("events-%d", queues.made), log: new(bytes.Buffer)}
	queues.Unlock()
	var err error
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: &emulator.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		Retryer: func() aws.Retryer { return retry.AddWithMaxAttempts(retry.NewStandard(), 1) },
	}
	s.sqs = sqs.NewFromConfig(cfg)
	s.make(attributes)
	cfg.BaseEndpoint = &s.proxy.URL
	config := taskevent.Config{
		AWS: cfg, URL: s.url, ECSClusters: []string{ecsCluster}, Logger: hclog.New(&hclog.LoggerOptions{Output: s.log, Level: hclog.Debug}),
	}
	if change != nil {
		change(&config)
	}
	if s.Queue, err = taskevent.New(config); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stage) make(attributes map[string]string) {
	s.t.Helper()
	made, err := s.sqs.CreateQueue(s.t.Context(), &sqs.CreateQueueInput{QueueName: &s.name, Attributes: attributes})
	if err != nil {
		s.t.Fatal(err)
	}
	s.url = *made.QueueUrl
}

func (s *stage) setPolicy(policy string) {
	s.t.Helper()
	in := &sqs.SetQueueAttributesInput{QueueUrl: &s.url, Attributes: map[string]string{"Policy": policy}}
	if _, err := s.sqs.SetQueueAttributes(s.t.Context(), in); err != nil {
		s.t.Fatal(err)
	}
}

// event is that of a task at a version, with a status and in an ECS cluster.
func event(id string, version int, status, of string) string {
	body := strings.NewReplacer("1f0e", id, "9bcdac79-b31f-4d3d-9410-fbd727c29fab", fmt.Sprintf("%s-%d", id, version),
		`"version": 6`, `"version": `+strconv.Itoa(version), `"lastStatus": "STOPPED",
    "group"`, `"lastStatus": "`+status+`",
    "group"`, "cluster/mesh", "cluster/"+of, "task/mesh/", "task/"+of+"/").Replace(whole)
	return body
}

func stopped(id string) string { return event(id, 6, "STOPPED", "mesh") }

func (s *stage) send(bodies ...string) {
	s.t.Helper()
	for batch := range slices.Chunk(bodies, 10) {
		var entries []sqstypes.SendMessageBatchRequestEntry
		for i, body := range batch {
			entries = append(entries, sqstypes.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: &body})
		}
		if _, err := s.sqs.SendMessageBatch(s.t.Context(), &sqs.SendMessageBatchInput{QueueUrl: &s.url, Entries: entries}); err != nil {
			s.t.Fatal(err)
		}
	}
}

// receive takes the next batch, and returns the IDs of its tasks, sorted.
func (s *stage) receive() ([]taskevent.Message, []string) {
	s.t.Helper()
	messages, err := s.Receive(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var ids []string
	for _, m := range messages {
		ids = append(ids, m.Event.TaskID)
	}
	slices.Sort(ids)
	return messages, ids
}

func (s *stage) done(messages []taskevent.Message) {
	s.t.Helper()
	if err := s.Done(s.t.Context(), messages); err != nil {
		s.t.Error(err)
	}
}

// left is how many messages the queue holds: those that may be received, and those that were.
func (s *stage) left(url string) (waiting, inFlight string) {
	s.t.Helper()
	out, err := s.sqs.GetQueueAttributes(s.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
	if err != nil {
		s.t.Fatal(err)
	}
	return out.Attributes["ApproximateNumberOfMessages"], out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

func (s *stage) wantLeft(waiting, inFlight string) {
	s.t.Helper()
	if w, i := s.left(s.url); w != waiting || i != inFlight {
		s.t.Errorf("the queue holds %s messages and %s in flight, want %s and %s", w, i, waiting, inFlight)
	}
}

// calls counts the calls so far by their actions.
func (s *stage) calls() map[string]int {
	counts := map[string]int{}
	for _, c := range s.proxy.Calls() {
		counts[c.Action]++
	}
	return counts
}

func TestOnlyStoppedTasksOfTheECSClusterCome(t *testing.T) {
	s := newStage(t, nil, nil)
	s.send(event("a", 3, "RUNNING", "mesh"), event("b", 6, "STOPPED", "other"), stopped("c"), event("d", 5, "DEPROVISIONING", "mesh"))
	messages, ids := s.receive()
	if diff := cmp.Diff([]string{"c"}, ids); diff != "" {
		t.Fatalf("tasks (-want +got):\n%s", diff)
	}
	s.wantLeft("0", "1") // the others are deleted, this one once its work is done
	if age := time.Since(messages[0].SentAt); age < 0 || age > time.Minute || messages[0].Receives != 1 {
		t.Errorf("sent %s ago, received %d times", age, messages[0].Receives)
	}
	s.done(messages)
	s.wantLeft("0", "0")
	stats := s.Stats()
	if stats.Received != 4 || stats.Ignored != 3 || stats.Done != 4 || stats.Errors != 0 || stats.Lag <= 0 || stats.Lag > time.Minute {
		t.Errorf("stats %+v", stats)
	}
}

func TestAnIdleQueueCostsOneCallInTwentySeconds(t *testing.T) {
	s := newStage(t, nil, nil)
	began := time.Now()
	messages, err := s.Receive(t.Context())
	if took := time.Since(began); err != nil || len(messages) > 0 || took < 19*time.Second {
		t.Errorf("%d messages after %s, %v", len(messages), took, err)
	}
	if diff := cmp.Diff(map[string]int{"GetQueueAttributes": 1, "ReceiveMessage": 1}, s.calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if stats := s.Stats(); time.Since(stats.LastReceive) > 10*time.Second || stats.Lag != 0 {
		t.Errorf("stats %+v", stats)
	}
}

// TestAQueueThatWaitsByItselfHoldsNothingBack has a queue whose calls wait for 20 seconds unless they say otherwise.
func TestAQueueThatWaitsByItselfHoldsNothingBack(t *testing.T) {
	s := newStage(t, map[string]string{"ReceiveMessageWaitTimeSeconds": "20"}, nil)
	s.send(stopped("a"))
	began := time.Now()
	if _, ids := s.receive(); len(ids) != 1 || time.Since(began) > 10*time.Second {
		t.Errorf("tasks %v after %s", ids, time.Since(began))
	}
}

func TestEventsOfOneTaskAreOneMessageAndAllAreDeleted(t *testing.T) {
	s := newStage(t, nil, nil)
	s.send(event("a", 7, "STOPPED", "mesh"), stopped("b"), event("a", 6, "STOPPED", "mesh"), event("a", 7, "STOPPED", "mesh"))
	messages, ids := s.receive()
	if diff := cmp.Diff([]string{"a", "b"}, ids); diff != "" {
		t.Fatalf("tasks (-want +got):\n%s", diff)
	}
	for _, m := range messages {
		if m.Event.TaskID == "a" && m.Event.Version != 7 {
			t.Errorf("the older event stands for the task: version %d", m.Event.Version)
		}
	}
	s.done(messages)
	s.wantLeft("0", "0")
	if stats := s.Stats(); stats.Duplicates != 2 || stats.Done != 4 {
		t.Errorf("stats %+v", stats)
	}
}

// TestTwoThousandEventsComeInFewBatches has LocalStack's queue: moto's takes a second for each call when it is deep.
func TestTwoThousandEventsComeInFewBatches(t *testing.T) {
	t.Parallel()
	emulator, err := testenv.StartLocalStack(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = emulator.Stop() })
	s := newStageOn(t, emulator, map[string]string{"VisibilityTimeout": "600"}, nil)
	want := map[string]bool{}
	var bodies []string
	for i := range 2000 {
		id := fmt.Sprintf("t%04d", i)
		want[id] = true
		bodies = append(bodies, stopped(id))
	}
	s.send(bodies...)
	got, largest, batches := map[string]bool{}, 0, 0
	for len(got) < len(want) && batches < 200 {
		messages, ids := s.receive()
		for _, id := range ids {
			got[id] = true
		}
		batches++
		largest = max(largest, len(messages))
		s.done(messages)
	}
	if !maps.Equal(want, got) {
		t.Errorf("%d of %d events came", len(got), len(want))
	}
	if largest < 200 || largest > 1000 || batches > 20 {
		t.Errorf("%d batches, the largest of %d: many events at once are to be few", batches, largest)
	}
	t.Logf("%d batches, the largest of %d; calls %v", batches, largest, s.calls())
	s.wantLeft("0", "0")
}

func TestWhatIsNotDoneComesAgain(t *testing.T) {
	s := newStage(t, map[string]string{"VisibilityTimeout": "1"}, nil)
	s.send(stopped("a"))
	if _, ids := s.receive(); len(ids) != 1 {
		t.Fatalf("got %v", ids)
	}
	messages, ids := s.receive() // waits for it
	if diff := cmp.Diff([]string{"a"}, ids); diff != "" || messages[0].Receives != 2 {
		t.Fatalf("tasks (-want +got):\n%s", diff)
	}
	s.done(messages)
	s.wantLeft("0", "0")
}

func TestPoisonIsSaidOnceByItsIDAndDeleted(t *testing.T) {
	s := newStage(t, nil, nil)
	s.send(`{"password":"hunter2"}`, "hunter2", stopped("a"))
	if _, ids := s.receive(); len(ids) != 1 {
		t.Errorf("tasks %v", ids)
	}
	s.wantLeft("0", "1")
	log := s.log.String()
	if strings.Count(log, "message set aside") != 2 || strings.Count(log, "message_id=") != 2 || !strings.Contains(log, "reason=\"not JSON\"") || !strings.Contains(log, "deleted=true") {
		t.Errorf("log:\n%s", log)
	}
	if strings.Contains(log, "hunter2") || strings.Contains(log, "password") {
		t.Errorf("the log holds a body:\n%s", log)
	}
	if stats := s.Stats(); stats.Poison != 2 {
		t.Errorf("stats %+v", stats)
	}
}

func TestPoisonIsLeftToARedrivePolicy(t *testing.T) {
	dead := newStageQueue(t)
	s := newStage(t, map[string]string{
		"VisibilityTimeout": "1", "RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:%s","maxReceiveCount":2}`, dead),
	}, nil)
	s.send("poison")
	for range 2 {
		s.receive()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // by then it has moved
	defer cancel()
	_, _ = s.Receive(ctx)
	if waiting, _ := s.left(strings.Replace(s.url, s.name, dead, 1)); waiting != "1" {
		t.Errorf("the dead letter queue holds %s messages, want 1", waiting)
	}
	if log := s.log.String(); strings.Count(log, "message set aside") != 1 || !strings.Contains(log, "deleted=false") {
		t.Errorf("log:\n%s", log)
	}
	if calls := s.calls(); calls["DeleteMessageBatch"] != 0 || s.Stats().Poison != 2 {
		t.Errorf("calls %v, stats %+v", calls, s.Stats())
	}
}

// newStageQueue makes a queue for what is set aside, and returns its name.
func newStageQueue(t *testing.T) string {
	t.Helper()
	emulator, err := moto()
	if err != nil {
		t.Fatal(err)
	}
	name := "dead-" + strings.ToLower(t.Name())
	client := sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: &emulator.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	if _, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name}); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestAMessageThatComesTooOftenIsSetAside(t *testing.T) {
	s := newStage(t, map[string]string{"VisibilityTimeout": "1"}, func(c *taskevent.Config) { c.MaxReceives = 2 })
	s.send(stopped("a"))
	for call, want := range []int{1, 1, 0} {
		if _, ids := s.receive(); len(ids) != want {
			t.Errorf("call %d: %v", call, ids)
		}
	}
	s.wantLeft("0", "0")
	if stats := s.Stats(); stats.Exhausted != 1 || stats.Poison != 0 || !strings.Contains(s.log.String(), "received 3 times without success") {
		t.Errorf("stats %+v, log:\n%s", stats, s.log)
	}
}

func TestWhatSQSFailsToDeleteIsTriedAgain(t *testing.T) {
	s := newStage(t, nil, nil)
	s.proxy.Inject(awsfault.Rule{Action: "DeleteMessageBatch", Times: 1, Fault: awsfault.FailEntries(2, false)})
	s.send(stopped("a"), stopped("b"), stopped("c"))
	messages, ids := s.receive()
	if len(ids) != 3 {
		t.Fatalf("tasks %v", ids)
	}
	s.done(messages)
	s.wantLeft("0", "0")
	if stats := s.Stats(); stats.Done != 3 || stats.Undeleted != 0 || s.calls()["DeleteMessageBatch"] != 2 {
		t.Errorf("stats %+v, calls %v", stats, s.calls())
	}
}

func TestWhatIsNotDeletedIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		fault       awsfault.Fault
		times       int
		stay, calls int
		want        string
	}{
		"refused entry":    {awsfault.FailEntries(1, true), 1, 1, 1, "1 of 3 messages not deleted: delete message "},
		"never works":      {awsfault.FailEntries(2, false), 9, 2, 3, "2 of 3 messages not deleted: delete message "},
		"denied":           {awsfault.Refuse(403, "AccessDenied", "no"), 1, 3, 1, "3 of 3 messages not deleted: event queue "},
		"denied, its hint": {awsfault.Refuse(403, "AccessDenied", "no"), 1, 3, 1, "hint: the task role lacks sqs:DeleteMessage on arn:aws:sqs:us-east-1:123456789012:events-"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, nil, nil)
			s.proxy.Inject(awsfault.Rule{Action: "DeleteMessageBatch", Times: c.times, Fault: c.fault})
			s.send(stopped("a"), stopped("b"), stopped("c"))
			messages, _ := s.receive()
			err := s.Done(t.Context(), messages)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			s.wantLeft("0", strconv.Itoa(c.stay))
			if stats := s.Stats(); stats.Undeleted != int64(c.stay) || stats.Done != int64(3-c.stay) || s.calls()["DeleteMessageBatch"] != c.calls {
				t.Errorf("stats %+v, calls %v", stats, s.calls())
			}
		})
	}
}

func TestAPurgedQueueGoesOn(t *testing.T) {
	s := newStage(t, nil, nil)
	s.send(stopped("a"), stopped("b"))
	messages, _ := s.receive()
	if _, err := s.sqs.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: &s.url}); err != nil {
		t.Fatal(err)
	}
	_ = s.Done(t.Context(), messages) // moto does not take receipts of purged messages; SQS may
	s.send(stopped("c"))
	messages, ids := s.receive()
	if diff := cmp.Diff([]string{"c"}, ids); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	s.done(messages)
	s.wantLeft("0", "0")
}

func TestAQueueThatIsDeletedSaysSoAndANewOneIsRead(t *testing.T) {
	s := newStage(t, nil, nil)
	s.send(stopped("a"))
	messages, _ := s.receive()
	s.done(messages)
	before := s.Stats()
	if _, err := s.sqs.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &s.url}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := s.Receive(t.Context())
		if !awsapi.IsNotFound(err) || !strings.Contains(err.Error(), "event queue "+s.url) || !strings.Contains(err.Error(), "hint: there is no such queue in us-east-1: make it again") {
			t.Errorf("got %v", err)
		}
	}
	if stats := s.Stats(); stats.Errors != 2 || !stats.LastReceive.Equal(before.LastReceive) {
		t.Errorf("stats %+v, before %+v", stats, before)
	}
	s.make(map[string]string{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:%s","maxReceiveCount":9}`, newStageQueue(t))})
	s.send(stopped("b"), "poison")
	messages, ids := s.receive()
	if diff := cmp.Diff([]string{"b"}, ids); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	s.done(messages)
	s.wantLeft("0", "1") // the new queue has a redrive policy, which the old one had not
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		code, want string
		is         func(error) bool
	}{
		"denied":  {403, "AccessDenied", "hint: the task role lacks sqs:ReceiveMessage on arn:aws:sqs:us-east-1:123456789012:events-", awsapi.IsAccessDenied},
		"expired": {403, "ExpiredTokenException", "api error ExpiredTokenException", awsapi.IsExpired}, // the hint is awsapi's
		"key":     {400, "KMS.AccessDeniedException", "allow kms:Decrypt", func(error) bool { return true }},
		"full":    {403, "OverLimit", "is somebody else reading this queue?", func(error) bool { return true }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, nil, nil)
			s.proxy.Inject(awsfault.Rule{Action: "ReceiveMessage", Times: 1, Fault: awsfault.Refuse(c.status, c.code, "no")})
			_, err := s.Receive(t.Context())
			if err == nil || !c.is(err) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hint:") == awsapi.IsExpired(err) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if stats := s.Stats(); stats.Errors != 1 || !stats.LastReceive.IsZero() {
				t.Errorf("stats %+v", stats)
			}
		})
	}
}

func TestAQueueThatDoesNotTellItsAttributesIsReadAllTheSame(t *testing.T) {
	s := newStage(t, nil, nil)
	s.proxy.Inject(awsfault.Rule{Action: "GetQueueAttributes", Times: 9, Fault: awsfault.Refuse(403, "AccessDenied", "no")})
	s.send(stopped("a"), "poison")
	messages, ids := s.receive()
	if len(ids) != 1 || strings.Count(s.log.String(), "lacks sqs:GetQueueAttributes on") != 1 {
		t.Errorf("tasks %v, log:\n%s", ids, s.log)
	}
	s.done(messages)
	s.wantLeft("0", "1") // whether somebody wants to look at the poison is not known
	if _, err := s.Depth(t.Context()); !awsapi.IsAccessDenied(err) {
		t.Errorf("depth: %v", err)
	}
}

func TestDepthIsAskedForOnceAMinute(t *testing.T) {
	s := newStage(t, nil, nil)
	s.send(stopped("a"), stopped("b"), stopped("c"))
	for range 3 {
		depth, err := s.Depth(t.Context())
		if err != nil || depth.Waiting != 3 || depth.InFlight != 0 || time.Since(depth.At) > time.Minute {
			t.Errorf("depth %+v, %v", depth, err)
		}
	}
	if calls := s.calls(); calls["GetQueueAttributes"] != 1 {
		t.Errorf("calls %v", calls)
	}
}

func TestAReceiveEndsWithItsCaller(t *testing.T) {
	s := newStage(t, nil, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	began := time.Now()
	if _, err := s.Receive(ctx); err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

func TestAURLTellsTheRegionWhereItIsOfSQS(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://sqs.eu-west-1.amazonaws.com/123456789012/events":     "eu-west-1",
		"https://sqs.cn-north-1.amazonaws.com.cn/123456789012/events": "cn-north-1",
		"https://sqs-fips.us-gov-west-1.amazonaws.com/123456789012/e": "us-gov-west-1",
		"https://sqs.eu-west-2.api.aws/123456789012/events":           "eu-west-2",
		"https://eu-west-3.queue.amazonaws.com/123456789012/events":   "eu-west-3",
		"http://sqs.eu-west-1.localhost.localstack.cloud:4566/0/e":    "us-east-1",
		"http://10.213.0.1:4566/123456789012/events":                  "us-east-1",
	} {
		p := awsfault.Start(t, "http://127.0.0.1:1")
		p.Inject(awsfault.Rule{Times: 9, Fault: awsfault.Refuse(400, "QueueDoesNotExist", "no")})
		q, err := taskevent.New(taskevent.Config{
			AWS: aws.Config{Region: "us-east-1", BaseEndpoint: &p.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")},
			URL: url, Logger: hclog.NewNullLogger(),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Receive(t.Context()); err == nil || !strings.Contains(err.Error(), "no such queue in "+want) {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
	for _, url := range []string{"", "events", "arn:aws:sqs:us-east-1:123456789012:events", "https://sqs.us-east-1.amazonaws.com/events", "https://x/1/2/3"} {
		if _, err := taskevent.New(taskevent.Config{URL: url}); err == nil || !strings.Contains(err.Error(), strconv.Quote(url)) {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestTheEventsOfThisFileAreJSON(t *testing.T) {
	t.Parallel()
	if !json.Valid([]byte(event("a", 3, "RUNNING", "other"))) {
		t.Error("the events are broken")
	}
}
