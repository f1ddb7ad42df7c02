# Placeholders: the plan looks none of them up.
variables {
  network = {
    ecs_cluster     = "retail"
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
    ledger  = "registry.example.com/ledger:1.0.0"
    billing = "registry.example.com/billing:1.0.0"
  }
}

run "plan" {
  command = plan

  assert {
    condition     = jsondecode(consulecs_mesh_task.billing.agent_config_json).service.namespace == "money" && jsondecode(consulecs_mesh_task.billing.agent_config_json).service.partition == "retail"
    error_message = "billing is to be in the namespace money of the partition retail."
  }

  assert {
    condition     = [for u in jsondecode(consulecs_mesh_task.billing.agent_config_json).proxy.upstreams : u.destinationNamespace] == ["books", "market"]
    error_message = "billing is to call services of other namespaces."
  }

  assert {
    condition     = jsondecode(consulecs_controller.retail.agent_config_json).controller.partition == "retail"
    error_message = "The controller is to look after the partition retail."
  }

  assert {
    condition     = consulecs_mesh_task.billing.tags_all["consul.hashicorp.com/namespace"] == "money"
    error_message = "Tasks are to bear the namespace as a tag."
  }
}
