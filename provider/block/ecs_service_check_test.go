package block_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
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
	s.Check(taskdef.Task{}, []taskdef.Container{
		{Definition: ecstypes.ContainerDefinition{Name: aws.String("app"), PortMappings: []ecstypes.PortMapping{{ContainerPort: aws.Int32(8080)}, {ContainerPortRange: aws.String("9000-9010")}}}},
		{Definition: ecstypes.ContainerDefinition{Name: aws.String("side")}},
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
			`ecs_service.load_balancer[0].container_port: is 8081, which is missing in containers[0].portMappings of the container "app": a load balancer reaches only ports that are mapped`},
		"port beside the range": {balanced(targetGroup, "app", 9011), balanced(targetGroup, "app", 9010),
			`ecs_service.load_balancer[0].container_port: is 9011, which is missing in containers[0].portMappings of the container "app": a load balancer reaches only ports that are mapped`},
		"port of another container": {balanced(targetGroup, "side", 8080), balanced(targetGroup, "app", 8080),
			`ecs_service.load_balancer[0].container_port: is 8080, which is missing in containers[1].portMappings of the container "side": a load balancer reaches only ports that are mapped`},
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
			"ecs_service.launch_type: is MANAGED_INSTANCES, which is none of the task's launch types [EC2 FARGATE]"},
		"no replacement": {set(func(s *block.ECSService) { s.Deployment = &block.Deployment{MaximumPercent: aws.Int32(100)} }), set(func(s *block.ECSService) { s.Deployment = &block.Deployment{MaximumPercent: aws.Int32(101)} }),
			"ecs_service.deployment.maximum_percent: is 100 with a minimum of 100: no task could ever be replaced"},
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

func TestVolumesOfTheServiceAreNotForThisOne(t *testing.T) {
	t.Parallel()
	s := block.ECSService{Cluster: aws.String("prod")}
	for launched, want := range map[bool]string{
		true:  "task.volumes[0].configuredAtLaunch: is not allowed together with ecs_service, which has no settings for such a volume: let another resource run the task",
		false: "",
	} {
		var found problem.List
		s.Check(taskdef.Task{Volumes: []ecstypes.Volume{{ConfiguredAtLaunch: &launched}}}, nil, &found)
		got := ""
		if err := found.Err(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("configured at launch %t: got %q, want %q", launched, got, want)
		}
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
