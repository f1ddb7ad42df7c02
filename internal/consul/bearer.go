package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	iamauth "github.com/hashicorp/consul-awsauth"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
)

// Headers that Consul's aws-iam auth method looks for in the signed STS request.
const (
	headerServerID      = "X-Consul-IAM-ServerID"
	headerEntityMethod  = "X-Consul-IAM-GetEntity-Method"
	headerEntityURL     = "X-Consul-IAM-GetEntity-URL"
	headerEntityHeaders = "X-Consul-IAM-GetEntity-Headers"
	headerEntityBody    = "X-Consul-IAM-GetEntity-Body"
)

// Mint makes a bearer token: an STS request signed with the task role's credentials, which Consul's server sends in our
// place. AWS honours the signature for minutes only, so each login needs its own. Where a file holds the bearer token, it is
// what the file holds now.
func (l Login) Mint(ctx context.Context, log hclog.Logger) (string, error) {
	if l.BearerFile != "" {
		bearer, err := os.ReadFile(l.BearerFile)
		return strings.TrimSpace(string(bearer)), err
	}
	cfg, err := l.aws(ctx)
	if err != nil {
		return "", err
	}
	iamEndpoint, err := l.iamEndpoint(ctx, cfg)
	if err != nil {
		return "", err
	}
	in := &iamauth.LoginInput{
		Creds:                  cfg.Credentials,
		IncludeIAMEntity:       l.IncludeEntity,
		STSEndpoint:            endpoint(awsapi.STS(cfg).Options().BaseEndpoint),
		IAMEndpoint:            iamEndpoint,
		STSRegion:              l.Region,
		Logger:                 log,
		ServerIDHeaderValue:    l.ServerIDHeaderValue,
		ServerIDHeaderName:     headerServerID,
		GetEntityMethodHeader:  headerEntityMethod,
		GetEntityURLHeader:     headerEntityURL,
		GetEntityHeadersHeader: headerEntityHeaders,
		GetEntityBodyHeader:    headerEntityBody,
	}
	type result struct {
		data map[string]any
		err  error
	}
	minted := make(chan result, 1)
	go func() { // the library takes no context, and it calls STS for the role's name
		data, err := iamauth.GenerateLoginData(in)
		minted <- result{data, err}
	}()
	select {
	case <-ctx.Done():
		return "", explainAWS(context.Cause(ctx))
	case r := <-minted:
		if r.err != nil {
			return "", explainAWS(r.err)
		}
		bearer, err := json.Marshal(r.data)
		return string(bearer), err
	}
}

// aws is the configuration of AWS clients that act as the task role, at the endpoints of the login: those given, else
// those of the SDK's own settings (AWS_ENDPOINT_URL and its kin), else the AWS partition's.
func (l Login) aws(ctx context.Context) (aws.Config, error) {
	cfg, err := awsapi.Load(ctx, awsapi.Config{Region: l.Region, Endpoints: map[string]string{
		awsapi.ServiceSTS: l.STSEndpoint, awsapi.ServiceIAM: l.IAMEndpoint,
	}})
	if l.Credentials != nil {
		cfg.Credentials = l.Credentials
	}
	return cfg, err
}

// iamEndpoint is the one of the login, "" where it is AWS's own: IAM wants its requests signed for one region of each AWS
// partition, which the SDK knows for its own endpoint alone. At any other it signs for the region of the login.
func (l Login) iamEndpoint(ctx context.Context, cfg aws.Config) (string, error) {
	given := endpoint(awsapi.IAM(cfg).Options().BaseEndpoint)
	if given == "" {
		return "", nil
	}
	_, own, err := awsapi.LoginEndpoints(ctx, l.Region)
	if given == endpoint(&own) {
		given = ""
	}
	return given, err
}

// Role asks STS which IAM role logs in.
func (l Login) Role(ctx context.Context) (acl.IAMRole, error) {
	cfg, err := l.aws(ctx)
	if err != nil {
		return acl.IAMRole{}, err
	}
	self, err := awsapi.STS(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return acl.IAMRole{}, fmt.Errorf("ask STS which role logs in: %w", err)
	}
	return acl.RoleOf(aws.ToString(self.Arn))
}

// untagged looks at the task role of a login that Consul refused without a reason. It returns a Refusal that names the role
// if the role lacks the tag from which its service identity is made; any other error means that nobody knows.
func untagged(ctx context.Context, login Login) error {
	cfg, err := login.aws(ctx)
	if err != nil {
		return err
	}
	id, err := login.Role(ctx)
	if err != nil {
		return err
	}
	role, err := awsapi.IAM(cfg).GetRole(ctx, &iam.GetRoleInput{RoleName: &id.Name})
	if err != nil {
		return err
	}
	for _, tag := range role.Role.Tags {
		if aws.ToString(tag.Key) == mesh.RoleTagServiceName && aws.ToString(tag.Value) != "" {
			return nil
		}
	}
	return &Refusal{
		Err: fmt.Errorf("role %s has no tag %s", aws.ToString(role.Role.Arn), mesh.RoleTagServiceName), Tries: 1,
		Hint: "give the task role the tag " + mesh.RoleTagServiceName + " with the name of the service",
	}
}

// endpoint is without the slashes at its end: the signed path must be the one that Consul's server asks for. "" leaves
// the choice to the SDK, which knows each AWS partition's.
func endpoint(base *string) string { return strings.TrimRight(aws.ToString(base), "/") }

// explainAWS ends the tries where AWS itself says that the credentials are no good.
func explainAWS(err error) error {
	var answer smithy.APIError
	if errors.As(err, &answer) && answer.ErrorFault() == smithy.FaultClient && !strings.Contains(answer.ErrorCode(), "Throttl") {
		return &Refusal{Err: err, Tries: 1, Hint: "AWS refuses the task role's credentials: see the role and its trust in ecs-tasks.amazonaws.com"}
	}
	return &Refusal{Err: fmt.Errorf("ask AWS who the task role is: %w", err), Hint: "the task needs a task role, and a way to STS"}
}
