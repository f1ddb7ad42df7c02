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
  image = "registry.example.com/report:1.0.0"
}

run "plan" {
  command = plan

  assert {
    condition     = jsondecode(output.run_task_json).taskDefinition == consulecs_mesh_task.report.arn_without_revision
    error_message = "The newest revision is to be run."
  }

  assert {
    condition     = jsondecode(output.run_task_json).propagateTags == "TASK_DEFINITION"
    error_message = "Tasks are to bear the definition's tags, the mesh's among them."
  }

  assert {
    condition     = toset(jsondecode(output.run_task_json).networkConfiguration.awsvpcConfiguration.subnets) == toset(var.network.subnets)
    error_message = "Tasks are to run in the given subnets."
  }

  assert {
    condition = toset(flatten([for s in jsondecode(output.run_task_policy_json).Statement : s.Resource if s.Sid == "PassRoles"])) == toset([
      consulecs_mesh_task.report.task_role_arn, consulecs_mesh_task.report.execution_role_arn,
    ])
    error_message = "The schedule is to pass the task's own roles and no others."
  }

  assert {
    condition     = jsondecode(consulecs_mesh_task.report.agent_config_json).service.port == 0 && consulecs_mesh_task.report.ecs_service_name == null
    error_message = "report is to serve nothing, and no ECS service is to keep it."
  }
}
