# shop calls stock by its name in Consul. No upstream is listed: all traffic of both tasks goes through their proxies by itself.

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

resource "consulecs_mesh_task" "stock" {
  family = "stock"
  service { port = 9090 }

  transparent_proxy { enabled = true }

  task {
    cpu          = 256
    memory       = 512
    launch_types = ["EC2"] # Fargate grants no task what redirecting traffic takes
  }

  container {
    name  = "stock"
    image = var.images.stock
  }

  ecs_service {
    cluster         = var.network.ecs_cluster
    desired_count   = 2
    subnets         = var.network.subnets
    security_groups = var.network.security_groups

    capacity_provider_strategy {
      capacity_provider = var.capacity_provider
      weight            = 1
    }
  }
}

resource "consulecs_mesh_task" "shop" {
  family = "shop"
  service { port = 8080 }

  transparent_proxy {
    enabled                = true
    dns                    = true                # stock.virtual.consul is a name in the task
    exclude_inbound_ports  = [8080]              # a load balancer outside the mesh calls it
    exclude_outbound_cidrs = [var.database_cidr] # a database outside the mesh
  }

  task {
    cpu          = 256
    memory       = 512
    launch_types = ["EC2"]
  }

  container {
    name        = "shop"
    image       = var.images.shop
    environment = { STOCK = "http://stock.virtual.consul" }
  }

  ecs_service {
    cluster         = var.network.ecs_cluster
    desired_count   = 2
    subnets         = var.network.subnets
    security_groups = var.network.security_groups

    capacity_provider_strategy {
      capacity_provider = var.capacity_provider
      weight            = 1
    }
  }
}
