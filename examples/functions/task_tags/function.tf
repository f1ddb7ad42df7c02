# The tags of an aws_ecs_task_definition whose containers come from container_definitions. The ECS service has to propagate them.
output "task_tags" {
  value = provider::consulecs::task_tags({
    family         = "web"
    service        = { port = 8080 }
    container      = [{ name = "app", image = "web:1.0.0" }]
    consul_servers = { hosts = "consul.internal.example.com" }
    sidecars       = { image = "consulecs-agent:1.0.0" }
    tags           = { team = "shop" }
  })
}
