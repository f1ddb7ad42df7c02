package stack

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/consulecs/terraform-provider-consulecs/internal/iamrole"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// What tells a resource from all others is its identity: the account, the Region, and what its kind adds. Terraform keeps it beside
// the state from 1.12 on, and imports by it; older ones and OpenTofu ask for none.

// Identity is what a kind of resource adds to its identity.
type Identity[M any] struct {
	Attributes map[string]string                       // descriptions by name
	Of         func(*M) map[string]string              // what the attributes of a resource say
	Values     func(importID string) map[string]string // what they say where an import has the ID
	ImportID   func(values map[string]string) string   // the way back
}

// ServiceIdentity is the identity of what is one ECS service: the names of its ECS cluster and its own. what says what it is.
func ServiceIdentity[M any](what string, of func(*M) (nameOrARN, name string)) Identity[M] {
	const cluster, name = "cluster", "name"
	return Identity[M]{
		Attributes: map[string]string{cluster: "Name of the ECS cluster.", name: "Name of the " + what + ": of its ECS service."},
		Of: func(m *M) map[string]string {
			nameOrARN, is := of(m)
			return map[string]string{cluster: block.EcsClusterName(nameOrARN), name: is}
		},
		Values: func(id string) map[string]string {
			ecsCluster, is, _ := strings.Cut(id, "/")
			return map[string]string{cluster: ecsCluster, name: is}
		},
		ImportID: func(values map[string]string) string {
			return block.EcsClusterName(values[cluster]) + "/" + values[name]
		},
	}
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
	for name, description := range s.Kind.Identity.Attributes {
		all[name] = identityschema.StringAttribute{RequiredForImport: true, Description: description}
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
	s.identity(ctx, s.Kind.Identity.Of(m), account, region, identity)
	return diags
}

func (s *Stack[M]) identity(ctx context.Context, of map[string]string, account, region string, to *tfsdk.ResourceIdentity) {
	values := map[string]tftypes.Value{
		identityAccount: tftypes.NewValue(tftypes.String, account), identityRegion: tftypes.NewValue(tftypes.String, region),
	}
	for name, value := range of {
		values[name] = tftypes.NewValue(tftypes.String, value)
	}
	to.Raw = tftypes.NewValue(to.Schema.Type().TerraformType(ctx), values)
}

func (s *Stack[M]) home(ctx context.Context, m *M) (account, region string, err error) {
	if parsed, err := arn.Parse(row.Value(s.Kind.Parts(m).Outcome.ARN)); err == nil {
		return parsed.AccountID, parsed.Region, nil
	}
	home, err := s.Client.Home(ctx)
	return home.Account, home.Region, err
}

// ImportState implements resource.ResourceWithImportState: the task definition and the agents' configuration in it are read back into
// attributes. What AWS does not keep, such as timeouts and wait_for_steady_state, stays unset or is what it is by default.
func (s *Stack[M]) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	id, err := s.askedID(ctx, req)
	var m *M
	if err == nil {
		m, err = s.Kind.Import(ctx, s.Client, id)
	}
	if err != nil {
		resp.Diagnostics.AddError(s.Kind.Title+" was not imported", fmt.Sprintf("import %s: %v", id, err))
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	resp.Diagnostics.Append(s.Identify(ctx, m, resp.Identity)...)
}

// askedID is the ID that an import names, or that its identity means.
func (s *Stack[M]) askedID(ctx context.Context, req resource.ImportStateRequest) (string, error) {
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
	for _, name := range slices.Sorted(maps.Keys(s.Kind.Identity.Attributes)) {
		if values[name] == "" {
			return "", fmt.Errorf("identity.%s is missing", name)
		}
	}
	for name, is := range map[string]string{identityAccount: home.Account, identityRegion: home.Region} {
		if asked := values[name]; asked != "" && asked != is {
			return "", fmt.Errorf("identity.%s is %q, the provider works in %s: import it with another configuration of the provider", name, asked, is)
		}
	}
	return s.Kind.Identity.ImportID(values), nil
}
