package meshview

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Schema implements datasource.DataSource.
func (*dataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The mesh of an ECS cluster as it is now: the tasks of the mesh that ECS runs, what Consul has of them, and what Consul has that ECS does not. " +
			"Consul is asked where the provider is told where it is: by its block `consul`, or by `CONSUL_HTTP_ADDR`. The token needs `node:read` and `service:read`. Nothing is changed.",
		Attributes: map[string]schema.Attribute{
			"cluster":         schema.StringAttribute{Required: true, MarkdownDescription: "Name or ARN of the ECS cluster."},
			"cluster_arn":     computed("ARN of the ECS cluster, which is also the name of its node in Consul."),
			"consul_address":  computed("Where Consul was asked; null where it was not."),
			"node_registered": schema.BoolAttribute{Computed: true, MarkdownDescription: "Consul has the node of the ECS cluster, which the controller makes; null where Consul was not asked."},
			"tasks": list("Tasks of the mesh that ECS runs, or is about to run, by their tags.", map[string]schema.Attribute{
				"id":                  computed("ID."),
				"arn":                 computed("ARN."),
				"task_definition_arn": computed("ARN of the task definition's revision."),
				"service_name":        computed("Consul service."),
				"partition":           computed("Admin partition; empty where the task names none."),
				"namespace":           computed("Namespace; empty where the task names none."),
				"status":              computed("Last status in ECS, such as `RUNNING`."),
				"health":              computed("Health in ECS: `HEALTHY`, `UNHEALTHY` or `UNKNOWN`."),
				"registered":          schema.BoolAttribute{Computed: true, MarkdownDescription: "Consul has a service of the task; null where Consul was not asked."},
			}),
			"services": list("Service instances on the node, proxies among them; null where Consul was not asked.", map[string]schema.Attribute{
				"id":        computed("ID."),
				"name":      computed("Name of the service."),
				"namespace": computed("Namespace; empty where Consul has none."),
				"task_id":   computed("ID of the ECS task; null for what is no task's."),
				"status":    computed("Worst status of the checks: `passing`, `warning` or `critical`."),
				"checks":    schema.MapAttribute{ElementType: types.StringType, Computed: true, MarkdownDescription: "Status by check ID."},
			}),
			"orphans": list("Tasks that Consul has services of, though ECS says that they have stopped, or does not know them; null where Consul was not asked. The controller removes them: of what it "+
				"does not know, ECS is asked again for a minute before.", map[string]schema.Attribute{
				"task_id":     computed("ID of the ECS task."),
				"ecs_says":    computed("`stopped` or `missing`."),
				"service_ids": schema.ListAttribute{ElementType: types.StringType, Computed: true, MarkdownDescription: "IDs of its service instances in Consul."},
			}),
		},
	}
}

func computed(description string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func list(description string, attributes map[string]schema.Attribute) schema.ListNestedAttribute {
	return schema.ListNestedAttribute{Computed: true, MarkdownDescription: description, NestedObject: schema.NestedAttributeObject{Attributes: attributes}}
}
