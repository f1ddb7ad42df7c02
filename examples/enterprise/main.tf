# Consul Enterprise: billing is in the namespace money of the partition retail, calls ledger in the namespace books of that partition,
# and rates through a cluster peering.

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

# A controller looks after one partition, with all namespaces in it.
resource "consulecs_controller" "retail" {
  cluster                = var.network.ecs_cluster
  partition              = "retail"
  first_token_secret_arn = var.first_token_secret_arn
  login { enabled = true }

  subnets         = var.network.subnets
  security_groups = var.network.security_groups
}

resource "consulecs_mesh_task" "ledger" {
  family = "ledger"

  service {
    port      = 9090
    namespace = "books"
    partition = "retail"
  }

  container {
    name  = "ledger"
    image = var.images.ledger
  }

  ecs_service {
    cluster         = var.network.ecs_cluster
    subnets         = var.network.subnets
    security_groups = var.network.security_groups
  }

  depends_on = [consulecs_controller.retail]
}

resource "consulecs_mesh_task" "billing" {
  family = "billing"

  service {
    port      = 8080
    namespace = "money"
    partition = "retail"
  }

  upstream {
    destination_name      = "ledger"
    destination_namespace = "books"
    destination_partition = "retail"
    local_bind_port       = 1234
  }
  upstream {
    destination_name      = "rates"
    destination_namespace = "market"
    destination_peer      = "east"
    local_bind_port       = 1235
  }

  container {
    name  = "billing"
    image = var.images.billing
  }

  ecs_service {
    cluster         = var.network.ecs_cluster
    subnets         = var.network.subnets
    security_groups = var.network.security_groups
  }

  depends_on = [consulecs_controller.retail]
}
