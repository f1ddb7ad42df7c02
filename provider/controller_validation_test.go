package provider_test

import "testing"

func TestControllersAreChecked(t *testing.T) {
	t.Parallel()
	checkRows(t, "consulecs_controller", map[string]row{
		"only what is required": {controller(nil), ""},
		"a token in the open":   {controller(fields{"token_secret_arn": "e95b599e-166e-7d80-08ad-aee76e7ddf19"}), "token_secret_arn | ARN of a Secrets Manager secret"},
		"a name":                {controller(fields{"name": "my.controller"}), "name | 1 to 255 letters"},
		"hosts with a port":     {controller(fields{"consul_servers": fields{"hosts": "consul:8501"}}), "consul_servers.hosts | 8501"},
		"a role path":           {controller(fields{"iam_role_path": "roles"}), "iam_role_path | roles"},
		"a log level":           {controller(fields{"log_level": "LOUD"}), "log_level | LOUD"},
		"a Fargate pair":        {controller(fields{"task": fields{"cpu": 256, "memory": 4096}}), "task.memory | 4096"},
		"CPU 0":                 {controller(fields{"task": fields{"cpu": 0}}), "task.cpu | Leave it out"},
		"a launch type":         {controller(fields{"launch_type": "FARGATE", "task": fields{"launch_types": []any{"EC2"}}}), "launch_type | not one of the task's launch types [EC2]"},
		"a provider":            {controller(fields{"task": fields{"launch_types": []any{"EC2"}}, "capacity_provider_strategy": []any{fields{"capacity_provider": "FARGATE"}}}), "capacity_provider_strategy[0].capacity_provider | FARGATE is not one"},
		"a path among services": {controller(fields{"iam": fields{"path": "/consul-ecs/x/"}, "iam_role_path": "/consul-ecs/"}), `iam.path | below the path "/consul-ecs/"`},
		"a path beside them":    {controller(fields{"iam": fields{"path": "/consul/"}, "iam_role_path": "/consul-ecs/"}), ""},
		"no path of its own":    {controller(fields{"iam": fields{"path": "/x/"}, "iam_role_path": "/", "trust_all_roles": true}), ""},
		"a role of no name":     {controller(fields{"iam": fields{"task_role": fields{"arn": ""}}}), "iam.task_role.arn | at least 1"},
		"no subnets":            {controller(fields{"subnets": []any{}}), "subnets | at least 1"},
	})
}

// A controller gets its rights in Consul in one way, or needs none; everything else is told before anything is made.
func TestControllersHaveOneWayToTheirRights(t *testing.T) {
	t.Parallel()
	const secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:first"
	way := func(changes fields) fields { return with(controller(changes), fields{"token_secret_arn": nil}) }
	login := fields{"enabled": true}
	checkRows(t, "consulecs_controller", map[string]row{
		"a token":                       {controller(nil), ""},
		"a token, and nothing managed":  {controller(fields{"manage_acl": false}), ""},
		"a first token":                 {way(fields{"login": login, "first_token_secret_arn": secret}), ""},
		"prepared by others":            {way(fields{"login": login, "manage_acl": false}), ""},
		"no ACLs":                       {way(fields{"acls": false}), ""},
		"nothing":                       {way(nil), "token_secret_arn | login.enabled to true, beside first_token_secret_arn or manage_acl = false; or, where Consul's ACL system is off, acls to false"},
		"a block that says nothing":     {way(fields{"login": fields{"enabled": false}}), "token_secret_arn | is missing"},
		"a token beside a login":        {controller(fields{"login": login}), "login.enabled | is true, but token_secret_arn"},
		"two tokens":                    {controller(fields{"first_token_secret_arn": secret}), "first_token_secret_arn | from first to last"},
		"a first token without a login": {way(fields{"first_token_secret_arn": secret}), "login.enabled | set it to true"},
		"a login that nobody prepares":  {way(fields{"login": login}), "first_token_secret_arn | manage_acl to false where consulecs-agent bootstrap"},
		"prepared twice":                {way(fields{"login": login, "manage_acl": false, "first_token_secret_arn": secret}), "first_token_secret_arn | leave one of them out"},
		"a token without ACLs":          {controller(fields{"acls": false}), "token_secret_arn | acls is false"},
		"a login without ACLs":          {way(fields{"acls": false, "login": login}), "login.enabled | acls is false"},
		"a login that is known later":   {way(fields{"login": fields{"enabled": later}}), ""},
		"ACLs that are known later":     {way(fields{"acls": later}), ""},
		"a part of a secret":            {way(fields{"login": login, "first_token_secret_arn": secret + ":token::"}), "first_token_secret_arn | without a JSON key"},
		"a key by its alias":            {way(fields{"login": login, "first_token_secret_arn": secret, "first_token_kms_key_arn": "arn:aws:kms:us-east-1:123456789012:alias/x"}), "first_token_kms_key_arn | ARN of a KMS key"},
	})
}

func TestSettingsOfControllersAreChecked(t *testing.T) {
	t.Parallel()
	checkRows(t, "consulecs_controller", map[string]row{
		"all roles":               {controller(fields{"iam_role_path": "/"}), "iam_role_path | set trust_all_roles"},
		"all roles, with a yes":   {controller(fields{"iam_role_path": "/", "trust_all_roles": true}), ""},
		"many":                    {controller(fields{"desired_count": 11}), "desired_count | 11"},
		"fewer than none":         {controller(fields{"desired_count": -1}), "desired_count | -1"},
		"none":                    {controller(fields{"desired_count": 0}), ""},
		"a cluster by its name":   {controller(fields{"ecs_clusters": []any{"mesh"}}), "ecs_clusters | ARN of an ECS cluster"},
		"further clusters":        {controller(fields{"ecs_clusters": []any{"arn:aws:ecs:us-east-1:123456789012:cluster/a", "arn:aws:ecs:us-east-1:123456789012:cluster/b"}}), ""},
		"a sync all the time":     {controller(fields{"sync_seconds": 1}), "sync_seconds | 1"},
		"no writes":               {controller(fields{"max_writes_per_second": 0}), "max_writes_per_second | 0"},
		"more than all":           {controller(fields{"brake": fields{"percent": 101}}), "brake.percent | 101"},
		"a brake that never goes": {controller(fields{"brake": fields{"tasks": 0, "percent": 0}}), ""},
		"an address of no port":   {controller(fields{"http_address": "0.0.0.0"}), "http_address | IP address and a port"},
		"a name as address":       {controller(fields{"http_address": "localhost:9102"}), "http_address | IP address and a port"},
		"an IPv6 address":         {controller(fields{"http_address": "[::]:9102"}), ""},
		"a token for a moment":    {controller(fields{"login": fields{"token_ttl_seconds": 59}}), "login.token_ttl_seconds | 59"},
		"retries without an end":  {controller(fields{"login": fields{"max_retries": 101}}), "login.max_retries | 101"},
		"a partition":             {controller(fields{"partition": "team a"}), "partition | letters, digits"},
		"the default partition":   {controller(fields{"partition": "default"}), ""},
		"no events":               {controller(fields{"events": fields{"enabled": false}}), ""},
		"events, mistyped":        {controller(fields{"events": fields{"enable": false}}), " | named"},
	})
}

// The block of a mesh task is checked as the resource is, at its own attributes.
func TestControllersOfMeshTasksAreChecked(t *testing.T) {
	t.Parallel()
	at := surroundings{ecsCluster: "mesh", subnet: "subnet-1", group: "sg-1"}
	block := func(changes fields) fields { return sharing("web", at, changes) }
	const role = "arn:aws:iam::123456789012:role/x"
	checkRows(t, "consulecs_mesh_task", map[string]row{
		"only a token":                 {block(nil), ""},
		"no service":                   {with(block(nil), fields{"ecs_service": nil}), "controller | needs ecs_service, which says in what ECS cluster"},
		"a service that comes later":   {with(block(nil), fields{"ecs_service": nil, "dynamic": fields{"ecs_service": laterBlock(fields{"cluster": "mesh", "subnets": []any{"subnet-1"}})}}), ""},
		"no rights":                    {block(fields{"token_secret_arn": nil}), "controller.token_secret_arn | controller.login.enabled to true, beside controller.first_token_secret_arn or controller.manage_acl = false"},
		"rights that come later":       {block(fields{"token_secret_arn": later}), ""},
		"no ACLs":                      {block(fields{"token_secret_arn": nil, "acls": false}), ""},
		"all roles":                    {block(fields{"iam_role_path": "/"}), "controller.iam_role_path | set controller.trust_all_roles"},
		"a path among services":        {block(fields{"iam_role_path": "/consul-ecs/", "iam": fields{"path": "/consul-ecs/x/"}}), `controller.iam.path | below the path "/consul-ecs/"`},
		"a given role with a name":     {block(fields{"iam": fields{"task_role": fields{"arn": role, "name": "x"}}}), "controller.iam.task_role.arn | controller.iam.task_role.name"},
		"a partition":                  {block(fields{"partition": "team a"}), "controller.partition | letters, digits"},
		"the launch type of the tasks": {block(fields{"task": fields{"launch_types": []any{"EC2"}}}), "controller.launch_type | not one of the task's launch types [EC2]"},
		"another launch type":          {block(fields{"launch_type": "EC2", "task": fields{"launch_types": []any{"EC2"}}}), ""},
		"two ways to run":              {block(fields{"launch_type": "EC2", "capacity_provider_strategy": []any{fields{"capacity_provider": "x"}}}), "controller.launch_type | controller.capacity_provider_strategy"},
		"hosts with a port":            {block(fields{"consul_servers": fields{"hosts": "consul:8501"}}), "controller.consul_servers.hosts | 8501"},
		"a cluster by its name":        {block(fields{"ecs_clusters": []any{"mesh"}}), "controller.ecs_clusters | ARN of an ECS cluster"},
		"a Fargate pair":               {block(fields{"task": fields{"cpu": 256, "memory": 4096}}), "controller.task.memory | 4096"},
		"a tag of the mesh's":          {block(fields{"tags": fields{"consul.hashicorp.com/x": "y"}}), "controller.tags | is a key of the mesh"},
		"many":                         {block(fields{"desired_count": 11}), "controller.desired_count | 11"},
		"a log router":                 {block(fields{"log_configuration": fields{"log_driver": "awsfirelens"}}), "controller.log_configuration.log_driver | there is no log router"},
		"no subnets":                   {block(fields{"subnets": []any{}}), "controller.subnets | at least 1"},
		"a misspelt key":               {block(fields{"token_arn": "x"}), " | named"},
	})
}
