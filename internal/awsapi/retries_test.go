package awsapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
)

const json11 = "application/x-amz-json-1.1"

// refusals serves as many refusals as it is told to, then an empty answer, and counts the calls.
func refusals(t *testing.T, refuse int32, status int, body string) (url string, calls *atomic.Int32) {
	t.Helper()
	calls = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", json11)
		if calls.Add(1) <= refuse {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return
		}
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(server.Close)
	return server.URL, calls
}

func TestRetriesFollowTheSettingThenTheEnvironmentThenTheDefault(t *testing.T) {
	for name, c := range map[string]struct {
		retries      awsapi.Retries
		environment  map[string]string
		wantMode     aws.RetryMode
		wantAttempts int
	}{
		"nothing is said":  {wantMode: aws.RetryModeAdaptive, wantAttempts: awsapi.DefaultAttempts},
		"the environment":  {environment: map[string]string{"AWS_MAX_ATTEMPTS": "7", "AWS_RETRY_MODE": "standard"}, wantMode: aws.RetryModeStandard, wantAttempts: 7},
		"settings beat it": {awsapi.Retries{MaxAttempts: 3, Mode: aws.RetryModeAdaptive}, map[string]string{"AWS_MAX_ATTEMPTS": "7", "AWS_RETRY_MODE": "standard"}, aws.RetryModeAdaptive, 3},
	} {
		t.Run(name, func(t *testing.T) {
			credentials(t)
			for key, value := range c.environment {
				t.Setenv(key, value)
			}
			cfg, err := awsapi.Load(t.Context(), awsapi.Config{Region: "us-east-1", Retries: &c.retries})
			if err != nil {
				t.Fatal(err)
			}
			if got := cfg.Retryer().MaxAttempts(); cfg.RetryMode != c.wantMode || got != c.wantAttempts {
				t.Errorf("%s mode, %d attempts; want %s, %d", cfg.RetryMode, got, c.wantMode, c.wantAttempts)
			}
		})
	}
}

func TestWhatECSRefusesForAMomentIsRepeated(t *testing.T) {
	credentials(t)
	for name, refusal := range map[string]string{
		"another registration": `{"__type":"ClientException","message":"Too many concurrent attempts to create a new revision of the specified family."}`,
		"throttling":           `{"__type":"ThrottlingException","message":"Rate exceeded"}`,
	} {
		for _, mode := range []aws.RetryMode{aws.RetryModeStandard, aws.RetryModeAdaptive} {
			url, calls := refusals(t, 2, 400, refusal)
			cfg, err := awsapi.Load(t.Context(), awsapi.Config{
				Region: "us-east-1", Endpoints: map[string]string{awsapi.ServiceECS: url}, Retries: &awsapi.Retries{Mode: mode},
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = awsapi.ECS(cfg).RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{Family: aws.String("web"), ContainerDefinitions: []ecstypes.ContainerDefinition{}})
			if err != nil || calls.Load() != 3 {
				t.Errorf("%s, %s: %d calls, %v; want 3", name, mode, calls.Load(), err)
			}
		}
	}
}

func TestExpiredCredentialsAreNotTriedAgainAndTheErrorSaysWhatToDo(t *testing.T) {
	credentials(t)
	url, calls := refusals(t, 9, 400, `{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}`)
	cfg, err := awsapi.Load(t.Context(), awsapi.Config{Region: "us-east-1", Endpoints: map[string]string{awsapi.ServiceECS: url}, Retries: &awsapi.Retries{}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = awsapi.ECS(cfg).ListClusters(t.Context(), &ecs.ListClustersInput{})
	if calls.Load() != 1 || !awsapi.IsExpired(err) || strings.Count(err.Error(), "hint: the AWS credentials have expired: renew them") != 1 {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
}

func TestTheHintComesOnceWhereTheCredentialsOfARoleExpired(t *testing.T) {
	credentials(t)
	url, _ := answer(t, 403, "text/xml", `<ErrorResponse><Error><Code>ExpiredToken</Code><Message>expired</Message></Error></ErrorResponse>`)
	cfg, err := awsapi.Load(t.Context(), awsapi.Config{
		Region: "us-east-1", Endpoints: map[string]string{awsapi.ServiceSTS: url}, Retries: &awsapi.Retries{},
		AssumeRole: &awsapi.AssumeRole{RoleARN: "arn:aws:iam::123456789012:role/deploy"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := awsapi.STS(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err == nil || strings.Count(err.Error(), "hint:") != 1 {
		t.Errorf("got %v", err)
	}
}

func TestAnAddressWithoutAServerIsGivenUp(t *testing.T) {
	t.Parallel()
	retryer := awsapi.Retries{}.Retryer()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, refused := http.Get(server.URL)
	if _, err := retryer.RetryDelay(7, refused); err != nil || !retryer.IsErrorRetryable(refused) {
		t.Errorf("the seventh attempt ends with %v", err)
	}
	if _, err := retryer.RetryDelay(8, refused); err == nil {
		t.Error("after eight attempts nobody is given up")
	}
	if wait, err := retryer.RetryDelay(20, io.ErrUnexpectedEOF); err != nil || wait > time.Minute {
		t.Errorf("a lost answer: %v, %v", wait, err)
	}
}
