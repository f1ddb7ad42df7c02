# A module that gives each of its users one mesh task: lists come in as variables and become blocks.
variable "upstreams" {
  description = "Local port by the name of the Consul service that the application calls."
  type        = map(number)
  default     = { ledger = 1234, rates = 1235 }
}

variable "ecs_cluster" {
  description = "Name or ARN of the ECS cluster to run in; null leaves the running to others."
  type        = string
  default     = "production"
}

resource "consulecs_mesh_task" "team" {
  family = "payments"
  service { port = 8080 }

  dynamic "upstream" {
    for_each = var.upstreams
    content {
      destination_name = upstream.key
      local_bind_port  = upstream.value
    }
  }

  container {
    name  = "app"
    image = "registry.example.com/payments:1.4.2"
  }

  dynamic "ecs_service" {
    for_each = var.ecs_cluster[*]
    content {
      cluster = ecs_service.value
      subnets = ["subnet-0a1b2c3d", "subnet-4e5f6a7b"]
    }
  }
}
