# terraform output -raw from_app_mesh_hcl >mesh.tf
# With files: [for name in sort(fileset("appmesh", "*.json")) : file("appmesh/${name}")]
locals {
  from_app_mesh = provider::consulecs::from_app_mesh([
    jsonencode({
      virtualNode = {
        meshName        = "shop"
        virtualNodeName = "web"
        spec = {
          listeners = [{ portMapping = { port = 8080, protocol = "http" } }]
          backends  = [{ virtualService = { virtualServiceName = "stock.shop.local" } }]
        }
      }
    }),
  ])
}

output "from_app_mesh_hcl" {
  value = local.from_app_mesh.hcl
}

# What has no equal, and what to do.
output "from_app_mesh_notes" {
  value = [for note in local.from_app_mesh.notes : "${note.path}: ${note.what}"]
}
