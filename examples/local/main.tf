# The mesh on one machine: the controller, and web calling api through it; transparent_proxy.tf adds a pair that needs no
# upstream, and names.tf a caller that needs none either and no redirection. `make demo` applies this configuration against a local ECS; against AWS only the provider block and the variables
# would differ.

terraform {
  required_providers {
    consulecs = {
      source = "consulecs/consulecs"
    }
  }
}

provider "consulecs" {
  region = var.region

  endpoints {
    ecs            = var.aws_endpoint
    iam            = var.aws_endpoint
    sts            = var.aws_endpoint
    secretsmanager = var.aws_endpoint
    sqs            = var.aws_endpoint
    events         = var.aws_endpoint
  }

  agent_image = var.agent_image

  # Every mesh task and the controller reach the same servers, so they are named once.
  consul_servers {
    hosts = var.consul_host
    tls {
      enabled       = true
      server_name   = var.consul_server_name
      ca_secret_arn = var.consul_ca_secret_arn
    }
  }

  login {
    enabled      = true
    sts_endpoint = var.aws_endpoint
    iam_endpoint = var.aws_endpoint
  }
}

# Two controllers, of which one leads: what it does not live to do, the other does.
resource "consulecs_controller" "this" {
  cluster          = var.ecs_cluster_arn
  token_secret_arn = var.consul_token_secret_arn
  desired_count    = 2
  subnets          = var.subnets
  launch_type      = "EC2"
}

resource "consulecs_mesh_task" "api" {
  family = "api"

  service { port = 9090 }

  task {
    cpu          = 256
    memory       = 512
    launch_types = ["EC2", "FARGATE"]
  }

  container {
    name      = "app"
    image     = var.app_image
    essential = true
    environment = {
      NAME    = "api"
      LISTEN  = "127.0.0.1:9090"
      RELEASE = var.api_release
    }
    health_check {
      command  = ["CMD", "/demo-app", "health"]
      interval = 5
      timeout  = 2
      retries  = 2
    }
  }

  ecs_service {
    cluster               = var.ecs_cluster_arn
    desired_count         = 1
    launch_type           = "EC2"
    subnets               = var.subnets
    wait_for_steady_state = true
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
    launch_types = ["EC2", "FARGATE"]
  }

  container {
    name      = "app"
    image     = var.app_image
    essential = true
    environment = {
      NAME     = "web"
      LISTEN   = "0.0.0.0:8080"
      UPSTREAM = "http://127.0.0.1:1234"
    }
  }

  ecs_service {
    cluster               = var.ecs_cluster_arn
    desired_count         = 1
    launch_type           = "EC2"
    subnets               = var.subnets
    wait_for_steady_state = true
  }

  depends_on = [consulecs_controller.this]
}
