# report is a job: EventBridge Scheduler, or somebody by hand, runs a task of it, which calls api through the mesh and ends. No ECS service keeps it.

terraform {
  required_providers {
    consulecs = {
      source = "consulecs/consulecs"
    }
  }
}

provider "consulecs" {
  region = var.region

  consul_servers {
    hosts = var.consul.hosts
    tls {
      server_name   = var.consul.server_name
      ca_secret_arn = var.consul.ca_secret_arn
    }
  }

  login { enabled = true } # Consul's ACLs are on
}

resource "consulecs_mesh_task" "report" {
  family        = "report"
  outbound_only = true # it serves nothing

  upstream {
    destination_name = "api"
    local_bind_port  = 1234
  }

  task {
    cpu          = 256
    memory       = 512
    launch_types = [var.launch_type]
  }

  container {
    name        = "report"
    image       = var.image
    command     = var.command
    essential   = true # its end is the task's
    environment = var.environment
  }

  standalone_task {
    cluster         = var.network.ecs_cluster
    launch_type     = var.launch_type
    subnets         = var.network.subnets
    security_groups = var.network.security_groups
  }
}

# The parameters of ECS's RunTask.
output "run_task_json" {
  value = consulecs_mesh_task.report.run_task_json
}

# The rights of whoever calls it.
output "run_task_policy_json" {
  value = consulecs_mesh_task.report.run_task_policy_json
}
