# front calls stock in its own availability zone while there are healthy instances of it there.
resource "consulecs_mesh_task" "front" {
  family = "front"
  service { port = 8080 }

  upstream {
    destination_name = "stock"
    local_bind_port  = 1234
  }

  locality {
    prefer_zone = true
    spill       = "full" # leave the zone when none is healthy, not before
  }

  container {
    name  = "front"
    image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/front:2.0.0"
  }
}
