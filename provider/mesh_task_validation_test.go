package provider_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestServiceAndPortsAreChecked(t *testing.T) {
	t.Parallel()
	rows := map[string]row{
		"only what is required":          {meshTask(nil), ""},
		"family no service name":         {meshTask(fields{"family": "My_"}), "family | gives the service its name"},
		"family no family":               {meshTask(fields{"family": "My.App!"}), "family | 1 to 255 letters"},
		"no port":                        {meshTask(fields{"service": nil}), "service.port | is missing"},
		"outbound only":                  {meshTask(fields{"service": nil, "outbound_only": true}), ""},
		"port 0":                         {meshTask(fields{"service": fields{"port": 0}}), "service.port | is missing"},
		"port 70000":                     {meshTask(fields{"service": fields{"port": 70000}}), "service.port | 70000"},
		"port -1":                        {meshTask(fields{"service": fields{"port": -1}}), "service.port | -1"},
		"port with a fraction":           {meshTask(fields{"service": fields{"port": 1.5}}), "service.port | want a whole number"},
		"port of the listener":           {meshTask(fields{"service": fields{"port": 20000}}), "service.port | the port of the public listener"},
		"port of readiness":              {meshTask(fields{"service": fields{"port": 22000}}), "service.port | the port of the readiness listener"},
		"listener at readiness":          {meshTask(fields{"proxy": fields{"public_listener_port": 22000}}), "proxy.readiness_port | 22000"},
		"readiness at the listener":      {meshTask(fields{"proxy": fields{"readiness_port": 20000}}), "proxy.readiness_port | 20000"},
		"readiness at the application":   {meshTask(fields{"proxy": fields{"readiness_port": 8080}}), "service.port | 8080, the port of the readiness listener"},
		"readiness elsewhere":            {meshTask(fields{"proxy": fields{"readiness_port": 23000}}), ""},
		"weights half":                   {meshTask(fields{"service": fields{"port": 1, "weights": fields{"passing": 1}}}), "service.weights.warning | service.weights.warning is missing"},
		"mesh meta taken":                {meshTask(fields{"service": fields{"port": 1, "meta": fields{"task-id": "x"}}}), `service.meta["task-id"] | set by the mesh`},
		"bad duration":                   {meshTask(fields{"service": fields{"port": 1, "outlier_detection": fields{"interval": "soon"}}}), "service.outlier_detection.interval | service.outlier_detection.interval is \"soon\""},
		"bad percentage":                 {meshTask(fields{"service": fields{"port": 1, "outlier_detection": fields{"max_ejection_percent": 101}}}), "service.outlier_detection.max_ejection_percent | 101"},
		"unknown key of service":         {meshTask(fields{"service": fields{"prot": 1}}), " | No argument or block type is named"},
		"unknown key of outliers":        {meshTask(fields{"service": fields{"port": 1, "outlier_detection": fields{"enabled": true}}}), " | No argument or block type is named"},
		"a role path without slashes":    {meshTask(fields{"iam": fields{"path": "test"}}), "iam.path | begin and end with '/'"},
		"a role path of one slash":       {meshTask(fields{"iam": fields{"path": "/"}}), ""},
		"a given role with further ones": {meshTask(fields{"iam": fields{"task_role": fields{"arn": "arn:aws:iam::123456789012:role/x", "policy_arns": []any{"arn:aws:iam::aws:policy/x"}}}}), "iam.task_role.arn | cannot be specified when"},
		"a role of no name":              {meshTask(fields{"iam": fields{"task_role": fields{"arn": ""}}}), "iam.task_role.arn | at least 1"},
		"an execution role of no name":   {meshTask(fields{"iam": fields{"execution_role": fields{"arn": ""}}}), "iam.execution_role.arn | at least 1"},
		"a role that is no ARN":          {meshTask(fields{"iam": fields{"task_role": fields{"arn": "web"}}}), "iam.task_role.arn | want the ARN of an IAM role"},
		"a tag of the mesh":              {meshTask(fields{"tags": fields{"consul.hashicorp.com/mesh": "false"}}), `tags["consul.hashicorp.com/mesh"] | choose another`},
	}
	for _, name := range []string{"UPPER", "a_", "-a", "a.b"} {
		rows["service name "+name] = row{meshTask(fields{"service": fields{"port": 1, "name": name}}), "service.name | " + name}
	}
	for _, name := range []string{"a", "1a", "a--b", strings.Repeat("a", 200)} {
		rows["good service name "+name] = row{meshTask(fields{"service": fields{"port": 1, "name": name}}), ""}
	}
	for _, port := range []int{-1, 0, 65536, 8300, 8301, 8302, 8500, 8501, 8502, 8600, 10000, 19000} {
		rows[fmt.Sprintf("listener %d", port)] = row{meshTask(fields{"proxy": fields{"public_listener_port": port}}), fmt.Sprintf("proxy.public_listener_port | %d", port)}
	}
	for _, port := range []int{8503, 8443, 20001, 21000} {
		rows[fmt.Sprintf("good listener %d", port)] = row{meshTask(fields{"proxy": fields{"public_listener_port": port}}), ""}
	}
	for _, port := range []int{-1, 0, 65536, 8600, 19000} {
		rows[fmt.Sprintf("readiness %d", port)] = row{meshTask(fields{"proxy": fields{"readiness_port": port}}), fmt.Sprintf("proxy.readiness_port | %d", port)}
	}
	checkRows(t, "consulecs_mesh_task", rows)
}

func TestUpstreamsAndServersAreChecked(t *testing.T) {
	t.Parallel()
	servers := func(changes fields) fields {
		return meshTask(fields{"consul_servers": with(fields{"hosts": "consul.example.com"}, changes)})
	}
	checkRows(t, "consulecs_mesh_task", map[string]row{
		"no upstreams": {meshTask(fields{"upstream": []any{}}), ""},
		"an upstream":  {meshTask(fields{"upstream": upstream(nil)}), ""},
		"an upstream with everything": {meshTask(fields{"upstream": upstream(fields{
			"destination_type": "service", "destination_peer": "east", "local_bind_address": "127.0.0.1",
			"mesh_gateway_mode": "local", "config": `{"connect_timeout_ms":500}`})}), ""},
		"an upstream in camel case":        {meshTask(fields{"upstream": upstream(fields{"localBindPort": 1})}), " | No argument or block type is named"},
		"no destination":                   {meshTask(fields{"upstream": upstream(fields{"destination_name": nil})}), "\"destination_name\" is required | "},
		"an empty destination":             {meshTask(fields{"upstream": upstream(fields{"destination_name": ""})}), "upstream[0].destination_name | is empty"},
		"no local port":                    {meshTask(fields{"upstream": upstream(fields{"local_bind_port": nil})}), "\"local_bind_port\" is required | "},
		"a local port that is no number":   {meshTask(fields{"upstream": upstream(fields{"local_bind_port": "abc"})}), " | number"},
		"local port 99999":                 {meshTask(fields{"upstream": upstream(fields{"local_bind_port": 99999})}), "upstream[0].local_bind_port | 99999"},
		"a local port taken":               {meshTask(fields{"upstream": upstream(fields{"local_bind_port": 8080})}), "upstream[0].local_bind_port | the port of the service"},
		"two of one local port":            {meshTask(fields{"upstream": append(upstream(nil), upstream(fields{"destination_name": "db"})...)}), "upstream[1].local_bind_port | the port of upstream[0]"},
		"a mesh gateway mode":              {meshTask(fields{"upstream": upstream(fields{"mesh_gateway_mode": "bogus"})}), "upstream[0].mesh_gateway_mode | bogus"},
		"a type of destination":            {meshTask(fields{"upstream": upstream(fields{"destination_type": "host"})}), "upstream[0].destination_type | host"},
		"a config that is no object":       {meshTask(fields{"upstream": upstream(fields{"config": "[1]"})}), "upstream[0].config | not a JSON object"},
		"a mesh gateway mode of the proxy": {meshTask(fields{"proxy": fields{"mesh_gateway_mode": "bogus"}}), "proxy.mesh_gateway_mode | bogus"},
		"an exposed path":                  {meshTask(fields{"proxy": fields{"expose": fields{"path": []any{fields{"path": "/health", "listener_port": 21500, "local_path_port": 8080, "protocol": "tcp"}}}}}), "proxy.expose.path[0].protocol | tcp"},
		"unknown key of expose":            {meshTask(fields{"proxy": fields{"expose": fields{"check": true}}}), " | No argument or block type is named"},
		"hosts with a port":                {servers(fields{"hosts": "consul.example.com:8500"}), "consul_servers.hosts | 8500"},
		"empty hosts":                      {servers(fields{"hosts": ""}), "consul_servers.hosts | is empty"},
		"HTTP port -5":                     {servers(fields{"http": fields{"port": -5}}), "consul_servers.http.port | -5"},
		"HTTP port in quotes":              {servers(fields{"http": fields{"port": "x"}}), " | number"},
		"gRPC port 70000":                  {servers(fields{"grpc": fields{"port": 70000}}), "consul_servers.grpc.port | 70000"},
		"unknown key of http":              {servers(fields{"http": fields{"https": true}}), " | No argument or block type is named"},
		"TLS without a CA":                 {servers(fields{"tls": fields{"enabled": true}}), ""},
		"a CA that is no secret":           {servers(fields{"tls": fields{"ca_secret_arn": "ca.pem"}}), "consul_servers.tls.ca_secret_arn | ARN of a Secrets Manager secret"},
		"a login with everything":          {meshTask(fields{"login": fields{"enabled": true, "auth_method": "m", "datacenter": "dc1", "meta": fields{"a": "b"}, "sts_endpoint": "http://10.0.0.1:1", "server_id_header": "x"}}), ""},
		"a login's meta of the mesh":       {meshTask(fields{"login": fields{"meta": fields{"consul.hashicorp.com/task-id": "x"}}}), `login.meta["consul.hashicorp.com/task-id"] | set by the mesh`},
		"HTTP port 0":                      {servers(fields{"http": fields{"port": 0}}), "consul_servers.http.port | Leave it out"},
		"an STS endpoint that is no URL":   {meshTask(fields{"login": fields{"sts_endpoint": "sts"}}), "login.sts_endpoint | want a URL"},
	})
}

func TestContainersAreChecked(t *testing.T) {
	t.Parallel()
	var ten, six []any
	for i := range 10 {
		c := fields{"name": fmt.Sprintf("app%d", i), "image": "app:1"}
		ten = append(ten, c)
		if i < 6 {
			six = append(six, c)
		}
	}
	checkRows(t, "consulecs_mesh_task", map[string]row{
		"none":                       {meshTask(fields{"container": []any{}}), "container | want at least one"},
		"two of one name":            {meshTask(fields{"container": append(container(nil), container(nil)...)}), "container[1].name | app"},
		"an injected name":           {meshTask(fields{"container": container(fields{"name": "consul-dataplane"})}), "container[0].name | consul-dataplane"},
		"no image":                   {meshTask(fields{"container": container(fields{"image": nil})}), "\"image\" is required | "},
		"six":                        {meshTask(fields{"container": six}), ""},
		"ten":                        {meshTask(fields{"container": ten}), "container | 10"},
		"null depends_on":            {meshTask(fields{"container": container(fields{"depends_on": nil, "mount_point": nil})}), ""},
		"depends on nobody":          {meshTask(fields{"container": container(fields{"depends_on": []any{fields{"container_name": "db", "condition": "START"}}})}), "container[0].depends_on[0].container_name | db"},
		"a condition":                {meshTask(fields{"container": container(fields{"depends_on": []any{fields{"container_name": "app", "condition": "STARTED"}}})}), "container[0].depends_on[0].condition | STARTED"},
		"a mount of no volume":       {meshTask(fields{"container": container(fields{"mount_point": []any{fields{"source_volume": "data", "container_path": "/data"}}})}), "container[0].mount_point[0].source_volume | data"},
		"health check bounds":        {meshTask(fields{"container": container(fields{"health_check": fields{"command": []any{"CMD", "x"}, "interval": 1}})}), "container[0].health_check.interval | 1"},
		"a port mapping taken":       {meshTask(fields{"container": container(fields{"port_mapping": []any{fields{"container_port": 20000}}})}), "container[0].port_mapping[0].container_port | proxy.public_listener_port"},
		"cpu in quotes":              {meshTask(fields{"container": container(fields{"cpu": "many"})}), " | number"},
		"a null variable":            {meshTask(fields{"container": container(fields{"environment": fields{"A": nil}})}), `container[0].environment["A"] | is null`},
		"NET_ADMIN on Fargate":       {meshTask(fields{"container": container(fields{"linux_parameters": fields{"capabilities": fields{"add": []any{"NET_ADMIN"}}}})}), "container[0].linux_parameters.capabilities.add[0] | SYS_PTRACE"},
		"stop timeout on Fargate":    {meshTask(fields{"container": container(fields{"stop_timeout": 121})}), "container[0].stop_timeout | 121"},
		"a sidecar that stops early": {meshTask(fields{"container": container(fields{"stop_timeout": 60}), "sidecars": fields{"image": "a", "dataplane": fields{"stop_timeout": 30}}}), "sidecars.dataplane.stop_timeout | 30"},
		"a ready gate":               {meshTask(fields{"sidecars": fields{"image": "a", "ready_gate": "maybe"}}), "sidecars.ready_gate | maybe"},
		"a log level":                {meshTask(fields{"sidecars": fields{"image": "a", "log_level": "LOUD"}}), "sidecars.log_level | LOUD"},
		"unknown key":                {meshTask(fields{"container": container(fields{"entryPoint": []any{"x"}})}), " | No argument or block type is named"},
	})
}

func TestSizesAndLaunchTypesAreChecked(t *testing.T) {
	t.Parallel()
	task := func(changes fields) fields { return meshTask(fields{"task": changes}) }
	volume := func(v fields) fields {
		return task(fields{"launch_types": []any{"EC2"}, "volume": []any{with(fields{"name": "data"}, v)}})
	}
	service := func(changes fields) fields {
		return meshTask(fields{"ecs_service": with(fields{"cluster": "mesh", "subnets": []any{"subnet-1"}}, changes)})
	}
	checkRows(t, "consulecs_mesh_task", map[string]row{
		"a launch type":             {task(fields{"launch_types": []any{"LAMBDA"}}), "task.launch_types | LAMBDA"},
		"EXTERNAL":                  {task(fields{"launch_types": []any{"EXTERNAL"}}), "task.launch_types | EXTERNAL"},
		"a Fargate pair":            {task(fields{"cpu": 256, "memory": 4096}), "task.memory | 4096"},
		"a Fargate size":            {task(fields{"cpu": 300, "memory": 512}), "task.cpu | 300"},
		"any pair on EC2":           {task(fields{"cpu": 300, "memory": 4000, "launch_types": []any{"EC2"}}), ""},
		"too little memory":         {task(fields{"cpu": 256, "memory": 64, "launch_types": []any{"EC2"}}), "task.memory | 64"},
		"a volume by name":          {volume(nil), ""},
		"a volume of the host":      {volume(fields{"host": fields{"source_path": "/data"}}), ""},
		"a volume of EFS":           {volume(fields{"efs_volume_configuration": fields{"file_system_id": "fs-1", "transit_encryption": "ENABLED", "authorization_config": fields{"iam": "ENABLED"}}}), ""},
		"a volume of Docker":        {volume(fields{"docker_volume_configuration": fields{"scope": "shared", "autoprovision": true, "driver": "local", "driver_opts": fields{"type": "nfs"}}}), ""},
		"the mesh's volume":         {volume(fields{"name": "consul_data"}), "task.volume[0].name | consul_data"},
		"a service without subnets": {service(fields{"subnets": []any{}}), "ecs_service.subnets | at least 1"},
		"a count below 0":           {service(fields{"desired_count": -1}), "ecs_service.desired_count | -1"},
		"a launch type that the task lacks": {meshTask(fields{"task": fields{"launch_types": []any{"EC2"}}, "ecs_service": fields{"cluster": "mesh", "subnets": []any{"subnet-1"}, "launch_type": "FARGATE"}}),
			"ecs_service.launch_type | not one of the task's launch types [EC2]"},
		"a provider that the task lacks": {meshTask(fields{"task": fields{"launch_types": []any{"EC2"}}, "ecs_service": fields{"cluster": "mesh", "subnets": []any{"subnet-1"},
			"capacity_provider_strategy": []any{fields{"capacity_provider": "own"}, fields{"capacity_provider": "FARGATE_SPOT"}}}}),
			"ecs_service.capacity_provider_strategy[1].capacity_provider | FARGATE is not one of the task's launch types [EC2]"},
		"CPU 0":                  {task(fields{"cpu": 0}), "task.cpu | Leave it out"},
		"memory 0":               {task(fields{"memory": 0}), "task.memory | Leave it out"},
		"no ephemeral storage":   {task(fields{"ephemeral_storage_gib": 0}), "task.ephemeral_storage_gib | Leave it out"},
		"no worker threads":      {meshTask(fields{"proxy": fields{"concurrency": 0}}), "proxy.concurrency | Leave it out"},
		"no time to stop":        {meshTask(fields{"proxy": fields{"stop_within": 0}}), "proxy.stop_within | Leave it out"},
		"a sidecar without time": {meshTask(fields{"sidecars": fields{"image": "a", "dataplane": fields{"stop_timeout": 0}}}), "sidecars.dataplane.stop_timeout | Leave it out"},
		"a target that is no container": {service(fields{"load_balancer": []any{fields{"target_group_arn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/1", "container_name": "web", "container_port": 80}}}),
			"ecs_service.load_balancer[0].container_name | no container of the task"},
		"no room to deploy": {service(fields{"deployment": fields{"maximum_percent": 100}}), "ecs_service.deployment.maximum_percent | no task could ever be replaced"},
		"two ways to place": {service(fields{"launch_type": "EC2", "capacity_provider_strategy": []any{fields{"capacity_provider": "spot"}}}),
			"ecs_service.launch_type | cannot be specified when"},
	})
}

func TestAllProblemsAreReportedTogether(t *testing.T) {
	t.Parallel()
	got := says(validated(t, binaries()[0], "consulecs_mesh_task", map[string]fields{"": meshTask(fields{
		"service": fields{"port": 70000, "name": "UPPER"}, "upstream": upstream(fields{"local_bind_port": 99999}), "task": fields{"cpu": 300},
	})})[""])
	for _, place := range []string{"service.port", "service.name", "upstream[0].local_bind_port", "task.cpu"} {
		if !strings.Contains(got, "Invalid "+place+":") {
			t.Errorf("nothing is said about %s:\n%s", place, got)
		}
	}
}

func TestProviderDefaultsMaySupplyWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	checkRows(t, "consulecs_mesh_task", map[string]row{"a mesh task": {meshTask(fields{"consul_servers": nil, "sidecars": nil}), ""}})
	checkRows(t, "consulecs_controller", map[string]row{"a controller": {controller(fields{"consul_servers": nil, "image": nil}), ""}})
}
