# Placeholders: the plan looks none of them up.
variables {
  environments = {
    staging = {
      ecs_cluster            = "staging"
      subnets                = ["subnet-0a1b2c3d"]
      security_groups        = ["sg-0a1b2c3d"]
      consul_hosts           = "consul.staging.example.com"
      ca_secret_arn          = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:staging-ca-AbCdEf"
      first_token_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:staging-token-AbCdEf"
      image                  = "registry.example.com/web:2.0.0"
      desired_count          = 1
    }
    production = {
      ecs_cluster            = "production"
      subnets                = ["subnet-4e5f6a7b"]
      security_groups        = ["sg-4e5f6a7b"]
      consul_hosts           = "consul.production.example.com"
      ca_secret_arn          = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:production-ca-AbCdEf"
      first_token_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:production-token-AbCdEf"
      image                  = "registry.example.com/web:1.0.0"
      desired_count          = 3
    }
  }
}

run "plan" {
  command = plan

  assert {
    condition     = alltrue([for name, task in consulecs_mesh_task.web : strcontains(task.task_role_arn, ":role/consul-ecs/${name}/")])
    error_message = "The roles of an environment are to lie below its own path."
  }

  assert {
    condition     = alltrue([for name, controller in consulecs_controller.this : jsondecode(controller.agent_config_json).controller.iamRolePath == "/consul-ecs/${name}/"])
    error_message = "The controller of an environment is to admit its own roles alone."
  }

  assert {
    condition     = alltrue([for task in consulecs_mesh_task.web : task.service_name == "web"])
    error_message = "The service is to be called web in each Consul."
  }

  assert {
    condition     = length(distinct([for task in consulecs_mesh_task.web : task.task_role_name])) == 2
    error_message = "No role is to be of two environments."
  }
}
