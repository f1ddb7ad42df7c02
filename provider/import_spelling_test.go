package provider_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// spelling is a way to write what was imported.
type spelling struct {
	resource string
	id       string
	config   fields
	differs  string // the reason why the plan after the import is not empty; what it does is nothing but to write the state
}

// What was imported may be written in many ways: those that mean the same make no plan.
func TestAnImportIsPlannedEmptyInEverySpelling(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	around := c.surroundings(t, "import-spelling")
	named := around
	named.ecsCluster = around.ecsCluster[strings.LastIndexByte(around.ecsCluster, '/')+1:]
	dir := workDir(t)
	dir.write(t, "main.tf.json", c.frame(fields{
		"consulecs_mesh_task":  fields{"plain": plainSpelling(around, nil), "whole": wholeSpelling(around, nil), "nothing": nothingSpelling()},
		"consulecs_controller": fields{"this": controllerSpelling(around, fields{"wait_for_steady_state": false}), "whole": with(wholeController(around), fields{"wait_for_steady_state": false})},
	}))
	if err := dir.terraform(t).Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	forgot := &ecs.UpdateServiceInput{Cluster: &around.ecsCluster, Service: aws.String("spell-whole"), PlatformVersion: aws.String("LATEST"), DeploymentConfiguration: &ecstypes.DeploymentConfiguration{
		MinimumHealthyPercent: aws.Int32(50), MaximumPercent: aws.Int32(200), DeploymentCircuitBreaker: &ecstypes.DeploymentCircuitBreaker{Enable: true},
	}}
	if _, err := c.ecs.UpdateService(t.Context(), forgot); err != nil { // as ECS would show what it was asked for
		t.Fatal(err)
	}
	all := taskSpellings(around, named)
	maps.Copy(all, controllerSpellings(around, named))
	resources, imports := fields{}, []any{}
	for name, s := range all {
		resources[s.resource] = with(fields{name: s.config}, fieldsAt(resources, s.resource))
		imports = append(imports, fields{"to": s.resource + "." + name, "id": s.id})
	}
	frame := c.frame(resources)
	frame["import"] = imports
	again := workDir(t)
	again.write(t, "main.tf.json", frame)
	changes, err := again.terraform(t).PlanChanges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	changed := map[string]bool{}
	for _, change := range changes {
		address, actions, _ := strings.Cut(change, " ")
		changed[address] = true
		if actions != "(update)" {
			t.Errorf("%s", change)
		}
	}
	for name, s := range all {
		if got := changed[s.resource+"."+name]; got != (s.differs != "") {
			t.Errorf("%s.%s: planned is a change: %v; known to be one since %q", s.resource, name, got, s.differs)
		}
	}
}

// plainSpelling leaves to defaults what it can.
func plainSpelling(at surroundings, service fields) fields {
	return meshTask(fields{"family": "spell-plain", "ecs_service": with(fields{"cluster": at.ecsCluster, "subnets": []any{at.subnet}, "security_groups": []any{at.group}, "launch_type": "EC2"}, service)})
}

// wholeSpelling sets in each block one thing that is no default.
func wholeSpelling(at surroundings, changes map[string]fields) fields {
	app := fields{
		"name": "app", "image": "app:1", "health_check": with(fields{"command": []any{"CMD", "/ok"}}, changes["health_check"]),
		"port_mapping": []any{with(fields{"container_port": 9090}, changes["port_mapping"])}, "mount_point": []any{with(fields{"source_volume": "scratch", "container_path": "/scratch"}, changes["mount_point"])},
	}
	return meshTask(fields{
		"family": "spell-whole", "container": []any{with(app, changes["container"])},
		"service": with(fields{"port": 9090, "tags": []any{"v1"}}, changes["service"]),
		"task":    with(fields{"memory": 1024, "volume": []any{fields{"name": "scratch"}}}, changes["task"]),
		"ecs_service": with(fields{
			"cluster": at.ecsCluster, "subnets": []any{at.subnet}, "security_groups": []any{at.group}, "launch_type": "FARGATE",
			"deployment": with(fields{"minimum_healthy_percent": 50, "circuit_breaker": with(fields{"enable": true}, changes["circuit_breaker"])}, changes["deployment"]),
		}, changes["ecs_service"]),
	})
}

// nothingSpelling says nothing at length: false and 0 where the one or the other may be said and is no default of the row.
func nothingSpelling() fields {
	return meshTask(fields{
		"family": "spell-nothing", "task": fields{"memory": 1024, "launch_types": []any{"EC2"}, "volume": []any{fields{"name": "scratch"}}},
		"service": fields{"port": 8080, "weights": fields{"passing": 2, "warning": 0}},
		"container": []any{fields{
			"name": "app", "image": "app:1", "essential": true, "privileged": false, "readonly_root_filesystem": false, "stop_timeout": 0,
			"health_check": fields{"command": []any{"CMD", "/ok"}, "start_period": 0}, "restart_policy": fields{"enabled": false},
			"linux_parameters": fields{"init_process_enabled": false, "max_swap": 0, "swappiness": 0, "shared_memory_size": 0},
			"mount_point":      []any{fields{"source_volume": "scratch", "container_path": "/scratch", "read_only": false}},
		}},
	})
}

func controllerSpelling(at surroundings, changes fields) fields {
	return controller(with(fields{"cluster": at.ecsCluster, "name": "spell-controller", "subnets": []any{at.subnet}, "security_groups": []any{at.group}, "launch_type": "EC2"}, changes))
}

// wholeController sets what a controller has of its own, and logs in.
func wholeController(at surroundings) fields {
	c := with(loggingIn("spell-whole-controller", at), fields{
		"desired_count": 2, "anonymous_reads": false, "ecs_clusters": []any{"arn:aws:ecs:us-east-1:123456789012:cluster/b", "arn:aws:ecs:us-east-1:123456789012:cluster/a"}, "sync_seconds": 60,
		"max_writes_per_second": 100, "brake": fields{"percent": 10}, "dry_run": true, "http_address": "0.0.0.0:9102", "partition": "team", "iam_role_path": "/", "trust_all_roles": true,
		"login": fields{"enabled": true, "token_ttl_seconds": 3600, "max_retries": 0}, "events": fields{"enabled": false},
	})
	delete(c, "wait_for_steady_state")
	return c
}

// Why a spelling differs: Terraform has a block be planned where it is written, and nowhere else, and an import writes it only where
// it says more than the defaults.
const onlyDefaults = "a block of nothing but defaults"

func taskSpellings(at, named surroundings) map[string]spelling {
	const resource, plainID, wholeID = "consulecs_mesh_task", "import-spelling/spell-plain", "import-spelling/spell-whole"
	plain := func(service fields) spelling { return spelling{resource, plainID, plainSpelling(at, service), ""} }
	whole := func(block string, changes fields) spelling {
		return spelling{resource, wholeID, wholeSpelling(at, map[string]fields{block: changes}), ""}
	}
	differs := func(s spelling, why string) spelling { s.differs = why; return s }
	top := func(changes fields) spelling { s := plain(nil); s.config = with(s.config, changes); return s }
	return map[string]spelling{
		"nothing": {resource, "spell-nothing", nothingSpelling(), ""},
		"plain":   plain(nil), "plain_cluster_name": {resource, plainID, plainSpelling(named, nil), ""}, "plain_by_family": {resource, "spell-plain", plainSpelling(at, nil), ""},
		"plain_count": plain(fields{"desired_count": 1}), "plain_no_address": plain(fields{"assign_public_ip": false}), "plain_no_exec": plain(fields{"enable_execute_command": false}),
		"plain_no_wait": plain(fields{"wait_for_steady_state": false}), "plain_no_grace": plain(fields{"health_check_grace_period_seconds": 0}), "plain_name": plain(fields{"name": "spell-plain"}),
		"plain_replica": plain(fields{"scheduling_strategy": "REPLICA"}), "plain_ecs": plain(fields{"deployment_controller": "ECS"}), "plain_no_managed_tags": plain(fields{"enable_ecs_managed_tags": false}),
		"plain_counts": plain(fields{"ignore_desired_count": false}), "plain_triggers": differs(plain(fields{"triggers": fields{"a": "b"}}), "AWS does not keep it"),
		"plain_receives":  top(fields{"outbound_only": false}),
		"plain_essential": top(fields{"container": container(fields{"essential": true})}), "plain_flags": top(fields{"container": container(fields{"privileged": false, "readonly_root_filesystem": false, "interactive": false, "pseudo_terminal": false, "disable_networking": false})}),
		"plain_task":       differs(top(fields{"task": fields{"cpu": 256, "memory": 512, "launch_types": []any{"EC2", "FARGATE"}}}), onlyDefaults),
		"plain_deployment": differs(plain(fields{"deployment": fields{"minimum_healthy_percent": 100, "maximum_percent": 200}}), onlyDefaults),
		"plain_login":      differs(top(fields{"login": fields{"enabled": false}}), onlyDefaults),
		"plain_mesh":       differs(top(fields{"container": container(fields{"mesh": fields{"wait_for_proxy": true}})}), onlyDefaults),
		"plain_keep":       differs(top(fields{"revision_policy": fields{"keep": 0}}), "AWS does not keep it"),

		"whole": whole("", nil), "whole_task_cpu": whole("task", fields{"cpu": 256}), "whole_no_faults": whole("task", fields{"enable_fault_injection": false}), "whole_task_types": whole("task", fields{"launch_types": []any{"FARGATE", "EC2"}}),
		"whole_maximum": whole("deployment", fields{"maximum_percent": 200}), "whole_rollback": whole("circuit_breaker", fields{"rollback": false}),
		"whole_rolling": whole("deployment", fields{"strategy": "ROLLING"}), "whole_reset": whole("circuit_breaker", fields{"reset_on_healthy_task": true}),
		"whole_latest":   whole("ecs_service", fields{"platform_version": "LATEST"}),
		"whole_protocol": whole("port_mapping", fields{"protocol": "tcp"}), "whole_host_port": whole("port_mapping", fields{"host_port": 9090}), "whole_writable": whole("mount_point", fields{"read_only": false}),
		"whole_health_check": whole("health_check", fields{"interval": 30, "timeout": 5, "retries": 3, "start_period": 0}), "whole_service_name": whole("service", fields{"name": "spell-whole"}), "whole_override": whole("service", fields{"enable_tag_override": false}),
	}
}

func controllerSpellings(at, named surroundings) map[string]spelling {
	const resource, id, wholeID = "consulecs_controller", "import-spelling/spell-controller", "import-spelling/spell-whole-controller"
	changed := func(changes fields) spelling {
		return spelling{resource, id, controllerSpelling(at, changes), ""}
	}
	differs := func(s spelling, why string) spelling { s.differs = why; return s }
	return map[string]spelling{
		"c_plain": changed(nil), "c_cluster_name": {resource, id, controllerSpelling(named, nil), ""}, "c_no_exec": changed(fields{"enable_execute_command": false}), "c_no_address": changed(fields{"assign_public_ip": false}),
		"c_quiet": changed(fields{"log_json": false}), "c_waits": changed(fields{"wait_for_steady_state": true}), "c_no_wait": differs(changed(fields{"wait_for_steady_state": false}), "AWS does not keep it"),
		"c_defaults": changed(fields{"desired_count": 1, "acls": true, "manage_acl": true, "anonymous_reads": true, "dry_run": false, "max_writes_per_second": 800, "http_address": "127.0.0.1:9102", "trust_all_roles": false}),
		"c_brake":    differs(changed(fields{"brake": fields{"tasks": 50, "percent": 25}}), onlyDefaults), "c_events": differs(changed(fields{"events": fields{"enabled": true}}), onlyDefaults),
		"c_whole": {resource, wholeID, wholeController(at), ""}, "c_whole_brake": {resource, wholeID, with(wholeController(at), fields{"brake": fields{"tasks": 50, "percent": 10}}), ""},
		"c_task": differs(changed(fields{"task": fields{"cpu": 256, "memory": 512}}), onlyDefaults),
	}
}
