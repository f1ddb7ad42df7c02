# orders is asked for its health itself as soon as it runs, before ECS's first health check, and serves on for 10 s after
# SIGTERM, until its callers have heard that it leaves.
resource "consulecs_mesh_task" "orders" {
  family = "orders"
  service { port = 8080 }

  container {
    name         = "orders"
    image        = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/orders:3.1.0"
    entry_point  = ["/docker-entrypoint.sh"] # as in the image
    command      = ["orders", "serve"]
    stop_timeout = 40
    health_check { command = ["CMD-SHELL", "wget -q -O /dev/null http://localhost:8080/health"] }
    mesh {
      shutdown_delay = "10s"
      readiness_probe {
        type = "http"
        port = 8080
        path = "/health"
      }
    }
  }
}
