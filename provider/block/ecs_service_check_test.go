package block_test

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/attachment"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/rollout"
)

const targetGroup = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef"

func balanced(group, container string, port int32) func(*block.ECSService) {
	return func(s *block.ECSService) {
		s.LoadBalancers = []block.LoadBalancer{{TargetGroupArn: &group, ContainerName: &container, ContainerPort: &port}}
	}
}

// onLaunchType is a service on the launch type with a further change.
func onLaunchType(launchType string, change func(*block.ECSService)) func(*block.ECSService) {
	return func(s *block.ECSService) {
		s.LaunchType = &launchType
		change(s)
	}
}

func checkService(change func(*block.ECSService)) problem.List {
	s := block.ECSService{Cluster: aws.String("prod"), Network: block.Network{Subnets: []string{"subnet-1"}, SecurityGroups: []string{"sg-1"}}}
	change(&s)
	var found problem.List
	s.Check(taskdef.Spec{
		Task: taskdef.Task{Volumes: []ecstypes.Volume{{Name: aws.String("scratch")}, {Name: aws.String("data"), ConfiguredAtLaunch: aws.Bool(len(s.VolumeConfigurations) > 0)}}},
		Containers: []taskdef.Container{
			{Definition: ecstypes.ContainerDefinition{Name: aws.String("app"), PortMappings: []ecstypes.PortMapping{{Name: aws.String("http"), ContainerPort: aws.Int32(8080)}, {ContainerPortRange: aws.String("9000-9010")}}}},
			{Definition: ecstypes.ContainerDefinition{Name: aws.String("side")}},
		},
	}, &found)
	return found
}

// TestServicesThatECSWouldRefuse has, for each refusal, the nearest that passes.
func TestServicesThatECSWouldRefuse(t *testing.T) {
	t.Parallel()
	set := func(change func(*block.ECSService)) func(*block.ECSService) { return change }
	for name, c := range map[string]struct {
		refused, passes func(*block.ECSService)
		want            string
	}{
		"port that nobody maps": {balanced(targetGroup, "app", 8081), balanced(targetGroup, "app", 8080),
			`ecs_service.load_balancer[0].container_port: is 8081, which is missing in containers[0].portMappings of the container "app": only ports that are mapped are reached`},
		"port beside the range": {balanced(targetGroup, "app", 9011), balanced(targetGroup, "app", 9010),
			`ecs_service.load_balancer[0].container_port: is 9011, which is missing in containers[0].portMappings of the container "app": only ports that are mapped are reached`},
		"port of another container": {balanced(targetGroup, "side", 8080), balanced(targetGroup, "app", 8080),
			`ecs_service.load_balancer[0].container_port: is 8080, which is missing in containers[1].portMappings of the container "side": only ports that are mapped are reached`},
		"no container": {balanced(targetGroup, "web", 8080), balanced(targetGroup, "app", 8080),
			`ecs_service.load_balancer[0].container_name: is "web", which is no container of the task`},
		"name of a target group": {balanced("web", "app", 8080), balanced("arn:aws-us-gov:elasticloadbalancing:us-gov-west-1:123456789012:targetgroup/web/1", "app", 8080),
			`ecs_service.load_balancer[0].target_group_arn: is "web", want the ARN of a target group: arn:<partition>:elasticloadbalancing:<region>:<account>:targetgroup/<name>/<id>`},
		"ARN of a load balancer": {balanced("arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/1", "app", 8080), balanced(targetGroup, "app", 8080),
			`ecs_service.load_balancer[0].target_group_arn: is "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/1", want the ARN of a target group: arn:<partition>:elasticloadbalancing:<region>:<account>:targetgroup/<name>/<id>`},
		"empty cluster": {set(func(s *block.ECSService) { s.Cluster = aws.String("") }), set(func(s *block.ECSService) { s.Cluster = aws.String("arn:aws:ecs:eu-west-1:123456789012:cluster/prod") }),
			"ecs_service.cluster: is empty, want the name or the ARN of an ECS cluster"},
		"empty subnet": {set(func(s *block.ECSService) { s.Subnets = []string{"subnet-1", ""} }), set(func(s *block.ECSService) { s.Subnets = []string{"subnet-1", "subnet-2"} }),
			"ecs_service.subnets: has an empty element, want the IDs of subnets"},
		"empty security group": {set(func(s *block.ECSService) { s.SecurityGroups = []string{""} }), set(func(s *block.ECSService) { s.SecurityGroups = nil }),
			"ecs_service.security_groups: has an empty element, want the IDs of security groups"},
		"public address on EC2": {onLaunchType("EC2", func(s *block.ECSService) { s.AssignPublicIP = aws.Bool(true) }), onLaunchType("EC2", func(s *block.ECSService) { s.AssignPublicIP = aws.Bool(false) }),
			"ecs_service.assign_public_ip: is not allowed together with ecs_service.launch_type EC2: leave it out, and let the tasks reach the internet through a NAT gateway"},
		"platform version on EC2": {onLaunchType("EC2", func(s *block.ECSService) { s.PlatformVersion = aws.String("LATEST") }), onLaunchType("FARGATE", func(s *block.ECSService) { s.PlatformVersion = aws.String("LATEST") }),
			"ecs_service.platform_version: is not allowed together with ecs_service.launch_type EC2: only FARGATE has versions"},
		"strategy on Fargate": {onLaunchType("FARGATE", func(s *block.ECSService) { s.PlacementStrategy = []block.PlacementField{{Type: aws.String("random")}} }),
			onLaunchType("EC2", func(s *block.ECSService) { s.PlacementStrategy = []block.PlacementField{{Type: aws.String("random")}} }),
			"ecs_service.placement_strategy: is not allowed together with ecs_service.launch_type FARGATE, which has no container instances to choose among"},
		"constraints on Fargate": {onLaunchType("FARGATE", func(s *block.ECSService) {
			s.PlacementConstraints = []block.PlacementExpression{{Type: aws.String("distinctInstance")}}
		}),
			set(func(s *block.ECSService) {
				s.PlacementConstraints = []block.PlacementExpression{{Type: aws.String("distinctInstance")}}
			}),
			"ecs_service.placement_constraints: is not allowed together with ecs_service.launch_type FARGATE, which has no container instances to choose among"},
		"launch type that is not the task's": {onLaunchType("MANAGED_INSTANCES", func(*block.ECSService) {}), onLaunchType("EC2", func(*block.ECSService) {}),
			"ecs_service.launch_type: is MANAGED_INSTANCES, which is not one of the task's launch types [EC2 FARGATE]"},
		"no replacement": {set(func(s *block.ECSService) { s.Deployment = &block.Deployment{MaximumPercent: aws.Int32(100)} }), set(func(s *block.ECSService) { s.Deployment = &block.Deployment{MaximumPercent: aws.Int32(101)} }),
			"ecs_service.deployment.maximum_percent: is 100 with a minimum of 100: no task could ever be replaced"},
		"Service Connect": {set(func(s *block.ECSService) {
			s.ServiceConnectConfiguration = &attachment.Connect{Enabled: aws.Bool(true)}
		}), set(func(s *block.ECSService) {
			s.ServiceConnectConfiguration = &attachment.Connect{Enabled: aws.Bool(false)}
		}),
			"ecs_service.service_connect_configuration.enabled: is true, which is not possible beside the mesh: Service Connect puts a proxy of its own into each task, and what goes through it has neither a certificate of the mesh nor Consul's intentions. Use upstream for what the task calls, or leave the block out"},
		"another port than the listener": {balanced(targetGroup, "consul-dataplane", 8080), balanced(targetGroup, "consul-dataplane", 20000),
			`ecs_service.load_balancer[0].container_port: is 8080, want 20000, which proxy.publicListenerPort says: "consul-dataplane" is reached at the public listener alone`},
		"six target groups": {set(func(s *block.ECSService) {
			balanced(targetGroup, "app", 8080)(s)
			s.LoadBalancers = slices.Repeat(s.LoadBalancers, 6)
		}), set(func(s *block.ECSService) {
			balanced(targetGroup, "app", 8080)(s)
			s.LoadBalancers = slices.Repeat(s.LoadBalancers, 5)
		}), "ecs_service.load_balancer: has 6 blocks, want 5 at most: ECS registers tasks with no more target groups"},
		"no second target group": {shifting("BLUE_GREEN", nil), shifting("BLUE_GREEN", advanced),
			"ecs_service.load_balancer[0].advanced_configuration: is missing: ecs_service.deployment.strategy shifts traffic, for which ECS needs a second target group and the listener rule"},
		"a rule that is a target group": {shifting("BLUE_GREEN", func(a *attachment.TrafficShift) { a.ProductionListenerRule = aws.String(targetGroup) }), shifting("BLUE_GREEN", func(a *attachment.TrafficShift) {
			a.ProductionListenerRule = aws.String("arn:aws-cn:elasticloadbalancing:cn-north-1:123456789012:listener/net/web/1/2")
		}), `ecs_service.load_balancer[0].advanced_configuration.production_listener_rule: is "` + targetGroup + `", want the ARN of a listener rule or a listener: arn:<partition>:elasticloadbalancing:<region>:<account>:listener-rule/...`},
		"a canary of another strategy": {deployed(func(d *block.Deployment) { d.CanaryConfiguration = &rollout.Canary{} }), deployed(func(d *block.Deployment) {
			d.Strategy, d.CanaryConfiguration = aws.String("CANARY"), &rollout.Canary{CanaryPercent: aws.Float64(0.3)}
		}), "ecs_service.deployment.canary_configuration: is not allowed together with ecs_service.deployment.strategy ROLLING: it is for CANARY"},
		"hundredths of a percent": {deployed(func(d *block.Deployment) {
			d.Strategy, d.LinearConfiguration = aws.String("LINEAR"), &rollout.Linear{StepPercent: aws.Float64(3.14)}
		}), deployed(func(d *block.Deployment) {
			d.Strategy, d.LinearConfiguration = aws.String("LINEAR"), &rollout.Linear{StepPercent: aws.Float64(3.1)}
		}), "ecs_service.deployment.linear_configuration.step_percent: is 3.14, want a multiple of 0.1"},
		"success below the minimum": {deployed(earlySuccess(50, 0)), deployed(earlySuccess(50, 50)),
			"ecs_service.deployment.early_success_criteria.healthy_percent: is 50, below ecs_service.deployment.minimum_healthy_percent of 100, which keeps running anyway"},
		"a function of nobody": {deployed(hooked(rollout.Hook{RoleArn: aws.String(role)})), deployed(hooked(rollout.Hook{RoleArn: aws.String(role), HookTargetArn: aws.String("arn:aws:lambda:eu-west-1:123456789012:function:f")})),
			"ecs_service.deployment.lifecycle_hook[0].hook_target_arn: is missing: a hook of ecs_service.deployment.lifecycle_hook[0].target_type AWS_LAMBDA calls a function, with a role"},
		"a pause that calls": {deployed(hooked(rollout.Hook{TargetType: aws.String("PAUSE"), RoleArn: aws.String(role)})), deployed(hooked(rollout.Hook{TargetType: aws.String("PAUSE")})),
			"ecs_service.deployment.lifecycle_hook[0].role_arn: is not allowed together with ecs_service.deployment.lifecycle_hook[0].target_type PAUSE, which calls nothing"},
		"a pause on the way": {deployed(hooked(rollout.Hook{TargetType: aws.String("PAUSE"), LifecycleStages: []string{"TEST_TRAFFIC_SHIFT"}})), deployed(hooked(rollout.Hook{TargetType: aws.String("PAUSE"), LifecycleStages: []string{"POST_TEST_TRAFFIC_SHIFT"}})),
			"ecs_service.deployment.lifecycle_hook[0].lifecycle_stages: has TEST_TRAFFIC_SHIFT, at which ECS cannot pause: choose the stage before or after it"},
		"a daemon's count": {daemon(func(s *block.ECSService) { s.DesiredCount = aws.Int32(1) }), daemon(func(*block.ECSService) {}),
			"ecs_service.desired_count: is not allowed together with ecs_service.scheduling_strategy DAEMON: there are as many tasks as container instances"},
		"a daemon on Fargate": {daemon(onLaunchType("FARGATE", func(*block.ECSService) {})), daemon(onLaunchType("EC2", func(*block.ECSService) {})),
			"ecs_service.launch_type: is not allowed together with ecs_service.scheduling_strategy DAEMON: Fargate has no container instances"},
		"a daemon on Spot": {daemon(provided("FARGATE_SPOT")), daemon(provided("mine")),
			"ecs_service.capacity_provider_strategy[0].capacity_provider: is not allowed together with ecs_service.scheduling_strategy DAEMON: Fargate has no container instances"},
		"task sets of others": {controlled("EXTERNAL", func(*block.ECSService) {}), controlled("ECS", func(*block.ECSService) {}),
			"ecs_service.deployment_controller: is EXTERNAL, with which the task definition, the network and the load balancers are those of task sets that others make: leave ecs_service out, and let them make the service, with propagate_tags TASK_DEFINITION"},
		"CodeDeploy without a load balancer": {controlled("CODE_DEPLOY", func(*block.ECSService) {}), controlled("CODE_DEPLOY", balanced(targetGroup, "app", 8080)),
			"ecs_service.load_balancer: is missing: with ecs_service.deployment_controller CODE_DEPLOY, CodeDeploy shifts a load balancer's traffic"},
		"triggers of CodeDeploy": {controlled("CODE_DEPLOY", func(s *block.ECSService) {
			balanced(targetGroup, "app", 8080)(s)
			s.Triggers = map[string]string{"a": "b"}
		}), controlled("ECS", func(s *block.ECSService) { s.Triggers = map[string]string{"a": "b"} }),
			"ecs_service.triggers: is not allowed together with ecs_service.deployment_controller CODE_DEPLOY: CodeDeploy starts deployments"},
		"zones of tasks that stay": {rebalanced("ENABLED", 100), rebalanced("DISABLED", 100),
			"ecs_service.availability_zone_rebalancing: is ENABLED, which ECS refuses for what ecs_service.deployment.maximum_percent says: it cannot move such tasks between zones"},
		"a registry by its name": {registered(attachment.Registry{RegistryArn: aws.String("web")}), registered(attachment.Registry{RegistryArn: aws.String(registry)}),
			`ecs_service.service_registry[0].registry_arn: is "web", want the ARN of a Cloud Map service: arn:<partition>:servicediscovery:<region>:<account>:service/<id>`},
		"two ports of a registry": {registered(attachment.Registry{RegistryArn: aws.String(registry), Port: aws.Int32(1), ContainerName: aws.String("app"), ContainerPort: aws.Int32(8080)}),
			registered(attachment.Registry{RegistryArn: aws.String(registry), ContainerName: aws.String("app"), ContainerPort: aws.Int32(8080)}),
			"ecs_service.service_registry[0].port: is not allowed together with ecs_service.service_registry[0].container_name and ecs_service.service_registry[0].container_port: want the one or the others"},
		"half a port of a registry": {registered(attachment.Registry{RegistryArn: aws.String(registry), ContainerName: aws.String("app")}), registered(attachment.Registry{RegistryArn: aws.String(registry), Port: aws.Int32(1)}),
			"ecs_service.service_registry[0].container_name: goes with ecs_service.service_registry[0].container_port: set both or none"},
		"two registries": {registered(attachment.Registry{RegistryArn: aws.String(registry)}, attachment.Registry{RegistryArn: aws.String(registry)}), registered(),
			"ecs_service.service_registry: has 2 blocks, want one at most: ECS registers tasks with one service of Cloud Map"},
		"a port that nobody names": {latticed("web"), latticed("http"), `ecs_service.vpc_lattice_configuration[0].port_name: is "web", want the name of a port_mapping of a container`},
		"a metric twice": {measured("CPUUtilization", "CPUUtilization"), measured("CPUUtilization", "MemoryUtilization"),
			"ecs_service.monitoring.metric_configuration[1].metric_names: has CPUUtilization, as ecs_service.monitoring.metric_configuration[0].metric_names has: want each metric once"},
		"a volume of another name": {stored("scratch", sized), stored("data", sized), `ecs_service.volume_configuration[0].name: is "scratch", want the name of a volume with configured_at_launch
task.volumes[1].configuredAtLaunch: has no configuration in ecs_service.volume_configuration: add one of the name "data"`},
		"a volume without a size": {stored("data", func(*attachment.EBS) {}), stored("data", func(e *attachment.EBS) { e.SnapshotId = aws.String("snap-1") }),
			"ecs_service.volume_configuration[0].managed_ebs_volume.size_in_gib: is missing: want a size, or ecs_service.volume_configuration[0].managed_ebs_volume.snapshot_id"},
		"a small volume": {stored("data", typed("st1", 100, 0)), stored("data", typed("st1", 125, 0)),
			"ecs_service.volume_configuration[0].managed_ebs_volume.size_in_gib: is 100, want 125 to 16384 of ecs_service.volume_configuration[0].managed_ebs_volume.volume_type st1"},
		"a volume without IOPS": {stored("data", typed("io2", 10, 0)), stored("data", typed("io2", 10, 200)),
			"ecs_service.volume_configuration[0].managed_ebs_volume.iops: is missing: want it with ecs_service.volume_configuration[0].managed_ebs_volume.volume_type io2"},
		"few IOPS": {stored("data", typed("", 10, 200)), stored("data", typed("", 10, 3000)),
			"ecs_service.volume_configuration[0].managed_ebs_volume.iops: is 200, want 3000 to 16000 of ecs_service.volume_configuration[0].managed_ebs_volume.volume_type gp3"},
		"IOPS of a disk": {stored("data", typed("sc1", 125, 200)), stored("data", typed("sc1", 125, 0)),
			"ecs_service.volume_configuration[0].managed_ebs_volume.iops: is not allowed together with ecs_service.volume_configuration[0].managed_ebs_volume.volume_type sc1: only gp3, io1 and io2 have it"},
		"throughput of a former type": {stored("data", func(e *attachment.EBS) { typed("gp2", 10, 0)(e); e.Throughput = aws.Int32(200) }), stored("data", func(e *attachment.EBS) { typed("gp3", 10, 0)(e); e.Throughput = aws.Int32(200) }),
			"ecs_service.volume_configuration[0].managed_ebs_volume.throughput: is not allowed together with ecs_service.volume_configuration[0].managed_ebs_volume.volume_type gp2: only gp3 has it"},
		"nothing to fetch": {stored("data", func(e *attachment.EBS) { sized(e); e.VolumeInitializationRate = aws.Int32(100) }), stored("data", func(e *attachment.EBS) {
			e.SnapshotId, e.VolumeInitializationRate = aws.String("snap-1"), aws.Int32(100)
		}),
			"ecs_service.volume_configuration[0].managed_ebs_volume.volume_initialization_rate: is not allowed without ecs_service.volume_configuration[0].managed_ebs_volume.snapshot_id: nothing is fetched"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := checkService(c.refused).Err()
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if err := checkService(c.passes).Err(); err != nil {
				t.Errorf("the neighbour is refused: %v", err)
			}
		})
	}
}

func TestWhatFollowsFromUnknownValuesOfAServiceIsNotReported(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*block.ECSService)
		unknown problem.Path
	}{
		"port mappings":            {balanced(targetGroup, "app", 8081), problem.At("containers", 0, "portMappings")},
		"one mapped port":          {balanced(targetGroup, "app", 8081), problem.At("containers", 0, "portMappings", 0, "containerPort")},
		"a mapped range":           {balanced(targetGroup, "app", 8081), problem.At("containers", 0, "portMappings", 1, "containerPortRange")},
		"which container":          {balanced(targetGroup, "app", 8081), problem.At("ecs_service", "load_balancer", 0, "container_name")},
		"a container's name":       {balanced(targetGroup, "web", 8080), problem.At("containers", 1, "name")},
		"the containers":           {balanced(targetGroup, "web", 8080), problem.At("containers")},
		"launch type on EC2":       {onLaunchType("EC2", func(s *block.ECSService) { s.PlatformVersion = aws.String("1.4.0") }), problem.At("ecs_service", "launch_type")},
		"launch type on Fargate":   {onLaunchType("FARGATE", func(s *block.ECSService) { s.PlacementStrategy = make([]block.PlacementField, 1) }), problem.At("ecs_service", "launch_type")},
		"a subnet, hence the set":  {func(s *block.ECSService) { s.Subnets = []string{""} }, problem.At("ecs_service", "subnets")},
		"the ECS cluster":          {func(s *block.ECSService) { s.Cluster = nil }, problem.At("ecs_service", "cluster")},
		"the target group":         {balanced("", "app", 8080), problem.At("ecs_service", "load_balancer", 0, "target_group_arn")},
		"the minimum that is kept": {func(s *block.ECSService) { s.Deployment = &block.Deployment{MaximumPercent: aws.Int32(100)} }, problem.At("ecs_service", "deployment", "minimum_healthy_percent")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := checkService(c.change)
			if len(found) == 0 {
				t.Fatal("the case has no problem to leave out")
			}
			if err := found.Without(c.unknown).Err(); err != nil {
				t.Error(err)
			}
		})
	}
}
