package functions

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/function"

	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// parseContainerDefinitions reads ECS's JSON.
func parseContainerDefinitions() pure {
	container := row.Objects("", block.ContainerFields()).NestedObject.Type()
	return pure{
		name: "parse_container_definitions",
		what: function.Definition{
			Summary: "Containers of ECS's JSON",
			MarkdownDescription: "Container definitions in ECS's own JSON as a list of objects with the attributes of the block `container` of `consulecs_mesh_task`, null where the JSON says nothing. " +
				"A key that ECS or the block does not know is an error. Use the list for a `dynamic \"container\"`, or as `container` of the function `container_definitions`.",
			Parameters: []function.Parameter{text("json", "The JSON: a list of container definitions, such as the `container_definitions` of an `aws_ecs_task_definition`.")},
			Return:     function.ListReturn{ElementType: container},
		},
		run: func(ctx context.Context, args function.ArgumentsData, result *function.ResultData) *function.FuncError {
			var json string
			if problem := args.Get(ctx, &json); problem != nil {
				return problem
			}
			containers, err := parseContainers(json)
			if err != nil {
				return refusal(0, err.Error())
			}
			return result.Set(ctx, containers)
		},
	}
}
