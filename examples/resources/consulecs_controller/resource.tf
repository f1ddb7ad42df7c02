# One controller for each ECS cluster.
resource "consulecs_controller" "production" {
  cluster          = "production"
  token_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:consul-bootstrap-token-AbCdEf"

  launch_type     = "FARGATE"
  subnets         = ["subnet-0a1b2c3d", "subnet-4e5f6a7b"]
  security_groups = ["sg-0a1b2c3d"]
}
