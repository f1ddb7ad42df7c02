// Package awsapi builds the AWS clients of the provider and the agents, and tells AWS's errors apart. Credentials,
// endpoints and retries follow the AWS SDK's own environment and shared files wherever Config says nothing.
package awsapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	smithymiddleware "github.com/aws/smithy-go/middleware"
)

// Names of the services in Config.Endpoints.
const (
	ServiceECS            = "ecs"
	ServiceEvents         = "events"
	ServiceIAM            = "iam"
	ServiceSecretsManager = "secretsmanager"
	ServiceSQS            = "sqs"
	ServiceSTS            = "sts"
)

// Services lists the keys that Config.Endpoints may have.
func Services() []string {
	return []string{ServiceECS, ServiceEvents, ServiceIAM, ServiceSecretsManager, ServiceSQS, ServiceSTS}
}

// Config says what the caller wants to be other than the SDK's default. Empty fields leave the default.
type Config struct {
	Region    string
	Profile   string
	Endpoints map[string]string // service (see Services) to URL; beats the SDK's own settings
	// Nil: AWS_CONFIG_FILE, else the SDK's default; so it is with the credentials.
	SharedConfigFiles, SharedCredentialsFiles []string
	// Whether to use AWS's own endpoints of that kind; nil: as the environment or the profile has it.
	FIPS, DualStack *bool
	WebIdentity     *WebIdentity // nil: credentials are looked for where the SDK looks
	AssumeRole      *AssumeRole  // nil: the found credentials are used as they are
	UserAgent       string       // "product/version", added to the SDK's own
	Retries         *Retries     // nil: as the SDK does by itself
	Count           Counter      // hears of each request; nil: nobody does
}

// AssumeRole is a role to take on with the credentials that were found.
type AssumeRole struct {
	RoleARN     string
	SessionName string        // "" means one that the SDK makes up
	ExternalID  string        // "" means none
	Duration    time.Duration // 0 means the SDK's 15 minutes
}

// WebIdentity is a role to take on with a token of an identity provider, instead of AWS credentials.
type WebIdentity struct {
	RoleARN     string
	SessionName string // "" means one that the SDK makes up
	Token       string // or TokenFile, which is read anew for each session
	TokenFile   string
	Duration    time.Duration // 0 means STS's hour
}

// Load finds credentials, region and endpoints. It calls AWS only where the shared configuration makes it (SSO, for one):
// roles are assumed when first needed.
func Load(ctx context.Context, c Config) (aws.Config, error) {
	if err := checkEndpoints(c.Endpoints); err != nil {
		return aws.Config{}, err
	}
	var options []func(*config.LoadOptions) error
	if c.Region != "" {
		options = append(options, config.WithRegion(c.Region))
	}
	if c.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(c.Profile))
	}
	if c.SharedConfigFiles != nil {
		options = append(options, config.WithSharedConfigFiles(c.SharedConfigFiles))
	}
	if c.SharedCredentialsFiles != nil {
		options = append(options, config.WithSharedCredentialsFiles(c.SharedCredentialsFiles))
	}
	options = append(options, c.endpointKinds()...)
	if c.UserAgent != "" {
		options = append(options, config.WithAPIOptions([]func(*smithymiddleware.Stack) error{userAgent(c.UserAgent)}))
	}
	if c.Retries != nil { // a call that nobody answers could not be repeated otherwise
		options = append(options, config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(answerLimit)))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("load AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return aws.Config{}, errors.New("load AWS configuration: no region\nhint: set AWS_REGION, or the region of the profile")
	}
	cfg.ConfigSources = append(cfg.ConfigSources, endpoints(c.Endpoints))
	cfg.APIOptions = append(cfg.APIOptions, addHint)
	if c.Retries != nil {
		c.Retries.apply(&cfg)
	}
	if c.Count != nil {
		cfg.APIOptions = append(cfg.APIOptions, count(c.Count))
	}
	if c.WebIdentity != nil {
		cfg.Credentials = aws.NewCredentialsCache(identify(cfg, *c.WebIdentity))
	}
	if c.AssumeRole != nil {
		cfg.Credentials = aws.NewCredentialsCache(assume(cfg, *c.AssumeRole))
	}
	return cfg, nil
}

// ECS is a client of the Elastic Container Service.
func ECS(cfg aws.Config) *ecs.Client {
	return ecs.NewFromConfig(cfg, func(o *ecs.Options) { o.BaseEndpoint = endpoint(cfg, ServiceECS, o.BaseEndpoint) })
}

// IAM is a client of Identity and Access Management.
func IAM(cfg aws.Config) *iam.Client {
	return iam.NewFromConfig(cfg, func(o *iam.Options) { o.BaseEndpoint = endpoint(cfg, ServiceIAM, o.BaseEndpoint) })
}

// SecretsManager is a client of Secrets Manager.
func SecretsManager(cfg aws.Config) *secretsmanager.Client {
	return secretsmanager.NewFromConfig(cfg, func(o *secretsmanager.Options) {
		o.BaseEndpoint = endpoint(cfg, ServiceSecretsManager, o.BaseEndpoint)
	})
}

// SQS is a client of the Simple Queue Service.
func SQS(cfg aws.Config) *sqs.Client {
	return sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.BaseEndpoint = endpoint(cfg, ServiceSQS, o.BaseEndpoint) })
}

// EventBridge is a client of EventBridge.
func EventBridge(cfg aws.Config) *eventbridge.Client {
	return eventbridge.NewFromConfig(cfg, func(o *eventbridge.Options) { o.BaseEndpoint = endpoint(cfg, ServiceEvents, o.BaseEndpoint) })
}

// QueueURL is the URL of a queue of SQS, by which its calls name it: known before the queue is made.
func QueueURL(region, account, name string) (string, error) {
	e, err := sqs.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), sqs.EndpointParameters{Region: &region}.WithDefaults()) // asks nobody
	if err != nil {
		return "", fmt.Errorf("find the endpoint of SQS in %s: %w", region, err)
	}
	return e.URI.JoinPath(account, name).String(), nil
}

// STS is a client of the Security Token Service.
func STS(cfg aws.Config) *sts.Client {
	return sts.NewFromConfig(cfg, func(o *sts.Options) { o.BaseEndpoint = endpoint(cfg, ServiceSTS, o.BaseEndpoint) })
}

// LoginEndpoints are the public endpoints of STS in the region and of IAM in the region's AWS partition, as the SDK's clients
// choose them.
func LoginEndpoints(ctx context.Context, region string) (stsURL, iamURL string, err error) {
	s, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, sts.EndpointParameters{Region: &region}.WithDefaults())
	if err != nil {
		return "", "", fmt.Errorf("find the endpoint of STS in %s: %w", region, err)
	}
	i, err := iam.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, iam.EndpointParameters{Region: &region}.WithDefaults())
	if err != nil {
		return "", "", fmt.Errorf("find the endpoint of IAM for %s: %w", region, err)
	}
	return s.URI.String(), i.URI.String(), nil
}

func assume(cfg aws.Config, role AssumeRole) *stscreds.AssumeRoleProvider {
	return stscreds.NewAssumeRoleProvider(STS(cfg), role.RoleARN, func(o *stscreds.AssumeRoleOptions) {
		if role.SessionName != "" {
			o.RoleSessionName = role.SessionName
		}
		if role.ExternalID != "" {
			o.ExternalID = &role.ExternalID
		}
		o.Duration = role.Duration
	})
}

// endpointKinds are the options for FIPS and dual-stack endpoints, as far as the caller says anything of them.
func (c Config) endpointKinds() (options []func(*config.LoadOptions) error) {
	if c.FIPS != nil {
		state := aws.FIPSEndpointStateDisabled
		if *c.FIPS {
			state = aws.FIPSEndpointStateEnabled
		}
		options = append(options, config.WithUseFIPSEndpoint(state))
	}
	if c.DualStack != nil {
		state := aws.DualStackEndpointStateDisabled
		if *c.DualStack {
			state = aws.DualStackEndpointStateEnabled
		}
		options = append(options, config.WithUseDualStackEndpoint(state))
	}
	return options
}

func identify(cfg aws.Config, identity WebIdentity) *stscreds.WebIdentityRoleProvider {
	var token stscreds.IdentityTokenRetriever = givenToken(identity.Token)
	if identity.TokenFile != "" {
		token = stscreds.IdentityTokenFile(identity.TokenFile)
	}
	return stscreds.NewWebIdentityRoleProvider(STS(cfg), identity.RoleARN, token, func(o *stscreds.WebIdentityRoleOptions) {
		o.RoleSessionName, o.Duration = identity.SessionName, identity.Duration
	})
}

// givenToken is a token that does not change.
type givenToken string

// GetIdentityToken implements stscreds.IdentityTokenRetriever.
func (t givenToken) GetIdentityToken() ([]byte, error) { return []byte(t), nil }

// endpoints travels in aws.Config.ConfigSources, so that a client needs nothing but the aws.Config.
type endpoints map[string]string

func endpoint(cfg aws.Config, service string, otherwise *string) *string {
	for _, source := range cfg.ConfigSources {
		if e, ok := source.(endpoints); ok && e[service] != "" {
			return aws.String(e[service])
		}
	}
	return otherwise
}

// EndpointOf is the URL of a service that the Config of an aws.Config said; "" if it said none.
func EndpointOf(cfg aws.Config, service string) string {
	return aws.ToString(endpoint(cfg, service, nil))
}

func checkEndpoints(e endpoints) error {
	for _, service := range slices.Sorted(maps.Keys(e)) {
		if !slices.Contains(Services(), service) {
			return fmt.Errorf("endpoint of %q: want one of %s", service, strings.Join(Services(), ", "))
		}
	}
	return nil
}

func userAgent(product string) func(*smithymiddleware.Stack) error {
	name, version, found := strings.Cut(product, "/")
	if !found {
		return awsmiddleware.AddUserAgentKey(name)
	}
	return awsmiddleware.AddUserAgentKeyValue(name, version)
}
