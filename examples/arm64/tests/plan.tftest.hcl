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
  image = "registry.example.com/thumbnails:1.0.0"
}

run "plan" {
  command = plan

  assert {
    condition     = jsondecode(consulecs_mesh_task.thumbnails.rendered_definition_json).runtimePlatform.cpuArchitecture == "ARM64"
    error_message = "The task is to run on ARM64."
  }
}
