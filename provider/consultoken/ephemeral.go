// Package consultoken is the ephemeral resource consulecs_consul_token: an ACL token of Consul that lives as long as a run of Terraform.
package consultoken

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/remote"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

type token struct{ client *deploy.Client }

var (
	_ ephemeral.EphemeralResourceWithConfigure = (*token)(nil)
	_ ephemeral.EphemeralResourceWithClose     = (*token)(nil)
)

// New is the ephemeral resource as the provider lists it.
func New() ephemeral.EphemeralResource { return &token{} }

type model struct {
	AuthMethod     *string           `tfsdk:"auth_method"`
	Datacenter     *string           `tfsdk:"datacenter"`
	Namespace      *string           `tfsdk:"namespace"`
	IncludeEntity  *bool             `tfsdk:"include_entity"`
	Meta           map[string]string `tfsdk:"meta"`
	Region         *string           `tfsdk:"region"`
	STSEndpoint    *string           `tfsdk:"sts_endpoint"`
	IAMEndpoint    *string           `tfsdk:"iam_endpoint"`
	ServerIDHeader *string           `tfsdk:"server_id_header"`

	Token      *string `tfsdk:"token"`
	AccessorID *string `tfsdk:"accessor_id"`
}

// Metadata implements ephemeral.EphemeralResource.
func (*token) Metadata(_ context.Context, _ ephemeral.MetadataRequest, resp *ephemeral.MetadataResponse) {
	resp.TypeName = "consulecs_consul_token"
}

// Schema implements ephemeral.EphemeralResource.
func (*token) Schema(_ context.Context, _ ephemeral.SchemaRequest, resp *ephemeral.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "An ACL token of Consul, got by a login with the provider's own AWS credentials: by an auth method of type aws-iam that admits their IAM identity. " +
			"The end of the run logs it out. It enters neither plan nor state. Consul is where the provider's block `consul` says, or `CONSUL_HTTP_ADDR`.",
		Attributes: map[string]schema.Attribute{
			"auth_method":      schema.StringAttribute{Required: true, MarkdownDescription: "Name of Consul's aws-iam auth method."},
			"datacenter":       text("Datacenter to log in to. Default: the server's."),
			"namespace":        text("Namespace of the auth method, of Consul Enterprise."),
			"include_entity":   schema.BoolAttribute{Optional: true, MarkdownDescription: "Send the IAM identity's tags along, for an auth method that looks at them. The identity then needs `iam:GetRole`, or `iam:GetUser`, on itself. Default `true`."},
			"meta":             schema.MapAttribute{ElementType: types.StringType, Optional: true, MarkdownDescription: "Metadata of the token, which Consul shows in its description."},
			"region":           text("Region of the STS endpoint that the login is signed for. Default: the provider's."),
			"sts_endpoint":     text("URL of STS that the login is signed for: that of the auth method. Default: the provider's `login.sts_endpoint`, else its `endpoints.sts`, else the region's.", row.EndpointURL{}),
			"iam_endpoint":     text("URL of IAM that the identity is read at: that of the auth method. Default: the provider's `login.iam_endpoint`, else its `endpoints.iam`, else AWS's.", row.EndpointURL{}),
			"server_id_header": text("Value of the header `X-Consul-IAM-ServerID`, where the auth method asks for one."),
			"token":            schema.StringAttribute{Computed: true, Sensitive: true, MarkdownDescription: "The token's SecretID."},
			"accessor_id":      schema.StringAttribute{Computed: true, MarkdownDescription: "The token's name, which may be shown."},
		},
	}
}

func text(description string, validators ...validator.String) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: validators}
}

// Configure implements ephemeral.EphemeralResourceWithConfigure.
func (t *token) Configure(_ context.Context, req ephemeral.ConfigureRequest, resp *ephemeral.ConfigureResponse) {
	t.client = deploy.ClientOf(req.ProviderData, &resp.Diagnostics)
}

// loginTimeout bounds a login, and logoutTimeout a logout.
const (
	loginTimeout  = time.Minute
	logoutTimeout = 10 * time.Second
)

// Open implements ephemeral.EphemeralResource: it logs in.
func (t *token) Open(ctx context.Context, req ephemeral.OpenRequest, resp *ephemeral.OpenResponse) {
	var m model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	server := t.server(&resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	got, err := server.LogIn(ctx, m.login(t.client))
	if err != nil {
		resp.Diagnostics.AddError("Not logged in to Consul", err.Error())
		return
	}
	kept, err := json.Marshal(got) // beside what Terraform keeps in its memory, until Close
	if err != nil {
		resp.Diagnostics.AddError("Not logged in to Consul", err.Error())
		return
	}
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, tokenKey, kept)...)
	m.Token, m.AccessorID = &got.SecretID, &got.AccessorID
	resp.Diagnostics.Append(resp.Result.Set(ctx, &m)...)
}

// tokenKey is the key of the token beside the result.
const tokenKey = "token"

// Close implements ephemeral.EphemeralResourceWithClose: it logs out.
func (t *token) Close(ctx context.Context, req ephemeral.CloseRequest, resp *ephemeral.CloseResponse) {
	kept, diags := req.Private.GetKey(ctx, tokenKey)
	resp.Diagnostics.Append(diags...)
	var got remote.Token
	if err := json.Unmarshal(kept, &got); err != nil {
		resp.Diagnostics.AddError("Not logged out of Consul", "internal error: no token is kept beside the ephemeral resource")
		return
	}
	server := t.server(&resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, logoutTimeout)
	defer cancel()
	if err := server.LogOut(ctx, got); err != nil { // the run has done its work
		resp.Diagnostics.AddWarning("Not logged out of Consul", err.Error()+"\nThe token expires as the auth method says.")
	}
}

// server is Consul, where the provider says that it is.
func (t *token) server(diags *diag.Diagnostics) *remote.Client {
	t.client.Defaults.RefuseUnknown(diags, "login")
	return t.client.Defaults.ConsulClient(diags)
}

// login is that of the provider's own credentials.
func (m model) login(c *deploy.Client) consul.Login {
	ours := c.Defaults.Login
	if ours == nil {
		ours = &block.Login{}
	}
	return consul.Login{
		Method: row.Value(m.AuthMethod), Datacenter: row.Value(m.Datacenter), Namespace: row.Value(m.Namespace),
		Region:              cmp.Or(row.Value(m.Region), c.Region),
		STSEndpoint:         cmp.Or(row.Value(m.STSEndpoint), row.Value(ours.STSEndpoint), awsapi.EndpointOf(c.AWS, awsapi.ServiceSTS)),
		IAMEndpoint:         cmp.Or(row.Value(m.IAMEndpoint), row.Value(ours.IAMEndpoint), awsapi.EndpointOf(c.AWS, awsapi.ServiceIAM)),
		ServerIDHeaderValue: row.Value(m.ServerIDHeader), IncludeEntity: m.IncludeEntity == nil || *m.IncludeEntity, Meta: m.Meta, Credentials: c.AWS.Credentials,
	}
}
