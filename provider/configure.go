package provider

import (
	"context"
	"fmt"
	"maps"
	"os"
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
	Endpoints        *endpointsModel         `tfsdk:"endpoints"`
	MaxRetries       *int32                  `tfsdk:"max_retries"`
	RetryMode        *string                 `tfsdk:"retry_mode"`
	DefaultTags      *defaultTagsModel       `tfsdk:"default_tags"`
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

// ValidateConfig implements provider.ProviderWithValidateConfig.
func (p *consulECS) ValidateConfig(ctx context.Context, req provider.ValidateConfigRequest, resp *provider.ValidateConfigResponse) {
	row.RefuseNumbers(ctx, req.Config, &resp.Diagnostics)
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
	resp.ResourceData, resp.ListResourceData, resp.DataSourceData, resp.EphemeralResourceData = client, client, client, client
}

// refuseUnknown reports the settings that decide which AWS is meant: no plan can be made without them.
func refuseUnknown(unknown []problem.Path, diags *diag.Diagnostics) {
	for _, place := range unknown {
		switch name := place[0].(string); name {
		case "region", "profile", "assume_role", "endpoints":
			diags.AddAttributeError(path.Root(name), "Provider setting not known",
				fmt.Sprintf("%s depends on a resource that does not exist yet. Apply that resource first, for instance with -target, or set %s to a value that is known.", place, place))
		}
	}
}

func (m providerModel) aws(version string) awsapi.Config {
	c := awsapi.Config{
		Region: row.Value(m.Region), Profile: row.Value(m.Profile), Endpoints: m.Endpoints.set(),
		UserAgent: "terraform-provider-consulecs/" + version,
		Retries:   &awsapi.Retries{MaxAttempts: int(row.Value(m.MaxRetries)), Mode: aws.RetryMode(row.Value(m.RetryMode))},
	}
	if r := m.AssumeRole; r != nil {
		lifetime, _ := time.ParseDuration(row.Value(r.Duration)) // the schema admits durations only
		c.AssumeRole = &awsapi.AssumeRole{RoleARN: row.Value(r.RoleARN), SessionName: row.Value(r.SessionName), ExternalID: row.Value(r.ExternalID), Duration: lifetime}
	}
	return c
}

func (m providerModel) defaults(version string, unknown []problem.Path) block.Defaults {
	d := block.Defaults{
		Servers: m.ConsulServers, Login: m.Login, Image: row.Value(m.AgentImage), RolePath: row.Value(m.IAMRolePath),
		LogConfiguration: m.LogConfiguration, Unknown: unknown,
		Module: block.Module(version),
	}
	if d.Consul = m.Consul; d.Consul == nil && os.Getenv("CONSUL_HTTP_ADDR") != "" {
		d.Consul = &block.ConsulAPI{}
	}
	if m.DefaultTags != nil {
		d.Tags = m.DefaultTags.Tags
	}
	return d
}
