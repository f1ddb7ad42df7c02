package consul

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv"
)

const account = "123456789012" // moto's

// asRoleIn is asRole in the AWS partition of a region. It returns the role's ARN.
func asRoleIn(t *testing.T, region, name, service string) (arn string) {
	t.Helper()
	cfg := aws.Config{Region: region, BaseEndpoint: &stage.AWS.URL, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	role, err := iam.NewFromConfig(cfg).CreateRole(t.Context(), &iam.CreateRoleInput{
		RoleName: &name, Path: aws.String(mesh.RolePath), AssumeRolePolicyDocument: aws.String("{}"),
		Tags: []iamtypes.Tag{{Key: aws.String(mesh.RoleTagServiceName), Value: &service}},
	})
	if err != nil {
		t.Fatal(err)
	}
	assumed, err := sts.NewFromConfig(cfg).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: role.Role.Arn, RoleSessionName: aws.String("task")})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", *assumed.Credentials.AccessKeyId)
	t.Setenv("AWS_SECRET_ACCESS_KEY", *assumed.Credentials.SecretAccessKey)
	t.Setenv("AWS_SESSION_TOKEN", *assumed.Credentials.SessionToken)
	return *role.Role.Arn
}

// signed is a request in a bearer token: where it goes, and for which region and with which headers it was signed.
type signed struct {
	Method, URL, Body, Region string
	Headers                   []string // those of Consul
}

var credentialScope = regexp.MustCompile(`Credential=[^/]+/\d+/([^/]+)/(?:sts|iam)/aws4_request, SignedHeaders=([^,]+),`)

func signedRequest(t *testing.T, method, url, body string, headers http.Header) signed {
	t.Helper()
	match := credentialScope.FindStringSubmatch(headers.Get("Authorization"))
	if match == nil {
		t.Fatalf("Authorization: %s", headers.Get("Authorization"))
	}
	s := signed{Method: method, URL: url, Body: body, Region: match[1]}
	for header := range strings.SplitSeq(match[2], ";") {
		if strings.HasPrefix(header, "x-consul-") {
			s.Headers = append(s.Headers, header)
		}
	}
	return s
}

// unpack takes a bearer token apart into its request to STS and the one to IAM inside of it, if any.
func unpack(t *testing.T, bearer string) (toSTS, toIAM signed) {
	t.Helper()
	var token struct {
		Method  string `json:"iam_http_request_method"`
		URL     []byte `json:"iam_request_url"` // base64, as the rest
		Headers []byte `json:"iam_request_headers"`
		Body    []byte `json:"iam_request_body"`
	}
	var headers, inner http.Header
	if err := json.Unmarshal([]byte(bearer), &token); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(token.Headers, &headers); err != nil {
		t.Fatal(err)
	}
	toSTS = signedRequest(t, token.Method, string(token.URL), string(token.Body), headers)
	if headers.Get(headerEntityURL) == "" {
		return toSTS, toIAM
	}
	if err := json.Unmarshal([]byte(headers.Get(headerEntityHeaders)), &inner); err != nil {
		t.Fatal(err)
	}
	return toSTS, signedRequest(t, headers.Get(headerEntityMethod), headers.Get(headerEntityURL), headers.Get(headerEntityBody), inner)
}

func TestTheBearerIsSignedForTheTasksAWSPartition(t *testing.T) {
	const identity = "Action=GetCallerIdentity&Version=2011-06-15"
	entity := []string{"x-consul-iam-getentity-body", "x-consul-iam-getentity-headers", "x-consul-iam-getentity-method", "x-consul-iam-getentity-url"}
	for region, hosts := range map[string]struct{ sts, iam, iamRegion string }{
		"us-east-1":      {"https://sts.us-east-1.amazonaws.com/", "https://iam.amazonaws.com/", "us-east-1"},
		"eu-west-1":      {"https://sts.eu-west-1.amazonaws.com/", "https://iam.amazonaws.com/", "us-east-1"},
		"cn-north-1":     {"https://sts.cn-north-1.amazonaws.com.cn/", "https://iam.cn-north-1.amazonaws.com.cn/", "cn-north-1"},
		"cn-northwest-1": {"https://sts.cn-northwest-1.amazonaws.com.cn/", "https://iam.cn-north-1.amazonaws.com.cn/", "cn-north-1"},
		"us-gov-west-1":  {"https://sts.us-gov-west-1.amazonaws.com/", "https://iam.us-gov.amazonaws.com/", "us-gov-west-1"},
		"us-gov-east-1":  {"https://sts.us-gov-east-1.amazonaws.com/", "https://iam.us-gov.amazonaws.com/", "us-gov-west-1"},
	} {
		t.Run(region, func(t *testing.T) {
			asRoleIn(t, region, "task-"+region, "web")
			role := "Action=GetRole&RoleName=task-" + region + "&Version=2010-05-08"
			for name, tc := range map[string]struct {
				login Login
				sts   signed
				iam   signed
			}{
				"without the entity": {Login{Region: region}, signed{"POST", hosts.sts, identity, region, nil}, signed{}},
				"server ID": {
					Login{Region: region, ServerIDHeaderValue: "consul.example"},
					signed{"POST", hosts.sts, identity, region, []string{"x-consul-iam-serverid"}}, signed{},
				},
				"with the entity": { // whose name STS is asked for
					Login{Region: region, IncludeEntity: true, STSEndpoint: stage.AWS.URL + "//"},
					signed{"POST", stage.AWS.URL + "/", identity, region, entity}, signed{"POST", hosts.iam, role, hosts.iamRegion, nil},
				},
				"with AWS's own endpoints": {
					Login{Region: region, IncludeEntity: true, STSEndpoint: stage.AWS.URL, IAMEndpoint: hosts.iam},
					signed{"POST", stage.AWS.URL + "/", identity, region, entity}, signed{"POST", hosts.iam, role, hosts.iamRegion, nil},
				},
				"with everything": {
					Login{Region: region, IncludeEntity: true, STSEndpoint: stage.AWS.URL, IAMEndpoint: "https://iam.example/", ServerIDHeaderValue: "consul.example"},
					signed{"POST", stage.AWS.URL + "/", identity, region, append(entity[:4:4], "x-consul-iam-serverid")},
					signed{"POST", "https://iam.example/", role, region, []string{"x-consul-iam-serverid"}},
				},
			} {
				bearer, err := tc.login.Mint(t.Context(), hclog.NewNullLogger())
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				toSTS, toIAM := unpack(t, bearer)
				if diff := cmp.Diff([]signed{tc.sts, tc.iam}, []signed{toSTS, toIAM}); diff != "" {
					t.Errorf("%s: the requests to STS and IAM (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// operated is a connection with which the controller's work can be done.
func operated(t testing.TB, server *testenv.Consul) *Connection {
	t.Helper()
	return mustConnect(t, reach(server, nil))
}

// reach is how the controller's work can be done at the server; change adjusts it.
func reach(server *testenv.Consul, change func(*Settings)) Settings {
	s := Settings{
		Hosts: server.Address, Token: server.BootstrapToken, HTTPCAPEM: server.CAPEM, GRPCCAPEM: server.CAPEM,
		HTTP: endpointOf(server, server.HTTPPort), GRPC: endpointOf(server, server.GRPCPort),
	}
	if change != nil {
		change(&s)
	}
	return s
}

func TestATaskLogsInInEachAWSPartition(t *testing.T) {
	operator := operated(t, stage.Consul)
	for region, partition := range map[string]string{"eu-west-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov"} {
		t.Run(partition, func(t *testing.T) {
			if role := asRoleIn(t, region, "in-"+partition, "web"); role != "arn:"+partition+":iam::"+account+":role/consul-ecs/in-"+partition {
				t.Fatalf("the role is %s", role)
			}
			method := acl.Method{
				Name: "method-" + partition, BoundPrincipals: []string{"arn:" + partition + ":iam::" + account + ":role/consul-ecs/*"},
				STSEndpoint: stage.AWS.URL, IAMEndpoint: stage.AWS.URL,
			}
			if _, err := operator.EnsureACL(t.Context(), acl.Wanted{Method: method, AnonymousReads: true}); err != nil {
				t.Fatal(err)
			}
			c := mustConnect(t, settings(t, taskOf(t, "t1"), func(s *Settings) {
				s.Login.Method, s.Login.Region = method.Name, region
				s.Login.STSEndpoint, s.Login.IAMEndpoint = stage.AWS.URL, stage.AWS.URL+"/"
			}))
			token, _, err := stage.Consul.API.ACL().TokenReadSelf(&api.QueryOptions{Token: c.Token()})
			if err != nil || len(token.ServiceIdentities) != 1 || token.ServiceIdentities[0].ServiceName != "web" {
				t.Errorf("the token is %+v (%v), want it for the service web", token, err)
			}
		})
	}
}

// logInOnce is one try, where Connect would try again.
func logInOnce(t *testing.T, s Settings) error {
	t.Helper()
	n, err := newSession(s, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return n.logIn(ctx)
}

// TestConsulSendsALoginToItsAWSPartition keeps Consul's server from leaving the machine by a proxy that is not there: then a
// login that it takes ends there, and one that it does not take ends before.
func TestConsulSendsALoginToItsAWSPartition(t *testing.T) {
	asRole(t, mesh.RolePath, "web")
	t.Setenv("AWS_ENDPOINT_URL", "")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	server := testenv.ConsulDuring(t, testenv.ConsulConfig{})
	for region, refused := range map[string]bool{"us-east-1": false, "us-gov-west-1": false, "cn-north-1": true, "cn-northwest-1": true} {
		fallback, err := ReplayOf(t.Context(), region)
		if err != nil || (fallback != acl.Replay{}) != refused {
			t.Errorf("%s: fallback %+v (%v)", region, fallback, err)
		}
		for name, tc := range map[string]struct {
			method  acl.Replay
			entity  bool   // is asked for, of an STS within reach
			refusal string // by which a login that is refused ends
		}{
			"STS":               {acl.Replay{}, false, `invalid STS hostname: "sts.` + region},
			"IAM":               {acl.Replay{STSEndpoint: stage.AWS.URL}, true, `invalid IAM hostname: "iam.`},
			"STS with fallback": {fallback, false, ""},
			"IAM with fallback": {acl.Replay{STSEndpoint: stage.AWS.URL, IAMEndpoint: fallback.IAMEndpoint}, true, ""},
		} {
			t.Run(region+"/"+name, func(t *testing.T) {
				login := Login{Method: strings.ReplaceAll(region+"-"+name, " ", "-"), Region: region, IncludeEntity: tc.entity}
				if tc.entity {
					login.STSEndpoint = stage.AWS.URL
				}
				config := map[string]any{
					"BoundIAMPrincipalARNs": []string{"arn:aws:iam::1:role/x"}, "EnableIAMEntityDetails": tc.entity,
					"STSEndpoint": tc.method.STSEndpoint, "IAMEndpoint": tc.method.IAMEndpoint,
				}
				method := api.ACLAuthMethod{Name: login.Method, Type: "aws-iam", Config: config}
				if _, _, err := server.API.ACL().AuthMethodCreate(&method, nil); err != nil {
					t.Fatal(err)
				}
				err := logInOnce(t, Settings{
					Hosts: server.Address, GRPCCAPEM: server.CAPEM, GRPC: endpointOf(server, server.GRPCPort), Login: &login,
				})
				want := "error making request"
				if refused && tc.refusal != "" {
					want = tc.refusal
				}
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			})
		}
	}
}

func TestEveryFieldOfALoginReachesConsul(t *testing.T) {
	arn := asRoleIn(t, "us-east-1", "fields", "web")
	plain := strings.Replace(arn, mesh.RolePath, "/", 1) // without the entity a role has no path
	makeMethod(t, "server-id", map[string]any{
		"BoundIAMPrincipalARNs": []string{arn}, "EnableIAMEntityDetails": true, "IAMEntityTags": []string{mesh.RoleTagServiceName}, "ServerIDHeaderValue": "consul.example",
	})
	makeMethod(t, "no-entity", map[string]any{"BoundIAMPrincipalARNs": []string{plain}})
	for name, tc := range map[string]struct {
		change func(*Login)
		want   string // of the error; "" for a token
	}{
		"server ID":       {func(l *Login) { l.Method, l.ServerIDHeaderValue = "server-id", "consul.example" }, ""},
		"no server ID":    {func(l *Login) { l.Method = "server-id" }, `missing header "X-Consul-IAM-ServerID"`},
		"wrong server ID": {func(l *Login) { l.Method, l.ServerIDHeaderValue = "server-id", "other" }, `expected "consul.example" but got "other"`},
		"no entity":       {func(l *Login) { l.Method, l.IncludeEntity = "no-entity", false }, ""},
		"entity unasked":  {func(l *Login) { l.Method = "no-entity" }, ""},
		"datacenter":      {func(l *Login) { l.Method, l.IncludeEntity, l.Datacenter = "no-entity", false, "dc1" }, ""},
		"no datacenter":   {func(l *Login) { l.Method, l.IncludeEntity, l.Datacenter = "no-entity", false, "dc9" }, "hint: the servers know no server of the datacenter that the login is for: see consulLogin.datacenter"},
		"meta":            {func(l *Login) { l.Method, l.IncludeEntity, l.Meta["team"] = "no-entity", false, "a" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings(t, taskOf(t, "t1"), func(s *Settings) {
				s.Login.STSEndpoint, s.Login.IAMEndpoint = stage.AWS.URL, stage.AWS.URL
				tc.change(s.Login)
			})
			if tc.want != "" {
				if err := logInOnce(t, s); err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want %q", err, tc.want)
				}
				return
			}
			c := mustConnect(t, s)
			token, _, err := stage.Consul.API.ACL().TokenReadSelf(&api.QueryOptions{Token: c.Token()})
			meta, _ := json.Marshal(s.Login.Meta)
			if err != nil || token.AuthMethod != s.Login.Method || token.Description != loginDescription+string(meta) {
				t.Errorf("the token is %+v (%v), want it of method %s with %s", token, err, s.Login.Method, meta)
			}
		})
	}
}

// makeMethod makes an auth method that asks the stage's AWS, whose logins get the service identity of web.
func makeMethod(t *testing.T, name string, config map[string]any) {
	t.Helper()
	config["STSEndpoint"], config["IAMEndpoint"] = stage.AWS.URL, stage.AWS.URL
	if _, _, err := stage.Consul.API.ACL().AuthMethodCreate(&api.ACLAuthMethod{Name: name, Type: "aws-iam", Config: config}, nil); err != nil {
		t.Fatal(err)
	}
	rule := &api.ACLBindingRule{AuthMethod: name, BindType: api.BindingRuleBindTypeService, BindName: "web"}
	if _, _, err := stage.Consul.API.ACL().BindingRuleCreate(rule, nil); err != nil {
		t.Fatal(err)
	}
}
