package eventbus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/eventbus"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
)

var moto = sync.OnceValues(func() (*testenv.AWS, error) { return testenv.StartMoto(context.Background()) })

func TestMain(m *testing.M) {
	code := m.Run()
	if emulator, err := moto(); err == nil {
		_ = emulator.Stop()
	}
	os.Exit(code)
}

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// clients are those of moto.
type clients struct {
	t      *testing.T
	url    string
	events *eventbridge.Client
	sqs    *sqs.Client
}

func connect(t *testing.T) clients {
	t.Helper()
	emulator := must(moto())(t)
	cfg := aws.Config{Region: "us-east-1", BaseEndpoint: &emulator.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	return clients{t, emulator.URL, eventbridge.NewFromConfig(cfg), sqs.NewFromConfig(cfg)}
}

// queue makes a queue with a policy.
func (c clients) queue(name, policy string) (url, arn string) {
	c.t.Helper()
	in := &sqs.CreateQueueInput{QueueName: &name}
	if policy != "" {
		in.Attributes = map[string]string{"Policy": policy}
	}
	if strings.HasSuffix(name, ".fifo") {
		in.Attributes["FifoQueue"], in.Attributes["ContentBasedDeduplication"] = "true", "true"
	}
	return *must(c.sqs.CreateQueue(c.t.Context(), in))(c.t).QueueUrl, "arn:aws:sqs:us-east-1:123456789012:" + name
}

// stage is a bus before moto, with a rule for the tasks of an ECS cluster of its own, and a queue to which it may send.
type stage struct {
	clients
	*eventbus.Bus
	proxy              *awsfault.Proxy
	log                *buffer
	name, url, cluster string
}

// buffer is a log that is written while it is read.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newStage has no disorder, unless it is given.
func newStage(t *testing.T, disorder eventbus.Disorder) *stage {
	t.Helper()
	t.Parallel()
	c := connect(t)
	name := strings.ToLower(t.Name())
	s := &stage{
		clients: c, proxy: awsfault.Start(t, c.url), log: new(buffer), name: name, cluster: "arn:aws:ecs:us-east-1:123456789012:cluster/" + name,
	}
	s.url, _ = s.queue(name, policyFor(name))
	s.rule(`{"source":["aws.ecs"],"detail-type":["ECS Task State Change"],"detail":{"clusterArn":["`+s.cluster+`"],"lastStatus":["STOPPED"]}}`, "ENABLED")
	s.target(name)
	s.Bus = eventbus.New(eventbus.Config{
		EmulatorURL: s.proxy.URL, Account: names.Account{Region: "us-east-1", ID: "123456789012"}, Disorder: disorder,
		Logger: hclog.New(&hclog.LoggerOptions{Output: s.log, Level: hclog.Debug}),
	})
	t.Cleanup(s.Close)
	return s
}

func policyFor(name string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage",`+
		`"Resource":"arn:aws:sqs:us-east-1:123456789012:%[1]s","Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:events:us-east-1:123456789012:rule/%[1]s"}}}]}`, name)
}

func (s *stage) rule(pattern string, state ebtypes.RuleState) {
	s.t.Helper()
	must(s.events.PutRule(s.t.Context(), &eventbridge.PutRuleInput{Name: &s.name, EventPattern: &pattern, State: state}))(s.t)
}

func (s *stage) target(queue string) {
	s.t.Helper()
	s.targets(ebtypes.Target{Id: aws.String("queue"), Arn: aws.String("arn:aws:sqs:us-east-1:123456789012:" + queue)})
}

func (s *stage) targets(list ...ebtypes.Target) {
	s.t.Helper()
	must(s.events.PutTargets(s.t.Context(), &eventbridge.PutTargetsInput{Rule: &s.name, Targets: list}))(s.t)
}

// publish tells of the task 1f of the stage's ECS cluster at a version.
func (s *stage) publish(version int64, status string) {
	s.Publish(ecstypes.Task{
		TaskArn: aws.String(strings.Replace(s.cluster, "cluster", "task", 1) + "/1f"), ClusterArn: &s.cluster,
		LastStatus: &status, DesiredStatus: aws.String("STOPPED"), Version: version,
	}, time.Now())
}

// settled waits until nothing is on its way.
func (s *stage) settled() eventbus.Stats {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stats := s.Stats()
		if stats.Waiting == 0 {
			return stats
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("deliveries still wait: %+v; log:\n%s", stats, s.log)
		}
	}
}

// received empties the queue, and returns the versions in it and how many IDs of events they have.
func (s *stage) received() (versions []int, ids int) {
	s.t.Helper()
	seen := map[string]bool{}
	for {
		out := must(s.sqs.ReceiveMessage(s.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &s.url, MaxNumberOfMessages: 10}))(s.t)
		if len(out.Messages) == 0 {
			return versions, len(seen)
		}
		for _, m := range out.Messages {
			var event struct {
				ID     string
				Detail struct{ Version int }
			}
			if err := json.Unmarshal([]byte(*m.Body), &event); err != nil {
				s.t.Fatal(err)
			}
			versions = append(versions, event.Detail.Version)
			seen[event.ID] = true
		}
	}
}

func (s *stage) wantReceived(want ...int) {
	s.t.Helper()
	s.settled()
	got, _ := s.received()
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("versions in the queue (-want +got):\n%s\nlog:\n%s", diff, s.log)
	}
}

func TestARulesPatternIsObeyed(t *testing.T) {
	s := newStage(t, eventbus.Disorder{})
	s.publish(1, "RUNNING")
	s.publish(2, "STOPPED")
	s.Publish(ecstypes.Task{
		TaskArn: aws.String("arn:aws:ecs:us-east-1:123456789012:task/other/1f"), ClusterArn: aws.String("arn:aws:ecs:us-east-1:123456789012:cluster/other"),
		LastStatus: aws.String("STOPPED"), Version: 3,
	}, time.Now())
	s.wantReceived(2)
	if diff := cmp.Diff(eventbus.Stats{Events: 3, Delivered: 1}, s.Stats()); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

func TestARuleCountsFromTheMomentItIsMade(t *testing.T) {
	s := newStage(t, eventbus.Disorder{})
	for round := range 5 {
		s.rule(`{"detail":{"clusterArn":["`+s.cluster+`"]}}`, "DISABLED")
		s.publish(-1, "STOPPED")
		s.wantReceived()
		s.rule(`{"detail":{"clusterArn":["`+s.cluster+`"]}}`, "ENABLED")
		s.publish(int64(round), "RUNNING")
		s.wantReceived(round)
		must(s.events.RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{Rule: &s.name, Ids: []string{"queue"}}))(t)
		s.publish(-1, "STOPPED")
		s.wantReceived()
		s.target(s.name)
		s.publish(int64(round), "STOPPED")
		s.wantReceived(round)
	}
}

func TestWithoutDisorderEventsComeOnceAndInOrder(t *testing.T) {
	s := newStage(t, eventbus.Disorder{})
	var want []int
	for v := range 35 {
		s.publish(int64(v), "STOPPED")
		want = append(want, v)
	}
	s.wantReceived(want...)
}

func TestADuplicateIsTheSameEvent(t *testing.T) {
	s := newStage(t, eventbus.Disorder{Duplicates: 1})
	for v := range 3 {
		s.publish(int64(v), "STOPPED")
	}
	s.settled()
	versions, ids := s.received()
	if diff := cmp.Diff([]int{0, 0, 1, 1, 2, 2}, versions); diff != "" || ids != 3 {
		t.Errorf("%d IDs; versions (-want +got):\n%s", ids, diff)
	}
	s.SetDisorder(eventbus.Disorder{})
	s.publish(4, "STOPPED")
	s.wantReceived(4)
}

func TestDelaysMixTheOrderAndLoseNothing(t *testing.T) {
	s := newStage(t, eventbus.Disorder{DelayMilliseconds: 300})
	for v := range 40 {
		s.publish(int64(v), "STOPPED")
	}
	s.settled()
	versions, _ := s.received()
	if slices.IsSorted(versions) {
		t.Error("40 events came in their order")
	}
	slices.Sort(versions)
	if len(versions) != 40 || versions[0] != 0 || versions[39] != 39 || len(slices.Compact(versions)) != 40 {
		t.Errorf("versions %v", versions)
	}
}

func TestTheDefaultIsModest(t *testing.T) {
	t.Parallel()
	d := eventbus.DefaultDisorder()
	if d.Check() != nil || d.Duplicates <= 0 || d.Duplicates > 0.2 || d.DelayMilliseconds <= 0 || d.DelayMilliseconds > 500 {
		t.Errorf("%+v", d)
	}
}

// TestAQueuesPolicyHasToAllowTheRule has a queue that allows nothing, then another rule, then this one.
func TestAQueuesPolicyHasToAllowTheRule(t *testing.T) {
	s := newStage(t, eventbus.Disorder{})
	other, _ := s.queue(s.name+"-closed", "")
	s.target(s.name + "-closed")
	mine := s.url
	s.url = other
	policy := func(text string) {
		t.Helper()
		must(s.sqs.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &other, Attributes: map[string]string{"Policy": text}}))(t)
	}
	s.publish(1, "STOPPED")
	s.publish(2, "STOPPED")
	s.wantReceived()
	policy(strings.Replace(policyFor(s.name+"-closed"), "rule/"+s.name+"-closed", "rule/another", 1))
	s.publish(3, "STOPPED")
	s.wantReceived()
	policy(strings.Replace(policyFor(s.name+"-closed"), "rule/"+s.name+"-closed", "rule/"+s.name, 1))
	s.publish(4, "STOPPED")
	s.wantReceived(4)
	if diff := cmp.Diff(eventbus.Stats{Events: 4, Delivered: 1, Refused: 3}, s.Stats()); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
	for _, want := range []string{"the queue has no policy that allows events.amazonaws.com to send", "the queue's policy does not allow events.amazonaws.com to send for rule"} {
		if strings.Count(s.log.String(), want) != 1 {
			t.Errorf("the log does not say once: %s\n%s", want, s.log)
		}
	}
	s.url = mine
	s.wantReceived()
}

func TestWhatCannotBeDeliveredIsCountedAndTheRestIsDelivered(t *testing.T) {
	s := newStage(t, eventbus.Disorder{})
	arn := func(name string) *string { return aws.String("arn:aws:sqs:us-east-1:123456789012:" + name) }
	s.targets(ebtypes.Target{Id: aws.String("gone"), Arn: arn("nowhere")}, ebtypes.Target{Id: aws.String("text"), Arn: arn(s.name), Input: aws.String(`{}`)},
		ebtypes.Target{Id: aws.String("log"), Arn: aws.String("arn:aws:logs:us-east-1:123456789012:log-group:x")})
	broken := s.name + "-broken"
	must(s.events.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: &broken, EventPattern: aws.String(`{"source":[{"novelty":"x"}]}`)}))(t)
	s.publish(1, "STOPPED")
	s.publish(2, "STOPPED")
	s.wantReceived(1, 2)
	if stats := s.Stats(); stats.Refused != 6 || stats.Delivered != 2 {
		t.Errorf("stats %+v", stats)
	}
	for _, want := range []string{"the queue does not exist", "only SQS queues are targets", "not transformed", `rule ` + broken + ` is not obeyed: read event pattern: source: operator \"novelty\"`} {
		if strings.Count(s.log.String(), want) != 1 {
			t.Errorf("the log does not say once: %s\n%s", want, s.log)
		}
	}
	must(s.events.DeleteRule(t.Context(), &eventbridge.DeleteRuleInput{Name: &broken}))(t)
}

func TestAFIFOQueueGetsItsGroup(t *testing.T) {
	s := newStage(t, eventbus.Disorder{})
	name := s.name + ".fifo"
	s.url, _ = s.queue(name, strings.Replace(policyFor(name), "rule/"+name, "rule/"+s.name, 1))
	s.targets(ebtypes.Target{
		Id: aws.String("queue"), Arn: aws.String("arn:aws:sqs:us-east-1:123456789012:" + name), SqsParameters: &ebtypes.SqsParameters{MessageGroupId: aws.String("g")},
	})
	s.publish(1, "STOPPED")
	s.settled()
	out := must(s.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &s.url, MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{"MessageGroupId"}}))(t)
	if len(out.Messages) != 1 || out.Messages[0].Attributes["MessageGroupId"] != "g" {
		t.Errorf("messages %v; log:\n%s", out.Messages, s.log)
	}
}

// TestAnOutageDelaysEventsAndKeepsTheirOrder has an emulator that refuses twice when asked for rules and then twice to send.
func TestAnOutageDelaysEventsAndKeepsTheirOrder(t *testing.T) {
	s := newStage(t, eventbus.Disorder{})
	s.proxy.Inject(awsfault.Rule{Action: "ListRules", Times: 2, Fault: awsfault.OutOfOrder}, awsfault.Rule{Action: "SendMessageBatch", Times: 2, Fault: awsfault.OutOfOrder})
	for v := range 15 {
		s.publish(int64(v), "STOPPED")
	}
	s.wantReceived(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)
	if !strings.Contains(s.log.String(), "task events retried") {
		t.Errorf("log:\n%s", s.log)
	}
}

func TestOnlyWhatSQSDidNotTakeIsSentAgain(t *testing.T) {
	s := newStage(t, eventbus.Disorder{})
	s.proxy.Inject(awsfault.Rule{Action: "SendMessageBatch", Times: 1, Fault: awsfault.FailEntries(2, false)})
	for v := range 5 {
		s.publish(int64(v), "STOPPED")
	}
	s.settled()
	versions, _ := s.received()
	slices.Sort(versions)
	if diff := cmp.Diff([]int{0, 1, 2, 3, 4}, versions); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

func TestCloseDeliversWhatIsDueLater(t *testing.T) {
	s := newStage(t, eventbus.Disorder{DelayMilliseconds: 60_000})
	for v := range 5 {
		s.publish(int64(v), "STOPPED")
	}
	began := time.Now()
	s.Close()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if versions, _ := s.received(); len(versions) != 5 {
		t.Errorf("versions %v", versions)
	}
}

func TestCloseDoesNotWaitForAnEmulatorThatIsGone(t *testing.T) {
	t.Parallel()
	log := new(buffer)
	b := eventbus.New(eventbus.Config{
		EmulatorURL: "http://127.0.0.1:1", Account: names.Account{Region: "us-east-1", ID: "1"}, Logger: hclog.New(&hclog.LoggerOptions{Output: log}),
	})
	b.Publish(ecstypes.Task{TaskArn: aws.String("arn:aws:ecs:us-east-1:1:task/mesh/1f")}, time.Now())
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(log.String(), "retried") && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	began := time.Now()
	b.Close()
	if took := time.Since(began); took > time.Second || b.Stats().Waiting != 1 {
		t.Errorf("it took %s; %+v", took, b.Stats())
	}
}
