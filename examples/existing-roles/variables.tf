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

variable "task_role_arn" {
  description = "Task role: below /consul-ecs/, with the tags of the output task_role_tags, allowed iam:GetRole on itself."
  type        = string
}

variable "execution_role_arn" {
  description = "Execution role: may pull the images and read the secret with Consul's CA."
  type        = string
}

variable "image" {
  description = "Image of the application, which listens at 127.0.0.1:8080."
  type        = string
}
