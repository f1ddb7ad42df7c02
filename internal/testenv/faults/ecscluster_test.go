package faults

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/consul/api"
	"golang.org/x/sync/errgroup"

	"github.com/consulecs/terraform-provider-consulecs/internal/eventqueue"
	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/taskevents"
)

// ecsCluster is an ECS cluster with controllers, and tasks of service web that live and die. What a task leaves is for the
// controllers to remove: nobody says goodbye.
type ecsCluster struct {
	*stage
	whole       *testing.T // the test that the controllers live as long as
	name, arn   string
	proxy       *awsfault.Proxy // AWS, as the controllers see it
	queue       string          // URL
	events      eventqueue.Design
	syncSeconds int // between full looks
	controllers []*controller

	mu     sync.Mutex
	births int
	elders int             // the first that were born: they live as long as the test, so that a minute's faults meet them
	live   map[string]held // by task ID; those that drain are in none of the two
	dead   map[string]bool
	wrong  []string // what was done to tasks that drained
}

// held is what Consul holds of a live task. What is made anew has other indexes.
type held struct {
	born     int               // its number
	services map[string]string // their indexes, by ID
	tokens   map[string]uint64 // their indexes, by accessor
}

// syncSeconds is how far apart full looks are here; all five minutes of the default would be waited for.
const syncSeconds = 15

// newECSCluster is one with so many controllers that are at work.
func newECSCluster(t *testing.T, s *stage, controllers int) *ecsCluster {
	t.Helper()
	c := &ecsCluster{stage: s, whole: t, name: fmt.Sprint("mesh-", ecsClusters.Add(1)), syncSeconds: syncSeconds, live: map[string]held{}, dead: map[string]bool{}}
	c.arn = account.Cluster(c.name)
	c.proxy = awsfault.Start(t, s.plane.URL)
	client := c.ecs()
	if _, err := client.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: &c.name}); err != nil {
		t.Fatal(err)
	}
	for _, family := range []string{"web", controllerFamily} {
		_, err := client.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
			Family: &family, NetworkMode: ecstypes.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
			ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("app"), Image: aws.String("app")}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	c.events = eventqueue.Of(eventqueue.Spec{
		Home: iamrole.Home{Partition: "aws", Region: account.Region, Account: account.ID}, Family: c.name, ECSClusterARNs: []string{c.arn},
	})
	c.makeQueue(t)
	c.plane.drained.Store(c.arn, c.hasDrained)
	t.Cleanup(func() { c.plane.drained.Delete(c.arn) })
	for range controllers {
		c.controls(t)
	}
	return c
}

func (c *ecsCluster) ecs() *ecs.Client { return ecs.NewFromConfig(c.aws()) }

func (c *ecsCluster) makeQueue(t *testing.T) {
	t.Helper()
	queue, err := taskevents.Make(t.Context(), c.aws(), c.events)
	if err != nil {
		t.Fatal(err)
	}
	c.queue = queue
}

// run starts tasks and returns their ARNs.
func (c *ecsCluster) run(t *testing.T, family string, n int) (arns []string) {
	t.Helper()
	for n > len(arns) {
		out, err := c.ecs().RunTask(t.Context(), &ecs.RunTaskInput{
			Cluster: &c.name, TaskDefinition: &family, Count: aws.Int32(int32(min(10, n-len(arns)))), LaunchType: ecstypes.LaunchTypeEc2,
			NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: []string{"subnet-0123456789abcdef0"}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range out.Tasks {
			arns = append(arns, *task.TaskArn)
		}
	}
	return arns
}

// bear starts tasks, which register and log in as mesh tasks do.
func (c *ecsCluster) bear(t *testing.T, n int) {
	t.Helper()
	ids := []string{}
	for _, arn := range c.run(t, "web", n) {
		ids = append(ids, names.Last(arn))
	}
	c.enter(t, ids)
	services, tokens := c.holdings(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if len(services[id]) != 2 || len(tokens[id]) == 0 {
			t.Fatalf("task %s was just born and has the services %v and the tokens %v", id, services[id], tokens[id])
		}
		c.births++
		c.live[id] = held{c.births, services[id], tokens[id]}
	}
}

// enter has tasks register, and log in.
func (c *ecsCluster) enter(t *testing.T, ids []string) {
	t.Helper()
	const perTransaction = 50
	var group errgroup.Group
	group.SetLimit(8)
	for some := range slices.Chunk(ids, perTransaction) {
		c.consul(t, "register tasks", func(client *api.Client) error {
			ok, answer, _, err := client.Txn().Txn(c.registrations(some), nil)
			if err == nil && !ok {
				err = fmt.Errorf("%+v", answer.Errors)
			}
			return err
		})
	}
	for _, id := range ids {
		group.Go(func() error {
			return c.tryConsul(t.Context(), "log in", func(client *api.Client) error { return c.logIn(client, id, c.arn) })
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func (c *ecsCluster) registrations(ids []string) (ops api.TxnOps) {
	for _, taskID := range ids {
		id := mesh.ServiceID("web", taskID)
		for _, s := range []api.AgentService{{ID: id, Service: "web"}, {ID: mesh.ProxyID(id), Service: mesh.ProxyName("web")}} {
			s.Meta = map[string]string{mesh.MetaTaskID: taskID, mesh.MetaTaskARN: account.Task(c.name, taskID), mesh.MetaSource: mesh.Source}
			ops = append(ops, &api.TxnOp{Service: &api.ServiceTxnOp{Verb: api.ServiceSet, Node: c.arn, Service: s}})
		}
	}
	return ops
}

func (s *stage) logIn(client *api.Client, taskID, clusterARN string) error {
	_, _, err := client.ACL().Login(&api.ACLLoginParams{
		AuthMethod: mesh.AuthMethod, BearerToken: s.bearer, Meta: map[string]string{mesh.LoginMetaTaskID: taskID, mesh.LoginMetaCluster: clusterARN},
	}, nil)
	return err
}

// holdings are what Consul has of the ECS cluster's tasks, by their IDs.
func (c *ecsCluster) holdings(t *testing.T) (services map[string]map[string]string, tokens map[string]map[string]uint64) {
	t.Helper()
	c.consul(t, "read services and tokens", func(client *api.Client) (err error) {
		services, tokens, err = c.read(client)
		return err
	})
	return services, tokens
}

func (c *ecsCluster) read(client *api.Client) (services map[string]map[string]string, tokens map[string]map[string]uint64, err error) {
	services, tokens = map[string]map[string]string{}, map[string]map[string]uint64{}
	node, _, err := client.Catalog().NodeServiceList(c.arn, &api.QueryOptions{RequireConsistent: true})
	if err != nil {
		return nil, nil, err
	}
	list, _, err := client.ACL().TokenListFiltered(api.ACLTokenFilterOptions{AuthMethod: mesh.AuthMethod}, nil)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range node.Services {
		id := s.Meta[mesh.MetaTaskID]
		if services[id] == nil {
			services[id] = map[string]string{}
		}
		services[id][s.ID] = fmt.Sprint(s.CreateIndex, "-", s.ModifyIndex)
	}
	for _, token := range list {
		if !strings.Contains(token.Description, c.arn+`"`) {
			continue
		}
		_, rest, _ := strings.Cut(token.Description, mesh.LoginMetaTaskID+`":"`)
		id, _, _ := strings.Cut(rest, `"`)
		if tokens[id] == nil {
			tokens[id] = map[string]uint64{}
		}
		tokens[id][token.AccessorID] = token.CreateIndex
	}
	return services, tokens, nil
}

// oldest are live tasks in the order of their births, without the elders.
func (c *ecsCluster) oldest(n int) []string {
	mortal := maps.Clone(c.live)
	maps.DeleteFunc(mortal, func(_ string, of held) bool { return of.born <= c.elders })
	ids := slices.SortedFunc(maps.Keys(mortal), func(a, b string) int { return cmp.Compare(c.live[a].born, c.live[b].born) })
	return ids[:min(n, len(ids))]
}

// die has the oldest tasks die: at once, or as ECS stops tasks, after they have drained.
func (c *ecsCluster) die(t *testing.T, n int, drain bool) (ids []string) {
	t.Helper()
	c.mu.Lock()
	ids = c.oldest(n)
	for _, id := range ids {
		if !drain {
			delete(c.live, id)
			c.dead[id] = true
		}
	}
	c.mu.Unlock()
	for _, id := range ids {
		if !drain {
			c.plane.kill(account.Task(c.name, id))
			continue
		}
		if _, err := c.ecs().StopTask(t.Context(), &ecs.StopTaskInput{Cluster: &c.name, Task: &id}); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

// hasDrained is told of each task that is about to stop. Until now nobody may have touched what it has.
func (c *ecsCluster) hasDrained(id string) {
	c.mu.Lock()
	of, lived := c.live[id]
	delete(c.live, id)
	c.dead[id] = true
	c.mu.Unlock()
	if !lived {
		return
	}
	services := map[string]string{}
	var errs []error
	for _, server := range c.servers {
		filter := &api.QueryOptions{Filter: fmt.Sprintf("Meta[%q] == %q", mesh.MetaTaskID, id), RequireConsistent: true}
		node, _, err := server.API.Catalog().NodeServiceList(c.arn, filter)
		if err != nil {
			errs = append(errs, err) // Consul is what is out of order
			continue
		}
		for _, s := range node.Services {
			services[s.ID] = fmt.Sprint(s.CreateIndex, "-", s.ModifyIndex)
		}
		break
	}
	if len(errs) < len(c.servers) && !maps.Equal(services, of.services) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.wrong = append(c.wrong, fmt.Sprintf("task %s was draining and has %v, had %v", id, services, of.services))
	}
}

// lives has tasks be born and die for so long, about one a second of each.
func (c *ecsCluster) lives(t *testing.T, long time.Duration) {
	t.Helper()
	for i, end := 0, time.Now().Add(long); time.Now().Before(end); i++ {
		c.bear(t, 1)
		c.die(t, 1, i%2 == 0)
		time.Sleep(time.Second)
	}
}

// settled waits until nothing of the dead is left, and checks that nobody has touched what is of the living.
func (c *ecsCluster) settled(t *testing.T, within time.Duration) (took time.Duration) {
	t.Helper()
	time.Sleep(drainTime)
	began := time.Now()
	var services map[string]map[string]string
	var tokens map[string]map[string]uint64
	_, err := eventually.Seen(t.Context(), "nothing of the dead is left", within, func() (missing string, err error) {
		for _, server := range c.servers {
			if services, tokens, err = c.read(server.API); err == nil {
				break
			}
		}
		left := c.left(services, tokens)
		if err == nil && len(left) > 0 {
			time.Sleep(200 * time.Millisecond) // a look costs Consul more than the controller's do
			missing = fmt.Sprintf("%d of %d are left: %v", len(left), len(c.dead), left[:min(3, len(left))])
		}
		return missing, err
	})
	if err != nil {
		t.Error(err)
	}
	took = time.Since(began).Round(100 * time.Millisecond)
	c.untouched(t, services, tokens)
	t.Logf("%d tasks live and are untouched, %d have died, the last are gone %v after that", len(c.live), len(c.dead), took)
	return took
}

// left are the dead tasks of which there is something.
func (c *ecsCluster) left(services map[string]map[string]string, tokens map[string]map[string]uint64) (ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.dead {
		if len(services[id])+len(tokens[id]) > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// untouched checks that the living have all that they had, not made again.
func (c *ecsCluster) untouched(t *testing.T, services map[string]map[string]string, tokens map[string]map[string]uint64) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.live) == 0 {
		t.Error("no task lives, so that nothing is proven of any")
	}
	for id, of := range c.live {
		if !maps.Equal(services[id], of.services) || !maps.Equal(tokens[id], of.tokens) {
			t.Errorf("live task %s has %v %v, had %v %v", id, services[id], tokens[id], of.services, of.tokens)
		}
	}
	if len(c.wrong) > 0 {
		t.Error(errors.New(strings.Join(c.wrong, "\n")))
	}
}
