data "consulecs_mesh" "prod" {
  cluster = "prod"
}

# With Consul's address and a token in the provider's block consul, or in CONSUL_HTTP_ADDR and CONSUL_HTTP_TOKEN.
check "nothing_is_left_of_dead_tasks" {
  assert {
    condition     = length(coalesce(data.consulecs_mesh.prod.orphans, [])) == 0
    error_message = "Consul still has services of tasks that ECS does not run: ${jsonencode(data.consulecs_mesh.prod.orphans)}. Does the controller run?"
  }
}

output "unregistered_tasks" {
  value = [for task in data.consulecs_mesh.prod.tasks : task.arn if task.registered == false]
}
