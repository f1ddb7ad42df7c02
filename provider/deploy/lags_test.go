package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
)

func TestWhatAWSLearnsLateIsWaitedFor(t *testing.T) {
	t.Parallel()
	noRole := awsfault.Refuse(404, "NoSuchEntity", "The role with name late-task cannot be found.")
	for name, rules := range map[string][]awsfault.Rule{
		"role-in-iam":    {{Action: "PutRolePolicy", Times: 2, Fault: noRole}, {Action: "AttachRolePolicy", Times: 2, Fault: noRole}},
		"role-in-ecs":    {{Action: "RegisterTaskDefinition", Times: 2, Fault: awsfault.Refuse(400, "ClientException", "Role is not valid")}},
		"family-is-busy": {{Action: "RegisterTaskDefinition", Times: 2, Fault: awsfault.Refuse(400, "ClientException", "Too many concurrent attempts to create a new revision of the specified family.")}},
		"role-of-tasks": {
			{Action: "CreateService", Times: 2, Fault: awsfault.Refuse(400, "ClientException", "ECS was unable to assume the role 'arn:aws:iam::123456789012:role/late-task' that was provided for this task.")},
			{Action: "CreateService", Times: 1, Fault: awsfault.Refuse(400, "InvalidParameterException", "Unable to assume the service linked role. Please verify that the ECS service linked role exists.")},
		},
		"load-balancer": {{Action: "CreateService", Times: 2, Fault: awsfault.Refuse(400, "InvalidParameterException", "The target group with targetGroupArn arn:x does not have an associated load balancer.")}},
		"new-service":   {{Action: "DescribeServices", Skip: 1, Times: 3, Fault: awsfault.Missing}},
		"taken-by-a-lost-call": {
			{Action: "CreateService", Times: 1, Fault: awsfault.Lose},
			{Action: "CreateService", Times: 1, Fault: awsfault.Refuse(400, "InvalidParameterException", "Creation of service was not idempotent.")},
			{Action: "DescribeServices", Skip: 1, Times: 1, Fault: awsfault.Missing},
		},
		"a-lost-role-not-shown": {{Action: "CreateRole", Times: 1, Fault: awsfault.Lose}, {Action: "GetRole", Skip: 1, Times: 1, Fault: noRole}},
		"deleted-policies":      {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startCloud(t)
			d, out := wanted(t, "late-"+name, "app:1"), &Progress{}
			c.proxy.Inject(rules...)
			if err := errors.Join(c.Create(t.Context(), d, out), c.is(t.Context(), d, out)); err != nil {
				t.Fatal(err)
			}
			c.proxy.Forget()
			c.proxy.Inject(awsfault.Rule{Action: "DescribeServices", Times: 2, Fault: awsfault.Missing},
				awsfault.Rule{Action: "DeleteRole", Times: 2, Fault: awsfault.Refuse(409, "DeleteConflict", "Cannot delete entity, must detach all policies first.")})
			if err := errors.Join(c.Remove(t.Context(), d.Family, d.Owner, out.was(d)), c.isGone(t.Context(), d)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAServiceThatIsNotShownYetIsNotTakenForDeleted(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	d, out := wanted(t, "shown-late", "app:1"), &Progress{}
	if err := c.Create(t.Context(), d, out); err != nil {
		t.Fatal(err)
	}
	was := *out.ECSServiceARN
	c.proxy.Forget()
	c.proxy.Inject(awsfault.Rule{Action: "DescribeServices", Times: 3, Fault: awsfault.Missing})
	found, _, err := c.Look(t.Context(), d.Family, d.Owner, &out.Outcome, d.Service)
	if err != nil || found == nil || aws.ToString(out.ECSServiceARN) != was {
		t.Errorf("looked at while it is not shown: %v, %v", found, err)
	}
	if _, err := c.sure.ecs.DeleteService(t.Context(), &ecs.DeleteServiceInput{Cluster: aws.String(testCluster), Service: &d.Family, Force: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	c.proxy.Forget()
	found, _, err = c.Look(t.Context(), d.Family, d.Owner, &out.Outcome, d.Service)
	if asked := c.count("DescribeServices"); err != nil || found != nil || out.ECSServiceARN != nil || asked != 1 { // ECS says that it is gone: nothing to wait for
		t.Errorf("after others deleted it: %v, %v, asked %d times", found, err, asked)
	}
}

func TestWhatOthersMadeIsNotTakenOn(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	d, out := wanted(t, "foreign", "app:1"), &Progress{}
	// The role comes into being after the look and before the create.
	c.proxy.Inject(awsfault.Rule{Action: "CreateRole", Times: 1, Fault: awsfault.Do(func() {
		if _, err := c.sure.iam.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String(d.roles()[0].Name), Path: aws.String(d.roles()[0].Path), AssumeRolePolicyDocument: aws.String("{}")}); err != nil {
			t.Error(err)
		}
	})})
	err := c.Create(t.Context(), d, out)
	if err == nil || !strings.Contains(err.Error(), "was not made by a resource of this provider") {
		t.Errorf("got %v", err)
	}
	if found, err := c.sure.readRole(t.Context(), d.roles()[0].Name); err != nil || found == nil || string(found.TrustPolicy) != "{}" {
		t.Errorf("the foreign role is now %v, %v", found, err)
	}
}

func TestManyTasksAtOnceKeepToTheQuotas(t *testing.T) {
	t.Parallel()
	const made, read = 45, 50
	c := startCloud(t)
	c.proxy.Limit(20, 1, func(call awsfault.Call) bool { return call.Action == "RegisterTaskDefinition" })
	designs, outs := make([]Design, read), make([]*Progress, read)
	var all sync.WaitGroup
	began := time.Now()
	for i := range made {
		designs[i], outs[i] = wanted(t, fmt.Sprintf("many-%02d", i), "app:1"), &Progress{}
		all.Go(func() {
			if err := errors.Join(c.Create(t.Context(), designs[i], outs[i]), c.is(t.Context(), designs[i], outs[i])); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	t.Logf("%d made in %v by %d calls, %d of them registrations and %d DescribeServices", made, time.Since(began).Round(time.Second), c.count(""), c.count("RegisterTaskDefinition"), c.count("DescribeServices"))
	for i := made; i < read; i++ {
		designs[i], outs[i] = wanted(t, fmt.Sprintf("many-%02d", i), "app:1"), &Progress{}
		if err := c.sure.Create(t.Context(), designs[i], outs[i]); err != nil {
			t.Fatal(err)
		}
	}
	refreshed := startCloud(t) // another run of Terraform
	refreshed.proxy.Limit(20, 20, func(call awsfault.Call) bool { return call.Service == "iam" })
	began = time.Now()
	turns := make(chan struct{}, 10) // as many as Terraform refreshes at a time
	for i := range read {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			was := *outs[i].Roles
			_, exists, err := refreshed.Look(t.Context(), designs[i].Family, designs[i].Owner, &outs[i].Outcome, designs[i].Service)
			if err != nil || !exists || *outs[i].Roles != was || outs[i].ECSServiceARN == nil {
				t.Errorf("read %s: %v, %v", designs[i].Family, exists, err)
			}
		})
	}
	all.Wait()
	described := refreshed.count("DescribeServices")
	t.Logf("%d read in %v by %d calls, %d of them DescribeServices", read, time.Since(began).Round(time.Second), refreshed.count(""), described)
	if described > read/2 { // on an idle machine a handful; how many are gathered depends on when they come
		t.Errorf("%d calls describe %d services", described, read)
	}
}

func TestARevisionCostsNothingForThoseOfOthers(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	d, out := wanted(t, "crowded", "app:1"), &Progress{}
	d.Keep = 1
	foreign := func() {
		for range 40 {
			if _, err := c.sure.ecs.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{
				Family: &d.Family, ContainerDefinitions: d.definition.ContainerDefinitions, Cpu: d.definition.Cpu, Memory: d.definition.Memory,
				NetworkMode: d.definition.NetworkMode, RequiresCompatibilities: d.definition.RequiresCompatibilities,
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	foreign()
	if err := c.Create(t.Context(), d, out); err != nil {
		t.Fatal(err)
	}
	for _, image := range []string{"app:2", "app:3"} {
		foreign()
		next := wanted(t, d.Family, image)
		next.Keep, next.Service.WaitForSteadyState = 1, nil
		c.proxy.Forget()
		if err := c.Apply(t.Context(), next, out.was(d), out); err != nil {
			t.Fatal(err)
		}
		if n := c.count("DescribeTaskDefinition") + c.count("ListTaskDefinitions"); n > 1 { // whether an earlier registration lost its answer
			t.Errorf("%s: %d calls look at revisions", image, n)
		}
	}
	if len(out.Revisions) != 2 { // their numbers depend on how often the emulator was asked for those of others: a late answer is asked for again
		t.Errorf("remembered are %v, want two", out.Revisions)
	}
	all, err := c.sure.activeRevisions(t.Context(), d.Family)
	if err != nil {
		t.Fatal(err)
	}
	if own, err := c.sure.searchRevisions(t.Context(), d.Family, d.Owner.Registered); err != nil || !slices.Equal(own, out.Revisions) {
		t.Errorf("ACTIVE are %v, %v", own, err)
	}
	c.proxy.Forget()
	if err := errors.Join(c.Remove(t.Context(), d.Family, d.Owner, out.was(d)), c.isGone(t.Context(), d)); err != nil {
		t.Error(err)
	}
	if n := c.count("DescribeTaskDefinition") + c.count("ListTaskDefinitions"); n > 0 {
		t.Errorf("%d calls look at revisions during the removal", n)
	}
	if left, err := c.sure.activeRevisions(t.Context(), d.Family); err != nil || len(left) != len(all)-2 || len(left) < 120 {
		t.Errorf("%d of %d revisions are left, %v", len(left), len(all), err)
	}
}

func TestARevisionThatNobodyHeardOfGoesAgain(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	d, out := wanted(t, "unheard", "app:1"), &Progress{}
	if err := c.sure.Create(t.Context(), d, out); err != nil {
		t.Fatal(err)
	}
	next := wanted(t, d.Family, "app:2")
	next.Keep, next.Service.WaitForSteadyState = 1, nil
	c.proxy.Inject(awsfault.Rule{Action: "RegisterTaskDefinition", Times: 1, Fault: awsfault.Lose})
	if err := c.Apply(t.Context(), next, out.was(d), out); err != nil {
		t.Fatal(err)
	}
	own, err := c.sure.searchRevisions(t.Context(), d.Family, d.Owner.Registered)
	if want := (Revisions{3, 1}); err != nil || !slices.Equal(own, want) || !slices.Equal(out.Revisions, want) {
		t.Errorf("ACTIVE are %v, remembered %v, want %v (%v)", own, out.Revisions, want, err)
	}
}

func TestOneServiceThatMayNotBeSeenHidesNoOther(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	d, out := wanted(t, "seen", "app:1"), &Progress{}
	if err := c.sure.Create(t.Context(), d, out); err != nil {
		t.Fatal(err)
	}
	c.proxy.Inject(awsfault.Rule{Action: "DescribeServices", Times: 1, Fault: awsfault.Refuse(400, "AccessDeniedException", "not authorized")})
	var both sync.WaitGroup
	for _, name := range []string{d.Family, "unseen"} {
		both.Go(func() {
			if found, err := c.findService(context.WithoutCancel(t.Context()), testCluster, name); err != nil || (found != nil) != (name == d.Family) {
				t.Errorf("%s: %v, %v", name, found, err)
			}
		})
	}
	both.Wait()
	if n := c.count("DescribeServices"); n != 3 {
		t.Errorf("%d calls, want one for both and one for each", n)
	}
}

// Two that leave a shared controller at the same moment remove the same roles.
func TestARoleThatSomebodyElseRemovesMeanwhileIsGone(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	role, owner := c.makeRoles(t, "two-remove", 1)[0], wanted(t, "two-remove-00", "app:1").Owner
	c.proxy.Inject(awsfault.Rule{Action: "ListAttachedRolePolicies", Times: 1, Fault: awsfault.Do(func() {
		if err := c.sure.deleteRole(t.Context(), role.Name, owner); err != nil {
			t.Error(err)
		}
	})})
	if err := c.deleteRole(t.Context(), role.Name, owner); err != nil {
		t.Error(err)
	}
}
