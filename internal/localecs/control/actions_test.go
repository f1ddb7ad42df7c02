package control_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
)

func runWeb(definition string) *ecs.RunTaskInput {
	return &ecs.RunTaskInput{Cluster: aws.String("demo"), TaskDefinition: &definition, LaunchType: ecstypes.LaunchTypeFargate, NetworkConfiguration: network()}
}

func TestClusterLivesAndDies(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		ctx := t.Context()
		again := must(s.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("demo")}))(t)
		if *again.Cluster.Status != "ACTIVE" {
			t.Errorf("created again: status %s", *again.Cluster.Status)
		}
		s.create(webService(s.register("ok"), 2))
		s.after(5 * time.Second)
		out := must(s.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: []string{"demo", "other"}}))(t)
		c := out.Clusters[0]
		if c.RunningTasksCount != 2 || c.ActiveServicesCount != 1 || *c.ClusterArn != "arn:aws:ecs:us-east-1:123456789012:cluster/demo" {
			t.Errorf("cluster: %d tasks, %d services, %s", c.RunningTasksCount, c.ActiveServicesCount, *c.ClusterArn)
		}
		if len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" || names.Last(*out.Failures[0].Arn) != "other" {
			t.Errorf("failures: %v", out.Failures)
		}
		del := &ecs.DeleteClusterInput{Cluster: c.ClusterArn}
		_, err := s.DeleteCluster(ctx, del)
		var contains *ecstypes.ClusterContainsServicesException
		if !errors.As(err, &contains) {
			t.Errorf("with a service: got %v", err)
		}
		must(s.DeleteService(ctx, &ecs.DeleteServiceInput{Cluster: aws.String("demo"), Service: aws.String("web"), Force: aws.Bool(true)}))(t)
		s.after(5 * time.Second)
		must(s.RunTask(ctx, runWeb("web")))(t)
		_, err = s.DeleteCluster(ctx, del)
		var tasks *ecstypes.ClusterContainsTasksException
		if !errors.As(err, &tasks) {
			t.Errorf("with a task: got %v", err)
		}
		must(s.StopTask(ctx, &ecs.StopTaskInput{Cluster: aws.String("demo"), Task: s.tasks("RUNNING")[0].TaskArn}))(t)
		s.after(2 * time.Second)
		if out := must(s.DeleteCluster(ctx, del))(t); *out.Cluster.Status != "INACTIVE" {
			t.Errorf("deleted: status %s", *out.Cluster.Status)
		}
		_, err = s.ListTasks(ctx, &ecs.ListTasksInput{Cluster: aws.String("demo")})
		var notFound *ecstypes.ClusterNotFoundException
		if !errors.As(err, &notFound) {
			t.Errorf("inactive: got %v", err)
		}
	})
}

func TestTaskDefinitionLivesAndDies(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		ctx := t.Context()
		for range 11 {
			s.register("ok")
		}
		list := func(in ecs.ListTaskDefinitionsInput) (out []string) {
			t.Helper()
			for {
				page := must(s.ListTaskDefinitions(ctx, &in))(t)
				for _, arn := range page.TaskDefinitionArns {
					out = append(out, names.Last(arn))
				}
				if in.NextToken = page.NextToken; in.NextToken == nil {
					return out
				}
			}
		}
		want := []string{"web:1", "web:2", "web:3", "web:4", "web:5", "web:6", "web:7", "web:8", "web:9", "web:10", "web:11"}
		if diff := cmp.Diff(want, list(ecs.ListTaskDefinitionsInput{MaxResults: aws.Int32(4)})); diff != "" {
			t.Errorf("list in pages (-want +got):\n%s", diff)
		}
		slices.Reverse(want)
		if diff := cmp.Diff(want, list(ecs.ListTaskDefinitionsInput{MaxResults: aws.Int32(3), Sort: "DESC", FamilyPrefix: aws.String("web")})); diff != "" {
			t.Errorf("list downwards (-want +got):\n%s", diff)
		}
		latest := must(s.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("web"), Include: []ecstypes.TaskDefinitionField{"TAGS"}}))(t)
		if latest.TaskDefinition.Revision != 11 || len(latest.Tags) != 1 || latest.TaskDefinition.RegisteredAt == nil {
			t.Errorf("latest: %d, tags %v, registered at %v", latest.TaskDefinition.Revision, latest.Tags, latest.TaskDefinition.RegisteredAt)
		}
		gone := must(s.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: aws.String("web:11")}))(t)
		if gone.TaskDefinition.Status != "INACTIVE" {
			t.Errorf("deregistered: status %s", gone.TaskDefinition.Status)
		}
		if latest := must(s.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("web")}))(t); latest.TaskDefinition.Revision != 10 {
			t.Errorf("latest active: %d, want 10", latest.TaskDefinition.Revision)
		}
		_, err := s.RunTask(ctx, runWeb("web:11"))
		if want := "InvalidParameterException: TaskDefinition is inactive"; code(err) != want {
			t.Errorf("run: got %s, want %s", code(err), want)
		}
		deleted := must(s.DeleteTaskDefinitions(ctx, &ecs.DeleteTaskDefinitionsInput{TaskDefinitions: []string{"web:11", "web:10", "none:1"}}))(t)
		if len(deleted.TaskDefinitions) != 1 || deleted.TaskDefinitions[0].Status != "DELETE_IN_PROGRESS" || len(deleted.Failures) != 2 {
			t.Errorf("deleted: %v, failures: %v", deleted.TaskDefinitions, deleted.Failures)
		}
		s.after(time.Second)
		_, err = s.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("web:11")})
		if want := "ClientException: Unable to describe task definition."; code(err) != want {
			t.Errorf("deleted: got %s, want %s", code(err), want)
		}
		if next := s.register("ok"); next != "web:12" {
			t.Errorf("next revision: %s, want web:12", next)
		}
		families := must(s.ListTaskDefinitionFamilies(ctx, &ecs.ListTaskDefinitionFamiliesInput{FamilyPrefix: aws.String("we"), Status: "ACTIVE"}))(t)
		if diff := cmp.Diff([]string{"web"}, families.Families); diff != "" {
			t.Errorf("families (-want +got):\n%s", diff)
		}
	})
}

func TestTaskIsRunDescribedAndStopped(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		ctx := t.Context()
		s.register("ok")
		in := runWeb("web")
		in.Tags, in.PropagateTags = []ecstypes.Tag{{Key: aws.String("from"), Value: aws.String("call")}}, ecstypes.PropagateTagsTaskDefinition
		in.Overrides = &ecstypes.TaskOverride{
			TaskRoleArn:        aws.String("other"),
			ContainerOverrides: []ecstypes.ContainerOverride{{Name: aws.String("app"), Command: []string{"x"}}},
		}
		task := must(s.RunTask(ctx, in))(t).Tasks[0]
		if *task.LastStatus != "PROVISIONING" || *task.DesiredStatus != "RUNNING" || *task.Group != "family:web" || *task.PlatformVersion != "1.4.0" {
			t.Errorf("at first: %s, %s, %s, %s", *task.LastStatus, *task.DesiredStatus, *task.Group, *task.PlatformVersion)
		}
		s.after(3 * time.Second)
		ran := s.ran[0]
		if ran.TaskRoleARN != "arn:aws:iam::123456789012:role/other" || ran.Overrides.ContainerOverrides[0].Command[0] != "x" || ran.SubnetID != "subnet-1" {
			t.Errorf("the engine got %+v", ran)
		}
		now := s.tasks("RUNNING")[0]
		if *now.LastStatus != "RUNNING" || now.HealthStatus != "HEALTHY" || *now.Tags[0].Value != "call" || len(now.Tags) != 1 || now.Version <= task.Version {
			t.Errorf("running: %s, %s, tags %v, version %d", *now.LastStatus, now.HealthStatus, now.Tags, now.Version)
		}
		id := names.Last(*task.TaskArn)
		stopped := must(s.StopTask(ctx, &ecs.StopTaskInput{Cluster: aws.String("demo"), Task: &id, Reason: aws.String("enough")}))(t)
		if *stopped.Task.DesiredStatus != "STOPPED" || *stopped.Task.LastStatus != "RUNNING" {
			t.Errorf("at once: %s, %s", *stopped.Task.DesiredStatus, *stopped.Task.LastStatus)
		}
		if len(s.tasks("RUNNING")) != 0 {
			t.Error("a stopping task is listed as RUNNING")
		}
		s.after(2 * time.Second)
		end := s.tasks("STOPPED")[0]
		if *end.LastStatus != "STOPPED" || end.StopCode != "UserInitiated" || *end.StoppedReason != "enough" || end.StoppedAt == nil {
			t.Errorf("in the end: %s, %s, %s", *end.LastStatus, end.StopCode, *end.StoppedReason)
		}
		last := int64(0)
		for _, e := range s.events {
			if e.Version <= last {
				t.Errorf("event of version %d after %d", e.Version, last)
			}
			last = e.Version
		}
	})
}

func TestLaunchTypeIsWorkedOut(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		managed := webTask("ok")
		managed.Family, managed.RequiresCompatibilities = aws.String("managed"), []ecstypes.Compatibility{ecstypes.CompatibilityManagedInstances}
		must(s.RegisterTaskDefinition(t.Context(), managed))(t)
		s.register("ok")
		other := []ecstypes.CapacityProviderStrategyItem{{CapacityProvider: aws.String("mine"), Weight: 1}}
		for name, c := range map[string]struct {
			definition, want string
			launch           ecstypes.LaunchType
			providers        []ecstypes.CapacityProviderStrategyItem
			instance         bool
		}{
			"none":                {"web", "EC2", "", nil, true},
			"Fargate":             {"web", "FARGATE", "FARGATE", nil, false},
			"Fargate Spot":        {"web", "FARGATE", "", spot(), false},
			"own provider":        {"web", "EC2", "", other, true},
			"managed":             {"managed", "MANAGED_INSTANCES", "MANAGED_INSTANCES", nil, true},
			"provider of managed": {"managed", "MANAGED_INSTANCES", "", other, true},
		} {
			in := runWeb(c.definition)
			in.LaunchType, in.CapacityProviderStrategy = c.launch, c.providers
			task := must(s.RunTask(t.Context(), in))(t).Tasks[0]
			if string(task.LaunchType) != c.want || (task.ContainerInstanceArn != nil) != c.instance || (task.CapacityProviderName != nil) != (c.providers != nil) {
				t.Errorf("%s: launch type %s, instance %v, provider %v", name, task.LaunchType, aws.ToString(task.ContainerInstanceArn), aws.ToString(task.CapacityProviderName))
			}
		}
	})
}

func TestTasksAreListedInPagesAndByFilter(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		ctx := t.Context()
		s.register("ok")
		for i := range 13 {
			in := runWeb("web") // anew each time: the SDK writes its client token into it
			in.Count = aws.Int32(10)
			in.StartedBy = aws.String(fmt.Sprint("me-", i%2))
			must(s.RunTask(ctx, in))(t)
		}
		seen := map[string]bool{}
		sizes := []int{}
		pages := ecs.NewListTasksPaginator(s.Client, &ecs.ListTasksInput{Cluster: aws.String("demo")})
		for pages.HasMorePages() {
			page := must(pages.NextPage(ctx))(t)
			sizes = append(sizes, len(page.TaskArns))
			for _, arn := range page.TaskArns {
				seen[arn] = true
			}
		}
		if fmt.Sprint(sizes) != "[100 30]" || len(seen) != 130 {
			t.Errorf("pages of %v, %d tasks", sizes, len(seen))
		}
		for name, c := range map[string]struct {
			in   ecs.ListTasksInput
			want int
		}{
			"started by":    {ecs.ListTasksInput{StartedBy: aws.String("me-1")}, 60},
			"family":        {ecs.ListTasksInput{Family: aws.String("web")}, 100},
			"other family":  {ecs.ListTasksInput{Family: aws.String("we")}, 0},
			"launch type":   {ecs.ListTasksInput{LaunchType: "EC2"}, 0},
			"stopped":       {ecs.ListTasksInput{DesiredStatus: "STOPPED"}, 0},
			"page of seven": {ecs.ListTasksInput{MaxResults: aws.Int32(7)}, 7},
		} {
			c.in.Cluster = aws.String("demo")
			if got := len(must(s.ListTasks(ctx, &c.in))(t).TaskArns); got != c.want {
				t.Errorf("%s: got %d, want %d", name, got, c.want)
			}
		}
		out := must(s.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String("demo"), Tasks: []string{"0123456789abcdef0123456789abcdef"}}))(t)
		if len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" {
			t.Errorf("unknown task: %v", out.Failures)
		}
	})
}

func TestRepeatedCallsAreAnsweredAlike(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		ctx := t.Context()
		s.register("ok")
		in := runWeb("web")
		in.ClientToken = aws.String("once")
		first, second := must(s.RunTask(ctx, in))(t), must(s.RunTask(ctx, in))(t)
		if *first.Tasks[0].TaskArn != *second.Tasks[0].TaskArn {
			t.Error("the same RunTask ran two tasks")
		}
		in.StartedBy = aws.String("me")
		_, err := s.RunTask(ctx, in)
		var conflict *ecstypes.ConflictException
		if !errors.As(err, &conflict) || !slices.Equal(conflict.ResourceIds, []string{*first.Tasks[0].TaskArn}) {
			t.Errorf("another RunTask with the token: got %v", err)
		}
		s.create(webService("web", 1))
		s.create(webService("web", 1))
		_, err = s.CreateService(ctx, webService("web", 2))
		if want := "InvalidParameterException: Creation of service was not idempotent."; code(err) != want {
			t.Errorf("another service of the name: got %s, want %s", code(err), want)
		}
	})
}

func TestTagsOfEveryResource(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		ctx := t.Context()
		definition := must(s.RegisterTaskDefinition(ctx, webTask("ok")))(t).TaskDefinition.TaskDefinitionArn
		s.create(webService("web", 1))
		s.after(3 * time.Second)
		for name, arn := range map[string]string{
			"cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/demo", "service": *s.service().ServiceArn,
			"task": *s.tasks("RUNNING")[0].TaskArn, "definition": *definition,
		} {
			must(s.TagResource(ctx, &ecs.TagResourceInput{ResourceArn: &arn, Tags: []ecstypes.Tag{
				{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("from"), Value: aws.String("tag")}}}))(t)
			must(s.UntagResource(ctx, &ecs.UntagResourceInput{ResourceArn: &arn, TagKeys: []string{"from"}}))(t)
			out := must(s.ListTagsForResource(ctx, &ecs.ListTagsForResourceInput{ResourceArn: &arn}))(t)
			if len(out.Tags) != 1 || *out.Tags[0].Key != "a" || *out.Tags[0].Value != "1" {
				t.Errorf("%s: tags %v", name, out.Tags)
			}
		}
	})
}

func TestRefusalsAreThoseOfECS(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		ctx := t.Context()
		s.register("ok")
		bridge := webTask("ok")
		bridge.Family, bridge.NetworkMode = aws.String("bridge"), ecstypes.NetworkModeBridge
		must(s.RegisterTaskDefinition(ctx, bridge))(t)
		run := func(change func(*ecs.RunTaskInput)) func() error {
			return func() error { in := runWeb("web"); change(in); _, err := s.RunTask(ctx, in); return err }
		}
		create := func(change func(*ecs.CreateServiceInput)) func() error {
			return func() error { in := webService("web", 1); change(in); _, err := s.CreateService(ctx, in); return err }
		}
		for want, do := range map[string]func() error{
			"ClusterNotFoundException: Cluster not found.":                                                              run(func(in *ecs.RunTaskInput) { in.Cluster = nil }),
			"ClientException: TaskDefinition not found.":                                                                run(func(in *ecs.RunTaskInput) { in.TaskDefinition = aws.String("web:9") }),
			"InvalidParameterException: Count must be between 1 and 10.":                                                run(func(in *ecs.RunTaskInput) { in.Count = aws.Int32(11) }),
			"InvalidParameterException: Network Configuration must be provided when networkMode 'awsvpc' is specified.": run(func(in *ecs.RunTaskInput) { in.NetworkConfiguration = nil }),
			"InvalidParameterException: Override for container named db is not a container in the TaskDefinition.": run(func(in *ecs.RunTaskInput) {
				in.Overrides = &ecstypes.TaskOverride{ContainerOverrides: []ecstypes.ContainerOverride{{Name: aws.String("db")}}}
			}),
			"InvalidParameterException: Task definition does not support launch_type FARGATE.":   run(func(in *ecs.RunTaskInput) { in.TaskDefinition = aws.String("bridge") }),
			"InvalidParameterException: This local ECS runs tasks with networkMode awsvpc only.": run(func(in *ecs.RunTaskInput) { in.TaskDefinition, in.LaunchType = aws.String("bridge"), "EC2" }),
			"InvalidParameterException: Assign public IP is not supported for this launch type.": run(func(in *ecs.RunTaskInput) {
				in.LaunchType = "EC2"
				in.NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp = "ENABLED"
			}),
			"InvalidParameterException: Error retrieving subnet information for [net-1]: The subnet ID 'net-1' does not exist": run(func(in *ecs.RunTaskInput) { in.NetworkConfiguration.AwsvpcConfiguration.Subnets = []string{"net-1"} }),
			"InvalidParameterException: Error retrieving security group information for [web]: The security group 'web' does not exist": run(func(in *ecs.RunTaskInput) {
				in.NetworkConfiguration.AwsvpcConfiguration.SecurityGroups = []string{"web"}
			}),
			"InvalidParameterException: Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.": create(func(in *ecs.CreateServiceInput) { in.CapacityProviderStrategy = spot() }),
			"InvalidParameterException: Desired count is required for the replica scheduling strategy.":                                           create(func(in *ecs.CreateServiceInput) { in.DesiredCount = nil }),
			"InvalidParameterException: Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.":              create(func(in *ecs.CreateServiceInput) { in.DeploymentConfiguration = percents(100, 100) }),
			"InvalidParameterException: TaskDefinition cannot be empty.":                                                                          create(func(in *ecs.CreateServiceInput) { in.TaskDefinition = nil }),
			"InvalidParameterException: Invalid service name 'a b': up to 255 letters, numbers, underscores and hyphens are allowed.":             create(func(in *ecs.CreateServiceInput) { in.ServiceName = aws.String("a b") }),
			"ServiceNotFoundException: Service not found.": func() error {
				_, err := s.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: aws.String("none")})
				return err
			},
			"InvalidParameterException: The referenced task was not found.": func() error {
				_, err := s.StopTask(ctx, &ecs.StopTaskInput{Cluster: aws.String("demo"), Task: aws.String("0123")})
				return err
			},
			"InvalidParameterException: Tasks cannot be empty.": func() error {
				_, err := s.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String("demo"), Tasks: []string{}})
				return err
			},
			"InvalidParameterException: Cannot describe more than 10 services.": func() error {
				_, err := s.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: aws.String("demo"), Services: make([]string, 11)})
				return err
			},
			"InvalidParameterException: Invalid token in request.": func() error {
				_, err := s.ListTasks(ctx, &ecs.ListTasksInput{Cluster: aws.String("demo"), NextToken: aws.String("?")})
				return err
			},
			"ClientException: Invalid revision number. Number: web": func() error {
				_, err := s.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: aws.String("web")})
				return err
			},
			"InvalidParameterException: The specified service is not found.": func() error {
				_, err := s.ListTagsForResource(ctx, &ecs.ListTagsForResourceInput{ResourceArn: aws.String("arn:aws:ecs:us-east-1:123456789012:service/demo/none")})
				return err
			},
		} {
			if got := code(do()); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
		if len(s.ran) != 0 {
			t.Errorf("%d tasks ran", len(s.ran))
		}
	})
}

func TestExecuteCommandOpensASessionForOne(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		ctx := t.Context()
		definition := webTask("ok")
		definition.ContainerDefinitions = append(definition.ContainerDefinitions, ecstypes.ContainerDefinition{
			Name: aws.String("guarded"), Image: aws.String("ok:1"), ReadonlyRootFilesystem: aws.Bool(true),
		})
		must(s.RegisterTaskDefinition(ctx, definition))(t)
		plain, enabled := runWeb("web"), runWeb("web")
		enabled.EnableExecuteCommand = true
		without := must(s.RunTask(ctx, plain))(t).Tasks[0].TaskArn
		with := must(s.RunTask(ctx, enabled))(t).Tasks[0].TaskArn
		ask := func(task *string, container string, interactive bool) (*ecs.ExecuteCommandOutput, error) {
			return s.ExecuteCommand(ctx, &ecs.ExecuteCommandInput{
				Cluster: aws.String("demo"), Task: task, Container: &container, Interactive: interactive, Command: aws.String("/bin/look -a"),
			})
		}
		if _, err := ask(with, "app", true); !strings.HasPrefix(code(err), "TargetNotConnectedException:") {
			t.Errorf("before it runs: %v", err)
		}
		s.after(5 * time.Second)
		var running []ecstypes.Container
		for _, name := range []string{"app", "guarded"} {
			running = append(running, ecstypes.Container{Name: &name, LastStatus: aws.String(engine.StatusRunning)})
		}
		for _, task := range []*string{with, without} {
			s.control.Changed(engine.Status{TaskARN: *task, LastStatus: engine.StatusRunning, DesiredStatus: engine.StatusRunning, Containers: running})
		}
		for name, refused := range map[string]struct {
			task        *string
			container   string
			interactive bool
			want        string
		}{
			"not interactive":       {with, "app", false, "InvalidParameterException"},
			"no such task":          {aws.String("1f"), "app", true, "InvalidParameterException"},
			"a task without Exec":   {without, "app", true, "InvalidParameterException"},
			"another one's name":    {with, "db", true, "TargetNotConnectedException"},
			"a root for reads only": {with, "guarded", true, "TargetNotConnectedException"},
		} {
			if _, err := ask(refused.task, refused.container, refused.interactive); !strings.HasPrefix(code(err), refused.want+":") {
				t.Errorf("%s: %v, want %s", name, err, refused.want)
			}
		}
		session := must(ask(with, "app", true))(t).Session
		if _, ok := s.control.TakeSession(*session.SessionId, "guess"); ok {
			t.Error("a wrong token takes the session")
		}
		got, ok := s.control.TakeSession(*session.SessionId, *session.TokenValue)
		if !ok || got.TaskARN != *with || got.Container != "app" || got.Command != "/bin/look -a" {
			t.Errorf("the session: %+v, %t", got, ok)
		}
		if _, ok := s.control.TakeSession(*session.SessionId, *session.TokenValue); ok {
			t.Error("a session is taken twice")
		}
	})
}
