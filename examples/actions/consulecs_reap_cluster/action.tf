# terraform apply -invoke=action.consulecs_reap_cluster.prod
action "consulecs_reap_cluster" "prod" {
  config {
    cluster = "prod"
  }
}
