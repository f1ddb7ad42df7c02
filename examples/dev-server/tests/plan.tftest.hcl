run "plan" {
  command = plan

  assert {
    condition     = consulecs_dev_server.consul.https_address == "consul.trial.internal:8501"
    error_message = "The server is to be found by its name, at the port of its HTTPS API."
  }

  assert {
    condition     = jsondecode(consulecs_mesh_task.web.agent_config_json).consulServers.hosts == "consul.trial.internal"
    error_message = "web is to find the server by its name."
  }

  assert {
    condition     = join(" ", keys(consulecs_dev_server.consul.rendered_container_definitions_json)) == "consul-server"
    error_message = "The server's task is to have one container."
  }
}
