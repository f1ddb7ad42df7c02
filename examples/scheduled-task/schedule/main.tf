# A schedule that runs the task every night. It is a module of its own, since it takes the AWS provider:
#
#   module "schedule" {
#     source               = "./schedule"
#     name                 = "report"
#     run_task_json        = consulecs_mesh_task.report.run_task_json
#     run_task_policy_json = consulecs_mesh_task.report.run_task_policy_json
#   }

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "name" {
  type = string
}

variable "run_task_json" {
  type = string
}

variable "run_task_policy_json" {
  type = string
}

variable "schedule_expression" {
  type    = string
  default = "cron(15 3 * * ? *)"
}

locals {
  run     = jsondecode(var.run_task_json)
  network = local.run.networkConfiguration.awsvpcConfiguration
}

resource "aws_iam_role" "schedule" {
  name = "${var.name}-schedule"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "schedule" {
  name   = "run-task"
  role   = aws_iam_role.schedule.id
  policy = var.run_task_policy_json
}

resource "aws_scheduler_schedule" "this" {
  name                = var.name
  schedule_expression = var.schedule_expression
  flexible_time_window { mode = "OFF" }

  target {
    arn      = local.run.cluster
    role_arn = aws_iam_role.schedule.arn

    ecs_parameters {
      task_definition_arn     = local.run.taskDefinition
      launch_type             = try(local.run.launchType, null)
      platform_version        = try(local.run.platformVersion, null)
      propagate_tags          = local.run.propagateTags # else the tasks bear no tag of the mesh
      enable_ecs_managed_tags = try(local.run.enableECSManagedTags, false)
      enable_execute_command  = try(local.run.enableExecuteCommand, false)

      dynamic "capacity_provider_strategy" {
        for_each = try(local.run.capacityProviderStrategy, [])
        content {
          capacity_provider = capacity_provider_strategy.value.capacityProvider
          base              = try(capacity_provider_strategy.value.base, 0)
          weight            = try(capacity_provider_strategy.value.weight, 0)
        }
      }

      network_configuration {
        subnets          = local.network.subnets
        security_groups  = try(local.network.securityGroups, null)
        assign_public_ip = local.network.assignPublicIp == "ENABLED"
      }
    }

    retry_policy { maximum_retry_attempts = 3 }
  }

  depends_on = [aws_iam_role_policy.schedule]
}
