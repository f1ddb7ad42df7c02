# Consul's address is in CONSUL_HTTP_ADDR, the Region in AWS_REGION.
provider "consulecs" {
  alias = "login"
}

# An auth method of type aws-iam that admits the role by which Terraform runs.
ephemeral "consulecs_consul_token" "run" {
  provider    = consulecs.login
  auth_method = "operators"
}

provider "consulecs" {
  consul {
    token = ephemeral.consulecs_consul_token.run.token
  }
}

data "consulecs_mesh" "prod" {
  cluster = "prod"
}

output "orphans" {
  value = data.consulecs_mesh.prod.orphans
}
