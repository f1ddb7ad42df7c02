# Containers that a module hands on in ECS's own JSON stand beside the blocks. People may run commands in them (ECS Exec).
resource "consulecs_mesh_task" "reports" {
  family = "reports"
  service { port = 8080 }

  task {
    volume { name = "exec-lib" }
    volume { name = "exec-log" }
  }

  container {
    name                     = "reports"
    image                    = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/reports:2.1.0"
    readonly_root_filesystem = true
    mount_point {
      source_volume  = "exec-lib"
      container_path = "/var/lib/amazon"
    }
    mount_point {
      source_volume  = "exec-log"
      container_path = "/var/log/amazon"
    }
  }

  # The output of a module, or the container_definitions of an aws_ecs_task_definition.
  container_definitions_json = jsonencode([{
    name        = "collector"
    image       = "public.ecr.aws/aws-observability/aws-otel-collector:latest"
    essential   = false
    environment = [{ name = "LEVEL", value = "info" }]
  }])

  iam {
    task_role {
      inline_policies = {
        queue = jsonencode({
          Version   = "2012-10-17"
          Statement = [{ Effect = "Allow", Action = "sqs:SendMessage", Resource = "arn:aws:sqs:eu-central-1:123456789012:reports" }]
        })
      }
      permissions_boundary = "arn:aws:iam::123456789012:policy/applications"
    }
  }

  ecs_service {
    cluster                = "main"
    subnets                = ["subnet-0123456789abcdef0"]
    enable_execute_command = true
  }
}
