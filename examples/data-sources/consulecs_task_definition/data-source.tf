data "consulecs_task_definition" "web" {
  family = "web"

  service {
    port = 8080
  }

  container {
    name  = "app"
    image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/web:1.0.0"
    port_mapping {
      container_port = 8080
    }
  }
}

# For a role that another team makes.
output "task_role" {
  value = {
    policy = data.consulecs_task_definition.web.task_role_policy_json
    tags   = data.consulecs_task_definition.web.task_role_tags
  }
  sensitive = true
}
