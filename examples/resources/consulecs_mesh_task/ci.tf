# Terraform makes and configures checkout, CI ships its image: it registers the newest revision anew with the new image, tags included,
# and moves the ECS service to that. Terraform's next revision has the image that CI shipped last.
resource "consulecs_mesh_task" "checkout" {
  family = "checkout"
  service { port = 8080 }

  container {
    name  = "checkout"
    image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/checkout:1.0.0" # counts until CI ships the first time
  }

  ecs_service {
    cluster = "main"
    subnets = ["subnet-0123456789abcdef0"]
  }

  revision_policy {
    follow_images = true
    keep          = 2
  }
}

# What Terraform's next revision will run instead of the configured images.
output "shipped" {
  value = consulecs_mesh_task.checkout.followed_images
}
