# The tags of a task role that you make yourself. Without them, Consul takes no login of the role.
output "task_role_tags" {
  value = provider::consulecs::task_role_tags("web")
}

# Of a task of several services, the names of all.
output "task_role_tags_of_several_services" {
  value = provider::consulecs::task_role_tags(["ledger", "ledger-admin"])
}

# With Consul Enterprise, the namespace of the service.
output "task_role_tags_in_a_namespace" {
  value = provider::consulecs::task_role_tags("web", "shop")
}
