package functions

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/given"
	"github.com/consulecs/terraform-provider-consulecs/provider/meshtask"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

const taskParameter = "The task: an object with the attributes and blocks of `consulecs_mesh_task`, but for `ecs_service`, `revision_policy`, `adopt_existing` and `timeouts`. " +
	"A block that may be written many times (`container`, `upstream`) is a list of objects; of `service`, one object will do. A function does not know the provider's configuration: what that supplies to a resource, " +
	"such as the agents' image (`sidecars.image`) and `consul_servers`, has to be said."

// containerDefinitions renders the containers of a task.
func containerDefinitions(version string) pure {
	return pure{
		name: "container_definitions",
		what: function.Definition{
			Summary: "Container definitions of a task in the mesh",
			MarkdownDescription: "The container definitions of a task in the mesh as ECS's JSON: the application's containers and the injected ones. For users who keep an `aws_ecs_task_definition`: it needs " +
				"`network_mode = \"awsvpc\"`, a volume named `consul_data` and the tags of the function `task_tags`.",
			Parameters: []function.Parameter{object("task", taskParameter)},
			Return:     function.StringReturn{},
		},
		run: func(ctx context.Context, args function.ArgumentsData, result *function.ResultData) *function.FuncError {
			d, known, failed := definition(ctx, args, version)
			if failed != nil || !known {
				return function.ConcatFuncErrors(failed, result.Set(ctx, types.StringUnknown()))
			}
			containers, err := meshtask.ContainersJSON(d)
			if err != nil {
				return refusal(0, err.Error())
			}
			return result.Set(ctx, containers)
		},
	}
}

// taskTags are the tags of a task.
func taskTags(version string) pure {
	return pure{
		name: "task_tags",
		what: function.Definition{
			Summary:             "Tags of a task in the mesh",
			MarkdownDescription: "The tags of a task in the mesh: those of its `tags`, and those by which controllers know it. The task definition has to have them, and the ECS service has to propagate them (`propagate_tags = \"TASK_DEFINITION\"`).",
			Parameters:          []function.Parameter{object("task", taskParameter)},
			Return:              texts,
		},
		run: func(ctx context.Context, args function.ArgumentsData, result *function.ResultData) *function.FuncError {
			d, known, failed := definition(ctx, args, version)
			if failed != nil || !known {
				return function.ConcatFuncErrors(failed, result.Set(ctx, types.MapUnknown(types.StringType)))
			}
			return result.Set(ctx, awsapi.TagMap(d.Tags))
		},
	}
}

// definition is the task definition of the first argument.
func definition(ctx context.Context, args function.ArgumentsData, version string) (d *taskdef.Definition, known bool, _ *function.FuncError) {
	value, known, failed := argument(ctx, args)
	if failed != nil || !known {
		return nil, false, failed
	}
	of := meshtask.RenderedSchema()
	raw, wrong := given.Read(value, of.Type().TerraformType(ctx), row.OftenAlone)
	var found problem.List
	for _, p := range wrong {
		if len(p.Path) == 1 && meshtask.OfResourceAlone(p.Path.String()) {
			found.Add(p.Path, "belongs to the resource consulecs_mesh_task alone: leave it out")
		} else {
			found = append(found, p)
		}
	}
	if err := found.Err(); err != nil {
		return nil, true, refusal(0, err.Error())
	}
	if failed := refusalOf(given.Validate(ctx, of, tfsdk.Config{Raw: raw, Schema: of})); failed != nil {
		return nil, true, failed
	}
	task, diags := meshtask.Render(ctx, raw, block.Defaults{Module: block.Module(version)})
	if failed := refusalOf(diags); failed != nil {
		return nil, true, failed
	}
	d, err := task.Definition()
	if err != nil {
		return nil, true, refusal(0, err.Error())
	}
	return d, true, nil
}
