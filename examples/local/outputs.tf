output "services" {
  description = "ECS services by Consul service."
  value = {
    api = consulecs_mesh_task.api.ecs_service_arn
    web = consulecs_mesh_task.web.ecs_service_arn

    shop  = consulecs_mesh_task.shop.ecs_service_arn
    stock = consulecs_mesh_task.stock.ecs_service_arn

    kiosk = consulecs_mesh_task.kiosk.ecs_service_arn
  }
}
