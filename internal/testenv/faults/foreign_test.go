package faults

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
)

// TestWhatIsSomebodyElsesIsLeftAlone has on the synthetic node, and among the tokens of the auth method, what others put there.
// Tasks of the incumbent's agents are tasks like any other: its services have the same metadata, and its tokens the same
// description. No task of these tests has the tag of mesh tasks, so that what it has is kept and removed without it.
func TestWhatIsSomebodyElsesIsLeftAlone(t *testing.T) {
	t.Parallel()
	c, other := newECSCluster(t, &shared, 1), newECSCluster(t, &shared, 1)
	c.bear(t, 3)
	other.bear(t, 3)

	unknown := names.TaskID() // to either ECS cluster
	foreign := []api.AgentService{
		{ID: "by-hand", Service: "by-hand"},
		{ID: "no-task-id", Service: "web", Meta: map[string]string{mesh.MetaSource: mesh.Source}},
		{ID: "empty-task-id", Service: "web", Meta: map[string]string{mesh.MetaTaskID: ""}},
		{ID: "odd-task-id", Service: "web", Meta: map[string]string{mesh.MetaTaskID: "the task of my service"}},
		{ID: "of-an-operator", Service: "gateway", Kind: api.ServiceKindMeshGateway, Port: 8443},
	}
	accessors := map[string]string{}
	c.consul(t, "put foreign things into Consul", func(client *api.Client) error {
		for _, s := range foreign {
			if _, err := client.Catalog().Register(&api.CatalogRegistration{Node: c.arn, SkipNodeUpdate: true, Service: &s}, nil); err != nil {
				return err
			}
		}
		return nil
	})
	c.consul(t, "log in as others do", func(client *api.Client) error {
		for what, meta := range map[string]map[string]string{
			"of an ECS cluster that nobody looks after": {mesh.LoginMetaTaskID: unknown, mesh.LoginMetaCluster: account.Cluster("nobodys")},
			"without a task":               {mesh.LoginMetaCluster: c.arn},
			"without an ECS cluster":       {mesh.LoginMetaTaskID: unknown},
			"with an odd task ID":          {mesh.LoginMetaTaskID: "mine", mesh.LoginMetaCluster: c.arn},
			"of a person":                  {"who": "me"},
			"with more than the incumbent": {mesh.LoginMetaTaskID: liveTask(c), mesh.LoginMetaCluster: c.arn, "team": "blue"},
		} {
			token, _, err := client.ACL().Login(&api.ACLLoginParams{AuthMethod: mesh.AuthMethod, BearerToken: c.bearer, Meta: meta}, nil)
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			accessors[what] = token.AccessorID
		}
		made, _, err := client.ACL().TokenCreate(&api.ACLToken{
			Description: fmt.Sprintf(`token created via login: {%q:%q,%q:%q}`, mesh.LoginMetaCluster, c.arn, mesh.LoginMetaTaskID, unknown),
		}, nil)
		if err == nil {
			accessors["made by hand, with a description as of a login"] = made.AccessorID
		}
		return err
	})
	c.mu.Lock()
	for id, of := range c.live { // of one task there is a token more now
		_, tokens := c.holdings(t)
		of.tokens = tokens[id]
		c.live[id] = of
	}
	c.mu.Unlock()

	began := time.Now()
	c.bear(t, 1)
	c.die(t, 2, false)
	looked := looksOf(t, c)
	for time.Since(began) < time.Minute+2*syncSeconds*time.Second { // until what ECS does not know would be gone
		time.Sleep(time.Second)
	}
	c.settled(t, bound)
	other.settled(t, bound)
	if looksOf(t, c) == looked {
		t.Error("there was no full look")
	}
	for what, accessor := range accessors {
		c.consul(t, "read a token "+what, func(client *api.Client) error {
			_, _, err := client.ACL().TokenRead(accessor, nil)
			if err != nil && strings.Contains(err.Error(), "ACL not found") {
				t.Errorf("the token %s is gone", what)
				return nil
			}
			return err
		})
	}
	services, _ := c.holdings(t)
	kept := 0
	for _, id := range []string{"", "the task of my service"} {
		kept += len(services[id])
	}
	if kept != len(foreign) {
		t.Errorf("%d of %d foreign services are left: %v %v", kept, len(foreign), services[""], services["the task of my service"])
	}
	k := c.controllers[0]
	eventually.True(t, "foreign services are counted", bound, func() bool { return k.metric(t, c.labelled("foreign_services")) == fmt.Sprint(len(foreign)) })
	least := len(accessors) - 2 + 3 // one is a live task's and one of no login; the other ECS cluster's are foreign here
	if n, err := strconv.Atoi(k.metric(t, c.labelled("foreign_tokens"))); err != nil || n < least {
		t.Errorf("%d foreign tokens are counted (%v), want %d and those of other tests", n, err, least)
	}
	if n := c.said("left alone"); n != 1 {
		t.Errorf("foreign things are told of %d times, want once:\n%s", n, k.log.String())
	}
}

func liveTask(c *ecsCluster) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.oldest(3)[2]
}

func (c *ecsCluster) labelled(metric string) string {
	return fmt.Sprintf("consulecs_controller_%s{ecs_cluster=%q}", metric, c.name)
}

func looksOf(t *testing.T, c *ecsCluster) string {
	t.Helper()
	return c.controllers[0].metric(t, `consulecs_controller_full_look_duration_seconds_count{ecs_cluster="`+c.name+`",result="good"}`)
}
