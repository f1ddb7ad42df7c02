# What an aws_ecs_task_definition of yours takes:
#   network_mode          = "awsvpc"
#   container_definitions = local.container_definitions
#   tags                  = provider::consulecs::task_tags(local.task)
#   volume { name = "consul_data" }
locals {
  task = {
    family  = "web"
    service = { port = 8080 }

    upstream = [{
      destination_name = "api"
      local_bind_port  = 1234
    }]

    container = [{
      name         = "app"
      image        = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/web:1.0.0"
      port_mapping = [{ container_port = 8080 }]
      health_check = { command = ["CMD-SHELL", "curl -f http://localhost:8080/health"] }
    }]

    # A function does not know the provider's configuration.
    consul_servers = {
      hosts = "consul.internal.example.com"
      tls = {
        server_name   = "server.dc1.consul"
        ca_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:consul-ca-AbCdEf"
      }
    }
    login    = { enabled = true }
    sidecars = { image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/consulecs-agent:1.0.0" }
  }

  container_definitions = provider::consulecs::container_definitions(local.task)
}

output "container_names" {
  value = jsondecode(local.container_definitions)[*].name
}
