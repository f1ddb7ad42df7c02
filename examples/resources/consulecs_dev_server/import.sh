# By the names of the ECS cluster and the service, or by the service's ARN
terraform import consulecs_dev_server.trial trial/consul-dev-server
