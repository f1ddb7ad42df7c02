# Placeholders: the plan looks none of them up.
variables {
  network = {
    ecs_cluster     = "main"
    subnets         = ["subnet-0a1b2c3d", "subnet-4e5f6a7b"]
    security_groups = ["sg-0a1b2c3d"]
  }
  consul = {
    hosts         = "consul.internal.example.com"
    server_name   = "server.dc1.consul"
    ca_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:consul-ca-AbCdEf"
  }
  capacity_provider = "instances"
  images = {
    stock = "registry.example.com/stock:1.0.0"
    shop  = "registry.example.com/shop:1.0.0"
  }
}

run "plan" {
  command = plan

  assert {
    condition     = alltrue([for task in [consulecs_mesh_task.shop, consulecs_mesh_task.stock] : jsondecode(task.agent_config_json).transparentProxy.enabled])
    error_message = "The traffic of both tasks is to be redirected."
  }

  assert {
    condition     = jsondecode(consulecs_mesh_task.shop.agent_config_json).transparentProxy.consulDNS.enabled
    error_message = "shop is to resolve names of the mesh."
  }

  assert {
    condition     = jsondecode(consulecs_mesh_task.shop.agent_config_json).transparentProxy.excludeOutboundCIDRs == ["10.20.0.0/24"]
    error_message = "shop is to reach its database past the mesh."
  }

  assert {
    condition     = jsondecode(consulecs_mesh_task.stock.rendered_definition_json).requiresCompatibilities == ["EC2"]
    error_message = "stock is to run on EC2."
  }
}
