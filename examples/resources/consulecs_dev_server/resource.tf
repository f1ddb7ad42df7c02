# One Consul server for trials. Not for production: nothing takes over when its task ends.
resource "consulecs_dev_server" "trial" {
  cluster         = "trial"
  launch_type     = "FARGATE"
  subnets         = ["subnet-0a1b2c3d", "subnet-4e5f6a7b"]
  security_groups = ["sg-0a1b2c3d"]

  # A Cloud Map service with A records, by whose name tasks find the server.
  dns_name = "consul.trial.internal"
  service_registry {
    registry_arn = "arn:aws:servicediscovery:eu-central-1:123456789012:service/srv-0123456789abcdef"
  }
}
