# staging and production in one AWS account, each with its own Consul. The roles of an environment lie below a path of its own, and its
# controller has Consul admit the roles below that path alone: staging's tasks cannot log in to production's Consul.

terraform {
  required_providers {
    consulecs = {
      source = "consulecs/consulecs"
    }
  }
}

provider "consulecs" {
  region = var.region
}

resource "consulecs_controller" "this" {
  for_each = var.environments

  cluster                = each.value.ecs_cluster
  first_token_secret_arn = each.value.first_token_secret_arn
  iam_role_path          = "/consul-ecs/${each.key}/"

  consul_servers {
    hosts = each.value.consul_hosts
    tls { ca_secret_arn = each.value.ca_secret_arn }
  }
  login {
    enabled          = true
    server_id_header = "consul-${each.key}" # a signed login that leaks from one environment is of no use in the other
  }

  subnets         = each.value.subnets
  security_groups = each.value.security_groups
  tags            = { environment = each.key }
}

resource "consulecs_mesh_task" "web" {
  for_each = var.environments

  family = "${each.key}-web" # families and roles are of the whole account

  service {
    name = "web" # the name in Consul, of which each environment has one
    port = 8080
  }

  consul_servers {
    hosts = each.value.consul_hosts
    tls { ca_secret_arn = each.value.ca_secret_arn }
  }
  login {
    enabled          = true
    server_id_header = "consul-${each.key}"
  }

  container {
    name        = "web"
    image       = each.value.image
    environment = { ENVIRONMENT = each.key }
  }

  iam { path = "/consul-ecs/${each.key}/" }

  ecs_service {
    cluster         = each.value.ecs_cluster
    name            = "web"
    desired_count   = each.value.desired_count
    subnets         = each.value.subnets
    security_groups = each.value.security_groups
  }
  tags = { environment = each.key }

  depends_on = [consulecs_controller.this]
}
