# terraform apply -invoke=action.consulecs_drain_service.one_task
action "consulecs_drain_service" "one_task" {
  config {
    cluster = "prod"
    task    = "arn:aws:ecs:eu-central-1:123456789012:task/prod/1f3a9c0b7d2e4f5a8b6c1d0e9f8a7b6c"
    reason  = "leaks memory, kept for a look"
  }
}

# terraform apply -invoke=action.consulecs_drain_service.undo
action "consulecs_drain_service" "undo" {
  config {
    cluster = "prod"
    service = "web"
    restore = true
  }
}
