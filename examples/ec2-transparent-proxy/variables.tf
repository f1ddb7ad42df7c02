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

variable "capacity_provider" {
  description = "Capacity provider of the ECS cluster with EC2 instances."
  type        = string
}

variable "database_cidr" {
  description = "Network of shop's database."
  type        = string
  default     = "10.20.0.0/24"
}

variable "images" {
  description = "Images of the two applications. stock listens at port 9090, shop at port 8080."
  type = object({
    stock = string
    shop  = string
  })
}
