# basket calls http://payments.virtual.consul, and http://<any service that it may call>.virtual.consul, without naming an upstream. Nothing is
# redirected, so it runs on Fargate as well.
resource "consulecs_mesh_task" "basket" {
  family = "basket"
  service { port = 8080 }

  names { enabled = true }

  container {
    name                     = "basket"
    image                    = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/basket:3.1.0"
    user                     = "65534" # it needs no right at all
    readonly_root_filesystem = true
    environment              = { PAYMENTS = "http://payments.virtual.consul" }
  }

  ecs_service {
    cluster       = "production"
    desired_count = 3
    launch_type   = "FARGATE"
    subnets       = ["subnet-0a1b2c3d", "subnet-4e5f6a7b"]
  }
}
