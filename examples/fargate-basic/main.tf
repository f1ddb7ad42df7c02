# web calls api through the mesh, on Fargate, with the controller that prepares Consul for both.

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

resource "consulecs_controller" "this" {
  cluster                = var.network.ecs_cluster
  first_token_secret_arn = var.first_token_secret_arn
  login { enabled = true }

  launch_type     = "FARGATE"
  subnets         = var.network.subnets
  security_groups = var.network.security_groups
}

resource "consulecs_mesh_task" "api" {
  family = "api"
  service { port = 9090 }

  task {
    cpu          = 256
    memory       = 512
    launch_types = ["FARGATE"]
  }

  container {
    name  = "api"
    image = var.images.api
  }

  ecs_service {
    cluster         = var.network.ecs_cluster
    desired_count   = 2
    launch_type     = "FARGATE"
    subnets         = var.network.subnets
    security_groups = var.network.security_groups
  }

  depends_on = [consulecs_controller.this]
}

resource "consulecs_mesh_task" "web" {
  family = "web"
  service { port = 8080 }

  upstream {
    destination_name = "api"
    local_bind_port  = 1234
  }

  task {
    cpu          = 256
    memory       = 512
    launch_types = ["FARGATE"]
  }

  container {
    name        = "web"
    image       = var.images.web
    environment = { API = "http://127.0.0.1:1234" }
  }

  ecs_service {
    cluster         = var.network.ecs_cluster
    desired_count   = 2
    launch_type     = "FARGATE"
    subnets         = var.network.subnets
    security_groups = var.network.security_groups
  }

  depends_on = [consulecs_controller.this]
}
