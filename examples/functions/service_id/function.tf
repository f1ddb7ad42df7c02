output "service_id" {
  value = provider::consulecs::service_id("web", "arn:aws:ecs:eu-central-1:123456789012:task/prod/0123456789abcdef0123456789abcdef")
}
