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
  first_token_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:consul-first-token-AbCdEf"
  images = {
    api = "registry.example.com/api:1.0.0"
    web = "registry.example.com/web:1.0.0"
  }
}

run "plan" {
  command = plan

  assert {
    condition     = consulecs_mesh_task.web.service_name == "web" && consulecs_mesh_task.api.service_name == "api"
    error_message = "The services are to be called web and api in Consul."
  }

  assert {
    condition = sort(keys(consulecs_mesh_task.web.rendered_container_definitions_json)) == sort([
      "web", "consul-ecs-mesh-init", "consul-dataplane", "consul-ecs-mesh-ready", "consul-ecs-health-sync",
    ])
    error_message = "The task of web is to have its container and the mesh's."
  }

  assert {
    condition     = jsondecode(consulecs_mesh_task.web.agent_config_json).proxy.upstreams[0].localBindPort == 1234
    error_message = "web is to find api at its port 1234."
  }

  assert {
    condition     = jsondecode(consulecs_mesh_task.api.rendered_definition_json).requiresCompatibilities == ["FARGATE"]
    error_message = "api is to run on Fargate."
  }
}
