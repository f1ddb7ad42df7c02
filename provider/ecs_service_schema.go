package provider

import (
	"maps"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
)

func ecsServiceAttribute() schema.SingleNestedAttribute {
	fields := attributes{
		"cluster":       requiredText("Name or ARN of the ECS cluster. Changing it moves the service: a new one is made, then the old one is deleted."),
		"name":          text("Name of the ECS service. Default: the family. Changing it moves the service, as with `cluster`.", stringvalidator.RegexMatches(validFamily, familyRule)),
		"desired_count": number("Number of tasks. Left out: 1 at first, then whatever autoscaling or others make of it.", atLeast(0)),
		"deployment": object("How tasks are replaced.", attributes{
			"minimum_healthy_percent": number("Share of `desired_count` that keeps running. Default 100.", atLeast(0)),
			"maximum_percent":         number("Share of `desired_count` that may run at once. Default 200.", atLeast(0)),
			"circuit_breaker": object("Gives a deployment up whose tasks do not start.", attributes{
				"enable":   requiredFlag("Whether to."),
				"rollback": flag("Go back to the last deployment that worked. Default `false`."),
			}),
		}),
		"health_check_grace_period_seconds": number("Seconds in which a load balancer's verdict on a new task does not count.", atLeast(0)),
		"enable_execute_command":            flag("ECS Exec. The task role needs the `ssmmessages` actions: attach them with `iam.task_role.policy_arns`. Default `false`."),
		"wait_for_steady_state":             flag("Wait on create and update until the service runs what it should. Default `false`."),
		"load_balancer": objects("Target groups that the tasks are registered with.", attributes{
			"target_group_arn": requiredText("ARN of the target group, of target type `ip`."),
			"container_name":   requiredText("Name of the container."),
			"container_port":   requiredNumber("Port of the container.", between(1, 65535)),
		}),
		"placement_constraints": objects("Rules for the placement on container instances. Changing them makes no new tasks.", attributes{
			"type":       requiredText("`memberOf` or `distinctInstance`.", oneOf(ecstypes.PlacementConstraintType("").Values()...)),
			"expression": text("Expression of ECS's cluster query language, for `memberOf`."),
		}),
		"placement_strategy": objects("How tasks are spread over container instances.", attributes{
			"type":  requiredText("`spread`, `binpack` or `random`.", oneOf(ecstypes.PlacementStrategyType("").Values()...)),
			"field": text("What to spread or pack by, such as `attribute:ecs.availability-zone`."),
		}),
	}
	maps.Copy(fields, networkAttributes(path.MatchRoot("ecs_service").AtName("capacity_provider_strategy")))
	return object("ECS service that runs the task. It propagates the definition's tags to its tasks, as the mesh needs. Left out: another resource runs the task and sets `propagate_tags = \"TASK_DEFINITION\"`.", fields)
}

// networkAttributes is where tasks run: launch type or capacity providers, and their network.
func networkAttributes(strategy path.Expression) attributes {
	return attributes{
		"subnets":          requiredTextSet("IDs of the subnets.", setvalidator.SizeAtLeast(1)),
		"security_groups":  textSet("IDs of the security groups. Default: the VPC's own."),
		"assign_public_ip": flag("A public address for every task, on Fargate. Default `false`."),
		"launch_type": text("`FARGATE`, `EC2` or `MANAGED_INSTANCES`, one of `task.launch_types`. Default: the ECS cluster's capacity providers. Changing it deletes the service, then makes a new one.",
			stringvalidator.OneOf("EC2", "FARGATE", "MANAGED_INSTANCES"), stringvalidator.ConflictsWith(strategy)),
		"platform_version": text("Fargate's platform version. Default `LATEST`."),
		"capacity_provider_strategy": objects("Capacity providers, instead of a launch type.", attributes{
			"capacity_provider": requiredText("Name of the capacity provider."),
			"base":              number("Number of tasks that this one gets first. Default 0.", atLeast(0)),
			"weight":            number("Share of the tasks beyond. Default 0.", atLeast(0)),
		}, listvalidator.SizeAtLeast(1)),
	}
}
