# A whole mesh for a trial, with its Consul server beside it: the server, the controller, and web calling api.
# Needed besides: an ECS cluster, subnets, a security group whose members reach each other, and a Cloud Map service with A records.

terraform {
  required_providers {
    consulecs = {
      source = "consulecs/consulecs"
    }
  }
}

provider "consulecs" {
  region      = "eu-central-1"
  agent_image = "registry.example/consulecs-agent:0.1.0" # default: the one that is released with the provider

  login { enabled = true }
}

locals {
  cluster         = "trial"
  subnets         = ["subnet-0a1b2c3d", "subnet-4e5f6a7b"]
  security_groups = ["sg-0a1b2c3d"]
}

resource "consulecs_dev_server" "consul" {
  cluster         = local.cluster
  launch_type     = "FARGATE"
  subnets         = local.subnets
  security_groups = local.security_groups

  # In AWS's provider: aws_service_discovery_private_dns_namespace "trial.internal", and in it an
  # aws_service_discovery_service "consul" with A records of a short TTL.
  dns_name = "consul.trial.internal"
  service_registry {
    registry_arn = "arn:aws:servicediscovery:eu-central-1:123456789012:service/srv-0123456789abcdef"
  }

  # What Consul holds outlives the task. Leave both blocks out, and a new task begins with an empty Consul.
  data_volume = "consul"
  task {
    launch_types = ["FARGATE"]
    volume {
      name = "consul"
      efs_volume_configuration {
        file_system_id     = "fs-0123456789abcdef0"
        transit_encryption = "ENABLED"
        authorization_config {
          access_point_id = "fsap-0123456789abcdef0"
        }
      }
    }
  }
}

# The token is for the first start alone: afterwards the controller logs in with its task role.
resource "consulecs_controller" "this" {
  cluster                = local.cluster
  first_token_secret_arn = consulecs_dev_server.consul.bootstrap_token_secret_arn
  launch_type            = "FARGATE"
  subnets                = local.subnets
  security_groups        = local.security_groups

  login { enabled = true }

  consul_servers {
    hosts = consulecs_dev_server.consul.host
    tls {
      server_name   = consulecs_dev_server.consul.server_name
      ca_secret_arn = consulecs_dev_server.consul.ca_secret_arn
    }
  }
}

resource "consulecs_mesh_task" "api" {
  family = "api"
  service { port = 9090 }

  container {
    name  = "app"
    image = "registry.example/api:1"
  }

  consul_servers {
    hosts = consulecs_dev_server.consul.host
    tls {
      server_name   = consulecs_dev_server.consul.server_name
      ca_secret_arn = consulecs_dev_server.consul.ca_secret_arn
    }
  }

  ecs_service {
    cluster         = local.cluster
    launch_type     = "FARGATE"
    subnets         = local.subnets
    security_groups = local.security_groups
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

  container {
    name        = "app"
    image       = "registry.example/web:1"
    environment = { API = "http://127.0.0.1:1234" }
  }

  consul_servers {
    hosts = consulecs_dev_server.consul.host
    tls {
      server_name   = consulecs_dev_server.consul.server_name
      ca_secret_arn = consulecs_dev_server.consul.ca_secret_arn
    }
  }

  ecs_service {
    cluster         = local.cluster
    launch_type     = "FARGATE"
    subnets         = local.subnets
    security_groups = local.security_groups
  }

  depends_on = [consulecs_controller.this]
}

# What an operator needs: CONSUL_HTTP_ADDR, CONSUL_TLS_SERVER_NAME, a file with the certificate, and the secret with the token.
output "consul" {
  value = {
    address          = "https://${consulecs_dev_server.consul.https_address}"
    server_name      = consulecs_dev_server.consul.server_name
    ca_certificate   = consulecs_dev_server.consul.ca_certificate_pem
    token_secret_arn = consulecs_dev_server.consul.bootstrap_token_secret_arn
  }
}
