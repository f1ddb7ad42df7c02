package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/consulecs/terraform-provider-consulecs/internal/eventqueue"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

const always = 1000 // times

func TestAFailedCreateTakesBackWhatItMade(t *testing.T) {
	t.Parallel()
	denied := awsfault.Refuse(403, "AccessDenied", "not authorized")
	for name, c := range map[string]struct {
		rules []awsfault.Rule
		want  []string // in the error
		left  bool
	}{
		"refused-role":    {[]awsfault.Rule{{Action: "CreateRole", Skip: 1, Times: always, Fault: denied}}, []string{"create role refused-role-execution", "was removed again"}, false},
		"refused-policy":  {[]awsfault.Rule{{Action: "PutRolePolicy", Times: always, Fault: denied}}, []string{"put policy", "was removed again"}, false},
		"refused-at-once": {[]awsfault.Rule{{Action: "GetRole", Times: 1, Fault: denied}}, []string{"get role refused-at-once-task"}, false},
		"refused-definition": {[]awsfault.Rule{{Action: "RegisterTaskDefinition", Times: always, Fault: awsfault.Refuse(400, "ClientException", "Too many tags.")}},
			[]string{"Too many tags.", "was removed again"}, false},
		"refused-service": {[]awsfault.Rule{{Action: "CreateService", Times: always, Fault: awsfault.Refuse(400, "InvalidParameterException", "no such subnet")}},
			[]string{"no such subnet", "was removed again"}, false},
		"refused-removal": {[]awsfault.Rule{{Action: "CreateService", Times: always, Fault: denied}, {Action: "DeleteRole", Times: 1, Fault: denied}},
			[]string{"create service refused-removal", "could not be removed again: role refused-removal-execution (delete role"}, true},
		"unknown-service": {[]awsfault.Rule{{Action: "CreateService", Times: always, Fault: awsfault.Expired}, {Action: "DescribeServices", Skip: 1, Times: always, Fault: awsfault.Expired}},
			[]string{"renew them", "whether the ECS service was made is not known", "nothing was taken back"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			world := startCloud(t)
			d, out := wanted(t, name, "app:1"), &Progress{}
			world.proxy.Inject(c.rules...)
			err := world.Create(t.Context(), d, out)
			if err == nil || out.ECSServiceARN != nil || out.Left != c.left {
				t.Fatalf("got %v, service %s, left %v", err, row.Value(out.ECSServiceARN), out.Left)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
			if gone := world.isGone(t.Context(), d); (gone != nil) != c.left {
				t.Errorf("afterwards: %v", gone)
			}
			if names := rolesIn(t, out.Outcome); c.left && name == "refused-removal" && !slices.Equal(names, []string{name + "-execution"}) {
				t.Errorf("the state holds the roles %v", names)
			}
			if c.left { // Terraform removes what is tainted
				if err := errors.Join(world.sure.Remove(t.Context(), d.Family, d.Owner, out.was(d)), world.isGone(t.Context(), d)); err != nil {
					t.Errorf("removed: %v", err)
				}
			}
			d, again := another(t, d), &Progress{}
			if err := errors.Join(world.sure.Create(t.Context(), d, again), world.is(t.Context(), d, again)); err != nil {
				t.Errorf("again: %v", err)
			}
		})
	}
}

func rolesIn(t *testing.T, out Outcome) []string {
	t.Helper()
	views, err := decodeRoles(out.Roles)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range views {
		names = append(names, v.Name)
	}
	return names
}

// What others made meanwhile is not removed with what is left.
func TestARemovalLeavesTheServiceThatTookTheName(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	d, out := wanted(t, "taken-meanwhile", "app:1"), &Progress{}
	definition, err := c.sure.ecs.RegisterTaskDefinition(t.Context(), running("of-others", "app:1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.sure.ecs.CreateService(t.Context(), &ecs.CreateServiceInput{
		Cluster: aws.String(testCluster), ServiceName: &d.Family, TaskDefinition: definition.TaskDefinition.TaskDefinitionArn, DesiredCount: aws.Int32(0),
	}); err != nil {
		t.Fatal(err)
	}
	c.proxy.Inject(awsfault.Rule{Action: "DeleteRole", Times: 1, Fault: awsfault.Refuse(403, "AccessDenied", "not authorized")})
	if err := c.Create(t.Context(), d, out); err == nil || !out.Left {
		t.Fatalf("got %v, left %v", err, out.Left)
	}
	if err := c.Remove(t.Context(), d.Family, d.Owner, out.was(d)); err != nil {
		t.Fatal(err)
	}
	if found, err := c.sure.findService(t.Context(), testCluster, d.Family); err != nil || found == nil {
		t.Errorf("the service of others is %v, %v", found, err)
	}
}

func TestAFailedCreateLeavesWhatWasThereBefore(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	d := wanted(t, "there-before", "app:1")
	mine := d.roles()[0]
	_, err := c.sure.iam.CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName: &mine.Name, Path: &mine.Path, AssumeRolePolicyDocument: aws.String(string(mine.TrustPolicy)), Tags: iamTags(mine.Tags),
	})
	if err != nil {
		t.Fatal(err)
	}
	c.proxy.Inject(awsfault.Rule{Action: "CreateService", Times: always, Fault: awsfault.Refuse(400, "InvalidParameterException", "no such subnet")})
	if err := c.Create(t.Context(), d, &Progress{}); err == nil {
		t.Fatal("it was created")
	}
	if found, err := c.sure.getRole(t.Context(), mine.Name); err != nil || found == nil {
		t.Errorf("the role that was there is %v, %v", found, err)
	}
	if found, err := c.sure.getRole(t.Context(), d.roles()[1].Name); err != nil || found != nil {
		t.Errorf("the role that was made is %v, %v", found, err)
	}
}

// moto's tasks never run, so that a service which wants one is never steady.
func TestAServiceThatDoesNotBecomeSteadyStaysUp(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"unsteady-timeout": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(ctx, 4*time.Second, errors.New("not done within 4s"))
		},
		"unsteady-cancelled": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			stop := time.AfterFunc(4*time.Second, cancel)
			return ctx, func() { stop.Stop(); cancel() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startCloud(t)
			d, out := wanted(t, name, "app:1"), &Progress{}
			d.Service.DesiredCount = aws.Int32(1)
			ctx, cancel := end(t.Context())
			defer cancel()
			err := c.Create(ctx, d, out)
			if !errors.As(err, new(*unsteady)) || !strings.Contains(err.Error(), "0 of 1 tasks run, 1 pending") ||
				!strings.Contains(err.Error(), fmt.Sprintf("hint: deployment PRIMARY of %s:1: 0 of 1 tasks run, 0 failed; IN_PROGRESS: ", name)) {
				t.Errorf("got %v", err)
			}
			if err := c.is(t.Context(), d, out); err != nil {
				t.Errorf("the state does not hold everything: %v", err)
			}
			d.Service.WaitForSteadyState = nil // as after an untaint
			if err := errors.Join(c.Apply(t.Context(), d, out.was(d), out), c.is(t.Context(), d, out)); err != nil {
				t.Errorf("the next apply: %v", err)
			}
		})
	}
}

func TestAServiceMadeByALostCallStaysUp(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	d, out := wanted(t, "lost-and-cancelled", "app:1"), &Progress{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.proxy.Inject(awsfault.Rule{Action: "CreateService", Times: 1, Fault: awsfault.Do(func() {
		_, err := c.sure.ecs.CreateService(t.Context(), d.Service.CreateInput(d.Family, d.tags()))
		if err != nil {
			t.Error(err)
		}
		cancel()
	})})
	if err := c.Create(ctx, d, out); !errors.Is(err, context.Canceled) || out.ECSServiceARN == nil {
		t.Errorf("got %v, service %s", err, row.Value(out.ECSServiceARN))
	}
	if err := errors.Join(c.sure.Apply(t.Context(), d, out.was(d), out), c.is(t.Context(), d, out)); err != nil {
		t.Error(err)
	}
}

func TestWhatECSSaysOfAService(t *testing.T) {
	t.Parallel()
	event := func(text string) ecstypes.ServiceEvent { return ecstypes.ServiceEvent{Message: aws.String(text)} }
	lines := append(deploymentLines([]ecstypes.Deployment{{
		Status: aws.String("PRIMARY"), TaskDefinition: aws.String("arn:aws:ecs:us-east-1:123456789012:task-definition/web:7"),
		RunningCount: 1, DesiredCount: 3, FailedTasks: 2, RolloutState: "FAILED", RolloutStateReason: aws.String("tasks failed to start"),
	}, {Status: aws.String("ACTIVE"), TaskDefinition: aws.String("web:6")}}),
		eventLines([]ecstypes.ServiceEvent{event("newest"), event("second"), event("third"), event("old")})...)
	lines = append(lines, stopLine(ecstypes.Task{
		TaskArn: aws.String("arn:task"), StoppedReason: aws.String("Essential container in task exited"), StoppedAt: aws.Time(time.Unix(0, 0)),
		Containers: []ecstypes.Container{{Name: aws.String("app"), ExitCode: aws.Int32(1)}, {Name: aws.String("fine"), ExitCode: aws.Int32(0)}},
	}))
	want := `deployment PRIMARY of web:7: 1 of 3 tasks run, 2 failed; FAILED: tasks failed to start
deployment ACTIVE of web:6: 0 of 0 tasks run, 0 failed
event: newest
event: second
event: third
task arn:task stopped last: Essential container in task exited; container app: exit code 1 `
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTheAccountIsAskedForUntilAWSAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault awsfault.Fault
		want  string
	}{
		"throttled": {awsfault.Throttle, ""}, "lost": {awsfault.Lose, ""}, "500": {awsfault.OutOfOrder, ""}, "expired": {awsfault.Expired, "renew them"},
	} {
		world := startCloud(t)
		world.proxy.Inject(awsfault.Rule{Action: "GetCallerIdentity", Times: 1, Fault: c.fault})
		got, err := world.Home(t.Context())
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) || err == nil && got != home {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if again, err := world.Home(t.Context()); err != nil || again != home {
			t.Errorf("%s, again: %v, %v", name, again, err)
		}
	}
}

func TestADeploymentThatIsNotShownYetIsWaitedFor(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	d, out := wanted(t, "late-deployment", "app:1"), &Progress{}
	if err := c.Create(t.Context(), d, out); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	// ECS shows the deployment of before: not an error yet.
	if err := c.awaitSteadyState(ctx, testCluster, d.Family, "arn:aws:ecs:us-east-1:123456789012:task-definition/late-deployment:2"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the end of the time", err)
	}
}

// What a create made of its events goes again with the rest; what it could not take back, the state holds.
func TestAFailedCreateTakesBackItsEvents(t *testing.T) {
	t.Parallel()
	refusedService := awsfault.Rule{Action: "CreateService", Times: always, Fault: awsfault.Refuse(400, "InvalidParameterException", "no such subnet")}
	denied := awsfault.Refuse(403, "AccessDenied", "not authorized")
	for name, c := range map[string]struct {
		rules []awsfault.Rule
		want  string
		left  bool
	}{
		"events-taken-back": {[]awsfault.Rule{refusedService}, "was removed again", false},
		"events-refused":    {[]awsfault.Rule{{Action: "PutRule", Times: always, Fault: denied}}, "was removed again", false},
		"events-left":       {[]awsfault.Rule{refusedService, {Action: "DeleteQueue", Times: always, Fault: denied}}, "could not be removed again: queues and the event rule (delete queue events-left-events", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			world := startCloud(t)
			d, out := wanted(t, name, "app:1"), &Progress{}
			design := eventqueue.Of(eventqueue.Spec{Home: home, Family: name, ECSClusterARNs: []string{"arn:aws:ecs:us-east-1:123456789012:cluster/x"}})
			d.Events = &design
			world.proxy.Inject(c.rules...)
			err := world.Create(t.Context(), d, out)
			if err == nil || !strings.Contains(err.Error(), c.want) || out.Left != c.left || c.left && out.Events.Rendered == nil {
				t.Fatalf("got %v, left %v: %s", err, out.Left, row.Value(out.Events.Rendered))
			}
			if c.left {
				if err := world.sure.Remove(t.Context(), d.Family, d.Owner, Before{Outcome: out.Outcome, Events: out.Events, Service: d.Service}); err != nil {
					t.Error(err)
				}
			}
			there, err := world.sure.events.There(t.Context(), design)
			if err := errors.Join(err, world.isGone(t.Context(), d)); err != nil || len(there) > 0 {
				t.Errorf("left are %v, %v", there, err)
			}
		})
	}
}
