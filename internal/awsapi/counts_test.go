package awsapi_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
)

func TestEachRequestIsCountedByOperationAndReason(t *testing.T) {
	credentials(t)
	for name, c := range map[string]struct {
		refuse int32
		status int
		body   string
		want   []string
	}{
		"well":      {0, 0, "", []string{"ecs ListTasks "}},
		"throttled": {2, 400, `{"__type":"ThrottlingException"}`, []string{"ecs ListTasks throttled", "ecs ListTasks throttled", "ecs ListTasks "}},
		"denied":    {9, 400, `{"__type":"AccessDeniedException"}`, []string{"ecs ListTasks denied"}},
		"refused":   {9, 400, `{"__type":"ClusterNotFoundException"}`, []string{"ecs ListTasks refused"}},
		"trouble":   {1, 500, `{}`, []string{"ecs ListTasks server", "ecs ListTasks "}},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := refusals(t, c.refuse, c.status, c.body)
			count, counted := counter()
			cfg, err := awsapi.Load(t.Context(), awsapi.Config{Region: "us-east-1", Endpoints: map[string]string{awsapi.ServiceECS: url}, Count: count})
			if err != nil {
				t.Fatal(err)
			}
			_, err = awsapi.ECS(cfg).ListTasks(t.Context(), &ecs.ListTasksInput{})
			if well := c.want[len(c.want)-1] == "ecs ListTasks "; well != (err == nil) {
				t.Errorf("ListTasks = %v", err)
			}
			if diff := cmp.Diff(c.want, counted()); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARequestWithoutAnAnswerIsCountedUnlessItWasGivenUp(t *testing.T) {
	credentials(t)
	count, counted := counter()
	cfg, err := awsapi.Load(t.Context(), awsapi.Config{
		Region: "us-east-1", Endpoints: map[string]string{awsapi.ServiceSTS: "http://127.0.0.1:1"}, Count: count,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := awsapi.STS(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err == nil {
		t.Fatal("nobody answers, and yet there is an answer")
	}
	unreachable := counted()
	if len(unreachable) == 0 || slices.ContainsFunc(unreachable, func(s string) bool { return s != "sts GetCallerIdentity unreachable" }) {
		t.Errorf("counted %q", unreachable)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = awsapi.STS(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if got := counted()[len(unreachable):]; !errors.Is(err, context.Canceled) || slices.Contains(got, "sts GetCallerIdentity unreachable") {
		t.Errorf("given up: %v, counted %q", err, got)
	}
}

// counter keeps what it hears, in order.
func counter() (awsapi.Counter, func() []string) {
	var mu sync.Mutex
	var heard []string
	return func(service, operation, reason string) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, service+" "+operation+" "+reason)
		}, func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(heard)
		}
}
