# shop calls stock by its name in Consul. All traffic of both tasks goes through their proxies by itself, so no upstream is
# listed, and stock, which listens at every address of its task, is still reached through its proxy alone.

resource "consulecs_mesh_task" "stock" {
  family = "stock"

  service { port = 9090 }

  transparent_proxy { enabled = true }

  task {
    cpu          = 256
    memory       = 512
    launch_types = ["EC2"] # Fargate grants no task what redirecting traffic takes
  }

  container {
    name      = "app"
    image     = var.app_image
    essential = true
    environment = {
      NAME   = "stock"
      LISTEN = "0.0.0.0:9090"
    }
    health_check {
      command  = ["CMD", "/demo-app", "health"]
      interval = 5
      timeout  = 2
      retries  = 2
    }
    mesh {
      readiness_probe { # serves before ECS has made its first check
        type = "http"
        port = 9090
        path = "/healthz"
      }
    }
  }

  ecs_service {
    cluster               = var.ecs_cluster_arn
    desired_count         = 1
    launch_type           = "EC2"
    subnets               = var.subnets
    wait_for_steady_state = true
  }

  depends_on = [consulecs_controller.this]
}

resource "consulecs_mesh_task" "shop" {
  family = "shop"

  service { port = 8080 }

  transparent_proxy {
    enabled               = true
    dns                   = true
    exclude_inbound_ports = [8080] # called from outside the mesh, as by a load balancer
  }

  task {
    cpu          = 256
    memory       = 512
    launch_types = ["EC2"]
  }

  container {
    name      = "app"
    image     = var.app_image
    essential = true
    environment = {
      NAME     = "shop"
      LISTEN   = "0.0.0.0:8080"
      UPSTREAM = "http://stock.virtual.consul"
    }
  }

  ecs_service {
    cluster               = var.ecs_cluster_arn
    desired_count         = 1
    launch_type           = "EC2"
    subnets               = var.subnets
    wait_for_steady_state = true
  }

  depends_on = [consulecs_controller.this]
}
