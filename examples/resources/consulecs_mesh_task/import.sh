# A task with its ECS service, by the names of the ECS cluster and the service or by the service's ARN
terraform import consulecs_mesh_task.web production/web

# A task that others run, by its family
terraform import consulecs_mesh_task.batch batch
