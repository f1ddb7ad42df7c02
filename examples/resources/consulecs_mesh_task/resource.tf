# web listens on port 8080 and calls api at localhost:1234, through the mesh.
resource "consulecs_mesh_task" "web" {
  family = "web"

  service {
    port = 8080
    meta = { version = "1" }
  }

  upstream {
    destination_name = "api"
    local_bind_port  = 1234
  }

  task {
    cpu          = 512
    memory       = 1024
    launch_types = ["FARGATE"]
  }

  container {
    name        = "web"
    image       = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/web:1.4.2"
    environment = { API = "http://localhost:1234" }
    secrets     = { DB_PASSWORD = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf:password::" }
    health_check {
      command  = ["CMD-SHELL", "wget -q -O /dev/null http://localhost:8080/health"]
      interval = 5
    }
  }

  iam {
    task_role { policy_arns = ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"] }
  }

  ecs_service {
    cluster       = "production"
    desired_count = 3
    launch_type   = "FARGATE"
    subnets       = ["subnet-0a1b2c3d", "subnet-4e5f6a7b"]
    deployment {
      circuit_breaker {
        enable   = true
        rollback = true
      }
    }
    wait_for_steady_state = true
  }
}
