# Terraform makes and configures checkout; a pipeline ships its image. Neither undoes what the other did.

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

resource "consulecs_mesh_task" "checkout" {
  family = "checkout"
  service { port = 8080 }

  container {
    name        = "checkout"
    image       = var.first_image # counts until the pipeline ships the first time
    environment = { CURRENCY = "EUR" }
  }

  ecs_service {
    cluster         = var.network.ecs_cluster
    subnets         = var.network.subnets
    security_groups = var.network.security_groups
    deployment {
      circuit_breaker {
        enable   = true
        rollback = true
      }
    }
  }

  revision_policy {
    follow_images = true
    keep          = 2
  }
}

# What the pipeline needs to know.
output "pipeline" {
  value = {
    family      = consulecs_mesh_task.checkout.family
    ecs_service = consulecs_mesh_task.checkout.ecs_service_name
    passes      = [consulecs_mesh_task.checkout.task_role_arn, consulecs_mesh_task.checkout.execution_role_arn] # iam:PassRole
  }
}

# What Terraform's next revision will run in place of first_image.
output "shipped" {
  value = consulecs_mesh_task.checkout.followed_images
}
