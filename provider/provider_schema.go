package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	resourceschema "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
)

// Schema implements provider.Provider.
func (p *consulECS) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Consul service mesh on Amazon ECS: tasks in the mesh and the controller of an ECS cluster.",
		Attributes:          providerAttributes(providerFields()),
	}
}

func providerFields() attributes {
	return attributes{
		"region":  text("AWS region. Default: `AWS_REGION`, else the profile's."),
		"profile": text("Profile of the shared AWS configuration. Default: `AWS_PROFILE`."),
		"assume_role": object("A role to take on with the credentials that were found.", attributes{
			"role_arn":     requiredText("ARN of the role."),
			"session_name": text("Name of the session. Default: one that the SDK makes up."),
			"external_id":  text("External ID that the role's trust policy asks for."),
			"duration":     text("How long the credentials last, as a duration. Default `15m`.", duration{}),
		}),
		"endpoints": object("URLs of AWS services. Default: `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_ENDPOINT_URL`, else AWS's own.", endpointAttributes()),
		"default_tags": object("Tags of everything that the provider makes.", attributes{
			"tags": textMap("The tags. A resource's own `tags` win."),
		}),
		"consul_servers":    object("How to reach Consul's servers: the default of every resource.", consulServersAttributes()),
		"login":             object("How agents log in to Consul: the default of every resource.", loginAttributes()),
		"agent_image":       text("Image with consulecs-agent: the default of every resource."),
		"iam_role_path":     text("IAM path of the mesh tasks' roles: the default of every resource. Default `/consul-ecs/`.", rolePath()),
		"log_configuration": logConfiguration("Where the output of injected containers and of the controller goes: the default of every resource."),
	}
}

func endpointAttributes() attributes {
	all := attributes{}
	for _, service := range awsapi.Services() {
		all[service] = text(fmt.Sprintf("URL of `%s`.", service), endpointURL{})
	}
	return all
}

// providerAttributes writes rows of a resource's schema as rows of the provider's: the two have types of their own, and
// what both take stands only once.
func providerAttributes(rows attributes) map[string]schema.Attribute {
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
