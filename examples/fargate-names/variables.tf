variable "region" {
  type    = string
  default = "eu-central-1"
}

variable "network" {
  description = "Where tasks run: name or ARN of an ECS cluster, IDs of subnets and of security groups."
  type = object({
    ecs_cluster     = string
    subnets         = list(string)
    security_groups = list(string)
  })
}

variable "consul" {
  description = "How Consul's servers are reached: hosts, the name in their certificates, and the secret with the CA's PEM text."
  type = object({
    hosts         = string
    server_name   = string
    ca_secret_arn = string
  })
}

variable "images" {
  description = "Images of the two applications. They listen at 127.0.0.1:9090 and 127.0.0.1:8080."
  type = object({
    catalog = string
    basket  = string
  })
}
