package stack

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// What tells a resource from all others is its identity: the account, the Region, and what its kind adds. Terraform keeps it beside
// the state from 1.12 on, and imports by it; older ones and OpenTofu ask for none.

// Identity is what a kind of resource adds to its identity.
type Identity[M any] struct {
	Attributes []IdentityAttribute[M]
	ImportID   func(values map[string]string) string // the ID of an import that means the same
}

// IdentityAttribute is one attribute of an identity.
type IdentityAttribute[M any] struct {
	Name, Description string
	Of                func(*M) string
}

// The attributes that every identity has.
const (
	identityAccount = "account_id"
	identityRegion  = "region"
)

// IdentitySchema implements resource.ResourceWithIdentity.
func (s *Stack[M]) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	all := map[string]identityschema.Attribute{
		identityAccount: identityschema.StringAttribute{OptionalForImport: true, Description: "AWS account. Default: that of the provider."},
		identityRegion:  identityschema.StringAttribute{OptionalForImport: true, Description: "AWS Region. Default: that of the provider."},
	}
	for _, a := range s.Kind.Identity.Attributes {
		all[a.Name] = identityschema.StringAttribute{RequiredForImport: true, Description: a.Description}
	}
	resp.IdentitySchema = identityschema.Schema{Attributes: all}
}

// Identify writes the identity of a resource. Account and Region are those of its task definition where it has one, so that they stay
// what they were whatever the provider is told later.
func (s *Stack[M]) Identify(ctx context.Context, m *M, identity *tfsdk.ResourceIdentity) diag.Diagnostics {
	var diags diag.Diagnostics
	if identity == nil { // of who asks for none
		return diags
	}
	account, region, err := s.home(ctx, m)
	if err != nil {
		diags.AddError("AWS account not known", err.Error())
		return diags
	}
	values := map[string]tftypes.Value{
		identityAccount: tftypes.NewValue(tftypes.String, account), identityRegion: tftypes.NewValue(tftypes.String, region),
	}
	for _, a := range s.Kind.Identity.Attributes {
		values[a.Name] = tftypes.NewValue(tftypes.String, a.Of(m))
	}
	identity.Raw = tftypes.NewValue(identity.Schema.Type().TerraformType(ctx), values)
	return diags
}

func (s *Stack[M]) home(ctx context.Context, m *M) (account, region string, err error) {
	if parsed, err := arn.Parse(row.Value(s.Kind.Parts(m).Outcome.ARN)); err == nil {
		return parsed.AccountID, parsed.Region, nil
	}
	home, err := s.Client.Home(ctx)
	return home.Account, home.Region, err
}

// ImportID is the ID that an import means, which names it or the identity.
func (s *Stack[M]) ImportID(ctx context.Context, req resource.ImportStateRequest) (string, error) {
	if req.ID != "" || req.Identity == nil || req.Identity.Raw.IsNull() {
		return req.ID, nil
	}
	var given map[string]tftypes.Value
	if err := req.Identity.Raw.As(&given); err != nil {
		return "", fmt.Errorf("read the identity: %w", err)
	}
	values := map[string]string{}
	for name, v := range given {
		var text string
		if v.IsKnown() && !v.IsNull() && v.As(&text) == nil {
			values[name] = text
		}
	}
	home, err := s.Client.Home(ctx)
	if err != nil {
		return "", err
	}
	return s.importID(values, home)
}

func (s *Stack[M]) importID(values map[string]string, home iamrole.Home) (string, error) {
	for _, a := range s.Kind.Identity.Attributes {
		if values[a.Name] == "" {
			return "", fmt.Errorf("identity.%s is missing", a.Name)
		}
	}
	for name, is := range map[string]string{identityAccount: home.Account, identityRegion: home.Region} {
		if asked := values[name]; asked != "" && asked != is {
			return "", fmt.Errorf("identity.%s is %q, the provider works in %s: import it with another configuration of the provider", name, asked, is)
		}
	}
	return s.Kind.Identity.ImportID(values), nil
}
