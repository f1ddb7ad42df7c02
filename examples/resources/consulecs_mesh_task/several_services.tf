# ledger answers customers at one port and its operators at another. To the mesh these are two services, so that an intention for the
# one says nothing about the other.
resource "consulecs_mesh_task" "ledger" {
  family = "ledger"

  service {
    port = 8080
  }

  service {
    name = "ledger-admin"
    port = 8081

    proxy {
      config = jsonencode({ protocol = "http" })
    }
  }

  # Called as ledger-admin: an intention of rates for that name allows it.
  upstream {
    destination_name = "rates"
    local_bind_port  = 9090
    service          = "ledger-admin"
  }

  container {
    name  = "ledger"
    image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/ledger:1.8.0"
  }
}
