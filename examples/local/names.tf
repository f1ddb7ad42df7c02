# kiosk, a task of Fargate's kind, calls stock by its name in Consul, too. Nothing of it is redirected, and no container of it gets a capability;
# its application needs no right at all.

resource "consulecs_mesh_task" "kiosk" {
  family = "kiosk"

  service { port = 8080 }

  names { enabled = true }

  task {
    cpu          = 256
    memory       = 512
    launch_types = ["FARGATE"]
  }

  container {
    name                     = "app"
    image                    = var.app_image
    essential                = true
    user                     = "65534"
    readonly_root_filesystem = true
    environment = {
      NAME     = "kiosk"
      LISTEN   = "0.0.0.0:8080"
      UPSTREAM = "http://stock.virtual.consul"
    }
    linux_parameters {
      capabilities { drop = ["ALL"] }
    }
  }

  ecs_service {
    cluster               = var.ecs_cluster_arn
    desired_count         = 1
    launch_type           = "FARGATE"
    subnets               = var.subnets
    wait_for_steady_state = true
  }

  depends_on = [consulecs_controller.this]
}
