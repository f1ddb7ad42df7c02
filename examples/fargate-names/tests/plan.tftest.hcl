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
  images = {
    stock = "registry.example.com/stock:1.0.0"
    shop  = "registry.example.com/shop:1.0.0"
  }
}

run "plan" {
  command = plan

  assert {
    condition     = jsondecode(consulecs_mesh_task.shop.agent_config_json).names.enabled && !jsondecode(consulecs_mesh_task.shop.agent_config_json).transparentProxy.enabled
    error_message = "shop is to call by name, and its traffic is not to be redirected."
  }

  assert {
    condition     = !can(jsondecode(consulecs_mesh_task.shop.agent_config_json).proxy.upstreams) && !can(jsondecode(consulecs_mesh_task.stock.agent_config_json).names)
    error_message = "shop is to list no upstream, and stock is to call nobody."
  }

  assert {
    condition     = jsondecode(consulecs_mesh_task.shop.rendered_definition_json).requiresCompatibilities == ["FARGATE"]
    error_message = "shop is to run on Fargate."
  }

  assert {
    condition     = !can(jsondecode(consulecs_mesh_task.shop.rendered_container_definitions_json["consul-ecs-mesh-init"]).linuxParameters)
    error_message = "mesh-init is to get no capability."
  }
}
