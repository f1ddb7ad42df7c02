output "services" {
  description = "ECS services by Consul service."
  value = {
    api = consulecs_mesh_task.api.ecs_service_arn
    web = consulecs_mesh_task.web.ecs_service_arn
  }
}
