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
    catalog = "registry.example.com/catalog:1.0.0"
    basket  = "registry.example.com/basket:1.0.0"
  }
}

run "plan" {
  command = plan

  assert {
    condition     = jsondecode(consulecs_mesh_task.basket.agent_config_json).names.enabled && !jsondecode(consulecs_mesh_task.basket.agent_config_json).transparentProxy.enabled
    error_message = "basket is to call by name, and its traffic is not to be redirected."
  }

  assert {
    condition     = !can(jsondecode(consulecs_mesh_task.basket.agent_config_json).proxy.upstreams) && !can(jsondecode(consulecs_mesh_task.catalog.agent_config_json).names)
    error_message = "basket is to list no upstream, and catalog is to call nobody."
  }

  assert {
    condition     = jsondecode(consulecs_mesh_task.basket.rendered_definition_json).requiresCompatibilities == ["FARGATE"]
    error_message = "basket is to run on Fargate."
  }

  assert {
    condition     = !can(jsondecode(consulecs_mesh_task.basket.rendered_container_definitions_json["consul-ecs-mesh-init"]).linuxParameters)
    error_message = "mesh-init is to get no capability."
  }
}
