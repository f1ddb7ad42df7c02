package taskevent_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/eventbus"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskevent"
)

// TestTheEndsOfManyTasksArriveThroughARule has the local EventBridge between tasks that all die at once and the queue: some
// events come twice, none in order, and each task is told of.
func TestTheEndsOfManyTasksArriveThroughARule(t *testing.T) {
	const tasks = 300
	// An empty answer is not the end: what went to a call that was given up, on a busy machine, comes again after half a minute.
	const toldWithin = 5 * time.Minute
	local := names.Account{Region: "us-east-1", ID: "123456789012"}
	dying := local.Cluster("dying")
	s := newStage(t, nil, func(c *taskevent.Config) { c.ECSClusters = []string{dying} })
	s.subscribe(dying)
	bus := eventbus.New(eventbus.Config{
		EmulatorURL: s.emulator, Account: local, Disorder: eventbus.Disorder{Duplicates: 0.2, DelayMilliseconds: 300}, Logger: hclog.NewNullLogger(),
	})
	t.Cleanup(bus.Close)
	want := map[string]bool{}
	began := time.Now()
	for i := range tasks {
		arn := local.Task("dying", fmt.Sprintf("%032x", i))
		want[names.Last(arn)] = true
		for version, status := range []string{"RUNNING", "DEPROVISIONING", "STOPPED"} {
			bus.Publish(ecstypes.Task{
				TaskArn: &arn, ClusterArn: &dying, TaskDefinitionArn: aws.String(local.TaskDefinition("web", 7)), Group: aws.String("service:web"),
				LastStatus: &status, DesiredStatus: aws.String("STOPPED"), StopCode: "UserInitiated", Version: int64(version),
			}, time.Now())
		}
	}
	for len(want) > 0 {
		messages, err := s.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(messages) == 0 && time.Since(began) > toldWithin {
			t.Fatalf("%d tasks were never told of; bus %+v, queue %+v", len(want), bus.Stats(), s.Stats())
		}
		for _, m := range messages {
			e := m.Event
			if e.Version != 2 || e.StopCode != "UserInitiated" || e.Group != "service:web" || e.TaskDefinitionARN != local.TaskDefinition("web", 7) {
				t.Errorf("event %+v", e)
			}
			delete(want, e.TaskID)
		}
		s.done(messages)
	}
	t.Logf("%d tasks told of within %s; bus %+v, queue %+v", tasks, time.Since(began).Round(time.Millisecond), bus.Stats(), s.Stats())
	if stats := s.Stats(); stats.Ignored != 0 || stats.Poison != 0 {
		t.Errorf("the rule let through what it should not: %+v", stats)
	}
}

// subscribe makes the rule of an ECS cluster's stopped tasks, with the stage's queue for its target.
func (s *stage) subscribe(ecsCluster string) {
	s.t.Helper()
	rules := eventbridge.New(eventbridge.Options{
		Region: "us-east-1", BaseEndpoint: &s.emulator, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	arn := "arn:aws:sqs:us-east-1:123456789012:" + s.name
	s.setPolicy(`{"Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + arn + `"}]}`)
	pattern := `{"source":["aws.ecs"],"detail-type":["ECS Task State Change"],"detail":{"clusterArn":["` + ecsCluster + `"],"lastStatus":["STOPPED"]}}`
	if _, err := rules.PutRule(s.t.Context(), &eventbridge.PutRuleInput{Name: &s.name, EventPattern: &pattern}); err != nil {
		s.t.Fatal(err)
	}
	if _, err := rules.PutTargets(s.t.Context(), &eventbridge.PutTargetsInput{Rule: &s.name, Targets: []ebtypes.Target{{Id: aws.String("queue"), Arn: &arn}}}); err != nil {
		s.t.Fatal(err)
	}
}
