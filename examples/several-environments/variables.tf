variable "region" {
  type    = string
  default = "eu-central-1"
}

variable "environments" {
  description = "Environments by their names: where tasks run, how their Consul is reached, and what runs there. The application listens at 127.0.0.1:8080."
  type = map(object({
    ecs_cluster            = string
    subnets                = list(string)
    security_groups        = list(string)
    consul_hosts           = string
    ca_secret_arn          = string
    first_token_secret_arn = string
    image                  = string
    desired_count          = number
  }))
}
