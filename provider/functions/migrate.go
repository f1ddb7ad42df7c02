package functions

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/migrate"
)

const migrationReturns = "It returns an object. `hcl` is the configuration of the tasks, a text to be written to a file. `config_entries` is a list of objects with `kind`, `name` and `config_json`, as the resource `consul_config_entry` takes them, " +
	"in the order in which Consul takes them. `notes` is a list of objects with `path` and `what`: what has no equal in Consul, or was decided for you, and what to do; nothing is left out without one."

// fromAppMesh converts a mesh of App Mesh.
func fromAppMesh() pure {
	return migration("from_app_mesh", "Tasks and config entries of a mesh of App Mesh",
		"Turns a mesh of AWS App Mesh into the configuration of `consulecs_mesh_task` and into config entries of Consul. "+migrationReturns,
		"JSON documents as AWS's command prints them, in any order: `aws appmesh describe-virtual-node` of each node, and `describe-virtual-service`, `describe-virtual-router`, `describe-route` and `describe-mesh`; "+
			"`aws ecs describe-task-definition` of the tasks, and `aws ecs describe-services`.", migrate.AppMesh)
}

// fromServiceConnect converts ECS services with Service Connect.
func fromServiceConnect() pure {
	return migration("from_service_connect", "Tasks and config entries of services with Service Connect",
		"Turns ECS services with Service Connect into the configuration of `consulecs_mesh_task` and into config entries of Consul. "+migrationReturns,
		"JSON documents as AWS's command prints them, in any order: `aws ecs describe-services` of the services, and `aws ecs describe-task-definition` of what they run.", migrate.ServiceConnect)
}

var (
	entryType = types.ObjectType{AttrTypes: map[string]attr.Type{"kind": types.StringType, "name": types.StringType, "config_json": types.StringType}}
	noteType  = types.ObjectType{AttrTypes: map[string]attr.Type{"path": types.StringType, "what": types.StringType}}
	migrated  = map[string]attr.Type{"hcl": types.StringType, "config_entries": types.ListType{ElemType: entryType}, "notes": types.ListType{ElemType: noteType}}
)

type migratedModel struct {
	HCL     string       `tfsdk:"hcl"`
	Entries []entryModel `tfsdk:"config_entries"`
	Notes   []noteModel  `tfsdk:"notes"`
}

type entryModel struct {
	Kind   string `tfsdk:"kind"`
	Name   string `tfsdk:"name"`
	Config string `tfsdk:"config_json"`
}

type noteModel struct {
	Path string `tfsdk:"path"`
	What string `tfsdk:"what"`
}

func migration(name, summary, description, documents string, convert func([]string) (migrate.Result, error)) pure {
	return pure{
		name: name,
		what: function.Definition{
			Summary: summary, MarkdownDescription: description,
			Parameters: []function.Parameter{function.ListParameter{Name: "documents", ElementType: types.StringType, MarkdownDescription: documents}},
			Return:     function.ObjectReturn{AttributeTypes: migrated},
		},
		run: func(ctx context.Context, args function.ArgumentsData, result *function.ResultData) *function.FuncError {
			var given types.List
			if failed := args.Get(ctx, &given); failed != nil {
				return failed
			}
			if v, err := given.ToTerraformValue(ctx); err != nil || !v.IsFullyKnown() { // OpenTofu calls a function all the same
				return result.Set(ctx, types.ObjectUnknown(migrated))
			}
			var texts []string
			if failed := refusalOf(given.ElementsAs(ctx, &texts, false)); failed != nil {
				return failed
			}
			converted, err := convert(texts)
			if err != nil {
				return refusal(0, err.Error())
			}
			m := migratedModel{HCL: converted.HCL, Entries: []entryModel{}, Notes: []noteModel{}}
			for _, e := range converted.Entries {
				text, err := e.JSON()
				if err != nil {
					return refusal(0, err.Error())
				}
				m.Entries = append(m.Entries, entryModel{e.Kind, e.Name, text})
			}
			for _, n := range converted.Notes {
				m.Notes = append(m.Notes, noteModel(n))
			}
			return result.Set(ctx, &m)
		},
	}
}
