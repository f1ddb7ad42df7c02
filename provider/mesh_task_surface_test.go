package provider_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// jsonOf is a configuration whose further containers are the JSON.
func jsonOf(text string) fields { return meshTask(fields{"container_definitions_json": text}) }

func TestTheWholeOfECSsSurfaceIsChecked(t *testing.T) {
	t.Parallel()
	on := func(changes fields, launchTypes ...any) fields {
		return meshTask(fields{"task": fields{"launch_types": launchTypes}, "container": container(changes)})
	}
	task := func(changes fields) fields { return meshTask(fields{"task": changes}) }
	volume := func(changes fields) fields {
		return task(fields{"volume": []any{with(fields{"name": "data"}, changes)}})
	}
	files := func(changes fields) fields {
		return volume(fields{"s3files_volume_configuration": with(fields{"file_system_arn": "arn:aws:s3files:us-east-1:123456789012:file-system/fs-1"}, changes)})
	}
	gpu := func(changes fields) fields {
		return on(fields{"resource_requirement": []any{with(fields{"type": "GPU"}, changes)}}, "EC2")
	}
	mps := func(changes fields) fields { return gpu(fields{"sharing_strategy": fields{"nvidia_mps": changes}}) }
	checkRows(t, "consulecs_mesh_task", map[string]row{
		"a host name":             {on(fields{"hostname": "web"}), `container[0].hostname | is web, which is not allowed in the awsvpc network mode`},
		"links":                   {on(fields{"links": []any{"db:db"}}), "container[0].links | reach each other at 127.0.0.1"},
		"name servers":            {on(fields{"dns_servers": []any{"10.0.0.2"}}), "container[0].dns_servers | DHCP options"},
		"search domains":          {on(fields{"dns_search_domains": []any{"corp"}}), "container[0].dns_search_domains | DHCP options"},
		"hosts":                   {on(fields{"extra_host": []any{fields{"hostname": "db", "ip_address": "10.0.0.3"}}}), "container[0].extra_host | [db]"},
		"no network":              {on(fields{"disable_networking": true}), "container[0].disable_networking | awsvpc"},
		"a network":               {on(fields{"disable_networking": false}), ""},
		"a credential spec":       {on(fields{"credential_specs": []any{"credentialspecdomainless:arn:aws:s3:::b/gmsa.json"}}), ""},
		"one of an instance":      {on(fields{"credential_specs": []any{"credentialspec:arn:aws:s3:::b/gmsa.json"}}), "container[0].credential_specs[0] | FARGATE"},
		"a credential file":       {on(fields{"credential_specs": []any{"gmsa.json"}}), `container[0].credential_specs[0] | "gmsa.json", want credentialspec:`},
		"a shared GPU":            {mps(fields{"memory": 1024, "max_compute_percent": 50}), ""},
		"a GPU without a memory":  {mps(fields{"max_compute_percent": 50}), "container[0].resource_requirement[0].sharing_strategy.nvidia_mps | memory is missing"},
		"a GPU of 101 percent":    {mps(fields{"memory": 1, "max_compute_percent": 101}), "container[0].resource_requirement[0].sharing_strategy.nvidia_mps.max_compute_percent | 101"},
		"a GPU, no number":        {gpu(nil), "container[0].resource_requirement[0].value | want the number of GPUs"},
		"a GPU on Fargate":        {on(fields{"resource_requirement": []any{fields{"type": "GPU", "value": "1"}}}), "container[0].resource_requirement[0] | FARGATE does not have"},
		"a pull secret":           {on(fields{"repository_credentials": fields{"credentials_parameter": "registry"}}), "container[0].repository_credentials.credentials_parameter | ARN of a Secrets Manager secret"},
		"an IPC mode on Fargate":  {task(fields{"ipc_mode": "task"}), "task.ipc_mode | FARGATE has no IPC modes"},
		"an IPC mode":             {task(fields{"ipc_mode": "none", "launch_types": []any{"EC2"}}), ""},
		"no IPC mode":             {task(fields{"ipc_mode": "private", "launch_types": []any{"EC2"}}), `task.ipc_mode | "private"`},
		"fault injection":         {task(fields{"enable_fault_injection": true}), ""},
		"S3 Files":                {files(nil), ""},
		"S3 Files by its ID":      {files(fields{"file_system_arn": "fs-1"}), "task.volume[0].s3files_volume_configuration.file_system_arn | ARN of an S3 Files file system"},
		"S3 Files with two roots": {files(fields{"access_point_arn": "arn:aws:s3files:us-east-1:123456789012:file-system/fs-1/access-point/fsap-1", "root_directory": "/a"}), "task.volume[0].s3files_volume_configuration.root_directory | is not allowed together with task.volume[0].s3files_volume_configuration.access_point_arn"},
		"S3 Files and EFS":        {volume(fields{"s3files_volume_configuration": fields{"file_system_arn": "arn:aws:s3files:us-east-1:123456789012:file-system/fs-1"}, "efs_volume_configuration": fields{"file_system_id": "fs-1"}}), "task.volume[0].s3files_volume_configuration | a volume is of one kind"},
	})
}

func TestContainersOfJSONAreChecked(t *testing.T) {
	t.Parallel()
	const at = "container_definitions_json"
	second := func(field string) fields {
		return jsonOf(`[{"name":"b","image":"b:1"},{"name":"c","image":"c:1",` + field + `}]`)
	}
	checkRows(t, "consulecs_mesh_task", map[string]row{
		"a container":              {jsonOf(`[{"name":"agent","image":"agent:1","essential":false,"logConfiguration":null}]`), ""},
		"none":                     {jsonOf(`[]`), ""},
		"only of JSON":             {with(jsonOf(`[{"name":"agent","image":"agent:1"}]`), fields{"container": nil}), ""},
		"nowhere one":              {with(jsonOf(`[]`), fields{"container": nil}), "container | want at least one"},
		"known later":              {with(jsonOf(later), fields{"container": nil}), ""},
		"others know one of it":    {with(jsonOf(later), fields{"container": container(fields{"depends_on": []any{fields{"container_name": "agent", "condition": "START"}}, "volumes_from": []any{fields{"source_container": "seed"}}})}), ""},
		"one that nobody knows":    {with(jsonOf(`[]`), fields{"container": container(fields{"depends_on": []any{fields{"container_name": "agent", "condition": "START"}}})}), "container[0].depends_on[0].container_name | no container of the task"},
		"no JSON":                  {jsonOf(`[{"name"}]`), at + " | is no JSON: line 1, column 9"},
		"an object":                {jsonOf(`{"name":"a"}`), at + " | is an object, want a list of container definitions"},
		"null":                     {jsonOf(`null`), at + " | is null, want a list"},
		"in the SDK's spelling":    {jsonOf(`[{"Name":"agent","Image":"agent:1","PortMappings":[{"ContainerPort":81,"Protocol":"tcp"}]}]`), ""},
		"a misspelt field":         {second(`"portMapings":[]`), at + "[1].portMapings | did you mean portMappings?"},
		"a port in quotes":         {second(`"portMappings":[{"containerPort":"80"}]`), at + `[1].portMappings[0].containerPort | "80", want a number`},
		"a port that there is not": {second(`"portMappings":[{"containerPort":70000}]`), at + "[1].portMappings[0].containerPort | is 70000, want 1 to 65535"},
		"the proxy's port":         {second(`"portMappings":[{"containerPort":20000}]`), at + "[1].portMappings[0].containerPort | proxy.public_listener_port has taken"},
		"a block's port":           {with(second(`"portMappings":[{"containerPort":81}]`), fields{"container": container(fields{"port_mapping": []any{fields{"container_port": 81}}})}), at + "[1].portMappings[0].containerPort | container[0].port_mapping[0].container_port has taken"},
		"a block's name":           {jsonOf(`[{"name":"app","image":"a:1"}]`), at + `[0].name | "app" is already the name of container["app"]`},
		"its own name, twice":      {jsonOf(`[{"name":"b","image":"a:1"},{"name":"b","image":"b:1"}]`), at + `[1].name | is already the name of container_definitions_json[0]`},
		"a sidecar's name":         {jsonOf(`[{"name":"consul-dataplane","image":"a:1"}]`), at + "[0].name | which the mesh adds itself"},
		"no image":                 {jsonOf(`[{"name":"b"}]`), at + "[0].image | is missing"},
		"the mesh's variable":      {second(`"environment":[{"name":"A","value":"1"},{"name":"CONSUL_ECS_CONFIG_JSON","value":"{}"}]`), at + "[1].environment[1] | is set by the mesh"},
		"a secret that is none":    {second(`"secrets":[{"name":"A","valueFrom":"arn:aws:s3:::b/a"}]`), at + "[1].secrets[0] | ARN of a Secrets Manager secret"},
		"a volume that is none":    {second(`"mountPoints":[{"sourceVolume":"x","containerPath":"/x"}]`), at + "[1].mountPoints[0].sourceVolume | no volume of the task"},
		"privileged on Fargate":    {second(`"privileged":true`), at + "[1].privileged | FARGATE"},
		"a link":                   {second(`"links":["a"]`), at + "[1].links | 127.0.0.1"},
		"a router that is missing": {second(`"logConfiguration":{"logDriver":"awsfirelens"}`), at + "[1].logConfiguration.logDriver | no container of the task is a log router"},
		"two wrong at once":        {second(`"cpu":"1","user":5`), at + "[1].user | write it in quotes"},
	})
}

func TestRolesMayHaveMore(t *testing.T) {
	t.Parallel()
	const boundary = "arn:aws:iam::123456789012:policy/boundary"
	role := func(changes fields) fields { return meshTask(fields{"iam": fields{"task_role": changes}}) }
	policy := func(name, text string) fields { return role(fields{"inline_policies": fields{name: text}}) }
	const good = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"*"}]}`
	const at = `iam.task_role.inline_policies["queue"]`
	exec := func(changes fields) fields {
		return meshTask(fields{"task": fields{"volume": []any{fields{"name": "lib"}, fields{"name": "log"}}}, "container": container(with(fields{"readonly_root_filesystem": true}, changes)),
			"ecs_service": fields{"cluster": "mesh", "subnets": []any{"subnet-1"}, "enable_execute_command": true}})
	}
	mounts := func(paths ...string) []any {
		var all []any
		for i, p := range paths {
			all = append(all, fields{"source_volume": []string{"lib", "log"}[i], "container_path": p})
		}
		return all
	}
	checkRows(t, "consulecs_mesh_task", map[string]row{
		"a policy":                   {policy("queue", good), ""},
		"a policy known later":       {policy("queue", later), ""},
		"one statement":              {policy("queue", `{"Version":"2012-10-17","Statement":{"Effect":"Deny","NotAction":"a:b","NotResource":"*"}}`), ""},
		"no version":                 {policy("queue", `{"Statement":[]}`), at + ` | has no Version, want "2012-10-17"`},
		"no JSON":                    {policy("queue", "{"), at + " | is no policy"},
		"null":                       {policy("queue", "null"), at + " | is no policy"},
		"a policy's list":            {policy("queue", "[]"), at + " | is no policy"},
		"no statement":               {policy("queue", `{"Version":"2012-10-17"}`), at + " | has no Statement"},
		"another version":            {policy("queue", strings.Replace(good, "2012", "2021", 1)), at + ` | has the Version "2021-10-17"`},
		"a misspelt effect":          {policy("queue", strings.Replace(good, "Allow", "allow", 1)), at + ` | has the Effect "allow" in Statement[0]`},
		"a misspelt key":             {policy("queue", strings.Replace(good, "Action", "Actions", 1)), at + ` | has the key "Actions" in Statement[0]`},
		"a principal":                {policy("queue", strings.Replace(good, `"Effect"`, `"Principal":"*","Effect"`, 1)), at + ` | has the key "Principal" in Statement[0]`},
		"no resource":                {policy("queue", `{"Statement":[{"Effect":"Allow","Action":"a:b"}]}`), at + " | has neither Resource nor NotResource in Statement[0]"},
		"a name with a blank":        {policy("my queue", good), `iam.task_role.inline_policies["my queue"] | has a name that IAM refuses`},
		"the mesh's name":            {policy("mesh-task", good), `iam.task_role.inline_policies["mesh-task"] | choose another`},
		"far too much":               {policy("queue", strings.Replace(good, "sqs:SendMessage", strings.Repeat("a", 11000), 1)), "iam.task_role.inline_policies | IAM takes 10240"},
		"the execution role's":       {meshTask(fields{"iam": fields{"execution_role": fields{"inline_policies": fields{"kms": "{"}}}}), `iam.execution_role.inline_policies["kms"] | is no policy`},
		"of a given role":            {role(fields{"arn": "arn:aws:iam::123456789012:role/x", "inline_policies": fields{"queue": good}}), "iam.task_role.arn | cannot be specified when"},
		"a boundary":                 {role(fields{"permissions_boundary": boundary}), ""},
		"no boundary":                {meshTask(fields{"iam": fields{"permissions_boundary": boundary, "task_role": fields{"permissions_boundary": ""}}}), ""},
		"a boundary's name":          {role(fields{"permissions_boundary": "boundary"}), "iam.task_role.permissions_boundary | ARN of an IAM policy"},
		"a given role's boundary":    {role(fields{"arn": "arn:aws:iam::123456789012:role/x", "permissions_boundary": boundary}), "iam.task_role.arn | cannot be specified when"},
		"nobody can enter":           {exec(nil), "container[0].readonly_root_filesystem | has to write to /var/lib/amazon and /var/log/amazon"},
		"nobody can enter, half":     {exec(fields{"mount_point": mounts("/var/lib")}), "container[0].readonly_root_filesystem | has to write to /var/log/amazon"},
		"people can enter":           {exec(fields{"mount_point": mounts("/var/lib/amazon", "/var/log/amazon")}), ""},
		"people can enter from far":  {exec(fields{"mount_point": mounts("/var/")}), ""},
		"people can enter, writable": {exec(fields{"readonly_root_filesystem": nil}), ""},
		"it is not known yet":        {exec(fields{"readonly_root_filesystem": later}), ""},
	})
	checkRows(t, "consulecs_controller", map[string]row{
		"a policy": {controller(fields{"iam": fields{"task_role": fields{"inline_policies": fields{"queue": "{"}}}}), at + " | is no policy"},
	})
}

// Containers of JSON run like those of blocks: a change of content is a new revision, one of spelling is none, neither is an import, which
// writes them as blocks.
func TestContainersOfJSONLiveLikeBlocks(t *testing.T) {
	t.Parallel()
	const family = "of-json"
	c := startMoto(t)
	dir := workDir(t)
	tf := dir.terraform(t)
	write := func(text string) {
		dir.write(t, "main.tf.json", c.frame(fields{"consulecs_mesh_task": fields{"this": meshTask(fields{"family": family, "container_definitions_json": text})}}))
	}
	apply := func(text, revision string) {
		t.Helper()
		write(text)
		if err := tf.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := c.active(t, family); len(got) != 1 || got[0] != revision {
			t.Errorf("revisions %v are ACTIVE, want %s", got, revision)
		}
	}
	const log = `[{"name":"log","image":"log:%d","essential":false,"environment":[{"name":"B","value":"2"},{"name":"A","value":"1"}]}]`
	apply(fmt.Sprintf(log, 1), "1")
	apply(`[{"Image":"log:1","Name":"log","Essential":false,"Cpu":0,"Environment":[{"Name":"A","Value":"1"},{"Name":"B","Value":"2"}],"Links":null}]`, "1")
	apply(fmt.Sprintf(log, 2), "2")
	described, err := c.ecs.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(family)})
	if err != nil {
		t.Fatal(err)
	}
	found := described.TaskDefinition.ContainerDefinitions[1]
	if *found.Name != "log" || *found.Image != "log:2" || len(found.DependsOn) != 2 {
		t.Errorf("the container of JSON is %s of %s, after %v", *found.Name, *found.Image, found.DependsOn)
	}
	again := workDir(t)
	frame := c.frame(fields{"consulecs_mesh_task": fields{"this": meshTask(fields{"family": family, "container_definitions_json": fmt.Sprintf(log, 2)})}})
	frame["import"] = []any{fields{"to": "consulecs_mesh_task.this", "id": family}}
	again.write(t, "main.tf.json", frame)
	tf = again.terraform(t)
	if err := tf.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := c.active(t, family); len(got) != 1 || got[0] != "2" {
		t.Errorf("after the import revisions %v are ACTIVE, want 2", got)
	}
	nothingToDo(t, tf)
}

// What a role has besides is kept in it: changes of others are undone, and what is no longer asked for goes.
func TestInlinePoliciesAreKept(t *testing.T) {
	t.Parallel()
	const family, role = "of-policies", "of-policies-task"
	c := startMoto(t)
	around := c.surroundings(t, family)
	document := func(action string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":%q,"Resource":"*"}]}`, action)
	}
	dir := workDir(t)
	tf := dir.terraform(t)
	apply := func(taskRole fields, exec bool) {
		t.Helper()
		dir.write(t, "main.tf.json", c.frame(fields{"consulecs_mesh_task": fields{"this": meshTask(fields{
			"family": family, "task": fields{"launch_types": []any{"EC2"}}, "iam": fields{"permissions_boundary": around.policy, "task_role": taskRole},
			"ecs_service": fields{"cluster": around.ecsCluster, "desired_count": 0, "subnets": []any{around.subnet}, "security_groups": []any{around.group}, "launch_type": "EC2", "enable_execute_command": exec, "wait_for_steady_state": false},
		})}}))
		if err := tf.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	has := func(policy, want string) {
		t.Helper()
		got, err := c.iam.GetRolePolicy(t.Context(), &iam.GetRolePolicyInput{RoleName: aws.String(role), PolicyName: &policy})
		text := ""
		if err == nil {
			text = *got.PolicyDocument
		}
		if (text == "") != (want == "") || !strings.Contains(text, want) {
			t.Errorf("policy %s of the role is %q, %v, want one with %q", policy, text, err, want)
		}
	}
	bounded := func(want string) {
		t.Helper()
		got, err := c.iam.GetRole(t.Context(), &iam.GetRoleInput{RoleName: aws.String(role)})
		if err != nil {
			t.Fatal(err)
		}
		is := ""
		if b := got.Role.PermissionsBoundary; b != nil {
			is = *b.PermissionsBoundaryArn
		}
		if is != want {
			t.Errorf("the boundary of the role is %q, want %q", is, want)
		}
	}
	apply(fields{"inline_policies": fields{"queue": document("sqs:SendMessage"), "files": document("s3:GetObject")}}, true)
	has("mesh-task", "ssmmessages%3ACreateControlChannel")
	bounded(around.policy)
	if _, err := c.iam.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: aws.String(role), PolicyName: aws.String("queue"), PolicyDocument: aws.String(document("sqs:*"))}); err != nil {
		t.Fatal(err)
	}
	if changes, err := tf.PlanChanges(t.Context()); err != nil || len(changes) != 1 {
		t.Errorf("what somebody changed is planned as %v, %v", changes, err)
	}
	apply(fields{"inline_policies": fields{"queue": document("sqs:SendMessage")}, "permissions_boundary": ""}, false)
	has("queue", "sqs%3ASendMessage")
	has("files", "")
	has("mesh-task", "")
	bounded("")
	nothingToDo(t, tf)
}
