terraform {
  required_providers {
    consulecs = {
      source = "consulecs/consulecs"
    }
  }
}

# Credentials come from the AWS SDK's own chain: the environment, shared files, or the instance's role.
provider "consulecs" {
  region      = "eu-central-1"
  agent_image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/consulecs-agent:1.0.0"

  default_tags {
    tags = { team = "platform" }
  }

  # Written once: every resource that says nothing else reaches Consul this way.
  consul_servers {
    hosts = "consul.internal.example.com"
    tls {
      server_name   = "server.dc1.consul"
      ca_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:consul-ca-AbCdEf"
    }
  }

  login {
    enabled = true # Consul's ACLs are on
  }

  log_configuration {
    log_driver = "awslogs"
    options = {
      awslogs-group         = "/ecs/mesh"
      awslogs-region        = "eu-central-1"
      awslogs-stream-prefix = "mesh"
    }
  }
}
