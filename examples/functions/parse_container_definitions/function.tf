locals {
  containers = provider::consulecs::parse_container_definitions(jsonencode([{
    name         = "app"
    image        = "web:1.0.0"
    portMappings = [{ containerPort = 8080 }]
  }]))
}

# Containers that another tool writes as ECS's JSON, put into the mesh.
output "in_the_mesh" {
  value = provider::consulecs::container_definitions({
    family         = "web"
    service        = { port = 8080 }
    container      = local.containers
    consul_servers = { hosts = "consul.internal.example.com" }
    sidecars       = { image = "consulecs-agent:1.0.0" }
  })
}
