// Package provider is the Terraform surface of the product and nothing else: schemas, plans and the calls to AWS. What a
// task definition or a role looks like is decided in internal/taskdef and internal/iamrole. Its layers, each of which knows
// only those before it: row, block, deploy, stack, a folder a resource, and this table of contents.
package provider

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/consulecs/terraform-provider-consulecs/provider/actions"
	"github.com/consulecs/terraform-provider-consulecs/provider/consultoken"
	"github.com/consulecs/terraform-provider-consulecs/provider/controller"
	"github.com/consulecs/terraform-provider-consulecs/provider/deploy"
	"github.com/consulecs/terraform-provider-consulecs/provider/devserver"
	"github.com/consulecs/terraform-provider-consulecs/provider/functions"
	"github.com/consulecs/terraform-provider-consulecs/provider/meshtask"
	"github.com/consulecs/terraform-provider-consulecs/provider/meshview"
	"github.com/consulecs/terraform-provider-consulecs/provider/shortcut"
	"github.com/consulecs/terraform-provider-consulecs/provider/taskdefinition"
)

// Server serves the provider, of the given version, to Terraform.
func Server(version string) tfprotov6.ProviderServer {
	p := &consulECS{version: version}
	framework := providerserver.NewProtocol6(p)().(served) // which it is
	var once sync.Once
	var all map[string]*shortcut.Kind
	return server{framework, p, func(ctx context.Context) map[string]*shortcut.Kind {
		once.Do(func() { all = kinds(context.WithoutCancel(ctx), p) })
		return all
	}, sync.OnceValues(func() (*tfprotov6.GetProviderSchemaResponse, error) {
		return framework.GetProviderSchema(context.Background(), &tfprotov6.GetProviderSchemaRequest{})
	})}
}

// kinds are the provider's resources by name, those that a shortcut can be taken with.
func kinds(ctx context.Context, p *consulECS) map[string]*shortcut.Kind {
	all := map[string]*shortcut.Kind{}
	for _, make := range p.Resources(ctx) {
		r := make()
		var is resource.MetadataResponse
		r.Metadata(ctx, resource.MetadataRequest{}, &is)
		kind, err := shortcut.Of(ctx, make)
		if err != nil { // the framework takes longer, to the same end
			tflog.Debug(ctx, "no shortcut for a resource", map[string]any{"resource": is.TypeName, "err": err.Error()})
			continue
		}
		all[is.TypeName] = kind
	}
	return all
}

// served is all that Terraform may ask for.
type served interface {
	//lint:ignore SA1019 until tfprotov6.ProviderServer has the methods itself
	tfprotov6.ProviderServerWithListResource
	//lint:ignore SA1019 until tfprotov6.ProviderServer has the methods itself
	tfprotov6.ProviderServerWithActions
}

// server hears of each state that Terraform has. It plans a tainted resource as if there were none, and with -refresh=false it reads
// nothing: that the names are taken by what is to be replaced could not be told otherwise.
type server struct {
	served
	provider *consulECS
	kinds    func(context.Context) map[string]*shortcut.Kind
	schemas  func() (*tfprotov6.GetProviderSchemaResponse, error) // which are the same for each of hundreds of resources
}

// UpgradeResourceState implements tfprotov6.ProviderServer.
func (s server) UpgradeResourceState(ctx context.Context, req *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	var state struct {
		OwnerID string `json:"owner_id"`
	}
	client := s.provider.client.Load()
	if client != nil && req.RawState != nil && json.Unmarshal(req.RawState.JSON, &state) == nil { // what is no state is refused below
		client.HasInState(state.OwnerID)
	}
	if kind, ok := s.kinds(ctx)[req.TypeName]; ok {
		if upgraded := kind.Upgrade(req); upgraded != nil {
			return upgraded, nil
		}
	}
	return s.served.UpgradeResourceState(ctx, req)
}

// validated is the framework's verdict on a configuration, or the shortcut's.
func (s server) validated(ctx context.Context, req *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	if kind, ok := s.kinds(ctx)[req.TypeName]; ok {
		return kind.Validate(ctx, req, s.served.ValidateResourceConfig)
	}
	return s.served.ValidateResourceConfig(ctx, req)
}

// PlanResourceChange implements tfprotov6.ProviderServer.
func (s server) PlanResourceChange(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	if kind, ok := s.kinds(ctx)[req.TypeName]; ok {
		return kind.Plan(ctx, req, s.served.PlanResourceChange)
	}
	return s.served.PlanResourceChange(ctx, req)
}

// ReadResource implements tfprotov6.ProviderServer.
func (s server) ReadResource(ctx context.Context, req *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	if kind, ok := s.kinds(ctx)[req.TypeName]; ok {
		return kind.Read(ctx, req, s.served.ReadResource)
	}
	return s.served.ReadResource(ctx, req)
}

// New returns the constructor of the provider, of the given version.
func New(version string) func() provider.Provider {
	return func() provider.Provider { return &consulECS{version: version} }
}

type consulECS struct {
	version string
	client  atomic.Pointer[deploy.Client] // of the latest configuration
}

var (
	_ provider.Provider                   = (*consulECS)(nil)
	_ provider.ProviderWithValidateConfig = (*consulECS)(nil)
	_ provider.ProviderWithFunctions      = (*consulECS)(nil)

	_ provider.ProviderWithEphemeralResources = (*consulECS)(nil)
	_ provider.ProviderWithListResources      = (*consulECS)(nil)
	_ provider.ProviderWithActions            = (*consulECS)(nil)
)

// Metadata implements provider.Provider.
func (p *consulECS) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName, resp.Version = "consulecs", p.version
}

// Resources implements provider.Provider.
func (p *consulECS) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{meshtask.New, controller.New, devserver.New}
}

// DataSources implements provider.Provider.
func (p *consulECS) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{meshview.New, taskdefinition.New}
}

// Functions implements provider.ProviderWithFunctions.
func (p *consulECS) Functions(context.Context) []func() function.Function {
	return functions.All(p.version)
}

// EphemeralResources implements provider.ProviderWithEphemeralResources.
func (p *consulECS) EphemeralResources(context.Context) []func() ephemeral.EphemeralResource {
	return []func() ephemeral.EphemeralResource{consultoken.New}
}

// ListResources implements provider.ProviderWithListResources.
func (p *consulECS) ListResources(context.Context) []func() list.ListResource {
	return []func() list.ListResource{meshtask.NewList, controller.NewList, devserver.NewList}
}

// Actions implements provider.ProviderWithActions.
func (p *consulECS) Actions(context.Context) []func() action.Action { return actions.All() }
