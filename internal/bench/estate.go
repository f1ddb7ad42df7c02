package bench

// estateFrame is what the configuration of an estate begins with, before the provider's block.
const estateFrame = `
terraform {
  required_providers {
    consulecs = { source = "consulecs/consulecs" }
  }
}
`

// estateTask is a mesh task of it, for its number, a policy, an ECS cluster, a subnet, a security group and an attribute more.
const estateTask = `
resource "consulecs_mesh_task" "t%03[1]d" {
  family = "estate-%03[1]d"
  service { port = 8080 }
  upstream {
    destination_name = "estate-000"
    local_bind_port  = 1234
  }
  container {
    name        = "app"
    image       = "app:1"
    environment = { NAME = "estate-%03[1]d", LISTEN = "127.0.0.1:8080" }
    secrets     = { DB_PASSWORD = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db:password::" }
    port_mapping { container_port = 8080 }
    health_check { command = ["CMD-SHELL", "wget -q -O /dev/null http://localhost:8080/health"] }
    log_configuration {
      log_driver = "awslogs"
      options    = { awslogs-group = "/app", awslogs-region = "us-east-1", awslogs-stream-prefix = "app" }
    }
  }
  iam {
    task_role { policy_arns = [%[2]q] }
    execution_role { policy_arns = [%[2]q] }
  }
  ecs_service {
    cluster               = %[3]q
    desired_count         = 0
    launch_type           = "EC2"
    subnets               = [%[4]q]
    security_groups       = [%[5]q]
    wait_for_steady_state = false
  }
  %[6]s
}
`
