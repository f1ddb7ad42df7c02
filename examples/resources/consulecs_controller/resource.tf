# One controller for each ECS cluster.
resource "consulecs_controller" "production" {
  cluster       = "production"
  desired_count = 2 # one leads, the other takes over

  # Consul's token is for the first start alone: afterwards the controller logs in with its task role.
  first_token_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:consul-bootstrap-token-AbCdEf"
  login {
    enabled           = true
    token_ttl_seconds = 3600
  }

  launch_type     = "FARGATE"
  subnets         = ["subnet-0a1b2c3d", "subnet-4e5f6a7b"]
  security_groups = ["sg-0a1b2c3d"]
}
