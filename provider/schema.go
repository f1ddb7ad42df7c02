package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	resourceschema "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// Schema implements provider.Provider.
func (p *consulECS) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Consul service mesh on Amazon ECS: tasks in the mesh and the controller of an ECS cluster.",
		Attributes:          providerAttributes(providerFields()),
	}
}

func providerFields() row.Attributes {
	return row.Attributes{
		"region":  row.Text("AWS region. Default: `AWS_REGION`, else the profile's."),
		"profile": row.Text("Profile of the shared AWS configuration. Default: `AWS_PROFILE`."),
		"assume_role": row.Object("A role to take on with the credentials that were found.", row.Attributes{
			"role_arn":     row.RequiredText("ARN of the role."),
			"session_name": row.Text("Name of the session. Default: one that the SDK makes up."),
			"external_id":  row.Text("External ID that the role's trust policy asks for."),
			"duration":     row.Text("How long the credentials last, as a duration. Default `15m`.", row.Duration{}),
		}),
		"endpoints":   row.Object("URLs of AWS services. Default: `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_ENDPOINT_URL`, else AWS's own.", endpointAttributes()),
		"max_retries": row.Number("How often a call to AWS is tried in all before it fails. Default: `AWS_MAX_ATTEMPTS`, else the profile's, else 25.", row.AtLeast(1)),
		"retry_mode":  row.Text("`adaptive`, which slows down while AWS throttles, or `standard`. Default: `AWS_RETRY_MODE`, else the profile's, else `adaptive`.", row.OneOf(aws.RetryModeAdaptive, aws.RetryModeStandard)),
		"default_tags": row.Object("Tags of everything that the provider makes.", row.Attributes{
			"tags": row.TextMap("The tags. A resource's own `tags` win."),
		}),
		"consul_servers":    row.Object("How to reach Consul's servers: the default of every resource.", block.ConsulServersAttributes()),
		"login":             row.Object("How agents log in to Consul: the default of every resource.", block.LoginAttributes()),
		"agent_image":       row.Text("Image with consulecs-agent: the default of every resource."),
		"iam_role_path":     row.Text("IAM path of the mesh tasks' roles: the default of every resource. Default `/consul-ecs/`.", row.RolePath()),
		"log_configuration": block.LogConfigurationRow("Where the output of injected containers and of the controller goes: the default of every resource."),
	}
}

func endpointAttributes() row.Attributes {
	all := row.Attributes{}
	for _, service := range awsapi.Services() {
		all[service] = row.Text(fmt.Sprintf("URL of `%s`.", service), row.EndpointURL{})
	}
	return all
}

// providerAttributes writes rows of a resource's schema as rows of the provider's: the two have types of their own, and
// what both take stands only once.
func providerAttributes(rows row.Attributes) map[string]schema.Attribute {
	all := map[string]schema.Attribute{}
	for name, row := range rows {
		all[name] = providerAttribute(row)
	}
	return all
}

func providerAttribute(row resourceschema.Attribute) schema.Attribute {
	switch a := row.(type) {
	case resourceschema.StringAttribute:
		return schema.StringAttribute{Required: a.Required, Optional: a.Optional, MarkdownDescription: a.MarkdownDescription, Validators: a.Validators}
	case resourceschema.Int32Attribute:
		return schema.Int32Attribute{Required: a.Required, Optional: a.Optional, MarkdownDescription: a.MarkdownDescription, Validators: a.Validators}
	case resourceschema.BoolAttribute:
		return schema.BoolAttribute{Required: a.Required, Optional: a.Optional, MarkdownDescription: a.MarkdownDescription}
	case resourceschema.MapAttribute:
		return schema.MapAttribute{ElementType: types.StringType, Optional: a.Optional, MarkdownDescription: a.MarkdownDescription, Validators: a.Validators}
	case resourceschema.SingleNestedAttribute:
		return schema.SingleNestedAttribute{Optional: a.Optional, MarkdownDescription: a.MarkdownDescription, Attributes: providerAttributes(a.Attributes)}
	case resourceschema.ListNestedAttribute:
		return schema.ListNestedAttribute{
			Optional: a.Optional, MarkdownDescription: a.MarkdownDescription, Validators: a.Validators,
			NestedObject: schema.NestedAttributeObject{Attributes: providerAttributes(a.NestedObject.Attributes)},
		}
	default:
		panic(fmt.Sprintf("internal error: no row of the provider's schema for %s", strings.TrimPrefix(fmt.Sprintf("%T", row), "schema.")))
	}
}
