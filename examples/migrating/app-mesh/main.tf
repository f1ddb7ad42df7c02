# Reads what AWS printed into the folder old, and makes nothing but outputs.
terraform {
  required_providers {
    consulecs = { source = "consulecs/consulecs" }
  }
}

locals {
  files = sort(tolist(fileset("${path.module}/old", "*.json")))
  mesh  = provider::consulecs::from_app_mesh([for name in local.files : file("${path.module}/old/${name}")])
}

output "hcl" {
  value = local.mesh.hcl
}

output "config_entries" {
  value = local.mesh.config_entries
}

# documents[0] is the first of the files.
output "notes" {
  value = { files = local.files, notes = local.mesh.notes }
}
