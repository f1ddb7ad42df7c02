package awsapi_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
)

// answer serves one fixed answer and keeps the last request.
func answer(t *testing.T, status int, contentType, body string) (url string, last func() http.Header) {
	t.Helper()
	headers := make(chan http.Header, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers <- r.Header
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() http.Header {
		select {
		case h := <-headers:
			return h
		default:
			t.Fatal("the endpoint was not called")
			return nil
		}
	}
}

func credentials(t *testing.T) {
	t.Helper()
	none := t.TempDir() + "/none"
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "found", "AWS_SECRET_ACCESS_KEY": "found", "AWS_REGION": "", "AWS_DEFAULT_REGION": "",
		"AWS_PROFILE": "", "AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
}

func TestAnEndpointOfOursBeatsTheEnvironment(t *testing.T) {
	credentials(t)
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	url, last := answer(t, 200, "application/x-amz-json-1.1", `{"clusterArns":[]}`)
	cfg, err := awsapi.Load(t.Context(), awsapi.Config{
		Region: "eu-central-1", Endpoints: map[string]string{awsapi.ServiceECS: url}, UserAgent: "consulecs-agent/1.2",
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := awsapi.ECS(cfg).ListClusters(t.Context(), &ecs.ListClustersInput{}); err != nil {
		t.Fatal(err)
	}
	header := last()
	if got := header.Get("User-Agent"); !strings.Contains(got, "consulecs-agent/1.2") {
		t.Errorf("User-Agent %q does not name the product", got)
	}
	if got := header.Get("Authorization"); !strings.Contains(got, "/eu-central-1/ecs/") {
		t.Errorf("signed for %q, want eu-central-1", got)
	}
}

func TestTheEnvironmentsEndpointIsUsedOtherwise(t *testing.T) {
	credentials(t)
	url, last := answer(t, 200, "application/x-amz-json-1.1", `{"clusterArns":[]}`)
	t.Setenv("AWS_ENDPOINT_URL_ECS", url)
	cfg, err := awsapi.Load(t.Context(), awsapi.Config{Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := awsapi.ECS(cfg).ListClusters(t.Context(), &ecs.ListClustersInput{}); err != nil {
		t.Fatal(err)
	}
	last()
}

func TestARoleIsAssumedAtTheGivenEndpoint(t *testing.T) {
	credentials(t)
	stsURL, lastSTS := answer(t, 200, "text/xml", `<AssumeRoleResponse><AssumeRoleResult><Credentials>
		<AccessKeyId>assumed</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
		<Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`)
	ecsURL, lastECS := answer(t, 200, "application/x-amz-json-1.1", `{"clusterArns":[]}`)
	cfg, err := awsapi.Load(t.Context(), awsapi.Config{
		Region:     "us-east-1",
		Endpoints:  map[string]string{awsapi.ServiceSTS: stsURL, awsapi.ServiceECS: ecsURL},
		AssumeRole: &awsapi.AssumeRole{RoleARN: "arn:aws:iam::123456789012:role/deploy", SessionName: "test"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := awsapi.ECS(cfg).ListClusters(t.Context(), &ecs.ListClustersInput{}); err != nil {
		t.Fatal(err)
	}
	if got := lastSTS().Get("Authorization"); !strings.Contains(got, "Credential=found/") {
		t.Errorf("AssumeRole was signed by %q, want the found credentials", got)
	}
	if got := lastECS().Get("Authorization"); !strings.Contains(got, "Credential=assumed/") {
		t.Errorf("the call was signed by %q, want the role's credentials", got)
	}
}

func TestLoadSaysWhatIsMissing(t *testing.T) {
	credentials(t)
	for name, tc := range map[string]struct {
		config awsapi.Config
		want   string
	}{
		"no region":        {awsapi.Config{}, "hint: set AWS_REGION"},
		"unknown endpoint": {awsapi.Config{Region: "us-east-1", Endpoints: map[string]string{"s4": "http://x"}}, `endpoint of "s4": want one of ecs, events, iam, secretsmanager, sqs, sts`},
		"unknown profile":  {awsapi.Config{Region: "us-east-1", Profile: "nobody"}, "load AWS configuration: "},
	} {
		if _, err := awsapi.Load(t.Context(), tc.config); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: Load = %v, want an error with %q", name, err, tc.want)
		}
	}
}

func TestErrorsAreToldApart(t *testing.T) {
	t.Parallel()
	predicates := map[string]func(error) bool{
		"not found": awsapi.IsNotFound, "denied": awsapi.IsAccessDenied, "throttled": awsapi.IsThrottled,
	}
	for code, want := range map[string]string{
		"NoSuchEntity": "not found", "ClusterNotFoundException": "not found", "QueueDoesNotExist": "not found", "EntityAlreadyExists": "none of them",
		"AccessDenied": "denied", "AccessDeniedException": "denied", "ThrottlingException": "throttled", "Throttling": "throttled",
		"ServerException": "none of them",
	} {
		err := fmt.Errorf("get role web: %w", &smithy.GenericAPIError{Code: code})
		for kind, is := range predicates {
			if is(err) != (kind == want) {
				t.Errorf("%s counts as %s: %v, want it to be %s", code, kind, is(err), want)
			}
		}
	}
	for kind, is := range predicates {
		if is(errors.New("dial tcp: refused")) || is(nil) {
			t.Errorf("a failure without an answer counts as %s", kind)
		}
	}
}

func TestAThrottledCallIsRecognisedFromTheWire(t *testing.T) {
	credentials(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	url, _ := answer(t, 400, "text/xml", `<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>`)
	cfg, err := awsapi.Load(t.Context(), awsapi.Config{Region: "us-east-1", Endpoints: map[string]string{awsapi.ServiceSTS: url}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := awsapi.STS(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); !awsapi.IsThrottled(err) {
		t.Errorf("GetCallerIdentity = %v, want a throttled call", err)
	}
}

func TestLoginEndpointsAreTheAWSPartitions(t *testing.T) {
	t.Parallel()
	for region, want := range map[string][2]string{
		"eu-west-1":      {"https://sts.eu-west-1.amazonaws.com", "https://iam.amazonaws.com"},
		"cn-northwest-1": {"https://sts.cn-northwest-1.amazonaws.com.cn", "https://iam.cn-north-1.amazonaws.com.cn"},
		"us-gov-east-1":  {"https://sts.us-gov-east-1.amazonaws.com", "https://iam.us-gov.amazonaws.com"},
	} {
		sts, iam, err := awsapi.LoginEndpoints(t.Context(), region)
		if err != nil || [2]string{sts, iam} != want {
			t.Errorf("%s: got %s, %s (%v), want %s", region, sts, iam, err, want)
		}
	}
	if _, _, err := awsapi.LoginEndpoints(t.Context(), "no region"); err == nil || !strings.Contains(err.Error(), "find the endpoint of STS in no region") {
		t.Errorf("got %v for what is no region", err)
	}
}
