package awsapi_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
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

// A token of an identity provider is exchanged for credentials, without any of AWS's, and those take on a further role.
func TestAWebIdentityIsExchangedForCredentials(t *testing.T) {
	credentials(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-a-file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		identity awsapi.WebIdentity
		token    string
	}{
		"given":     {awsapi.WebIdentity{RoleARN: "arn:aws:iam::123456789012:role/ci", SessionName: "test", Token: "given"}, "given"},
		"in a file": {awsapi.WebIdentity{RoleARN: "arn:aws:iam::123456789012:role/ci", SessionName: "test", TokenFile: file}, "from-a-file"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []url.Values
			var signed []string
			stsServer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := r.ParseForm(); err != nil {
					t.Error(err)
				}
				asked, signed = append(asked, r.Form), append(signed, r.Header.Get("Authorization"))
				action, key := r.Form.Get("Action"), map[string]string{"AssumeRoleWithWebIdentity": "identified", "AssumeRole": "assumed"}[r.Form.Get("Action")]
				fmt.Fprintf(w, `<%[1]sResponse><%[1]sResult><Credentials><AccessKeyId>%[2]s</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
					<Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></%[1]sResult></%[1]sResponse>`, action, key)
			}))
			t.Cleanup(stsServer.Close)
			ecsURL, lastECS := answer(t, 200, "application/x-amz-json-1.1", `{"clusterArns":[]}`)
			cfg, err := awsapi.Load(t.Context(), awsapi.Config{
				Region: "us-east-1", Endpoints: map[string]string{awsapi.ServiceSTS: stsServer.URL, awsapi.ServiceECS: ecsURL},
				WebIdentity: &c.identity, AssumeRole: &awsapi.AssumeRole{RoleARN: "arn:aws:iam::123456789012:role/deploy", SessionName: "test"},
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := awsapi.ECS(cfg).ListClusters(t.Context(), &ecs.ListClustersInput{}); err != nil {
				t.Fatal(err)
			}
			if len(asked) != 2 || asked[0].Get("WebIdentityToken") != c.token || asked[0].Get("RoleArn") != c.identity.RoleARN || signed[0] != "" || !strings.Contains(signed[1], "Credential=identified/") {
				t.Errorf("STS was asked %v, signed by %q", asked, signed)
			}
			if got := lastECS().Get("Authorization"); !strings.Contains(got, "Credential=assumed/") {
				t.Errorf("the call was signed by %q", got)
			}
		})
	}
}

func TestCredentialsComeFromTheGivenFiles(t *testing.T) {
	credentials(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	dir := t.TempDir()
	for name, text := range map[string]string{
		"config": "[profile mesh]\nregion = eu-west-3\n", "credentials": "[mesh]\naws_access_key_id = filed\naws_secret_access_key = s\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ecsURL, last := answer(t, 200, "application/x-amz-json-1.1", `{"clusterArns":[]}`)
	cfg, err := awsapi.Load(t.Context(), awsapi.Config{
		Profile: "mesh", Endpoints: map[string]string{awsapi.ServiceECS: ecsURL},
		SharedConfigFiles: []string{filepath.Join(dir, "config")}, SharedCredentialsFiles: []string{filepath.Join(dir, "credentials")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := awsapi.ECS(cfg).ListClusters(t.Context(), &ecs.ListClustersInput{}); err != nil {
		t.Fatal(err)
	}
	if got := last().Get("Authorization"); !strings.Contains(got, "Credential=filed/") || !strings.Contains(got, "/eu-west-3/ecs/") {
		t.Errorf("the call was signed by %q", got)
	}
}

// hosts hears which hosts are called, and lets nothing through.
type hosts struct{ called []string }

func (h *hosts) Do(r *http.Request) (*http.Response, error) {
	h.called = append(h.called, r.URL.Host)
	return nil, errors.New("not connected")
}

func TestEndpointsAreOfTheKindThatIsAskedFor(t *testing.T) {
	credentials(t)
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	for want, c := range map[string]awsapi.Config{
		"ecs.us-east-1.amazonaws.com":                 {Region: "us-east-1"},
		"ecs.us-west-2.amazonaws.com":                 {Region: "us-west-2", FIPS: aws.Bool(false)},
		"ecs-fips.us-east-1.amazonaws.com":            {Region: "us-east-1", FIPS: aws.Bool(true)},
		"ecs.us-east-1.api.aws":                       {Region: "us-east-1", DualStack: aws.Bool(true)},
		"ecs-fips.us-east-1.api.aws":                  {Region: "us-east-1", FIPS: aws.Bool(true), DualStack: aws.Bool(true)},
		"ecs.cn-north-1.api.amazonwebservices.com.cn": {Region: "cn-north-1", DualStack: aws.Bool(true)},
		"ecs.us-iso-east-1.c2s.ic.gov":                {Region: "us-iso-east-1"},
		"ecs.us-isob-east-1.sc2s.sgov.gov":            {Region: "us-isob-east-1"},
		"ecs-fips.us-gov-west-1.amazonaws.com":        {Region: "us-gov-west-1", FIPS: aws.Bool(true)},
	} {
		t.Setenv("AWS_USE_FIPS_ENDPOINT", fmt.Sprint(c.FIPS != nil && !*c.FIPS)) // what is said beats the environment
		cfg, err := awsapi.Load(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		var heard hosts
		cfg.HTTPClient = &heard
		if _, err := awsapi.ECS(cfg).ListClusters(t.Context(), &ecs.ListClustersInput{}); err == nil {
			t.Error("an answer came from nowhere")
		}
		if len(heard.called) != 1 || heard.called[0] != want {
			t.Errorf("%+v calls %q, want %s", c, heard.called, want)
		}
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
		"not found": awsapi.IsNotFound, "denied": awsapi.IsAccessDenied, "throttled": awsapi.IsThrottled, "unsupported": awsapi.IsUnsupported,
	}
	for code, want := range map[string]string{
		"NoSuchEntity": "not found", "ClusterNotFoundException": "not found", "QueueDoesNotExist": "not found", "EntityAlreadyExists": "none of them",
		"AccessDenied": "denied", "AccessDeniedException": "denied", "ThrottlingException": "throttled", "Throttling": "throttled",
		"ServerException": "none of them", "UnknownOperationException": "unsupported", "InvalidAction": "unsupported",
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
