# Consul Enterprise: billing is in the namespace money of the partition retail and calls ledger in another partition and
# rates through a cluster peering.
resource "consulecs_mesh_task" "billing" {
  family = "billing"

  service {
    port      = 8080
    namespace = "money"
    partition = "retail"
  }

  upstream {
    destination_name      = "ledger"
    destination_namespace = "books"
    destination_partition = "core"
    local_bind_port       = 1234
  }
  upstream {
    destination_name      = "rates"
    destination_namespace = "market"
    destination_peer      = "east"
    local_bind_port       = 1235
  }

  container {
    name  = "billing"
    image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/billing:1.0.0"
  }
}
