package awsfault_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/awsfault"
)

var moto testenv.SharedMoto

func TestMain(m *testing.M) {
	code := m.Run()
	_ = moto.Stop()
	os.Exit(code)
}

func start(t *testing.T) (*awsfault.Proxy, *ecs.Client, *iam.Client) {
	t.Helper()
	p, cfg := proxied(t)
	return p, ecs.NewFromConfig(cfg), iam.NewFromConfig(cfg)
}

func startSQS(t *testing.T) (*awsfault.Proxy, *sqs.Client) {
	t.Helper()
	p, cfg := proxied(t)
	return p, sqs.NewFromConfig(cfg)
}

func proxied(t *testing.T) (*awsfault.Proxy, aws.Config) {
	t.Helper()
	p := awsfault.Start(t, moto.URL(t))
	return p, aws.Config{
		Region: "us-east-1", BaseEndpoint: &p.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		Retryer: func() aws.Retryer { return retry.AddWithMaxAttempts(retry.NewStandard(), 1) },
	}
}

func createCluster(t *testing.T, c *ecs.Client, name string) error {
	_, err := c.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: &name})
	return err
}

func TestFaultsAreMetOnceAndOfTheirKind(t *testing.T) {
	t.Parallel()
	p, e, i := start(t)
	for name, c := range map[string]struct {
		fault awsfault.Fault
		is    func(error) bool
	}{
		"throttled": {awsfault.Throttle, awsapi.IsThrottled},
		"expired":   {awsfault.Expired, awsapi.IsExpired},
		"refused":   {awsfault.Refuse(400, "AccessDeniedException", "no"), awsapi.IsAccessDenied},
		"500":       {awsfault.OutOfOrder, func(err error) bool { return err != nil && !awsapi.IsRefused(err) }},
	} {
		p.Inject(awsfault.Rule{Times: 1, Fault: c.fault})
		if _, err := e.ListClusters(t.Context(), &ecs.ListClustersInput{}); !c.is(err) {
			t.Errorf("ECS, %s: got %v", name, err)
		}
		p.Inject(awsfault.Rule{Action: "ListRoles", Skip: 1, Times: 1, Fault: c.fault})
		for call, want := range []bool{false, true, false} {
			if _, err := i.ListRoles(t.Context(), &iam.ListRolesInput{}); (err != nil) != want || want && !c.is(err) {
				t.Errorf("IAM, %s, call %d: got %v", name, call, err)
			}
		}
	}
}

func TestALostAnswerHasDoneItsWork(t *testing.T) {
	t.Parallel()
	p, e, _ := start(t)
	p.Inject(awsfault.Rule{Action: "CreateCluster", Times: 1, Fault: awsfault.Lose})
	if err := createCluster(t, e, "lost"); err == nil || awsapi.IsRefused(err) {
		t.Errorf("got %v", err)
	}
	described, err := e.DescribeClusters(t.Context(), &ecs.DescribeClustersInput{Clusters: []string{"lost"}})
	if err != nil || len(described.Clusters) != 1 {
		t.Errorf("%d clusters, %v", len(described.Clusters), err)
	}
}

func TestACallThatHangsEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	p, e, _ := start(t)
	p.Inject(awsfault.Rule{Times: 1, Fault: awsfault.Hang})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := e.ListClusters(ctx, &ecs.ListClustersInput{}); ctx.Err() == nil || err == nil {
		t.Errorf("got %v", err)
	}
}

func TestWhatAnEmptyPageLacksFollowsOnTheNext(t *testing.T) {
	t.Parallel()
	p, e, i := start(t)
	if err := createCluster(t, e, "paged"); err != nil {
		t.Fatal(err)
	}
	if _, err := i.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("paged"), AssumeRolePolicyDocument: aws.String(`{}`)}); err != nil {
		t.Fatal(err)
	}
	p.Inject(awsfault.Rule{Action: "ListClusters", Times: 1, Fault: awsfault.EmptyPage}, awsfault.Rule{Action: "ListRoles", Times: 1, Fault: awsfault.EmptyPage})
	var sizes []int
	for pages := ecs.NewListClustersPaginator(e, &ecs.ListClustersInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(page.ClusterArns))
	}
	for pages := iam.NewListRolesPaginator(i, &iam.ListRolesInput{PathPrefix: aws.String("/")}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(page.Roles))
	}
	if len(sizes) != 4 || sizes[0] != 0 || sizes[1] == 0 || sizes[2] != 0 || sizes[3] == 0 {
		t.Errorf("pages of %v", sizes)
	}
}

func TestAQuotaThrottlesWhatExceedsIt(t *testing.T) {
	t.Parallel()
	p, e, i := start(t)
	p.Limit(3, 0.01, func(c awsfault.Call) bool { return c.Service == "ecs" })
	var refused int
	for range 5 {
		if _, err := e.ListClusters(t.Context(), &ecs.ListClustersInput{}); awsapi.IsThrottled(err) {
			refused++
		}
		if _, err := i.ListRoles(t.Context(), &iam.ListRolesInput{}); err != nil {
			t.Error(err)
		}
	}
	if refused != 2 || len(p.Calls()) != 10 {
		t.Errorf("%d of 5 calls were refused; calls %v", refused, p.Calls())
	}
	p.Forget()
	if _, err := e.ListClusters(t.Context(), &ecs.ListClustersInput{}); err != nil || len(p.Calls()) != 1 {
		t.Errorf("afterwards: %v, calls %v", err, p.Calls())
	}
}

func TestABatchFailsInPart(t *testing.T) {
	t.Parallel()
	p, queues := startSQS(t)
	queue, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("parts")})
	if err != nil {
		t.Fatal(err)
	}
	batch := &sqs.SendMessageBatchInput{QueueUrl: queue.QueueUrl}
	for _, id := range []string{"a", "b", "c"} {
		batch.Entries = append(batch.Entries, sqstypes.SendMessageBatchRequestEntry{Id: &id, MessageBody: &id})
	}
	for failing, want := range map[int]int{2: 1, 5: 0} {
		p.Inject(awsfault.Rule{Action: "SendMessageBatch", Times: 1, Fault: awsfault.FailEntries(failing, true)})
		out, err := queues.SendMessageBatch(t.Context(), batch)
		if err != nil || len(out.Successful) != want || len(out.Failed) != 3-want || *out.Failed[0].Id != "a" || !out.Failed[0].SenderFault {
			t.Errorf("%d to fail: %d done, %d failed, %v", failing, len(out.Successful), len(out.Failed), err)
		}
	}
	for _, call := range p.Calls() {
		if call.Service != "sqs" {
			t.Errorf("a call of SQS is told as one of %q", call.Service)
		}
	}
}

func TestAServiceIsGoneAndTheOthersAreNot(t *testing.T) {
	t.Parallel()
	p, e, i := start(t)
	p.Inject(awsfault.Rule{Times: 10, Fault: awsfault.Gone("ecs")})
	if _, err := e.ListClusters(t.Context(), &ecs.ListClustersInput{}); err == nil {
		t.Error("ECS answers")
	}
	if _, err := i.ListRoles(t.Context(), &iam.ListRolesInput{}); err != nil {
		t.Errorf("IAM is gone too: %v", err)
	}
}

func TestAShareOfTheCallsFails(t *testing.T) {
	t.Parallel()
	p, e, _ := start(t)
	for share, want := range map[float64]int{0: 0, 1: 20} {
		p.Forget()
		p.Inject(awsfault.Rule{Times: 20, Fault: awsfault.Sometimes(share, awsfault.OutOfOrder, awsfault.Throttle)})
		failed := 0
		for range 20 {
			if _, err := e.ListClusters(t.Context(), &ecs.ListClustersInput{}); err != nil {
				failed++
			}
		}
		if failed != want {
			t.Errorf("of a share of %v, %d of 20 calls fail", share, failed)
		}
	}
}

func TestAnECSWithoutTasksKnowsNone(t *testing.T) {
	t.Parallel()
	p, e, _ := start(t)
	p.Inject(awsfault.Rule{Times: 10, Fault: awsfault.NoTasks})
	if out, err := e.ListTasks(t.Context(), &ecs.ListTasksInput{}); err != nil || len(out.TaskArns) > 0 {
		t.Errorf("listed are %v, %v", out, err)
	}
	out, err := e.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Tasks: []string{"a", "b"}})
	if err != nil || len(out.Tasks) > 0 || len(out.Failures) != 2 || *out.Failures[1].Arn != "b" || *out.Failures[1].Reason != "MISSING" {
		t.Errorf("described are %+v, %v", out, err)
	}
	if err := createCluster(t, e, "beside"); err != nil {
		t.Errorf("what is not about tasks: %v", err)
	}
}
