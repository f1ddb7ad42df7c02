package provider_test

import (
	"strings"
	"testing"
)

// TestWhatDiesLaterIsRefusedAtItsAttribute has a row for each kind of finding that internal/taskdef, internal/iamrole and the
// checks of the ECS service know of, to hold the attributes that they are reported at.
func TestWhatDiesLaterIsRefusedAtItsAttribute(t *testing.T) {
	t.Parallel()
	app := func(changes fields) fields { return meshTask(fields{"container": container(changes)}) }
	service := func(changes fields) fields {
		return meshTask(fields{"ecs_service": with(fields{"cluster": "mesh", "subnets": []any{"subnet-1"}}, changes)})
	}
	run := func(changes fields) fields {
		return meshTask(fields{"task": fields{"launch_types": []any{"EC2"}}, "standalone_task": with(fields{"cluster": "mesh", "subnets": []any{"subnet-1"}}, changes)})
	}
	efs := func(changes fields) fields {
		return meshTask(fields{"task": fields{"volume": []any{fields{"name": "v", "efs_volume_configuration": with(fields{"file_system_id": "fs-1"}, changes)}}}})
	}
	checkRows(t, "consulecs_mesh_task", map[string]row{
		"a bucket for a secret":   {app(fields{"secrets": fields{"DB": "arn:aws:s3:::b/k"}}), `container[0].secrets["DB"] | want the ARN of a Secrets Manager secret`},
		"a secret of the log":     {meshTask(fields{"sidecars": fields{"image": "a:1", "log_configuration": fields{"log_driver": "splunk", "secret_options": fields{"splunk-token": "arn:aws:s3:::b/k"}}}}), `sidecars.log_configuration.secret_options["splunk-token"] | want the ARN`},
		"the agents' variable":    {app(fields{"environment": fields{"CONSUL_ECS_CONFIG_JSON": "{}"}}), `container[0].environment["CONSUL_ECS_CONFIG_JSON"] | container["app"].environment["CONSUL_ECS_CONFIG_JSON"] is set by the mesh`},
		"a file that is none":     {app(fields{"environment_file": []any{fields{"type": "s3", "value": "s3://b/k"}}}), "container[0].environment_file[0].value | want the ARN of an S3 object"},
		"an image with a blank":   {app(fields{"image": "app :1"}), "container[0].image | has a blank"},
		"limits upside down":      {app(fields{"ulimit": []any{fields{"name": "nofile", "soft_limit": 2, "hard_limit": 1}}}), `container[0].ulimit["nofile"].soft_limit | is 2, above container["app"].ulimit["nofile"].hard_limit of 1`},
		"a range that is none":    {app(fields{"port_mapping": []any{fields{"container_port_range": "8000"}}}), "container[0].port_mapping[0].container_port_range | such as 8000-8010"},
		"a range beside a port":   {app(fields{"port_mapping": []any{fields{"container_port": 1, "container_port_range": "8000-8001"}}}), "container[0].port_mapping[0].container_port_range | is not allowed together with"},
		"volumes of nobody":       {app(fields{"volumes_from": []any{fields{"source_container": "db"}}}), "container[0].volumes_from[0].source_container | no container of the task"},
		"a dropped entry point":   {app(fields{"command": []any{"/app"}, "mesh": fields{"shutdown_delay": "5s"}}), `container[0].mesh.shutdown_delay | container["app"].entry_point is missing`},
		"no log router":           {app(fields{"log_configuration": fields{"log_driver": "awsfirelens"}}), "container[0].log_configuration.log_driver | log router"},
		"a large sidecar":         {meshTask(fields{"sidecars": fields{"image": "a:1", "dataplane": fields{"memory": 1024}}}), "sidecars.dataplane.memory | above the task's 512"},
		"IAM in the clear":        {efs(fields{"authorization_config": fields{"iam": "ENABLED"}}), `task.volume[0].efs_volume_configuration.transit_encryption | task.volume["v"].efs_volume_configuration.authorization_config.iam needs`},
		"a directory too many":    {efs(fields{"root_directory": "/x", "transit_encryption": "ENABLED", "authorization_config": fields{"access_point_id": "fsap-1"}}), "task.volume[0].efs_volume_configuration.root_directory | is not allowed together with"},
		"a dot in metadata":       {meshTask(fields{"service": fields{"port": 1, "meta": fields{"a.b": ""}}}), `service.meta["a.b"] | Consul refuses`},
		"a null for an object":    {meshTask(fields{"upstream": upstream(fields{"config": "null"})}), "upstream[0].config | it is null"},
		"an upstream to all":      {meshTask(fields{"upstream": upstream(fields{"destination_name": "*"})}), "upstream[0].destination_name | the name of no service"},
		"a method with a dot":     {meshTask(fields{"login": fields{"enabled": true, "auth_method": "a.b"}}), "login.auth_method | as Consul's auth methods are named"},
		"one name for two roles":  {meshTask(fields{"iam": fields{"task_role": fields{"name": "web-execution"}}}), "iam.task_role.name | the name of the other role"},
		"a policy by its name":    {meshTask(fields{"iam": fields{"task_role": fields{"policy_arns": []any{"ReadOnlyAccess"}}}}), "iam.task_role.policy_arns | want ARNs of IAM policies"},
		"a key by its alias":      {meshTask(fields{"iam": fields{"execution_role": fields{"kms_key_arns": []any{"arn:aws:kms:us-east-1:123456789012:alias/db"}}}}), "iam.execution_role.kms_key_arns | want ARNs of KMS keys"},
		"tags of different case":  {meshTask(fields{"tags": fields{"Team": "a", "team": "b"}}), `tags["team"] | differs from tags["Team"] by its case alone`},
		"a target that is no ARN": {service(fields{"load_balancer": []any{fields{"target_group_arn": "web", "container_name": "app", "container_port": 80}}}), "ecs_service.load_balancer[0].target_group_arn | want the ARN of a target group"},
		"a port that nobody maps": {service(fields{"load_balancer": []any{fields{"target_group_arn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/1", "container_name": "app", "container_port": 80}}}), `ecs_service.load_balancer[0].container_port | is missing in container["app"].port_mapping`},
		"an empty cluster":        {service(fields{"cluster": ""}), "ecs_service.cluster | is empty"},
		"an empty subnet":         {service(fields{"subnets": []any{""}}), "ecs_service.subnets | has an empty element"},
		"a version on EC2":        {service(fields{"launch_type": "EC2", "platform_version": "1.4.0"}), "ecs_service.platform_version | is not allowed together with ecs_service.launch_type EC2"},
		"a run without a cluster": {run(fields{"cluster": ""}), "standalone_task.cluster | is empty"},
		"a run on Fargate":        {run(fields{"launch_type": "FARGATE"}), "standalone_task.launch_type | is FARGATE, which is not one of the task's launch types [EC2]"},
		"a run by two means":      {run(fields{"launch_type": "EC2", "capacity_provider_strategy": []any{fields{"capacity_provider": "x"}}}), "standalone_task.launch_type | cannot be specified when"},
		"a run on Fargate Spot":   {run(fields{"capacity_provider_strategy": []any{fields{"capacity_provider": "FARGATE_SPOT"}}}), "standalone_task.capacity_provider_strategy[0].capacity_provider | FARGATE is not one of the task's launch types [EC2]"},
		"a public run on EC2":     {run(fields{"launch_type": "EC2", "assign_public_ip": true}), "standalone_task.assign_public_ip | is not allowed together with standalone_task.launch_type EC2"},
		"placement on Fargate":    {service(fields{"launch_type": "FARGATE", "placement_strategy": []any{fields{"type": "random"}}}), "ecs_service.placement_strategy | is not allowed together with"},
	})
}

func TestWhatDependsOnUnknownValuesIsNotRefused(t *testing.T) {
	t.Parallel()
	const targetGroup = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/1"
	service := func(changes fields) fields {
		return fields{"ecs_service": with(fields{"cluster": "mesh", "subnets": []any{"subnet-1"}}, changes)}
	}
	app := func(changes fields) fields { return meshTask(fields{"container": container(changes)}) }
	balanced := fields{"target_group_arn": targetGroup, "container_name": "app", "container_port": 8080}
	checkRows(t, "consulecs_mesh_task", map[string]row{
		"a method":          {meshTask(fields{"login": fields{"enabled": true, "auth_method": later}}), ""},
		"whether to log in": {meshTask(fields{"login": fields{"enabled": later, "auth_method": "ecs"}}), ""},
		"given roles":       {meshTask(fields{"tags": fields{"Team": "a", "team": "b"}, "iam": fields{"task_role": fields{"arn": later}, "execution_role": fields{"arn": later}}}), ""},
		"a policy":          {meshTask(fields{"iam": fields{"task_role": fields{"policy_arns": []any{later}}, "execution_role": fields{"kms_key_arns": []any{later}}}}), ""},
		"a secret":          {app(fields{"secrets": fields{"DB": later}}), ""},
		"a secret option":   {app(fields{"log_configuration": fields{"log_driver": "splunk", "secret_options": fields{"splunk-token": later}}}), ""},
		"a first word":      {app(fields{"health_check": fields{"command": []any{later, "y"}}}), ""},
		"an entry point":    {app(fields{"entry_point": later, "command": []any{"/app"}, "mesh": fields{"shutdown_delay": "5s"}}), ""},
		"a log driver":      {app(fields{"firelens_configuration": fields{"type": "fluentbit"}, "log_configuration": fields{"log_driver": later}}), ""},
		"a router or none":  {app(fields{"dynamic": fields{"firelens_configuration": laterBlock(fields{"type": "fluentbit"})}, "log_configuration": fields{"log_driver": "awsfirelens"}}), ""},
		"a service": {meshTask(service(fields{"cluster": later, "subnets": []any{later}, "security_groups": later,
			"load_balancer": []any{fields{"target_group_arn": later, "container_name": later, "container_port": later}}})), ""},
		"a mapped port":     {meshTask(with(service(fields{"load_balancer": []any{balanced}}), fields{"container": container(fields{"port_mapping": []any{fields{"container_port": later}}})})), ""},
		"a mapping or none": {meshTask(with(service(fields{"load_balancer": []any{balanced}}), fields{"container": container(fields{"dynamic": fields{"port_mapping": laterBlock(fields{"container_port": 8080})}})})), ""},
		"a launch type":     {meshTask(service(fields{"launch_type": later, "platform_version": "1.4.0", "assign_public_ip": true, "placement_strategy": []any{fields{"type": "random"}}})), ""},
	})
}

// What is said of one container says nothing of the others.
func TestAProblemOfOneContainerIsThatAlone(t *testing.T) {
	t.Parallel()
	by := validated(t, binaries()[0], "consulecs_mesh_task", map[string]fields{"two containers": meshTask(fields{"container": []any{
		fields{"name": "app", "image": "app:1"},
		fields{"name": "log", "image": "log:1", "volumes_from": []any{fields{"source_container": "db"}}},
	}})})
	if said := by["two containers"]; len(said) != 1 || !strings.Contains(says(said), `container["log"].volumes_from[0].source_container`) {
		t.Errorf("want one complaint about what has no container, got:\n%s", says(said))
	}
}

func TestNumbersBeyondReachAreRefusedInWords(t *testing.T) {
	t.Parallel()
	configs := map[string]fields{
		"a port":        meshTask(fields{"service": fields{"port": 3000000000}}),
		"half a second": meshTask(fields{"container": container(fields{"stop_timeout": 0.5})}),
		"an exit code":  meshTask(fields{"container": container(fields{"restart_policy": fields{"enabled": true, "ignored_exit_codes": []any{1e30}}})}),
		"a mapped port": meshTask(fields{"container": container(fields{"port_mapping": []any{fields{"container_port": -3000000000}}})}),
	}
	for name, said := range validated(t, binaries()[0], "consulecs_mesh_task", configs) {
		delete(configs, name)
		if len(said) != 1 || !strings.Contains(says(said), "want a whole number from -2147483648 to 2147483647") {
			t.Errorf("%s: got:\n%s", name, says(said))
		}
	}
	for name := range configs {
		t.Errorf("%s is taken", name)
	}
}
