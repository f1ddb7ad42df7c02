# A task on ARM64 processors (Graviton), on Fargate.

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

resource "consulecs_mesh_task" "thumbnails" {
  family = "thumbnails"
  service { port = 8080 }

  task {
    cpu          = 256
    memory       = 512
    launch_types = ["FARGATE"]
    runtime_platform {
      cpu_architecture        = "ARM64"
      operating_system_family = "LINUX"
    }
  }

  container {
    name  = "thumbnails"
    image = var.image # for linux/arm64, as the agents' image is
  }

  ecs_service {
    cluster         = var.network.ecs_cluster
    desired_count   = 2
    launch_type     = "FARGATE"
    subnets         = var.network.subnets
    security_groups = var.network.security_groups
  }
}
