package provider

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

type providerModel struct {
	Region           *string                 `tfsdk:"region"`
	Profile          *string                 `tfsdk:"profile"`
	AssumeRole       *assumeRoleModel        `tfsdk:"assume_role"`
	WebIdentity      *webIdentityModel       `tfsdk:"assume_role_with_web_identity"`
	ConfigFiles      []string                `tfsdk:"shared_config_files"`
	CredentialsFiles []string                `tfsdk:"shared_credentials_files"`
	FIPS             *bool                   `tfsdk:"use_fips_endpoint"`
	DualStack        *bool                   `tfsdk:"use_dualstack_endpoint"`
	Allowed          []string                `tfsdk:"allowed_account_ids"`
	Forbidden        []string                `tfsdk:"forbidden_account_ids"`
	Endpoints        *endpointsModel         `tfsdk:"endpoints"`
	MaxRetries       *int32                  `tfsdk:"max_retries"`
	RetryMode        *string                 `tfsdk:"retry_mode"`
	DefaultTags      *defaultTagsModel       `tfsdk:"default_tags"`
	IgnoreTags       *ignoreTagsModel        `tfsdk:"ignore_tags"`
	ConsulServers    *block.ConsulServers    `tfsdk:"consul_servers"`
	Login            *block.Login            `tfsdk:"login"`
	AgentImage       *string                 `tfsdk:"agent_image"`
	IAMRolePath      *string                 `tfsdk:"iam_role_path"`
	LogConfiguration *block.LogConfiguration `tfsdk:"log_configuration"`
	Consul           *block.ConsulAPI        `tfsdk:"consul"`
}

type assumeRoleModel struct {
	RoleARN     *string `tfsdk:"role_arn"`
	SessionName *string `tfsdk:"session_name"`
	ExternalID  *string `tfsdk:"external_id"`
	Duration    *string `tfsdk:"duration"`
}

type webIdentityModel struct {
	RoleARN     *string `tfsdk:"role_arn"`
	SessionName *string `tfsdk:"session_name"`
	Token       *string `tfsdk:"web_identity_token"`
	TokenFile   *string `tfsdk:"web_identity_token_file"`
	Duration    *string `tfsdk:"duration"`
}

// endpointsModel has a field for each of awsapi.Services.
type endpointsModel struct {
	ECS            *string `tfsdk:"ecs"`
	Events         *string `tfsdk:"events"`
	IAM            *string `tfsdk:"iam"`
	SecretsManager *string `tfsdk:"secretsmanager"`
	SQS            *string `tfsdk:"sqs"`
	STS            *string `tfsdk:"sts"`
}

func (m *endpointsModel) set() map[string]string {
	if m == nil {
		return nil
	}
	all := map[string]string{
		awsapi.ServiceECS: row.Value(m.ECS), awsapi.ServiceEvents: row.Value(m.Events), awsapi.ServiceIAM: row.Value(m.IAM),
		awsapi.ServiceSecretsManager: row.Value(m.SecretsManager), awsapi.ServiceSQS: row.Value(m.SQS), awsapi.ServiceSTS: row.Value(m.STS),
	}
	maps.DeleteFunc(all, func(_, url string) bool { return url == "" })
	return all
}

type defaultTagsModel struct {
	Tags map[string]string `tfsdk:"tags"`
}

type ignoreTagsModel struct {
	Keys        []string `tfsdk:"keys"`
	KeyPrefixes []string `tfsdk:"key_prefixes"`
}

// ValidateConfig implements provider.ProviderWithValidateConfig.
func (p *consulECS) ValidateConfig(ctx context.Context, req provider.ValidateConfigRequest, resp *provider.ValidateConfigResponse) {
	var m providerModel
	if unknown, ok := row.Decode(ctx, req.Config, &m, &resp.Diagnostics); ok {
		for _, found := range m.problems().Without(unknown...) {
			at := path.Root(found.Path[0].(string))
			resp.Diagnostics.AddAttributeError(at, "Invalid "+found.Path.String(), found.Path.String()+" "+found.Message()+".")
		}
	}
}

// Configure implements provider.Provider. Credentials come from the AWS SDK's own chain alone.
func (p *consulECS) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	raw, unknown, err := row.Known(req.Config.Raw)
	if err != nil {
		resp.Diagnostics.AddError("Unreadable provider configuration", err.Error())
		return
	}
	var m providerModel
	resp.Diagnostics.Append((&tfsdk.Config{Raw: raw, Schema: req.Config.Schema}).Get(ctx, &m)...)
	refuseUnknown(unknown, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	cfg, err := awsapi.Load(ctx, m.aws(p.version))
	if err != nil {
		at := path.Root("region")
		if m.Profile != nil {
			at = path.Root("profile")
		}
		resp.Diagnostics.AddAttributeError(at, "AWS configuration not usable", err.Error())
		return
	}
	client := deploy.NewClient(cfg, m.defaults(p.version, unknown))
	client.Accounts = deploy.Accounts{Allowed: m.Allowed, Forbidden: m.Forbidden}
	resp.ResourceData, resp.ListResourceData, resp.DataSourceData, resp.EphemeralResourceData = client, client, client, client
	resp.ActionData = client
	p.client.Store(client)
}

// neededAtOnce are the settings that decide which AWS is meant, as whom it is spoken to, and what of it is looked at.
var neededAtOnce = []string{
	"region", "profile", "assume_role", "assume_role_with_web_identity", "endpoints", "shared_config_files", "shared_credentials_files",
	"use_fips_endpoint", "use_dualstack_endpoint", "allowed_account_ids", "forbidden_account_ids", "ignore_tags",
}

// refuseUnknown reports the settings without which no plan can be made.
func refuseUnknown(unknown []problem.Path, diags *diag.Diagnostics) {
	for _, place := range unknown {
		if name := place[0].(string); slices.Contains(neededAtOnce, name) {
			diags.AddAttributeError(path.Root(name), "Provider setting not known",
				fmt.Sprintf("%s depends on a resource that does not exist yet. Apply that resource first, for instance with -target, or set %s to a value that is known.", place, place))
		}
	}
}

func (m providerModel) aws(version string) awsapi.Config {
	c := awsapi.Config{
		Region: row.Value(m.Region), Profile: row.Value(m.Profile), Endpoints: m.Endpoints.set(),
		UserAgent:         "terraform-provider-consulecs/" + version,
		SharedConfigFiles: m.ConfigFiles, SharedCredentialsFiles: m.CredentialsFiles, FIPS: m.FIPS, DualStack: m.DualStack,
		Retries: &awsapi.Retries{MaxAttempts: int(row.Value(m.MaxRetries)), Mode: aws.RetryMode(row.Value(m.RetryMode))},
	}
	if r := m.WebIdentity; r != nil {
		lifetime, _ := time.ParseDuration(row.Value(r.Duration))
		c.WebIdentity = &awsapi.WebIdentity{RoleARN: row.Value(r.RoleARN), SessionName: row.Value(r.SessionName), Token: row.Value(r.Token), TokenFile: row.Value(r.TokenFile), Duration: lifetime}
	}
	if r := m.AssumeRole; r != nil {
		lifetime, _ := time.ParseDuration(row.Value(r.Duration)) // the schema admits durations only
		c.AssumeRole = &awsapi.AssumeRole{RoleARN: row.Value(r.RoleARN), SessionName: row.Value(r.SessionName), ExternalID: row.Value(r.ExternalID), Duration: lifetime}
	}
	return c
}

func (m providerModel) defaults(version string, unknown []problem.Path) block.Defaults {
	d := block.Defaults{
		Servers: m.ConsulServers, Login: m.Login, Image: cmp.Or(row.Value(m.AgentImage), releasedImage(version)), RolePath: row.Value(m.IAMRolePath),
		LogConfiguration: m.LogConfiguration, Unknown: unknown,
		Module: block.Module(version),
	}
	if d.Consul = m.Consul; d.Consul == nil && os.Getenv("CONSUL_HTTP_ADDR") != "" {
		d.Consul = &block.ConsulAPI{}
	}
	if m.DefaultTags != nil {
		d.Tags = m.DefaultTags.Tags
	}
	if m.IgnoreTags != nil {
		d.IgnoredTags = block.IgnoredTags{Keys: m.IgnoreTags.Keys, Prefixes: m.IgnoreTags.KeyPrefixes}
	}
	return d
}

// release matches the version of a release, which alone has an image of the agents.
var release = regexp.MustCompile(`^\d+\.\d+\.\d+(-(alpha|beta|rc)[\d.]*)?$`)

// releasedImage is the agents' image that was released together with the provider: "" for a development build, which has none.
func releasedImage(version string) string {
	if !release.MatchString(version) {
		return ""
	}
	return "ghcr.io/consulecs/consulecs-agent:" + version
}
