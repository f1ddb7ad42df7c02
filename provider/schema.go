package provider

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	resourceschema "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Schema implements provider.Provider.
func (p *consulECS) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	attributes, blocks := providerRows(providerFields())
	resp.Schema = schema.Schema{
		MarkdownDescription: "Consul service mesh on Amazon ECS: tasks in the mesh and the controller of an ECS cluster.",
		Attributes:          attributes, Blocks: blocks,
	}
}

func providerFields() row.Fields {
	return row.Fields{
		"region":  row.Text("AWS region. Default: `AWS_REGION`, else the profile's."),
		"profile": row.Text("Profile of the shared AWS configuration. Default: `AWS_PROFILE`."),
		"assume_role": row.Object("A role to take on with the credentials that were found.", row.Fields{
			"role_arn":     row.RequiredText("ARN of the role."),
			"session_name": row.Text("Name of the session. Default: one that the SDK makes up."),
			"external_id":  row.Text("External ID that the role's trust policy asks for."),
			"duration":     row.Text("How long the credentials last, as a duration. Default `15m`.", row.Duration{}),
		}),
		"assume_role_with_web_identity": row.Object("A role to take on with a token of an identity provider, as CI has one, instead of AWS credentials. `assume_role` may follow.", row.Fields{
			"role_arn":                row.RequiredText("ARN of the role.", row.RoleARN()),
			"session_name":            row.Text("Name of the session. Default: one that the SDK makes up."),
			"web_identity_token":      row.HiddenText("The token. This or `web_identity_token_file` has to be set.", stringvalidator.LengthAtLeast(1)),
			"web_identity_token_file": row.Text("Path of a file with the token, which is read anew for each session.", stringvalidator.LengthAtLeast(1)),
			"duration":                row.Text("How long the credentials last, as a duration. Default `1h`.", row.Duration{}),
		}),
		"shared_config_files":      row.Texts("Paths of the shared AWS configuration files. Default: `AWS_CONFIG_FILE`, else `~/.aws/config`."),
		"shared_credentials_files": row.Texts("Paths of the shared AWS credentials files. Default: `AWS_SHARED_CREDENTIALS_FILE`, else `~/.aws/credentials`."),
		"use_fips_endpoint":        row.Flag("AWS's endpoints with FIPS 140 cryptography; where a service has none in the Region, calls fail. Default: `AWS_USE_FIPS_ENDPOINT`, else the profile's."),
		"use_dualstack_endpoint":   row.Flag("AWS's endpoints that IPv6 reaches, too. Default: `AWS_USE_DUALSTACK_ENDPOINT`, else the profile's."),
		"allowed_account_ids":      row.TextSet("IDs of the AWS accounts that the provider may work in: with credentials of another, nothing is read or changed. Default: any.", accountIDs()),
		"forbidden_account_ids":    row.TextSet("IDs of the AWS accounts that it may not work in.", accountIDs(), setvalidator.ConflictsWith(path.MatchRoot("allowed_account_ids"))),
		"endpoints":                row.Object("URLs of AWS services. Default: `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_ENDPOINT_URL`, else AWS's own.", endpointFields()),
		"max_retries":              row.Number("How often a call to AWS is tried in all before it fails. Default: `AWS_MAX_ATTEMPTS`, else the profile's, else 25.", row.AtLeast(1)),
		"retry_mode":               row.Text("`adaptive`, which slows down while AWS throttles, or `standard`. Default: `AWS_RETRY_MODE`, else the profile's, else `adaptive`.", row.OneOf(aws.RetryModeAdaptive, aws.RetryModeStandard)),
		"default_tags": row.Object("Tags of everything that the provider makes.", row.Fields{
			"tags": row.TextMap("The tags. A resource's own `tags` win."),
		}),
		"ignore_tags": row.Object("Tags that something else puts on what the provider makes, and takes off: they are neither shown nor imported nor removed. No resource may set one of them.", row.Fields{
			"keys":         row.TextSet("Keys of such tags."),
			"key_prefixes": row.TextSet("What the keys of such tags begin with."),
		}),
		"consul_servers":    row.Object("How to reach Consul's servers: the default of every resource.", block.ConsulServersFields()),
		"login":             row.Object("How agents log in to Consul: the default of every resource.", block.LoginFields()),
		"agent_image":       row.Text("Image with consulecs-agent: the default of every resource. Default: the one released with the provider, `ghcr.io/consulecs/consulecs-agent:<version>`, so that a new version of the provider replaces the agents, too. A development build has none."),
		"iam_role_path":     row.Text("IAM path of the mesh tasks' roles: the default of every resource. Default `/consul-ecs/`.", row.RolePath()),
		"consul":            row.Object("Where the provider itself asks Consul's HTTP API, for `consulecs_mesh` and `consulecs_consul_token`. Resources never do. Nothing of it enters a state. What is left out is as the environment of Consul's own command says.", block.ConsulAPIFields()),
		"log_configuration": block.LogConfigurationRow("Where the output of injected containers and of the controller goes: the default of every resource."),
	}
}

var validAccount = regexp.MustCompile(`^\d{12}$`)

func accountIDs() validator.Set {
	return setvalidator.ValueStringsAre(stringvalidator.RegexMatches(validAccount, "must be an AWS account ID of 12 digits"))
}

func endpointFields() row.Fields {
	all := row.Fields{}
	for _, service := range awsapi.Services() {
		all[service] = row.Text(fmt.Sprintf("URL of `%s`.", service), row.EndpointURL{})
	}
	return all
}

// providerRows writes rows of a resource's schema as rows of the provider's: the two have types of their own, and what both
// take stands only once.
func providerRows(fields row.Fields) (map[string]schema.Attribute, map[string]schema.Block) {
	attributes, blocks := map[string]schema.Attribute{}, map[string]schema.Block{}
	for name, field := range fields {
		if b, ok := field.(resourceschema.SingleNestedBlock); ok {
			below := schema.SingleNestedBlock{MarkdownDescription: b.MarkdownDescription, Validators: b.Validators}
			below.Attributes, below.Blocks = providerRows(fieldsOf(b))
			blocks[name] = below
			continue
		}
		attributes[name] = providerAttribute(field)
	}
	return attributes, blocks
}

func fieldsOf(b resourceschema.SingleNestedBlock) row.Fields {
	all := row.Fields{}
	for name, a := range b.Attributes {
		all[name] = a
	}
	for name, below := range b.Blocks {
		all[name] = below
	}
	return all
}

func providerAttribute(field row.Field) schema.Attribute {
	switch a := field.(type) {
	case resourceschema.StringAttribute:
		return schema.StringAttribute{Required: a.Required, Optional: a.Optional, Sensitive: a.Sensitive, MarkdownDescription: a.MarkdownDescription, Validators: a.Validators}
	case resourceschema.Int32Attribute:
		return schema.Int32Attribute{CustomType: a.CustomType, Required: a.Required, Optional: a.Optional, MarkdownDescription: a.MarkdownDescription, Validators: a.Validators}
	case resourceschema.BoolAttribute:
		return schema.BoolAttribute{Required: a.Required, Optional: a.Optional, MarkdownDescription: a.MarkdownDescription}
	case resourceschema.MapAttribute:
		return schema.MapAttribute{ElementType: types.StringType, Optional: a.Optional, MarkdownDescription: a.MarkdownDescription, Validators: a.Validators}
	case resourceschema.ListAttribute:
		return schema.ListAttribute{ElementType: types.StringType, Optional: a.Optional, MarkdownDescription: a.MarkdownDescription, Validators: a.Validators}
	case resourceschema.SetAttribute:
		return schema.SetAttribute{ElementType: types.StringType, Optional: a.Optional, MarkdownDescription: a.MarkdownDescription, Validators: a.Validators}
	default:
		panic(fmt.Sprintf("internal error: no row of the provider's schema for %s", strings.TrimPrefix(fmt.Sprintf("%T", field), "schema.")))
	}
}
