# For a container of your own that runs an agent: the value of CONSUL_ECS_CONFIG_JSON, checked at plan.
output "agent_config" {
  value = provider::consulecs::agent_config({
    bootstrapDir  = "/consul"
    consulServers = { hosts = "consul.internal.example.com" }
    service       = { name = "web", port = 8080 }
    proxy         = { upstreams = [{ destinationName = "api", localBindPort = 1234 }] }
  })
}
