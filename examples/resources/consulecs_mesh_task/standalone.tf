# report is a job: a schedule runs a task of it, which calls api at localhost:1234, through the mesh, and ends.
resource "consulecs_mesh_task" "report" {
  family        = "report"
  outbound_only = true

  upstream {
    destination_name = "api"
    local_bind_port  = 1234
  }

  container {
    name        = "report"
    image       = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/report:1.0.0"
    environment = { API = "http://localhost:1234" }
  }

  standalone_task {
    cluster     = "batch"
    launch_type = "FARGATE"
    subnets     = ["subnet-0a1b2c3d", "subnet-4e5f6a7b"]
  }
}

# What the schedule says to ECS, and what its role may do.
output "run_task_json" {
  value = consulecs_mesh_task.report.run_task_json
}

output "run_task_policy_json" {
  value = consulecs_mesh_task.report.run_task_policy_json
}
