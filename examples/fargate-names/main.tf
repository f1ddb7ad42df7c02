# basket calls catalog by its name in Consul, on Fargate. No upstream is listed, and nothing is redirected.

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

resource "consulecs_mesh_task" "catalog" {
  family = "catalog"
  service { port = 9090 }

  task {
    cpu          = 256
    memory       = 512
    launch_types = ["FARGATE"]
  }

  container {
    name  = "catalog"
    image = var.images.catalog
  }

  ecs_service {
    cluster         = var.network.ecs_cluster
    desired_count   = 2
    launch_type     = "FARGATE"
    subnets         = var.network.subnets
    security_groups = var.network.security_groups
  }
}

resource "consulecs_mesh_task" "basket" {
  family = "basket"
  service { port = 8080 }

  names { enabled = true } # catalog.virtual.consul is a name in the task

  task {
    cpu          = 256
    memory       = 512
    launch_types = ["FARGATE"]
  }

  container {
    name                     = "basket"
    image                    = var.images.basket
    user                     = "65534" # it needs no right at all
    readonly_root_filesystem = true
    environment              = { CATALOG = "http://catalog.virtual.consul" }
  }

  ecs_service {
    cluster          = var.network.ecs_cluster
    desired_count    = 2
    launch_type      = "FARGATE"
    platform_version = "1.4.0" # earlier ones take no kernel parameters
    subnets          = var.network.subnets
    security_groups  = var.network.security_groups
  }
}
