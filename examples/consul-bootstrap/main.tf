# What `consulecs-agent bootstrap` makes, made by Terraform's provider for Consul instead: a mesh on ECS whose controller holds
# no right over Consul's ACLs. The provider reads CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN and the rest of Consul's environment.
# The controller's configuration then has manageACL: false and consulLogin.enabled: true.

terraform {
  required_providers {
    consul = {
      source  = "hashicorp/consul"
      version = "~> 2.20"
    }
  }
}

variable "ecs_cluster_arn" {
  description = "ARN of the ECS cluster."
  type        = string
}

variable "controller_role_arn" {
  description = "ARN of the IAM role of the controller's tasks."
  type        = string
}

variable "iam_role_path" {
  description = "IAM path of the roles of mesh tasks."
  type        = string
  default     = "/consul-ecs/"
}

locals {
  aws_partition = split(":", var.ecs_cluster_arn)[1]
  account_id    = split(":", var.ecs_cluster_arn)[4]
  cluster_name  = substr(split("/", var.ecs_cluster_arn)[1], 0, 80)

  # Two Regions or accounts may have ECS clusters of one name.
  controller = "consulecs-controller-${local.cluster_name}-${substr(sha256(var.ecs_cluster_arn), 0, 8)}"

  # Without a path: the auth method of controllers does not ask IAM for it, and names are unique within an account.
  controller_role_name = reverse(split("/", var.controller_role_arn))[0]
  controller_role_arn  = "arn:${local.aws_partition}:iam::${local.account_id}:role/${local.controller_role_name}"

  read_catalog = <<-EOT
    node_prefix "" {
      policy = "read"
    }
    service_prefix "" {
      policy = "read"
    }
  EOT

  further_services = toset(["2", "3", "4", "5"])

  gateways = {
    api-gateway         = { role = consul_acl_role.api_gateway.name, called = "API gateways" }
    mesh-gateway        = { role = consul_acl_role.mesh_gateway.name, called = "mesh gateways" }
    terminating-gateway = { role = consul_acl_role.terminating_gateway.name, called = "Terminating gateways" }
  }
}

# Tasks.

resource "consul_acl_auth_method" "tasks" {
  name          = "iam-ecs-service-token"
  type          = "aws-iam"
  description   = "AWS IAM auth method for ECS service tokens"
  max_token_ttl = "1h"

  config_json = jsonencode({
    BoundIAMPrincipalARNs  = ["arn:${local.aws_partition}:iam::${local.account_id}:role${var.iam_role_path}*"]
    EnableIAMEntityDetails = true
    IAMEntityTags = concat(
      ["consul.hashicorp.com.gateway-kind", "consul.hashicorp.com.namespace", "consul.hashicorp.com.service-name"],
      [for n in local.further_services : "consul.hashicorp.com.service-name-${n}"],
    )
  })
}

resource "consul_acl_binding_rule" "service" {
  auth_method = consul_acl_auth_method.tasks.name
  description = "Bind a service identity from IAM role tag for ECS"
  bind_type   = "service"
  bind_name   = "$${entity_tags.consul.hashicorp.com.service-name}"
}

# A task may be up to five services, each of which a tag of its own grants.
resource "consul_acl_binding_rule" "further_service" {
  for_each = local.further_services

  auth_method = consul_acl_auth_method.tasks.name
  description = "Bind a service identity from IAM role tag consul.hashicorp.com.service-name-${each.key} for ECS"
  bind_type   = "service"
  bind_name   = "$${entity_tags.consul.hashicorp.com.service-name-${each.key}}"
  selector    = "entity_tags[\"consul.hashicorp.com.service-name-${each.key}\"] != \"\""
}

resource "consul_acl_binding_rule" "gateway" {
  for_each = local.gateways

  auth_method = consul_acl_auth_method.tasks.name
  description = "Bind a Consul role from IAM role tag for ECS based ${each.value.called}"
  bind_type   = "role"
  bind_name   = each.value.role
  selector    = "entity_tags[\"consul.hashicorp.com.gateway-kind\"] == \"${each.key}\""
}

# Gateways.

resource "consul_acl_policy" "api_gateway" {
  name        = "consul-ecs-api-gateway-policy"
  description = "API Gateway token Policy"
  rules       = "mesh = \"read\"\n${local.read_catalog}"
}

resource "consul_acl_role" "api_gateway" {
  name        = "consul-ecs-api-gateway-role"
  description = "API Gateway Role for ECS"
  policies    = [consul_acl_policy.api_gateway.id]
}

resource "consul_acl_policy" "mesh_gateway" {
  name        = "consul-ecs-mesh-gateway-policy"
  description = "Mesh Gateway token Policy"

  rules = <<-EOT
    mesh = "write"
    peering = "read"
  EOT
}

resource "consul_acl_role" "mesh_gateway" {
  name        = "consul-ecs-mesh-gateway-role"
  description = "Mesh Gateway Role for ECS"
  policies    = [consul_acl_policy.mesh_gateway.id]
}

resource "consul_acl_role" "terminating_gateway" {
  name        = "consul-ecs-terminating-gateway-role"
  description = "Terminating Gateway Role for ECS"
}

# The controller.

resource "consul_acl_policy" "controller" {
  name        = local.controller
  description = "Controllers of the ECS cluster ${var.ecs_cluster_arn}"

  rules = <<-EOT
    node "${var.ecs_cluster_arn}" {
      policy = "write"
    }
    service_prefix "" {
      policy = "read"
    }
    session "${var.ecs_cluster_arn}" {
      policy = "write"
    }
    key "consulecs/controller/${var.ecs_cluster_arn}" {
      policy = "write"
    }
  EOT
}

resource "consul_acl_role" "controller" {
  name        = local.controller
  description = "Controllers of the ECS cluster ${var.ecs_cluster_arn}"
  policies    = [consul_acl_policy.controller.id]
}

resource "consul_acl_auth_method" "controllers" {
  name          = "consulecs-controller"
  type          = "aws-iam"
  description   = "AWS IAM auth method for controllers of ECS clusters"
  max_token_ttl = "1h"

  config_json = jsonencode({
    BoundIAMPrincipalARNs = [local.controller_role_arn]
  })
}

resource "consul_acl_binding_rule" "controller" {
  auth_method = consul_acl_auth_method.controllers.name
  description = "Bind the role of an ECS cluster's controllers to the IAM role ${local.controller_role_arn}"
  bind_type   = "role"
  bind_name   = consul_acl_role.controller.name
  selector    = "account_id == \"${local.account_id}\" and entity_name == \"${local.controller_role_name}\""
}

# What Consul DNS needs; leave it out where nobody uses it.

resource "consul_acl_policy" "anonymous" {
  name        = "anonymous-token-policy"
  description = "Anonymous token Policy"
  rules       = local.read_catalog
}

resource "consul_acl_token_policy_attachment" "anonymous" {
  token_id = "00000000-0000-0000-0000-000000000002"
  policy   = consul_acl_policy.anonymous.name
}

# The node that tasks hang their services on. The controller makes it too, and writes its own address.

resource "consul_node" "ecs_cluster" {
  name    = var.ecs_cluster_arn
  address = "127.0.0.1"
  meta    = { synthetic-node = "true" }

  lifecycle {
    ignore_changes = [address]
  }
}
