locals {
  # The same in every mesh task of the ECS cluster, so that each may be the first.
  controller_token = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:consul-bootstrap-token-AbCdEf"
}

# The first of the two to be made brings a controller along, the last to go takes it down.
resource "consulecs_mesh_task" "cart" {
  family = "cart"
  service { port = 8080 }

  container {
    name  = "cart"
    image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/cart:1.0.0"
  }
  ecs_service {
    cluster     = "staging"
    launch_type = "FARGATE"
    subnets     = ["subnet-0a1b2c3d", "subnet-4e5f6a7b"]
  }
  controller {
    first_token_secret_arn = local.controller_token
    login { enabled = true }
  }
}

resource "consulecs_mesh_task" "payment" {
  family = "payment"
  service { port = 8080 }
  upstream {
    destination_name = "cart"
    local_bind_port  = 9191
  }

  container {
    name  = "payment"
    image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/payment:1.0.0"
  }
  ecs_service {
    cluster     = "staging"
    launch_type = "FARGATE"
    subnets     = ["subnet-0a1b2c3d", "subnet-4e5f6a7b"]
  }
  controller {
    first_token_secret_arn = local.controller_token
    login { enabled = true }
  }
}
