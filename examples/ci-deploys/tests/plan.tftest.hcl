# Placeholders: the plan looks none of them up.
variables {
  network = {
    ecs_cluster     = "main"
    subnets         = ["subnet-0a1b2c3d", "subnet-4e5f6a7b"]
    security_groups = ["sg-0a1b2c3d"]
  }
  consul = {
    hosts         = "consul.internal.example.com"
    server_name   = "server.dc1.consul"
    ca_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:consul-ca-AbCdEf"
  }
  first_image = "registry.example.com/checkout:1.0.0"
}

run "plan" {
  command = plan

  assert {
    condition     = output.pipeline.family == "checkout" && output.pipeline.ecs_service == "checkout" && length(output.pipeline.passes) == 2
    error_message = "The pipeline is to hear the names of what it deploys, and the roles."
  }

  assert {
    condition     = length(output.shipped) == 0
    error_message = "Before the pipeline has shipped, the configured image counts."
  }

  assert {
    condition     = jsondecode(consulecs_mesh_task.checkout.rendered_container_definitions_json["checkout"]).image == var.first_image
    error_message = "The first revision is to have the configured image."
  }
}
