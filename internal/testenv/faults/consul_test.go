package faults

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

// manyVariable says how many tasks die at once while everything is out of order: 300, unless it is set.
const manyVariable = "FAULTS_TASKS"

// step is one fault.
type step struct {
	name string
	play func(*testing.T, *ecsCluster)
}

// TestNothingOfTheLivingIsLostToAFaultOfConsul has one fault after the other: each takes what all tasks need.
func TestNothingOfTheLivingIsLostToAFaultOfConsul(t *testing.T) {
	t.Parallel()
	oneByOne(t, ofItsOwn(t, troubled), step{"the leader is lost", leaderIsLost}, step{"Consul is restarted", consulIsRestarted},
		step{"many die while all of it happens", everything})
}

func TestNothingOfTheLivingIsLostToAFaultOfAController(t *testing.T) {
	t.Parallel()
	oneByOne(t, &shared, step{"the leading controller is killed amid its work", controllerIsKilled}, step{"two controllers lead", twoLead})
}

// oneByOne plays the faults on an ECS cluster with two controllers.
func oneByOne(t *testing.T, s *stage, steps ...step) {
	t.Helper()
	c := newECSCluster(t, s, 2)
	c.bear(t, 20)
	c.elders = 10
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) { step.play(t, c) })
	}
}

func leaderIsLost(t *testing.T, c *ecsCluster) {
	server := c.leads(t)
	c.die(t, 5, false) // their removal is under way
	server.Kill()
	c.lives(t, shortFault/2)
	restart(t, server)
	c.settled(t, bound)
}

func restart(t *testing.T, servers ...*testenv.Consul) {
	t.Helper()
	failed := make(chan error, len(servers))
	for _, server := range servers {
		go func() { failed <- server.Restart(t.Context()) }()
	}
	for range servers {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
}

func consulIsRestarted(t *testing.T, c *ecsCluster) {
	c.die(t, 5, true)
	for _, server := range c.servers {
		server.Kill()
	}
	c.die(t, 3, false) // while nobody can be told
	time.Sleep(shortFault / 2)
	restart(t, c.servers...)
	c.lives(t, shortFault/4)
	c.settled(t, bound)
}

// controllerIsKilled kills the leader twice while it removes tasks, once those of one batch are in part gone.
func controllerIsKilled(t *testing.T, c *ecsCluster) {
	for range 2 {
		const dying = 60
		c.bear(t, dying)
		leader := c.leader(t)
		c.die(t, dying, false)
		eventually.True(t, "some are gone", eventually.Soon, func() bool {
			services, tokens := c.holdings(t)
			return len(c.left(services, tokens)) < dying
		})
		c.killController(t, leader)
		services, tokens := c.holdings(t)
		t.Logf("%d of %d are left when it is killed", len(c.left(services, tokens)), dying)
		c.settled(t, bound) // by the other one
		c.controls(t)       // ECS replaces it
	}
}

// twoLead takes the lock from its holder again and again, as an operator may.
func twoLead(t *testing.T, c *ecsCluster) {
	began := c.said("leading: ")
	for i := range 10 {
		c.bear(t, 3)
		c.die(t, 3, i%2 == 0)
		c.consul(t, "take the lock away", func(client *api.Client) error { return c.takeLock(client) })
		time.Sleep(2 * time.Second)
	}
	if n := c.said("leading: ") - began; n < 2 {
		t.Errorf("the lead has changed %d times", n)
	}
	c.settled(t, bound)
}

// takeLock deletes the key and every session for it.
func (c *ecsCluster) takeLock(client *api.Client) error {
	if _, err := client.KV().Delete(mesh.ControllerKey(c.arn), nil); err != nil {
		return err
	}
	sessions, _, err := client.Session().Node(c.arn, nil)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if _, err := client.Session().Destroy(s.ID, nil); err != nil {
			return err
		}
	}
	return nil
}

// everything has many tasks die at once, and at the same time all go wrong that went wrong before.
func everything(t *testing.T, c *ecsCluster) {
	dying := 300
	if asked := os.Getenv(manyVariable); asked != "" {
		var err error
		if dying, err = strconv.Atoi(asked); err != nil {
			t.Fatalf("%s: %v", manyVariable, err)
		}
	}
	began := time.Now()
	c.bear(t, dying)
	t.Logf("%d tasks were born within %v", dying, time.Since(began).Round(time.Second))
	server, leader := c.leads(t), c.leader(t)
	c.proxy.Inject(awsfault.Rule{Times: always, Fault: awsfault.Sometimes(0.2, awsfault.Throttle, awsfault.OutOfOrder, awsfault.Lose)})
	c.die(t, dying, false)
	time.Sleep(time.Second)
	server.Kill()
	c.killController(t, leader)
	if _, err := sqs.NewFromConfig(c.aws()).PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: &c.queue}); err != nil {
		t.Fatal(err)
	}
	c.consul(t, "take the lock away", func(client *api.Client) error { return c.takeLock(client) })
	c.lives(t, shortFault/2)
	restart(t, server)
	c.controls(t)
	c.proxy.Forget()
	c.settled(t, bound+time.Duration(dying)*50*time.Millisecond)
}
