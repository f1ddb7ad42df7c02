variable "region" {
  type    = string
  default = "us-east-1"
}

variable "aws_endpoint" {
  type        = string
  description = "URL of the local AWS: ECS and everything else."
}

variable "ecs_cluster_arn" {
  type = string
}

variable "subnets" {
  type    = list(string)
  default = ["subnet-0123456789abcdef0"]
}

variable "consul_host" {
  type        = string
  description = "Address of the Consul server, without a port."
}

variable "consul_server_name" {
  type    = string
  default = "server.dc1.consul"
}

variable "consul_ca_secret_arn" {
  type        = string
  description = "Secret with the PEM text of the CA that signed Consul's certificates."
}

variable "consul_token_secret_arn" {
  type        = string
  description = "Secret with the token that the controller sets Consul up with."
}

variable "agent_image" {
  type    = string
  default = "consulecs-agent:local"
}

variable "app_image" {
  type    = string
  default = "consulecs-demo-app:local"
}

variable "api_release" {
  type        = string
  default     = "1"
  description = "Any change rolls the api service."
}
