package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	iamauth "github.com/hashicorp/consul-awsauth"
	"github.com/hashicorp/go-hclog"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
)

// Headers that Consul's aws-iam auth method looks for in the signed STS request.
const (
	headerServerID      = "X-Consul-IAM-ServerID"
	headerEntityMethod  = "X-Consul-IAM-GetEntity-Method"
	headerEntityURL     = "X-Consul-IAM-GetEntity-URL"
	headerEntityHeaders = "X-Consul-IAM-GetEntity-Headers"
	headerEntityBody    = "X-Consul-IAM-GetEntity-Body"
)

// mint makes a bearer token: an STS request signed with the task role's credentials, which Consul's server sends in our
// place. AWS honours the signature for minutes only, so each login needs its own.
func mint(ctx context.Context, login Login, log hclog.Logger) (string, error) {
	cfg, err := awsapi.Load(ctx, awsapi.Config{Region: login.Region})
	if err != nil {
		return "", err
	}
	in := &iamauth.LoginInput{
		Creds:                  cfg.Credentials,
		IncludeIAMEntity:       login.IncludeEntity,
		STSEndpoint:            endpoint(login.STSEndpoint, awsapi.STS(cfg).Options().BaseEndpoint),
		IAMEndpoint:            endpoint(login.IAMEndpoint, awsapi.IAM(cfg).Options().BaseEndpoint),
		STSRegion:              login.Region,
		Logger:                 log,
		ServerIDHeaderValue:    login.ServerIDHeaderValue,
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
		return "", context.Cause(ctx)
	case r := <-minted:
		if r.err != nil {
			return "", explainAWS(r.err)
		}
		bearer, err := json.Marshal(r.data)
		return string(bearer), err
	}
}

// endpoint is the configured one, else the one of the SDK's own settings (AWS_ENDPOINT_URL and its kin), without the
// slashes at the end: the signed path must be the one that Consul's server asks for. "" leaves the choice to the SDK,
// which knows each AWS partition's.
func endpoint(configured string, sdk *string) string {
	if configured == "" {
		configured = aws.ToString(sdk)
	}
	return strings.TrimRight(configured, "/")
}

// explainAWS ends the tries where AWS itself says that the credentials are no good.
func explainAWS(err error) error {
	var answer smithy.APIError
	if errors.As(err, &answer) && answer.ErrorFault() == smithy.FaultClient && !strings.Contains(answer.ErrorCode(), "Throttl") {
		return &Refusal{Err: err, Tries: 1, Hint: "AWS refuses the task role's credentials: see the role and its trust in ecs-tasks.amazonaws.com"}
	}
	return &Refusal{Err: fmt.Errorf("ask AWS who the task role is: %w", err), Hint: "the task needs a task role, and a way to STS"}
}
