# terraform output -raw from_service_connect_hcl >mesh.tf
locals {
  from_service_connect = provider::consulecs::from_service_connect([
    jsonencode({
      services = [{
        serviceName    = "web"
        clusterArn     = "arn:aws:ecs:eu-central-1:123456789012:cluster/shop"
        taskDefinition = "arn:aws:ecs:eu-central-1:123456789012:task-definition/web:7"
        deployments = [{
          status = "PRIMARY"
          serviceConnectConfiguration = {
            enabled   = true
            namespace = "shop"
            services  = [{ portName = "http", clientAliases = [{ port = 8080, dnsName = "web" }] }]
          }
        }]
      }]
    }),
    jsonencode({
      taskDefinition = {
        taskDefinitionArn = "arn:aws:ecs:eu-central-1:123456789012:task-definition/web:7"
        family            = "web"
        containerDefinitions = [{
          name         = "web"
          image        = "web:1.0.0"
          portMappings = [{ name = "http", containerPort = 8080, appProtocol = "http" }]
        }]
      }
    }),
  ])
}

output "from_service_connect_hcl" {
  value = local.from_service_connect.hcl
}
