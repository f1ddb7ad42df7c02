# A task with roles that others made, as where Terraform may not make any.

terraform {
  required_providers {
    consulecs = {
      source = "consulecs/consulecs"
    }
  }
}

provider "consulecs" {
  region = var.region

  consul_servers {
    hosts = var.consul.hosts
    tls {
      server_name   = var.consul.server_name
      ca_secret_arn = var.consul.ca_secret_arn
    }
  }

  login { enabled = true } # Consul's ACLs are on
}

resource "consulecs_mesh_task" "orders" {
  family = "orders"
  service { port = 8080 }

  container {
    name  = "orders"
    image = var.image
  }

  iam {
    task_role { arn = var.task_role_arn }
    execution_role { arn = var.execution_role_arn }
  }

  ecs_service {
    cluster         = var.network.ecs_cluster
    subnets         = var.network.subnets
    security_groups = var.network.security_groups
  }
}

# The tags that the task role has to bear. Who makes the roles can call the function, too: it needs neither AWS nor Consul.
output "task_role_tags" {
  value = provider::consulecs::task_role_tags("orders")
}
