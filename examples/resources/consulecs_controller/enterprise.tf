# Consul Enterprise: the controller of an ECS cluster whose tasks are in the admin partition retail. It makes the partition and the
# namespaces that the tasks name, where they are missing.
resource "consulecs_controller" "retail" {
  cluster   = "retail"
  partition = "retail"

  first_token_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:consul-bootstrap-token-AbCdEf"
  login {
    enabled = true
  }

  launch_type     = "FARGATE"
  subnets         = ["subnet-0a1b2c3d", "subnet-4e5f6a7b"]
  security_groups = ["sg-0a1b2c3d"]
}
