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

# A line for each config entry, as Consul's command takes it.
output "config_entries" {
  value = join("\n", [for e in local.mesh.config_entries : jsonencode(merge({ Kind = e.kind, Name = e.name }, jsondecode(e.config_json)))])
}

# documents[0] is the first of the files.
output "notes" {
  value = join("\n", concat(
    [for i, name in local.files : "documents[${i}] is ${name}"],
    [for note in local.mesh.notes : "${note.path}\n  ${note.what}"],
  ))
}
