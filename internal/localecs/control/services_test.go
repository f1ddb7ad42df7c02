package control_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
)

func TestServiceReachesASteadyState(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		s.create(webService(s.register("ok"), 2))
		s.after(time.Second)
		if got, want := summary(s.service()), "ACTIVE 0/2/2; PRIMARY IN_PROGRESS web:1 0/2/2 failed 0"; got != want {
			t.Errorf("while starting: got %s, want %s", got, want)
		}
		s.after(2 * time.Second)
		if got, want := summary(s.service()), "ACTIVE 2/0/2; PRIMARY COMPLETED web:1 2/0/2 failed 0"; got != want {
			t.Errorf("when started: got %s, want %s", got, want)
		}
		want := []string{
			"(service web) has started 2 tasks: (task ID) (task ID)", "(service web) (deployment ID) deployment completed.",
			"(service web) has reached a steady state.",
		}
		if diff := cmp.Diff(want, told(s.service())); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		for _, task := range s.tasks("RUNNING") {
			if *task.Group != "service:web" || *task.StartedBy != *s.service().Deployments[0].Id || task.LaunchType != "FARGATE" {
				t.Errorf("task: group %s, started by %s, launch type %s", *task.Group, *task.StartedBy, task.LaunchType)
			}
		}
	})
}

func TestServiceRollsToANewRevision(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		s.create(webService(s.register("ok"), 2))
		s.after(5 * time.Second)
		s.register("ok")
		must(s.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: s.service().ServiceArn, TaskDefinition: aws.String("web")}))(t)
		s.after(time.Second)
		want := "ACTIVE 2/2/2; PRIMARY IN_PROGRESS web:2 0/2/2 failed 0; ACTIVE COMPLETED web:1 2/0/0 failed 0"
		if got := summary(s.service()); got != want {
			t.Errorf("while rolling: got %s, want %s", got, want)
		}
		s.after(5 * time.Second)
		if got, want := summary(s.service()), "ACTIVE 2/0/2; PRIMARY COMPLETED web:2 2/0/2 failed 0"; got != want {
			t.Errorf("when done: got %s, want %s", got, want)
		}
		for _, task := range s.tasks("STOPPED") {
			if task.StopCode != "ServiceSchedulerInitiated" || !strings.HasPrefix(*task.StoppedReason, "Scaling activity initiated by (deployment ecs-svc/") {
				t.Errorf("old task stopped with %s: %s", task.StopCode, *task.StoppedReason)
			}
		}
		if n := len(s.tasks("STOPPED")); n != 2 {
			t.Errorf("%d tasks stopped, want 2", n)
		}
	})
}

func TestServiceUpdatesReplaceTasksOnlyWhereTheyMust(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*ecs.UpdateServiceInput)
		anew   bool
	}{
		"nothing":         {func(in *ecs.UpdateServiceInput) {}, false},
		"same definition": {func(in *ecs.UpdateServiceInput) { in.TaskDefinition = aws.String("web:1") }, false},
		"same network":    {func(in *ecs.UpdateServiceInput) { in.NetworkConfiguration = network() }, false},
		"desired count":   {func(in *ecs.UpdateServiceInput) { in.DesiredCount = aws.Int32(2) }, false},
		"percentages":     {func(in *ecs.UpdateServiceInput) { in.DeploymentConfiguration = percents(50, 200) }, false},
		"forced":          {func(in *ecs.UpdateServiceInput) { in.ForceNewDeployment = true }, true},
		"other network": {func(in *ecs.UpdateServiceInput) {
			in.NetworkConfiguration = network()
			in.NetworkConfiguration.AwsvpcConfiguration.Subnets[0] = "subnet-2"
		}, true},
		"capacity":         {func(in *ecs.UpdateServiceInput) { in.CapacityProviderStrategy = spot() }, true},
		"platform version": {func(in *ecs.UpdateServiceInput) { in.PlatformVersion = aws.String("1.3.0") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *plane) {
				s.create(webService(s.register("ok"), 1))
				s.after(5 * time.Second)
				before := *s.service().Deployments[0].Id
				in := &ecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: aws.String("web")}
				c.change(in)
				out := must(s.UpdateService(t.Context(), in))(t)
				if anew := *out.Service.Deployments[0].Id != before; anew != c.anew {
					t.Errorf("new deployment: got %t, want %t", anew, c.anew)
				}
				s.after(10 * time.Second)
				if got := s.service(); len(got.Deployments) != 1 || got.RunningCount != got.DesiredCount {
					t.Errorf("in the end: %s", summary(got))
				}
			})
		})
	}
}

func TestServiceThrottlesTasksThatFailToStart(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		s.create(webService(s.register("crash"), 1))
		s.after(70 * time.Second)
		if diff := cmp.Diff([]int{0, 3, 7, 13, 23, 41}, s.starts()); diff != "" { // 2 s to fail, then 1, 2, 4, 8, 16 s
			t.Errorf("starts (-want +got):\n%s", diff)
		}
		if events := strings.Join(told(s.service()), "\n"); !strings.Contains(events, "is unable to consistently start tasks successfully.") {
			t.Errorf("events:\n%s", events)
		}
		s.register("ok")
		must(s.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: aws.String("web"), TaskDefinition: aws.String("web:2")}))(t)
		s.after(5 * time.Second)
		if got, want := summary(s.service()), "ACTIVE 1/0/1; PRIMARY COMPLETED web:2 1/0/1 failed 0"; got != want {
			t.Errorf("after the fix: got %s, want %s", got, want)
		}
	})
}

func TestServiceThrottlesTasksThatHardlyRun(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		s.create(webService(s.register("short"), 1))
		s.after(30 * time.Second)
		if diff := cmp.Diff([]int{0, 4, 9, 16, 27}, s.starts()); diff != "" { // 3 s of life, then 1, 2, 4, 8 s
			t.Errorf("starts (-want +got):\n%s", diff)
		}
	})
}

func TestServiceReplacesADeadTaskAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		s.create(webService(s.register("ok"), 1))
		s.after(time.Minute)
		s.end(*s.tasks("RUNNING")[0].TaskArn, ecstypes.TaskStopCodeEssentialContainerExited, "Essential container in task exited")
		synctest.Wait()
		if diff := cmp.Diff([]int{0, 60}, s.starts()); diff != "" {
			t.Errorf("starts (-want +got):\n%s", diff)
		}
		must(s.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: aws.String("demo"), Task: s.tasks("RUNNING")[0].TaskArn}))(t)
		synctest.Wait()
		if diff := cmp.Diff([]int{0, 60, 60}, s.starts()); diff != "" {
			t.Errorf("starts after StopTask (-want +got):\n%s", diff)
		}
	})
}

func TestServiceReplacesUnhealthyTasks(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		in := webService(s.register("sick"), 1)
		in.HealthCheckGracePeriodSeconds = aws.Int32(20)
		s.create(in)
		s.after(15 * time.Second) // unhealthy since 7 s
		if got, want := summary(s.service()), "ACTIVE 1/0/1; PRIMARY IN_PROGRESS web:1 1/0/1 failed 0"; got != want {
			t.Errorf("within the grace period: got %s, want %s", got, want)
		}
		s.after(8 * time.Second) // its replacement started at 22 s
		if got := s.starts(); len(got) != 2 || got[1] != 22 {
			t.Errorf("starts: got %v, want 0 and 22", got)
		}
		s.after(25 * time.Second) // both are unhealthy, and there is no room for a third: one goes
		stopped := s.tasks("STOPPED")
		if len(stopped) == 0 || *stopped[0].StoppedReason != "Task failed container health checks" {
			t.Errorf("stopped: %v", stopped)
		}
	})
}

func TestCircuitBreakerRollsBack(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		in := webService(s.register("ok"), 1)
		in.DeploymentConfiguration = &ecstypes.DeploymentConfiguration{DeploymentCircuitBreaker: &ecstypes.DeploymentCircuitBreaker{Enable: true, Rollback: true}}
		s.create(in)
		s.after(5 * time.Second)
		good := *s.service().Deployments[0].Id
		must(s.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: aws.String("web"), TaskDefinition: aws.String(s.register("crash"))}))(t)
		s.after(time.Minute)
		got := s.service()
		if want := "ACTIVE 1/0/1; PRIMARY COMPLETED web:1 1/0/1 failed 0"; summary(got) != want || *got.Deployments[0].Id == good {
			t.Errorf("got %s, want %s in a new deployment", summary(got), want)
		}
		events := strings.Join(told(got), "\n")
		for _, want := range []string{"deployment failed: tasks failed to start.", "rolling back to deployment"} {
			if !strings.Contains(events, want) {
				t.Errorf("events lack %q:\n%s", want, events)
			}
		}
		if n := len(s.starts()); n != 1+3+1 {
			t.Errorf("%d tasks started, want 1 good, 3 that fail, 1 good", n)
		}
	})
}

func TestCircuitBreakerKeepsTheOldTasksWithoutRollback(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		in := webService(s.register("ok"), 1)
		in.DeploymentConfiguration = &ecstypes.DeploymentConfiguration{DeploymentCircuitBreaker: &ecstypes.DeploymentCircuitBreaker{Enable: true}}
		s.create(in)
		s.after(5 * time.Second)
		must(s.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: aws.String("web"), TaskDefinition: aws.String(s.register("crash"))}))(t)
		s.after(10 * time.Minute)
		want := "ACTIVE 1/0/1; PRIMARY FAILED web:2 0/0/1 failed 3; ACTIVE COMPLETED web:1 1/0/0 failed 0"
		if got := summary(s.service()); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestServiceIsDrainedAndForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		s.create(webService(s.register("ok"), 1))
		s.after(5 * time.Second)
		del := &ecs.DeleteServiceInput{Cluster: aws.String("demo"), Service: aws.String("web")}
		_, err := s.DeleteService(t.Context(), del)
		if want := "InvalidParameterException: The service cannot be stopped while it is scaled above 0."; code(err) != want {
			t.Errorf("got %s, want %s", code(err), want)
		}
		del.Force = aws.Bool(true)
		out := must(s.DeleteService(t.Context(), del))(t)
		if *out.Service.Status != "DRAINING" {
			t.Errorf("status %s, want DRAINING", *out.Service.Status)
		}
		_, err = s.CreateService(t.Context(), webService("web", 1))
		if want := "InvalidParameterException: Unable to Start a service that is still Draining."; code(err) != want {
			t.Errorf("got %s, want %s", code(err), want)
		}
		s.after(2 * time.Second)
		if got, want := summary(s.service()), "INACTIVE 0/0/0"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		_, err = s.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: aws.String("web")})
		if want := "ServiceNotActiveException: Service was not ACTIVE."; code(err) != want {
			t.Errorf("got %s, want %s", code(err), want)
		}
		s.after(time.Hour + time.Minute)
		gone := must(s.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: aws.String("demo"), Services: []string{"web"}}))(t)
		if len(gone.Services) != 0 || len(gone.Failures) != 1 || *gone.Failures[0].Reason != "MISSING" {
			t.Errorf("after an hour: %v, %v", gone.Services, gone.Failures)
		}
		if tasks := s.tasks("STOPPED"); len(tasks) != 0 {
			t.Errorf("stopped tasks after an hour: %d", len(tasks))
		}
	})
}

func TestServiceTagsItsTasks(t *testing.T) {
	service := []ecstypes.Tag{{Key: aws.String("from"), Value: aws.String("service")}}
	for name, c := range map[string]struct {
		propagate ecstypes.PropagateTags
		managed   bool
		want      string
	}{
		"none":       {"", false, "map[]"},
		"definition": {ecstypes.PropagateTagsTaskDefinition, false, "map[from:definition]"},
		"service":    {ecstypes.PropagateTagsService, true, "map[aws:ecs:clusterName:demo aws:ecs:serviceName:web from:service]"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *plane) {
				in := webService(s.register("ok"), 1)
				in.Tags, in.PropagateTags, in.EnableECSManagedTags = service, c.propagate, c.managed
				s.create(in)
				s.after(time.Second)
				got := map[string]string{}
				for _, tag := range s.tasks("RUNNING")[0].Tags {
					got[*tag.Key] = *tag.Value
				}
				if fmt.Sprint(got) != c.want {
					t.Errorf("got %v, want %s", got, c.want)
				}
			})
		})
	}
}

// TestRestartLosesNothing ends a control plane in the middle of a rolling replacement and starts another on its state.
func TestRestartLosesNothing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	synctest.Test(t, func(t *testing.T) {
		first := newPlane(t, file)
		must(first.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("demo")}))(t)
		first.create(webService(first.register("ok"), 1))
		shares := webTask("ok")
		shares.Family, shares.RequiresCompatibilities = aws.String("shares"), []ecstypes.Compatibility{ecstypes.CompatibilityEc2}
		shares.ContainerDefinitions[0].ResourceRequirements = []ecstypes.ResourceRequirement{{Type: ecstypes.ResourceTypeGpu,
			SharingStrategy: &ecstypes.SharingStrategyMemberNvidiaMps{Value: ecstypes.NvidiaMpsAllocation{Memory: aws.Int32(1024)}}}}
		must(first.RegisterTaskDefinition(t.Context(), shares))(t)
		first.after(5 * time.Second)
		must(first.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: aws.String("web"), TaskDefinition: aws.String(first.register("ok"))}))(t)
		first.after(time.Second)
		first.control.Close()

		second := newPlane(t, file)
		known := must(second.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("shares")}))(t)
		if mps, ok := known.TaskDefinition.ContainerDefinitions[0].ResourceRequirements[0].SharingStrategy.(*ecstypes.SharingStrategyMemberNvidiaMps); !ok || *mps.Value.Memory != 1024 {
			t.Errorf("the GPU that is shared is %+v", known.TaskDefinition.ContainerDefinitions[0].ResourceRequirements)
		}
		if diff := cmp.Diff(summary(first.service()), summary(second.service())); diff != "" {
			t.Errorf("service before and after (-before +after):\n%s", diff)
		}
		unfinished := second.control.Unfinished()
		if len(unfinished) != 2 || unfinished[0].Definition.Family == nil || unfinished[0].SubnetID != "subnet-1" {
			t.Fatalf("to adopt: %+v", unfinished)
		}
		for _, task := range unfinished { // as the engine reports what it has adopted
			second.run(task)
		}
		second.after(10 * time.Second)
		if got, want := summary(second.service()), "ACTIVE 1/0/1; PRIMARY COMPLETED web:2 1/0/1 failed 0"; got != want {
			t.Errorf("in the end: got %s, want %s", got, want)
		}
		if id := names.Last(*second.tasks("RUNNING")[0].TaskArn); len(id) != 32 {
			t.Errorf("task ID %s", id)
		}
	})
}

func percents(low, high int32) *ecstypes.DeploymentConfiguration {
	return &ecstypes.DeploymentConfiguration{MinimumHealthyPercent: &low, MaximumPercent: &high}
}

func spot() []ecstypes.CapacityProviderStrategyItem {
	return []ecstypes.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE_SPOT"), Weight: 1}}
}

func TestAServiceShowsThePlatformVersionThatWasAskedFor(t *testing.T) {
	for asked, want := range map[string]string{"": "LATEST", "LATEST": "LATEST", "1.4.0": "1.4.0"} {
		t.Run(asked, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *plane) {
				in := webService(s.register("ok"), 1)
				if asked != "" {
					in.PlatformVersion = &asked
				}
				s.create(in)
				s.after(5 * time.Second)
				service, task := s.service(), s.tasks("RUNNING")[0]
				if got := *service.PlatformVersion; got != want {
					t.Errorf("the service shows %s, want %s", got, want)
				}
				if deployment := *service.Deployments[0].PlatformVersion; deployment != "1.4.0" || *task.PlatformVersion != "1.4.0" {
					t.Errorf("the deployment shows %s and the task %s, want 1.4.0", deployment, *task.PlatformVersion)
				}
				must(s.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: aws.String("web"), ForceNewDeployment: true}))(t)
				if got := *s.service().PlatformVersion; got != want {
					t.Errorf("after an update that says nothing of it: %s, want %s", got, want)
				}
			})
		})
	}
}

// A service revision remembers what its deployment was made with.
func TestServiceRevisionsAreOfTheirDeployments(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		in := webService(s.register("ok"), 1)
		in.Monitoring = &ecstypes.MonitoringConfiguration{MetricConfigurations: []ecstypes.MetricConfiguration{{MetricNames: []string{"CPUUtilization"}, ResolutionSeconds: aws.Int32(20)}}}
		s.create(in)
		s.after(5 * time.Second)
		first := s.service().CurrentServiceRevisions
		slower := &ecstypes.MonitoringConfiguration{MetricConfigurations: []ecstypes.MetricConfiguration{{MetricNames: []string{"CPUUtilization"}, ResolutionSeconds: aws.Int32(60)}}}
		must(s.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: aws.String("web"), Monitoring: slower}))(t)
		both := s.service().CurrentServiceRevisions
		if len(first) != 1 || len(both) != 2 || *both[1].Arn != *first[0].Arn {
			t.Fatalf("the revisions are %v, then %v", first, both)
		}
		described := must(s.DescribeServiceRevisions(t.Context(), &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{*both[0].Arn, *both[1].Arn, "arn:x"}}))(t)
		for i, want := range []int32{60, 20} {
			if got := *described.ServiceRevisions[i].Monitoring.MetricConfigurations[0].ResolutionSeconds; got != want {
				t.Errorf("revision %d has a resolution of %d seconds, want %d", i, got, want)
			}
		}
		if len(described.Failures) != 1 {
			t.Errorf("failures: %v", described.Failures)
		}
	})
}
