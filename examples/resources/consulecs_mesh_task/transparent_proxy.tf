# shop calls http://stock.virtual.consul through the mesh without naming an upstream. Its load balancer, outside the mesh,
# reaches it past the proxy, and it reaches its database so.
resource "consulecs_mesh_task" "shop" {
  family = "shop"
  service { port = 8080 }

  transparent_proxy {
    enabled                = true
    dns                    = true
    exclude_inbound_ports  = [8080]
    exclude_outbound_cidrs = ["10.20.0.0/24"]
  }

  task {
    cpu          = 512
    memory       = 1024
    launch_types = ["EC2"] # Fargate grants no task what redirecting traffic takes
  }

  container {
    name        = "shop"
    image       = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop:2.0.1"
    environment = { STOCK = "http://stock.virtual.consul" }
  }

  ecs_service {
    cluster       = "production"
    desired_count = 3
    launch_type   = "EC2"
    subnets       = ["subnet-0a1b2c3d", "subnet-4e5f6a7b"]
  }
}
