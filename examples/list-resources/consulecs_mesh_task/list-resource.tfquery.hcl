# Every mesh task of the account and Region, by its identity alone.
# terraform query
list "consulecs_mesh_task" "all" {
  provider = consulecs
}

# The first twenty, each read as an import reads it: one or more calls of AWS for each.
# terraform query -generate-config-out=found.tf
list "consulecs_mesh_task" "whole" {
  provider         = consulecs
  include_resource = true
  limit            = 20
}
