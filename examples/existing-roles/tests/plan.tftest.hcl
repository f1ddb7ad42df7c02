# Placeholders. The plan reads the two roles: name roles that exist.
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
  task_role_arn      = "arn:aws:iam::123456789012:role/consul-ecs/orders-task"
  execution_role_arn = "arn:aws:iam::123456789012:role/consul-ecs/orders-execution"
  image              = "registry.example.com/orders:1.0.0"
}

run "plan" {
  command = plan

  assert {
    condition     = consulecs_mesh_task.orders.task_role_arn == var.task_role_arn && consulecs_mesh_task.orders.execution_role_arn == var.execution_role_arn
    error_message = "The task is to have the given roles."
  }

  assert {
    condition     = jsondecode(consulecs_mesh_task.orders.rendered_roles_json) == []
    error_message = "No role is to be made."
  }

  assert {
    condition     = output.task_role_tags["consul.hashicorp.com.service-name"] == "orders"
    error_message = "The role's tag is to name the service."
  }
}
