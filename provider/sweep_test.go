package provider_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// A sweep takes a configuration with something of everything, changes one place of it at a time, and gives the variants to a few
// runs of the real Terraform.

// fullMeshTask has something of everything that goes together.
func fullMeshTask(family string, at surroundings) fields {
	const secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:"
	const keys, files = "arn:aws:kms:us-east-1:123456789012:key/1", "arn:aws:s3files:us-east-1:123456789012:file-system/fs-1"
	const policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::` + embedded + `/*"}]}`
	log := fields{"log_driver": "awslogs", "options": fields{"awslogs-group": "/app", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "app"}}
	sidecar := fields{"image": "agent:2", "cpu": 10, "memory": 128, "memory_reservation": 64, "environment": fields{"GODEBUG": "x"}, "log_configuration": log, "readonly_root_filesystem": true, "stop_timeout": 100}
	staying := with(maps.Clone(sidecar), fields{"restart_policy": fields{"enabled": true, "restart_attempt_period": 60}})
	return fields{
		"family": family,
		"service": fields{
			"name": "web", "port": 9090, "tags": []any{"v1"}, "meta": fields{"version": "1"}, "enable_tag_override": true, "weights": fields{"passing": 10, "warning": 1},
			"outlier_detection": fields{"interval": "30s", "max_failures": 3, "max_ejection_percent": 99},
		},
		"upstream": []any{fields{"destination_name": "api", "local_bind_port": 1234, "local_bind_address": "127.0.0.1", "mesh_gateway_mode": "local", "config": `{"connect_timeout_ms":500}`}},
		"proxy": fields{
			"public_listener_port": 20001, "readiness_port": 22001, "config": `{"protocol":"http"}`, "concurrency": 1, "drain_time": 5,
			"expose": fields{"checks": true, "path": []any{fields{"path": "/health", "listener_port": 21500, "local_path_port": 9090, "protocol": "http"}}},
		},
		"locality":          fields{"prefer_zone": true, "spill": "full", "zones": fields{"10.0.1.0/24": "eu-west-1a"}},
		"transparent_proxy": fields{"enabled": true, "dns": true, "exclude_inbound_ports": []any{9090}, "exclude_outbound_ports": []any{5432}, "exclude_outbound_cidrs": []any{"10.0.0.0/8"}, "exclude_uids": []any{1000}},
		"consul_servers":    fields{"hosts": "consul.example.com", "tls": fields{"server_name": "server.dc1.consul", "ca_secret_arn": secret + "ca"}, "http": fields{"port": 8501}},
		"login":             fields{"enabled": true, "auth_method": "iam", "datacenter": "dc1", "meta": fields{"a": "b"}, "region": "us-east-1"},
		"task": fields{
			"cpu": 1024, "memory": 2048, "launch_types": []any{"EC2"}, "runtime_platform": fields{"operating_system_family": "LINUX", "cpu_architecture": "X86_64"},
			"volume": []any{
				fields{"name": "scratch", "docker_volume_configuration": fields{"scope": "task", "driver": "local", "driver_opts": fields{"type": "tmpfs"}}},
				fields{"name": "files", "s3files_volume_configuration": fields{"file_system_arn": files, "access_point_arn": files + "/access-point/fsap-1", "transit_encryption_port": 2999}},
				fields{"name": "data", "configured_at_launch": true},
			},
			"pid_mode": "task", "ipc_mode": "task", // the emulator forgets enable_fault_injection
			"placement_constraint": []any{fields{"type": "memberOf", "expression": "attribute:x == y"}},
		},
		"container": []any{
			fields{
				"name": "app", "image": "app:1", "essential": true, "command": []any{"/app", "serve"}, "entry_point": []any{"/bin/env"}, "working_directory": "/srv", "user": "1000", "cpu": 100, "memory": 256,
				"memory_reservation": 128, "environment": fields{"A": "1"}, "secrets": fields{"PASSWORD": secret + "db:password::"}, "stop_timeout": 20, "docker_labels": fields{"team": "a"},
				"environment_file": []any{fields{"type": "s3", "value": "arn:aws:s3:::bucket/file.env"}}, "readonly_root_filesystem": false, "log_configuration": log,
				"mesh":         fields{"health_sync": true, "shutdown_delay": "5s", "readiness_probe": fields{"type": "http", "port": 9090, "path": "/ready"}},
				"health_check": fields{"command": []any{"CMD", "/app", "health"}, "interval": 10, "timeout": 5, "retries": 3, "start_period": 10},
				"port_mapping": []any{fields{"container_port": 9090, "protocol": "tcp", "name": "http"}}, "mount_point": []any{fields{"source_volume": "scratch", "container_path": "/scratch", "read_only": true}},
				"ulimit": []any{fields{"name": "nofile", "soft_limit": 1024, "hard_limit": 4096}}, "system_control": []any{fields{"namespace": "net.core.somaxconn", "value": "1024"}},
				"linux_parameters":       fields{"init_process_enabled": true, "capabilities": fields{"drop": []any{"MKNOD"}}, "tmpfs": []any{fields{"container_path": "/tmp", "size": 16, "mount_options": []any{"noexec"}}}},
				"credential_specs":       []any{"credentialspec:arn:aws:s3:::bucket/gmsa.json"},
				"resource_requirement":   []any{fields{"type": "GPU", "sharing_strategy": fields{"nvidia_mps": fields{"memory": 1024, "max_compute_percent": 50}}}},
				"repository_credentials": fields{"credentials_parameter": secret + "registry"}, "depends_on": []any{fields{"container_name": "migrate", "condition": "SUCCESS"}},
			},
			fields{"name": "migrate", "image": "migrate:1", "essential": false, "mesh": fields{"wait_for_proxy": false}, "volumes_from": []any{fields{"source_container": "seed", "read_only": true}}},
			fields{"name": "seed", "image": "seed:1", "essential": false, "mesh": fields{"wait_for_proxy": false}},
		},
		"container_definitions_json": `[{"name":"log","image":"log:1","essential":false,"environment":[{"name":"A","value":"` + embedded + `"}]}]`,
		"sidecars": fields{
			"image": "agent:1", "log_level": "DEBUG", "log_json": true, "log_configuration": log, "pull_credentials_secret_arn": secret + "registry", "ready_gate": "on",
			"mesh_init": with(maps.Clone(sidecar), fields{"readonly_root_filesystem": false, "stop_timeout": nil}), "mesh_ready": sidecar, "dataplane": staying, "health_sync": staying,
		},
		"iam": fields{
			"path": "/consul-ecs/x/", "permissions_boundary": at.policy, "any_source": false,
			"task_role":      fields{"name": family + "-t", "policy_arns": []any{at.policy}, "inline_policies": fields{"files": policy}, "permissions_boundary": at.policy},
			"execution_role": fields{"name": family + "-e", "policy_arns": []any{at.policy}, "kms_key_arns": []any{keys}, "inline_policies": fields{"files": policy}},
		},
		"ecs_service":     fullService(family, at),
		"standalone_task": fields{"cluster": at.ecsCluster, "subnets": []any{at.subnet}, "security_groups": []any{at.group}, "launch_type": "EC2", "enable_ecs_managed_tags": true, "enable_execute_command": true},
		"revision_policy": fields{"keep": 1, "follow_images": true}, "tags": fields{"env": "test"},
	}
}

// fullSharing has something of each kind in the block controller, whose other settings are swept as the resource's. Moto's tasks never run,
// so that only a controller of none is steady.
func fullSharing(family string, at surroundings) fields {
	full, block := fullController("", at), fields{}
	for _, key := range []string{"token_secret_arn", "image", "log_level", "manage_acl", "ecs_clusters", "brake", "partition", "acls", "events", "log_configuration", "subnets", "security_groups", "launch_type", "tags"} {
		block[key] = full[key]
	}
	return meshTask(fields{
		"family": family, "task": fields{"launch_types": []any{"EC2"}},
		"ecs_service": fields{"cluster": at.ecsCluster, "desired_count": 0, "subnets": []any{at.subnet}, "security_groups": []any{at.group}, "launch_type": "EC2"},
		"controller": with(block, fields{
			"desired_count": 0, "consul_servers": fields{"hosts": "consul.example.com"}, "login": fields{"auth_method": "iam"}, "task": fields{"launch_types": []any{"EC2"}},
			"iam": fields{"path": "/x/", "task_role": fields{"policy_arns": []any{at.policy}}},
		}),
	})
}

// fullService has something of everything that a service has on container instances while ECS replaces its tasks one by one.
func fullService(name string, at surroundings) fields {
	const balancer, role = "arn:aws:elasticloadbalancing:us-east-1:123456789012:", "arn:aws:iam::123456789012:role/ecs"
	const lattice = "arn:aws:vpc-lattice:us-east-1:123456789012:"
	return fields{
		"cluster": at.ecsCluster, "name": name, "desired_count": 0, "ignore_desired_count": false, "scheduling_strategy": "REPLICA", "deployment_controller": "ECS",
		"deployment": fields{
			"strategy": "ROLLING", "minimum_healthy_percent": 50, "maximum_percent": 150, "bake_time_in_minutes": 5,
			"circuit_breaker":        fields{"enable": true, "rollback": true, "reset_on_healthy_task": false, "threshold_configuration": fields{"type": "COUNT", "value": 5}},
			"alarms":                 fields{"alarm_names": []any{"late"}, "enable": true, "rollback": true},
			"early_success_criteria": fields{"enable": true, "healthy_percent": 100, "source_service_revision_cleanup": "DEFERRED"},
			"lifecycle_hook": []any{fields{
				"target_type": "AWS_LAMBDA", "hook_target_arn": "arn:aws:lambda:us-east-1:123456789012:function:f", "role_arn": role, "lifecycle_stages": []any{"POST_SCALE_UP"},
				"hook_details": `{"suite":"smoke"}`, "timeout_configuration": fields{"action": "CONTINUE", "timeout_in_minutes": 5},
			}},
		},
		"triggers": fields{"image": "1"}, "availability_zone_rebalancing": "ENABLED", "enable_ecs_managed_tags": true,
		"load_balancer": []any{fields{
			"target_group_arn": balancer + "targetgroup/web/0123456789abcdef", "container_name": "app", "container_port": 9090,
			"advanced_configuration": fields{
				"alternate_target_group_arn": balancer + "targetgroup/green/0123456789abcdef", "production_listener_rule": balancer + "listener-rule/app/web/1/2/3",
				"test_listener_rule": balancer + "listener-rule/app/web/1/2/4", "role_arn": role,
			},
		}},
		"service_registry": []any{fields{"registry_arn": "arn:aws:servicediscovery:us-east-1:123456789012:service/srv-1", "container_name": "app", "container_port": 9090}},
		"vpc_lattice_configuration": []any{fields{"port_name": "http", "role_arn": role, "target_group_arn": lattice + "targetgroup/tg-1", "advanced_configuration": fields{
			"alternate_target_group_arn": lattice + "targetgroup/tg-2", "production_listener_rule": lattice + "service/svc-1/listener/listener-1/rule/rule-1", "test_listener_rule": lattice + "service/svc-1/listener/listener-2",
		}}},
		"gateway_connector": []any{fields{"port_name": "http", "filters": fields{"access_types": []any{"PRIVATE"}}, "health_check": fields{
			"health_check_interval_seconds": 10, "health_check_path": "/ready", "health_check_port": 9090, "health_check_protocol": "HTTP", "health_check_timeout_seconds": 5,
			"healthy_threshold_count": 2, "unhealthy_threshold_count": 3, "matcher": fields{"grpc_code": "0", "http_code": "200"},
		}}},
		"volume_configuration": []any{fields{"name": "data", "managed_ebs_volume": fields{
			"role_arn": role, "size_in_gib": 10, "snapshot_id": "snap-1", "volume_initialization_rate": 100, "volume_type": "gp3", "filesystem_type": "ext4", "iops": 3000, "throughput": 125, "encrypted": true, "kms_key_id": "alias/data",
			"tag_specification": []any{fields{"resource_type": "volume", "propagate_tags": "TASK_DEFINITION", "tags": fields{"team": "a"}}},
		}}},
		"monitoring":                    fields{"metric_configuration": []any{fields{"metric_names": []any{"CPUUtilization"}, "resolution_seconds": 20}}},
		"service_connect_configuration": fields{"enabled": false},
		"wait_for_steady_state":         false, "subnets": []any{at.subnet}, "security_groups": []any{at.group}, "launch_type": "EC2",
	}
}

func fullController(name string, at surroundings) fields {
	const secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:"
	return fields{
		"cluster": at.ecsCluster, "name": name, "token_secret_arn": secret + "token", "iam_role_path": "/consul-ecs/", "image": "agent:1", "log_level": "DEBUG", "log_json": true,
		"consul_servers": fields{"hosts": "consul.example.com", "tls": fields{"server_name": "server.dc1.consul", "ca_secret_arn": secret + "ca"}, "http": fields{"port": 8501}},
		"login":          fields{"auth_method": "iam", "server_id_header": "x", "token_ttl_seconds": 3600, "max_retries": 2},
		"desired_count":  2, "manage_acl": false, "anonymous_reads": false, "ecs_clusters": []any{"arn:aws:ecs:us-east-1:123456789012:cluster/other"}, "sync_seconds": 60, "max_writes_per_second": 100,
		"brake": fields{"tasks": 5, "percent": 10}, "dry_run": true, "http_address": "0.0.0.0:9102", "partition": "team", "trust_all_roles": true, "acls": true, "force_destroy": true, "events": fields{"enabled": true},
		"log_configuration": fields{"log_driver": "awslogs", "options": fields{"awslogs-group": "/app", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "app"}},
		"task":              fields{"cpu": 256, "memory": 512, "launch_types": []any{"EC2"}, "runtime_platform": fields{"cpu_architecture": "X86_64"}},
		"iam":               fields{"path": "/x/", "task_role": fields{"name": name + "-t"}, "execution_role": fields{"name": name + "-e"}},
		"subnets":           []any{at.subnet}, "security_groups": []any{at.group}, "launch_type": "EC2", "wait_for_steady_state": false, "tags": fields{"env": "test"},
	}
}

// loggingIn is a controller that logs in, with what goes with that alone.
func loggingIn(name string, at surroundings) fields {
	c := controller(fields{
		"cluster": at.ecsCluster, "name": name, "subnets": []any{at.subnet}, "security_groups": []any{at.group}, "launch_type": "EC2", "wait_for_steady_state": false,
		"login": fields{"enabled": true}, "first_token_secret_arn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:first", "first_token_kms_key_arn": "arn:aws:kms:us-east-1:123456789012:key/1",
	})
	delete(c, "token_secret_arn")
	return c
}

// embedded is a text inside the JSON of the fullest configurations.
const embedded = "in-json"

// plainMaps are the attributes whose keys are their author's; every other object of a configuration is a block.
var plainMaps = []string{"environment", "inline_policies", "secrets", "options", "secret_options", "meta", "tags", "docker_labels", "driver_opts", "labels", "triggers", "zones"}

// sweepPlace is a place of a configuration.
type sweepPlace struct {
	steps []any
	block bool // a block, or all blocks of one name
}

func (p sweepPlace) String() string { return strings.Trim(fmt.Sprint(p.steps), "[]") }

// sweepPlaces are all of an object: blocks, attributes, and elements of attributes.
func sweepPlaces(object fields, at []any) []sweepPlace {
	var all []sweepPlace
	for _, name := range slices.Sorted(maps.Keys(object)) {
		here := append(slices.Clone(at), name)
		switch v := object[name].(type) {
		case fields:
			plain := slices.Contains(plainMaps, name)
			all = append(all, sweepPlace{here, !plain})
			if !plain {
				all = append(all, sweepPlaces(v, here)...)
				continue
			}
			for _, key := range slices.Sorted(maps.Keys(v)) {
				all = append(all, sweepPlace{append(slices.Clone(here), key), false})
			}
		case []any:
			_, blocks := v[0].(fields)
			all = append(all, sweepPlace{here, blocks})
			for i, element := range v {
				below := append(slices.Clone(here), i)
				if block, ok := element.(fields); ok {
					all = append(all, sweepPlaces(block, below)...)
				} else {
					all = append(all, sweepPlace{below, false})
				}
			}
		default:
			all = append(all, sweepPlace{here, false})
		}
	}
	return all
}

// altered is a copy of an object in which change has had its way with the holder of a place.
func altered(t *testing.T, object fields, p sweepPlace, change func(holder any, step any)) fields {
	t.Helper()
	text, err := json.Marshal(object)
	var whole fields
	if err == nil {
		err = json.Unmarshal(text, &whole)
	}
	if err != nil {
		t.Fatal(err)
	}
	var holder any = whole
	for _, step := range p.steps[:len(p.steps)-1] {
		holder = valueAt(holder, step)
	}
	change(holder, p.steps[len(p.steps)-1])
	return whole
}

func valueAt(holder, step any) any {
	if i, ok := step.(int); ok {
		return holder.([]any)[i]
	}
	return holder.(fields)[step.(string)]
}

func setAt(holder, step, v any) {
	if i, ok := step.(int); ok {
		holder.([]any)[i] = v
		return
	}
	holder.(fields)[step.(string)] = v
}

// replaced is a copy in which an expression stands for what is at a place. Blocks become dynamic ones, once for each element of
// the expression.
func replaced(t *testing.T, object fields, p sweepPlace, expression string) (whole fields, was any) {
	t.Helper()
	whole = altered(t, object, p, func(holder, step any) {
		was = valueAt(holder, step)
		if !p.block {
			setAt(holder, step, expression)
			return
		}
		blocks, ok := was.([]any)
		if !ok {
			blocks = []any{was}
		}
		var dynamic []any
		for _, content := range blocks {
			dynamic = append(dynamic, fields{"for_each": expression, "content": content})
		}
		delete(holder.(fields), step.(string))
		before, _ := holder.(fields)["dynamic"].(fields)
		holder.(fields)["dynamic"] = with(fields{step.(string): dynamic}, before)
		was = []any{1}
	})
	return whole, was
}

// replacedAll is a copy in which an attribute of an object stands for every plain value, and what the object is.
func replacedAll(t *testing.T, object fields, places []sweepPlace, holder string) (whole, was fields) {
	t.Helper()
	was = fields{}
	for i, p := range places {
		v := valueIn(object, p)
		switch v.(type) {
		case fields, []any:
			continue
		}
		name := fmt.Sprintf("v%03d", i)
		was[name] = v
		object = altered(t, object, p, func(at, step any) { setAt(at, step, "${"+holder+"."+name+"}") })
	}
	return object, was
}

// forgotten are the settings of a service that the emulator takes and forgets, but shows again once an update says them.
func forgotten(ecsService fields) fields {
	return with(maps.Clone(ecsService), fields{
		"health_check_grace_period_seconds": 10, "enable_execute_command": true, "availability_zone_rebalancing": "DISABLED",
		"placement_constraint": []any{fields{"type": "memberOf", "expression": "attribute:x == y"}}, "placement_strategy": []any{fields{"type": "spread", "field": "instanceId"}},
	})
}

// remembered is a service without what the emulator never shows: it does not know these settings. provider/block compares them with
// what ECS is asked for.
func remembered(ecsService any) fields {
	all, kept := ecsService.(fields), fields{"deployment": fields{"minimum_healthy_percent": 50, "maximum_percent": 150, "circuit_breaker": fields{"enable": true, "rollback": true}}}
	for _, key := range []string{"cluster", "name", "desired_count", "wait_for_steady_state", "subnets", "security_groups", "launch_type"} {
		kept[key] = all[key]
	}
	return kept
}

// alone are places of a service that are changed one at a time in this process, without Terraform: by TestEveryPlaceOfAServiceMayBeKnownLater,
// and, at the request, by provider/block. With Terraform they are all changed at once.
var alone = []string{
	"ignore_desired_count", "scheduling_strategy", "deployment_controller", "triggers", "availability_zone_rebalancing", "load_balancer", "service_registry",
	"gateway_connector", "monitoring", "service_connect_configuration", "deployment strategy", "deployment bake_time_in_minutes", "deployment alarms",
	"deployment early_success_criteria", "deployment lifecycle_hook", "deployment circuit_breaker reset_on_healthy_task", "deployment circuit_breaker threshold_configuration",
}

// subject is a configuration that a sweep is made over.
type subject struct {
	resource string
	initial  string // of the names of its variants
	config   func(name string) fields
	only     []string // the attributes and blocks to change; none: all
}

// toForget begins the names of variants of which the emulator forgets a part, so that a plan cannot be empty.
const toForget = "f"

// subjects are the fullest configurations. That of the mesh task comes in parts, each on top of a short one, as Terraform spends
// most of a sweep on reading what does not change.
func subjects(at surroundings) []subject {
	part := func(initial string, only ...string) subject {
		return subject{"consulecs_mesh_task", initial, func(name string) fields {
			full, short := fullMeshTask(name, at), meshTask(fields{"family": name, "service": fields{"port": 9090}, "task": fields{"launch_types": []any{"EC2"}}})
			full["names"] = fields{"enabled": true, "ports": []any{80, 8000}} // in a part without transparent_proxy
			for _, key := range only {
				if short[key] = full[key]; key == "ecs_service" {
					short[key], short["container"] = remembered(full[key]), container(fields{"port_mapping": []any{fields{"container_port": 9090, "name": "http"}}})
				}
			}
			if initial == toForget {
				short["ecs_service"] = forgotten(remembered(full["ecs_service"]))
			}
			return short
		}, only}
	}
	return []subject{
		part("t", "family", "service", "upstream", "proxy", "transparent_proxy", "locality", "consul_servers", "login"),
		part("n", "names"),
		part("c", "container", "container_definitions_json", "task"),
		part("s", "sidecars"),
		part("i", "iam"),
		part("e", "ecs_service", "revision_policy", "tags"),
		part("r", "standalone_task"),
		part(toForget, "ecs_service"),
		{"consulecs_mesh_task", "m", severalServices, []string{"service", "upstream"}},
		{"consulecs_mesh_task", "h", func(name string) fields { return fullSharing(name, at) }, []string{"controller"}},
		{"consulecs_controller", "k", func(name string) fields { return fullController(name, at) }, nil},
		{"consulecs_dev_server", "v", func(name string) fields { return fullDevServer(name, at) }, nil},
		{"consulecs_controller", "l", func(name string) fields { return loggingIn(name, at) }, []string{"login", "first_token_secret_arn", "first_token_kms_key_arn"}},
	}
}

// severalServices has something of everything that a service has which is not the first.
func severalServices(family string) fields {
	return meshTask(fields{"family": family, "service": []any{
		fields{"name": "web", "port": 9090},
		fields{"name": family + "-admin", "port": 9091, "tags": []any{"v1"}, "meta": fields{"version": "1"}, "proxy": fields{
			"public_listener_port": 20011, "readiness_port": 22011, "local_service_address": "127.0.0.2", "config": `{"protocol":"http"}`,
			"expose": fields{"path": []any{fields{"path": "/health", "listener_port": 21500, "local_path_port": 9091, "protocol": "http"}}},
		}},
	}, "upstream": []any{fields{"destination_name": "api", "local_bind_port": 1234}, fields{"destination_name": "books", "local_bind_port": 1235, "service": family + "-admin"}}})
}

// places are those that a sweep changes one at a time.
func (s subject) places() []sweepPlace {
	return slices.DeleteFunc(s.allPlaces(), func(p sweepPlace) bool {
		return slices.ContainsFunc(alone, func(place string) bool { return strings.HasPrefix(p.String()+" ", "ecs_service "+place+" ") })
	})
}

// allPlaces are those that a sweep changes at once.
func (s subject) allPlaces() []sweepPlace {
	return slices.DeleteFunc(sweepPlaces(s.config("x"), nil), func(p sweepPlace) bool {
		return s.only != nil && !slices.Contains(s.only, p.steps[0].(string))
	})
}

// surroundings are what a configuration names and does not make.
type surroundings struct{ ecsCluster, policy, subnet, group string }

func (c cloud) surroundings(t testing.TB, name string) surroundings {
	t.Helper()
	at := c.ecsClusterAlone(t, name)
	policy, err := c.iam.CreatePolicy(t.Context(), &iam.CreatePolicyInput{PolicyName: aws.String(name), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	at.policy = *policy.Policy.Arn
	return at
}

// ecsClusterAlone are surroundings without a policy, of which an account has one of a name.
func (c cloud) ecsClusterAlone(t testing.TB, name string) surroundings {
	t.Helper()
	made, err := c.ecs.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String(name)})
	if err != nil {
		t.Fatal(err)
	}
	network := ec2.NewFromConfig(c.config)
	subnets, err := network.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	if err != nil {
		t.Fatal(err)
	}
	groups, err := network.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{})
	if err != nil {
		t.Fatal(err)
	}
	return surroundings{ecsCluster: *made.Cluster.ClusterArn, subnet: *subnets.Subnets[0].SubnetId, group: *groups.SecurityGroups[0].GroupId}
}

// frame is what the variants of a sweep share.
func (c cloud) frame(resources fields) fields {
	return fields{
		"terraform": requirements(),
		"provider": fields{"consulecs": fields{
			"region": "us-east-1", "endpoints": fields{"ecs": c.url, "iam": c.url, "sts": c.url, "secretsmanager": c.url, "sqs": c.url, "events": c.url},
		}},
		"resource": resources,
	}
}

// Every place of the fullest configuration is known only after the apply of something else, one at a time and all at once: nothing
// is refused, what was planned holds, and nothing is left to do.
func TestEveryValueMayBeKnownLater(t *testing.T) {
	t.Parallel()
	onEveryBinary(t, testKnownLater)
}

func testKnownLater(t *testing.T, on *binary) {
	c := on.startMoto(t)
	around := c.surroundings(t, "sweep-later")
	resources, values := fields{}, fields{}
	for _, s := range subjects(around) {
		variants, _ := resources[s.resource].(fields)
		variants = with(fields{}, variants)
		for i, p := range s.places() {
			name := fmt.Sprintf("%s%03d", s.initial, i)
			variants[name], values[name] = replaced(t, s.config("later-"+name), p, "${terraform_data.later.output."+name+"}")
			t.Logf("%s.%s: %s", s.resource, name, p)
		}
		name := s.initial + "all"
		variants[name], values[name] = replacedAll(t, s.config("later-"+name), s.allPlaces(), "terraform_data.later.output."+name)
		resources[s.resource] = variants
	}
	for _, part := range parts(resources) {
		later := fields{}
		for _, variants := range part {
			for name := range variants.(fields) {
				later[name] = values[name]
			}
		}
		part["terraform_data"] = fields{"later": fields{"input": later}}
		dir := workDir(t)
		dir.write(t, "main.tf.json", c.frame(part))
		tf := on.terraform(t, dir)
		if err := tf.Apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		changes, err := tf.PlanChanges(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range changes {
			if !strings.HasPrefix(change, "consulecs_mesh_task."+toForget) {
				t.Errorf("there is still something to do: %s", change)
			}
		}
	}
}

// mostInAState is how many variants Terraform gets at once: it writes the whole state anew with each resource that it makes.
const mostInAState = 100

// parts are the resources of all types, in as many parts as it takes.
func parts(resources fields) []fields {
	var all []fields
	room := 0
	for _, kind := range slices.Sorted(maps.Keys(resources)) {
		variants := resources[kind].(fields)
		for _, name := range slices.Sorted(maps.Keys(variants)) {
			if room == 0 {
				all, room = append(all, fields{}), mostInAState
			}
			part := all[len(all)-1]
			part[kind] = with(fields{name: variants[name]}, fieldsAt(part, kind))
			room--
		}
	}
	return all
}
