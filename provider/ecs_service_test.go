package provider_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// servedTask is a mesh task with a service, whose names nobody has to be asked for.
func servedTask(service fields) fields {
	return meshTask(fields{
		"family": "served", "adopt_existing": true, "ecs_service": service,
		"task":      fields{"launch_types": []any{"EC2", "FARGATE"}, "volume": []any{fields{"name": "data", "configured_at_launch": service["volume_configuration"] != nil}}},
		"container": container(fields{"port_mapping": []any{fields{"container_port": 9090, "name": "http"}}}),
	})
}

// servedTasks are tasks with the fullest services: one of each way to replace and to place tasks.
func servedTasks(at surroundings) map[string]fields {
	full := func(changes fields) fields {
		return servedTask(with(forgotten(fullService("served", at)), changes))
	}
	deployment := func(changes fields) fields {
		return full(fields{"deployment": with(fields{"minimum_healthy_percent": 100, "maximum_percent": 200, "bake_time_in_minutes": 10}, changes), "availability_zone_rebalancing": nil})
	}
	return map[string]fields{
		"rolling":    full(nil),
		"blue_green": deployment(fields{"strategy": "BLUE_GREEN"}),
		"canary":     deployment(fields{"strategy": "CANARY", "canary_configuration": fields{"canary_percent": 2.5, "canary_bake_time_in_minutes": 3}}),
		"linear":     deployment(fields{"strategy": "LINEAR", "linear_configuration": fields{"step_percent": 12, "step_bake_time_in_minutes": 3}}),
		"daemon":     full(fields{"scheduling_strategy": "DAEMON", "desired_count": nil, "placement_strategy": nil, "availability_zone_rebalancing": nil}),
		"codedeploy": full(fields{"deployment_controller": "CODE_DEPLOY", "triggers": nil, "placement_strategy": nil}),
		"listener": servedTask(fields{
			"cluster": at.ecsCluster, "subnets": []any{at.subnet}, "load_balancer": []any{fields{"target_group_arn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/1", "container_name": "consul-dataplane", "container_port": 20000}},
		}),
	}
}

// decisive are the settings by which the fullest services differ: of the others, the first has all that there is.
var decisive = []any{
	"deployment_controller", "scheduling_strategy", "strategy", "canary_configuration", "canary_percent", "canary_bake_time_in_minutes", "linear_configuration", "step_percent",
	"step_bake_time_in_minutes", "container_name",
}

// Every place of a service is known only after the apply, one at a time: nothing is refused, and what depends on it waits.
func TestEveryPlaceOfAServiceMayBeKnownLater(t *testing.T) {
	t.Parallel()
	c, p := startMoto(t), speak(t)
	const resource = "consulecs_mesh_task"
	anew := func() { p.configure(t, c.frame(nil)["provider"].(fields)["consulecs"].(fields)) } // nothing else is planned in the same run
	for name, config := range servedTasks(c.surroundings(t, "served-later")) {
		anew()
		if said, plan := p.plan(t, resource, object(t, p.block(resource), config)); plan == nil || len(said) > 0 {
			t.Errorf("%s: %s", name, saidOf(said))
			continue
		}
		for _, place := range sweepPlaces(config, nil) {
			if place.steps[0] != "ecs_service" || name != "rolling" && !slices.Contains(decisive, place.steps[len(place.steps)-1]) {
				continue
			}
			open := altered(t, config, place, func(holder, step any) {
				if setAt(holder, step, unknown{}); place.block {
					setAt(holder, step, unknownBlocks{})
				}
			})
			anew()
			said, plan := p.plan(t, resource, object(t, p.block(resource), open))
			if plan == nil {
				t.Errorf("%s: %s known later: %s", name, place, saidOf(said))
				continue
			}
			planned, err := plan.Unmarshal(p.block(resource).ValueType())
			if err != nil {
				t.Fatal(err)
			}
			var all map[string]tftypes.Value
			if err := planned.As(&all); err != nil {
				t.Fatal(err)
			}
			waits := strings.HasPrefix(place.String(), "ecs_service load_balancer 0 container_name") || strings.HasPrefix(place.String(), "ecs_service service_registry 0 container_name") || place.block && len(place.steps) <= 2
			if open := !all["content_hash"].IsKnown(); open && !waits {
				t.Errorf("%s: %s known later hides the definition", name, place)
			} else if strings.HasSuffix(place.String(), " container_name") && !open {
				t.Errorf("%s: the definition does not wait for %s, which may be the proxy", name, place)
			}
		}
	}
}

func saidOf(said []*tfprotov6.Diagnostic) string {
	var text strings.Builder
	for _, d := range said {
		text.WriteString(d.Summary + ": " + d.Detail + "\n")
	}
	return text.String()
}

// A load balancer before the proxy's public listener has its port mapped, and nothing else does.
func TestALoadBalancerReachesThePublicListener(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	const balancer = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/1"
	served := func(name string, port int, mapped fields) fields {
		return meshTask(fields{
			"family": "listener-" + name, "proxy": fields{"public_listener_port": 20443}, "service": fields{"port": 9090}, "container": container(mapped),
			"ecs_service": fields{"cluster": "x", "subnets": []any{"subnet-1"}, "load_balancer": []any{fields{"target_group_arn": balancer, "container_name": map[bool]string{true: "consul-dataplane", false: "app"}[mapped == nil], "container_port": port}}},
		})
	}
	planned := c.planned(t, nil, fields{"consulecs_mesh_task": fields{
		"listener": served("listener", 20443, nil), "app": served("app", 8080, fields{"port_mapping": []any{fields{"container_port": 8080}}}),
	}})
	for name, want := range map[string]bool{"listener": true, "app": false} {
		containers, _ := planned["consulecs_mesh_task."+name]["rendered_container_definitions_json"].(map[string]any)
		text, _ := containers["consul-dataplane"].(string)
		if mapped := strings.Contains(text, `"containerPort":20443`); mapped != want || text == "" {
			t.Errorf("%s: the listener is mapped: %t, want %t, in %s", name, mapped, want, text)
		}
	}
}

// What is refused of a service is refused at its attribute.
func TestServicesAreRefusedAtTheirAttributes(t *testing.T) {
	t.Parallel()
	served := func(changes fields) fields {
		return servedTask(with(fields{"cluster": "mesh", "subnets": []any{"subnet-1"}}, changes))
	}
	deployed := func(changes fields) fields { return served(fields{"deployment": changes}) }
	const balancer = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/1"
	behind := func(name string, port int) []any {
		return []any{fields{"target_group_arn": balancer, "container_name": name, "container_port": port}}
	}
	stored := func(changes fields) fields {
		return served(fields{"volume_configuration": []any{fields{"name": "data", "managed_ebs_volume": with(fields{"role_arn": "arn:aws:iam::123456789012:role/ecs", "size_in_gib": 10}, changes)}}})
	}
	rows := map[string]row{
		"Service Connect":          {served(fields{"service_connect_configuration": fields{"enabled": true}}), "ecs_service.service_connect_configuration.enabled | not possible beside the mesh"},
		"a strategy of nobody":     {deployed(fields{"strategy": "FAST"}), "ecs_service.deployment.strategy | FAST"},
		"traffic that stays":       {with(deployed(fields{"strategy": "CANARY"}), fields{"ecs_service": fields{"cluster": "mesh", "subnets": []any{"subnet-1"}, "deployment": fields{"strategy": "CANARY"}, "load_balancer": behind("app", 9090)}}), "ecs_service.load_balancer[0].advanced_configuration | is missing"},
		"a canary that rolls":      {deployed(fields{"canary_configuration": fields{}}), "ecs_service.deployment.canary_configuration | ROLLING"},
		"a step below ECS's":       {deployed(fields{"strategy": "LINEAR", "linear_configuration": fields{"step_percent": 2}}), "ecs_service.deployment.linear_configuration.step_percent | between 3"},
		"a step in hundredths":     {deployed(fields{"strategy": "LINEAR", "linear_configuration": fields{"step_percent": 3.25}}), "ecs_service.deployment.linear_configuration.step_percent | 3.25, want a multiple of 0.1"},
		"a bake of two days":       {deployed(fields{"bake_time_in_minutes": 2880}), "ecs_service.deployment.bake_time_in_minutes | 2880"},
		"alarms of no name":        {deployed(fields{"alarms": fields{"alarm_names": []any{}, "enable": true}}), "ecs_service.deployment.alarms.alarm_names | at least 1"},
		"a success that none says": {deployed(fields{"early_success_criteria": fields{"enable": true}}), "ecs_service.deployment.early_success_criteria.healthy_percent | is missing"},
		"a hook without stages":    {deployed(fields{"lifecycle_hook": []any{fields{"target_type": "PAUSE", "lifecycle_stages": []any{}}}}), "lifecycle_hook[0].lifecycle_stages | at least 1"},
		"a stage of nobody":        {deployed(fields{"lifecycle_hook": []any{fields{"target_type": "PAUSE", "lifecycle_stages": []any{"LATER"}}}}), "ecs_service.deployment.lifecycle_hook[0].lifecycle_stages | LATER"},
		"a hook without a role":    {deployed(fields{"lifecycle_hook": []any{fields{"hook_target_arn": "arn:aws:lambda:us-east-1:123456789012:function:f", "lifecycle_stages": []any{"PRE_SCALE_UP"}}}}), "ecs_service.deployment.lifecycle_hook[0].role_arn | is missing"},
		"details that are no JSON": {deployed(fields{"lifecycle_hook": []any{fields{"target_type": "PAUSE", "lifecycle_stages": []any{"PRE_SCALE_UP"}, "hook_details": "x"}}}), "lifecycle_hook[0].hook_details | JSON"},
		"a daemon with a count":    {served(fields{"scheduling_strategy": "DAEMON", "desired_count": 2}), "ecs_service.desired_count | is not allowed together with ecs_service.scheduling_strategy DAEMON"},
		"task sets":                {served(fields{"deployment_controller": "EXTERNAL"}), "ecs_service.deployment_controller | leave ecs_service out"},
		"CodeDeploy alone":         {served(fields{"deployment_controller": "CODE_DEPLOY"}), "ecs_service.load_balancer | CodeDeploy shifts"},
		"CodeDeploy's wait":        {served(fields{"deployment_controller": "CODE_DEPLOY", "load_balancer": behind("app", 9090), "wait_for_steady_state": true}), "ecs_service.wait_for_steady_state | is not allowed together with"},
		"zones of tasks that stay": {served(fields{"availability_zone_rebalancing": "ENABLED", "deployment": fields{"minimum_healthy_percent": 0, "maximum_percent": 100}}), "ecs_service.availability_zone_rebalancing | ecs_service.deployment.maximum_percent"},
		"a null trigger":           {served(fields{"triggers": fields{"a": nil}}), `ecs_service.triggers["a"] | is null`},
		"another listener":         {with(served(fields{"load_balancer": behind("consul-dataplane", 20000)}), fields{"proxy": fields{"public_listener_port": 20443}}), "ecs_service.load_balancer[0].container_port | want 20443, which proxy.public_listener_port says"},
		"the listener":             {served(fields{"load_balancer": behind("consul-dataplane", 20000)}), ""},
		"two registries": {served(fields{"service_registry": []any{
			fields{"registry_arn": "arn:aws:servicediscovery:us-east-1:123456789012:service/a"}, fields{"registry_arn": "arn:aws:servicediscovery:us-east-1:123456789012:service/b"},
		}}), "ecs_service.service_registry | one at most"},
		"a registry by its name":   {served(fields{"service_registry": []any{fields{"registry_arn": "web"}}}), "ecs_service.service_registry[0].registry_arn | ARN of a Cloud Map service"},
		"a port that nobody has":   {served(fields{"vpc_lattice_configuration": []any{fields{"port_name": "web", "role_arn": "arn:aws:iam::123456789012:role/ecs", "target_group_arn": "arn:aws:vpc-lattice:us-east-1:123456789012:targetgroup/tg-1"}}}), "ecs_service.vpc_lattice_configuration[0].port_name | want the name of a port_mapping"},
		"two gateways":             {served(fields{"gateway_connector": []any{fields{"port_name": "http"}, fields{"port_name": "http"}}}), "ecs_service.gateway_connector | one at most"},
		"a metric of nobody":       {served(fields{"monitoring": fields{"metric_configuration": []any{fields{"metric_names": []any{"Disk"}, "resolution_seconds": 20}}}}), "metric_names | Disk"},
		"a resolution of nobody":   {served(fields{"monitoring": fields{"metric_configuration": []any{fields{"metric_names": []any{"CPUUtilization"}, "resolution_seconds": 10}}}}), "resolution_seconds | 10"},
		"a volume":                 {stored(nil), ""},
		"a volume without a size":  {stored(fields{"size_in_gib": nil}), "ecs_service.volume_configuration[\"data\"].managed_ebs_volume.size_in_gib | is missing"},
		"a volume of another name": {with(stored(nil), fields{"task": fields{"volume": []any{fields{"name": "other", "configured_at_launch": true}}}}), "ecs_service.volume_configuration[\"data\"].name | configured_at_launch"},
		"a volume of nobody":       {with(stored(nil), fields{"ecs_service": fields{"cluster": "mesh", "subnets": []any{"subnet-1"}}}), "task.volume[0].configured_at_launch | has no configuration in ecs_service.volume_configuration"},
		"IOPS of gp2":              {stored(fields{"volume_type": "gp2", "iops": 3000}), "ecs_service.volume_configuration[\"data\"].managed_ebs_volume.iops | gp2"},
		"half a volume":            {served(fields{"volume_configuration": []any{fields{"name": "data"}}}), "ecs_service.volume_configuration[\"data\"].managed_ebs_volume | is missing"},
	}
	for name, r := range rows { // the fullest are taken
		rows[name] = row{with(maps.Clone(r.config), fields{"adopt_existing": nil}), r.want}
	}
	for name, config := range servedTasks(surroundings{"arn:aws:ecs:us-east-1:123456789012:cluster/x", "", "subnet-1", "sg-1"}) {
		rows["full "+name] = row{config, ""}
	}
	checkRows(t, "consulecs_mesh_task", rows)
}
