package faults

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/taskevent"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

const (
	always = math.MaxInt // times that a rule holds

	// bound is how long what is dead may be there once nothing is out of order: a full look is due within syncSeconds, and takes
	// longer where the machine is busy.
	bound = 3 * syncSeconds * time.Second

	// shortFault is long for a fault that nothing waits for. longFault is longer than the minute that ECS must not have known a task
	// for, and than the minute after which silence of the queue counts.
	shortFault = 20 * time.Second
	longFault  = 95 * time.Second
)

// TestNothingOfTheLivingIsLostToAFaultOfAWS has tasks be born and die while something of AWS is out of order.
func TestNothingOfTheLivingIsLostToAFaultOfAWS(t *testing.T) {
	t.Parallel()
	for name, play := range map[string]func(*testing.T, *ecsCluster){
		"SQS is gone":                         sqsIsGone,
		"ECS is gone":                         ecsIsGone,
		"a fifth of all calls fails":          aFifthFails,
		"ListTasks is empty":                  during(longFault, awsfault.Rule{Action: "ListTasks", Times: always, Fault: awsfault.NoTasks}),
		"ECS knows no task":                   during(longFault, awsfault.Rule{Times: always, Fault: awsfault.NoTasks}),
		"ListTasks has an empty page":         during(shortFault, awsfault.Rule{Action: "ListTasks", Times: always, Fault: awsfault.EmptyPage}),
		"the queue is purged again and again": purged,
		"a day of old events comes once more": replayed,
		"ECS has forgotten tasks that died":   forgotten,
		"one account's quota is used by others": func(t *testing.T, c *ecsCluster) {
			c.proxy.Limit(1, 0.3, func(call awsfault.Call) bool { return call.Service == "ecs" })
			c.lives(t, shortFault)
			c.settled(t, 2*bound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newECSCluster(t, &shared, 1)
			c.bear(t, 20)
			c.elders = 10
			play(t, c)
		})
	}
}

// during plays a fault for so long, and then waits until all is well.
func during(long time.Duration, rules ...awsfault.Rule) func(*testing.T, *ecsCluster) {
	return func(t *testing.T, c *ecsCluster) {
		c.proxy.Inject(rules...)
		c.lives(t, long)
		if len(c.proxy.Calls()) == 0 {
			t.Error("nobody met the fault")
		}
		c.proxy.Forget()
		c.settled(t, bound)
	}
}

// goneVariable says how long ECS is gone, as a duration such as 10m.
const goneVariable = "FAULTS_ECS_GONE"

func ecsIsGone(t *testing.T, c *ecsCluster) {
	long := time.Minute
	if asked := os.Getenv(goneVariable); asked != "" {
		var err error
		if long, err = time.ParseDuration(asked); err != nil {
			t.Fatalf("%s: %v", goneVariable, err)
		}
	}
	during(long, awsfault.Rule{Times: always, Fault: awsfault.Gone("ecs")})(t, c)
}

func aFifthFails(t *testing.T, c *ecsCluster) {
	c.proxy.Inject(awsfault.Rule{Times: always, Fault: awsfault.Sometimes(0.2, awsfault.Throttle, awsfault.OutOfOrder, awsfault.Lose)})
	c.lives(t, 2*shortFault)
	c.settled(t, bound) // it does not take the end of the fault
}

func sqsIsGone(t *testing.T, c *ecsCluster) {
	client := sqs.NewFromConfig(c.aws())
	if _, err := client.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &c.queue}); err != nil {
		t.Fatal(err)
	}
	c.lives(t, shortFault)
	c.settled(t, bound) // full looks stand in for events
	c.makeQueue(t)
	byEvent := func() bool {
		c.bear(t, 1)
		id := c.die(t, 1, false)[0]
		time.Sleep(time.Second)
		return c.said("dead task removed: task_id="+id, "seen_by=event") > 0
	}
	took := eventually.True(t, "events are heard again", 2*time.Minute, byEvent)
	t.Logf("events are heard again %v after the queue was made", took)
	c.settled(t, bound)
}

func purged(t *testing.T, c *ecsCluster) {
	client := sqs.NewFromConfig(c.aws())
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for tick := time.NewTicker(50 * time.Millisecond); ; n++ {
			select {
			case <-stop:
				tick.Stop()
				done <- n
				return
			case <-tick.C:
				_, _ = client.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: &c.queue})
			}
		}
	}()
	c.lives(t, shortFault)
	close(stop)
	t.Logf("purged %d times", <-done)
	c.settled(t, bound)
	if c.said("dead task removed", `seen_by="full look"`) == 0 {
		t.Error("no task was found by a full look, so that no event was lost")
	}
}

// forgotten has things in Consul of tasks that ECS does not know, as an hour after a death.
func forgotten(t *testing.T, c *ecsCluster) {
	var ids []string
	for range 10 {
		ids = append(ids, names.TaskID())
	}
	c.enter(t, ids)
	c.mu.Lock()
	for _, id := range ids {
		c.dead[id] = true
	}
	c.mu.Unlock()
	began := time.Now()
	c.lives(t, shortFault)
	c.settled(t, time.Minute+2*bound)
	if took := time.Since(began); took < time.Minute {
		t.Errorf("gone after %v, before ECS had not known them for a minute", took)
	}
}

// replayed sends the events of a day anew: of tasks that ECS has forgotten, of those that have died just now, and of living ones,
// which is what no ECS sends, but whoever may write to the queue.
func replayed(t *testing.T, c *ecsCluster) {
	var bodies []string
	tell := func(id string, times int) {
		stopped := ecstypes.Task{
			TaskArn: aws.String(account.Task(c.name, id)), ClusterArn: &c.arn, LastStatus: aws.String("STOPPED"), DesiredStatus: aws.String("STOPPED"), Version: 9,
		}
		text, err := taskevent.Marshal(stopped, account, time.Now().Add(-12*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, slices.Repeat([]string{string(text)}, times)...)
	}
	for range 700 {
		tell(names.TaskID(), 1)
	}
	for id := range c.live {
		tell(id, 10)
	}
	for _, id := range c.die(t, 10, false) {
		tell(id, 10)
	}
	rand.Shuffle(len(bodies), func(i, j int) { bodies[i], bodies[j] = bodies[j], bodies[i] })
	began := time.Now()
	var group errgroup.Group
	group.SetLimit(8)
	for some := range slices.Chunk(bodies, 10) {
		group.Go(func() error {
			in := &sqs.SendMessageBatchInput{QueueUrl: &c.queue}
			for i := range some {
				in.Entries = append(in.Entries, sqstypes.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), MessageBody: &some[i]})
			}
			_, err := sqs.NewFromConfig(c.aws()).SendMessageBatch(t.Context(), in)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events were sent within %v", len(bodies), time.Since(began).Round(time.Millisecond))
	c.lives(t, shortFault)
	c.settled(t, bound)
}
