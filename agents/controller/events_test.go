package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/logbuffer"
)

// queue makes a queue of events, and returns its URL.
func (w *world) queue(t *testing.T) string {
	t.Helper()
	out, err := sqs.NewFromConfig(w.aws).CreateQueue(t.Context(), &sqs.CreateQueueInput{
		QueueName: &w.name, Attributes: map[string]string{string(sqstypes.QueueAttributeNameVisibilityTimeout): "2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return *out.QueueUrl
}

func (w *world) send(t *testing.T, queue, body string) {
	t.Helper()
	if _, err := sqs.NewFromConfig(w.aws).SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: &body}); err != nil {
		t.Fatal(err)
	}
}

// messages is how many messages the queue has, those that somebody works on among them.
func (w *world) messages(t *testing.T, queue string) string {
	t.Helper()
	out, err := sqs.NewFromConfig(w.aws).GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &queue, AttributeNames: []sqstypes.QueueAttributeName{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes["ApproximateNumberOfMessages"] + " and " + out.Attributes["ApproximateNumberOfMessagesNotVisible"]
}

// stopEvent is what EventBridge tells of a task that has stopped.
func stopEvent(task taskmeta.Task) string {
	return fmt.Sprintf(`{"version":"0","id":%q,"detail-type":"ECS Task State Change","source":"aws.ecs","time":%q,
		"detail":{"clusterArn":%q,"taskArn":%q,"lastStatus":"STOPPED","desiredStatus":"STOPPED","version":5}}`,
		"event-of-"+task.ID, time.Now().UTC().Format(time.RFC3339), task.ClusterARN, task.ARN)
}

// runs has a controller run for as long as the test, or until stop is called, which returns how it ended.
func (w *world) runs(t *testing.T, self taskmeta.Task, change func(*agentconfig.Controller)) (log *logbuffer.Buffer, stop func() error) {
	t.Helper()
	cfg := w.config()
	change(cfg.Controller)
	log = new(logbuffer.Buffer)
	getenv := w.getenv(map[string]string{mesh.ConfigVariable: encode(t, cfg), taskmeta.Variable: metadata(t, self)})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done, ended := make(chan error, 1), false
	go func() { done <- Agent{}.Run(ctx, getenv, nil, nil, log) }()
	stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(eventually.Soon):
			return fmt.Errorf("the controller goes on after SIGTERM:\n%s", log.String())
		}
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return log, stop
}

func says(log *logbuffer.Buffer, text string) func() bool {
	return func() bool { return strings.Contains(log.String(), text) }
}

func TestATaskIsGoneAsSoonAsAnEventSaysSo(t *testing.T) {
	w := newWorld(t)
	t.Setenv("AWS_ENDPOINT_URL_ECS", w.ecsURL)
	t.Setenv("AWS_ENDPOINT_URL_SQS", w.moto)
	queue := w.queue(t)
	log, _ := w.runs(t, w.self, func(c *agentconfig.Controller) { c.EventQueueURL = queue }) // full looks are five minutes apart
	eventually.True(t, "it leads", eventually.Soon, says(log, "leading: "))
	looked := w.looks.Load()

	role, tasks := w.role(t), w.runTasks(t, 3)
	var tokens []*api.ACLToken
	for _, task := range tasks {
		w.register(t, task)
		tokens = append(tokens, w.logIn(t, role, task))
	}
	w.send(t, queue, "no event")              // makes no sense, and is said once
	w.send(t, queue, stopEvent(tasks[1]))     // of a task that lives
	w.send(t, queue, stopEvent(taskmeta.Task{ // of another ECS cluster
		ID: tasks[2].ID, ClusterARN: w.self.ClusterARN + "-2", ARN: strings.Replace(tasks[2].ARN, "task/"+w.name, "task/"+w.name+"-2", 1)}))
	w.stopTask(t, tasks[0])
	for range 2 { // twice, as EventBridge may
		w.send(t, queue, stopEvent(tasks[0]))
	}
	took := eventually.True(t, "the stopped task is gone", eventually.Soon, func() bool { return len(w.services(t)) == 4 && !w.tokenExists(tokens[0].AccessorID) })
	t.Logf("gone %v after its event", took)
	if !w.tokenExists(tokens[1].AccessorID) || !w.tokenExists(tokens[2].AccessorID) {
		t.Error("the token of a living task is gone")
	}
	if n := w.looks.Load() - looked; n > 0 {
		t.Errorf("%d full looks besides", n)
	}
	for _, want := range []string{"message set aside", "dead task removed: task_id=" + tasks[0].ID, "seen_by=event"} {
		eventually.True(t, "the log has "+want, eventually.Soon, says(log, want)) // it is said after it is done
	}
	// What is left is the event of the task that lives: ECS may yet say the same.
	eventually.True(t, "the other messages are gone", eventually.Soon, func() bool { n := w.messages(t, queue); return n == "1 and 0" || n == "0 and 1" })
	w.stopTask(t, tasks[1])
	eventually.True(t, "its event counts once ECS confirms it", eventually.Soon, func() bool { return len(w.services(t)) == 2 && !w.tokenExists(tokens[1].AccessorID) })
}

func TestAnEventTakesTheTokensThatTheLastLookKnew(t *testing.T) {
	w := newWorld(t)
	k := w.keeper(t)
	role, tasks := w.role(t), w.runTasks(t, 3)
	register := func(task taskmeta.Task, service string) {
		w.registerService(t, &api.AgentService{ID: service + "-" + task.ID, Service: service, Meta: map[string]string{mesh.MetaTaskID: task.ID}})
	}
	register(tasks[0], "other") // its login is bound to something else than its service, as an operator may have it
	register(tasks[1], "web")
	other, old := w.logIn(t, role, tasks[0]), w.logIn(t, role, tasks[1])
	mustLook(t, k)
	again := w.logIn(t, role, tasks[1]) // since then
	register(tasks[2], "web")           // as a whole
	young := w.logIn(t, role, tasks[2])
	var ids []string
	for _, task := range tasks {
		w.stopTask(t, task)
		ids = append(ids, task.ID)
	}
	for range 2 { // the second time there is nothing left
		if done, err := k.clusters[0].engine.Handle(t.Context(), ids); err != nil || len(done) != len(ids) {
			t.Fatalf("done %q: %v", done, err)
		}
	}
	for name, token := range map[string]*api.ACLToken{
		"for something else": other, "known": old, "of a later login": again, "of a task that came later": young,
	} {
		if w.tokenExists(token.AccessorID) {
			t.Errorf("a token %s is left", name)
		}
	}
	if left := w.services(t); len(left) > 0 {
		t.Errorf("services %q are left", left)
	}
	if said := strings.Count(w.log.String(), "dead task removed"); said != len(tasks) {
		t.Errorf("%d removals are told, want %d:\n%s", said, len(tasks), w.log.String())
	}
}

func TestOneDeathDoesNotWaitForAnother(t *testing.T) {
	w := newWorld(t)
	t.Setenv("AWS_ENDPOINT_URL_ECS", w.ecsURL)
	t.Setenv("AWS_ENDPOINT_URL_SQS", w.moto)
	queue := w.queue(t)
	log, _ := w.runs(t, w.self, func(c *agentconfig.Controller) { c.EventQueueURL = queue })
	eventually.True(t, "it leads", eventually.Soon, says(log, "leading: "))
	tasks := w.runTasks(t, 2)
	for _, task := range tasks {
		w.register(t, task)
		w.stopTask(t, task)
	}
	asked, answered := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w.trouble.set(func(action string, answer map[string]any) (int, map[string]any) {
		if text, _ := json.Marshal(answer); action == "DescribeTasks" && strings.Contains(string(text), tasks[0].ID) {
			once.Do(func() { close(asked) })
			<-answered
		}
		return http.StatusOK, answer
	})
	answer := sync.OnceFunc(func() { close(answered) })
	defer answer()
	w.send(t, queue, stopEvent(tasks[0]))
	<-asked // and ECS is in no hurry
	w.send(t, queue, stopEvent(tasks[1]))
	eventually.True(t, "the second is gone", eventually.Soon, func() bool {
		left := strings.Join(w.services(t), " ")
		return !strings.Contains(left, tasks[1].ID) && strings.Contains(left, tasks[0].ID)
	})
	answer()
	eventually.True(t, "the first is gone, too", eventually.Soon, func() bool { return len(w.services(t)) == 0 })
}

func TestOneControllerLeadsAndAnotherTakesOver(t *testing.T) {
	w := newWorld(t)
	t.Setenv("AWS_ENDPOINT_URL_ECS", w.ecsURL)
	other := w.runTasks(t, 1)[0]
	same := func(*agentconfig.Controller) {}
	first, stopFirst := w.runs(t, w.self, same)
	eventually.True(t, "the first leads", eventually.Soon, says(first, "leading: "))
	second, _ := w.runs(t, other, same)
	eventually.True(t, "the second is ready", eventually.Soon, says(second, "controller ready"))
	task := w.runTasks(t, 1)[0]
	w.register(t, task)
	w.stopTask(t, task)
	eventually.True(t, "the stopped task is gone", eventually.Soon, func() bool { return len(w.services(t)) == 0 })
	if strings.Contains(second.String(), "leading: ") || strings.Contains(second.String(), "dead task removed") {
		t.Errorf("both lead:\n%s", second.String())
	}
	began := time.Now()
	if err := stopFirst(); err != nil {
		t.Fatal(err)
	}
	t.Logf("the first has ended after %v", time.Since(began))
	took := eventually.True(t, "the second leads", eventually.Soon, says(second, "leading: "))
	t.Logf("the second leads %v after that", took)
	task = w.runTasks(t, 1)[0]
	w.register(t, task)
	w.stopTask(t, task)
	eventually.True(t, "its stopped task is gone", eventually.Soon, func() bool { return len(w.services(t)) == 0 })
}

func TestWhoInspectsSeesWhatAControllerWouldDo(t *testing.T) {
	w := newWorld(t)
	t.Setenv("AWS_ENDPOINT_URL_ECS", w.ecsURL)
	k := w.keeper(t) // which has prepared Consul
	tasks := w.runTasks(t, 2)
	lost := taskmeta.Task{ID: strings.Repeat("0", 32), ClusterARN: w.self.ClusterARN}
	for _, task := range append(tasks, lost) {
		w.register(t, task)
	}
	w.registerService(t, &api.AgentService{ID: "by-hand", Service: "by-hand"})
	w.stopTask(t, tasks[0])
	w.logIn(t, w.role(t), tasks[0])
	before := len(w.services(t))
	var out, log logbuffer.Buffer
	getenv := w.getenv(map[string]string{mesh.ConfigVariable: encode(t, w.config()), taskmeta.Variable: metadata(t, w.self)})
	if err := (Agent{}).Inspect(t.Context(), getenv, []string{"-json"}, &out, &log); err != nil {
		t.Fatal(err)
	}
	var seen []sight
	if err := json.Unmarshal([]byte(out.String()), &seen); err != nil || len(seen) != 1 {
		t.Fatalf("printed %s, %v", out.String(), err)
	}
	would := map[string]string{}
	for _, task := range seen[0].Tasks {
		would[task.TaskID] = task.Would + " " + task.ECSSays + " " + fmt.Sprint(len(task.Services), len(task.Accessors))
	}
	for id, want := range map[string]string{tasks[0].ID: "remove stopped 2 1", tasks[1].ID: "keep alive 2 0", lost.ID: "wait missing 2 0"} {
		if would[id] != want {
			t.Errorf("of task %s it says %q, want %q", id, would[id], want)
		}
	}
	if len(seen[0].Foreign) != 1 || seen[0].Leader != nil {
		t.Errorf("services of nobody are %q, the leader is %v", seen[0].Foreign, seen[0].Leader)
	}
	var table logbuffer.Buffer
	if err := (Agent{}).Inspect(t.Context(), getenv, nil, &table, &log); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"leader      nobody", "remove  " + tasks[0].ID + "  stopped", "no task's, left alone: by-hand"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, table.String())
		}
	}
	if after := len(w.services(t)); after != before {
		t.Errorf("%d services after, %d before", after, before)
	}
	mustLook(t, k)
	if left := len(w.services(t)); left != before-2 {
		t.Errorf("a controller then leaves %d services, want %d", left, before-2)
	}
}

func TestHowOftenAllIsLookedAt(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		configured *int
		standing   standing
		want       time.Duration
	}{
		"no queue":                {nil, standing{}, 5 * time.Second},
		"no queue, as configured": {aws.Int(60), standing{}, time.Minute},
		"events come":             {aws.Int(300), standing{heard: now.Add(-20 * time.Second)}, 5 * time.Minute},
		"the queue is silent":     {aws.Int(300), standing{heard: now.Add(-time.Minute)}, 5 * time.Second},
		"a task is missing":       {aws.Int(300), standing{heard: now, waiting: 1}, 65 * time.Second},
		"missing, without events": {nil, standing{waiting: 1}, 5 * time.Second},
	} {
		if got := pace(c.configured, c.standing, now); got != c.want {
			t.Errorf("%s: every %v, want %v", name, got, c.want)
		}
	}
}

func TestAQueueThatDoesNotAnswerBringsOnAFullLook(t *testing.T) {
	t.Parallel()
	k := &keeper{wake: make(chan struct{}, 1)}
	k.state.set(func(s *standing) { s.heard = time.Now() })
	k.lookIfDeaf()
	if len(k.wake) > 0 {
		t.Error("one failure is enough")
	}
	k.state.set(func(s *standing) { s.heard = time.Now().Add(-deafAfter) })
	k.lookIfDeaf()
	k.lookIfDeaf() // does not wait for somebody to listen
	if len(k.wake) == 0 {
		t.Error("events were not heard of for long, and no look begins")
	}
}
