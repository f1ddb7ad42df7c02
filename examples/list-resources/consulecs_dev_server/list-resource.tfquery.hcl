# Every dev server of the account and Region, by its identity alone.
# terraform query
list "consulecs_dev_server" "all" {
  provider = consulecs
}

# The first twenty, each read as an import reads it: one or more calls of AWS for each.
# terraform query -generate-config-out=found.tf
list "consulecs_dev_server" "whole" {
  provider         = consulecs
  include_resource = true
  limit            = 20
}
