package control_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
)

func registered(all ...ecstypes.ServiceRegistry) func(*ecs.CreateServiceInput) {
	return func(in *ecs.CreateServiceInput) { in.ServiceRegistries = all }
}

// deployed is a service whose tasks ECS may move between zones.
func deployed(change func(*ecstypes.DeploymentConfiguration)) func(*ecs.CreateServiceInput) {
	return func(in *ecs.CreateServiceInput) {
		in.AvailabilityZoneRebalancing, in.DeploymentConfiguration = "ENABLED", &ecstypes.DeploymentConfiguration{}
		change(in.DeploymentConfiguration)
	}
}

const targetGroup = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/73e2d6bc24d8a067"

// registerFront registers front:1, whose app maps ports, and disk:1, which leaves a volume to be configured at launch.
func (s *plane) registerFront() {
	front := webTask("ok")
	front.Family = aws.String("front")
	front.ContainerDefinitions[0].PortMappings = []ecstypes.PortMapping{
		{ContainerPort: aws.Int32(8080)}, {ContainerPortRange: aws.String("9000-9010")},
	}
	disk := webTask("ok")
	disk.Family, disk.Volumes = aws.String("disk"), []ecstypes.Volume{{Name: aws.String("data"), ConfiguredAtLaunch: aws.Bool(true)}}
	tuned := webTask("ok")
	tuned.Family = aws.String("tuned")
	tuned.ContainerDefinitions[0].SystemControls = []ecstypes.SystemControl{{Namespace: aws.String("net.core.somaxconn"), Value: aws.String("1024")}}
	for _, in := range []*ecs.RegisterTaskDefinitionInput{front, disk, tuned, webTask("ok")} {
		must(s.RegisterTaskDefinition(s.t.Context(), in))(s.t)
	}
}

func balanced(container string, port int32, group string) []ecstypes.LoadBalancer {
	return []ecstypes.LoadBalancer{{ContainerName: &container, ContainerPort: &port, TargetGroupArn: &group}}
}

func ebs(name string) []ecstypes.ServiceVolumeConfiguration {
	return []ecstypes.ServiceVolumeConfiguration{{Name: &name, ManagedEBSVolume: &ecstypes.ServiceManagedEBSVolumeConfiguration{
		RoleArn: aws.String("arn:aws:iam::123456789012:role/ebs"), SizeInGiB: aws.Int32(10),
	}}}
}

func spread() []ecstypes.PlacementStrategy {
	return []ecstypes.PlacementStrategy{{Type: "spread", Field: aws.String("instanceId")}}
}

const (
	noContainer = "InvalidParameterException: The container db does not exist in the task definition."
	noPort      = "InvalidParameterException: The container app did not have a container port 80 defined."
	noGroup     = "InvalidParameterException: Unable to assume role and validate the specified targetGroupArn. Please verify that the ECS service role being passed has the proper permissions."
	noVolume    = "InvalidParameterException: The task definition has volume data configured at launch, but no volume configuration was provided for it."
	noMatch     = "InvalidParameterException: Volume configuration provided but no matching configuredAtLaunch volume found in task definition."
	noPlatform  = "InvalidParameterException: The platform version must be null when specifying an EC2 launch type."
	noControls  = "PlatformTaskDefinitionIncompatibilityException: One or more of the requested capabilities are not supported: systemControls."
	noStrategy  = "InvalidParameterException: Placement strategies are not supported with FARGATE launch type."
	noRule      = "InvalidParameterException: Placement constraints are not supported with FARGATE launch type."
)

func TestServiceIsCreatedOnlyAsItsDefinitionAllows(t *testing.T) {
	type change = func(*ecs.CreateServiceInput)
	behind := func(container string, port int32, group string) change {
		return func(in *ecs.CreateServiceInput) { in.LoadBalancers = balanced(container, port, group) }
	}
	onEC2 := func(f change) change {
		return func(in *ecs.CreateServiceInput) { in.LaunchType = "EC2"; f(in) }
	}
	tags := func(keys ...string) change {
		return func(in *ecs.CreateServiceInput) {
			for _, k := range keys {
				in.Tags = append(in.Tags, ecstypes.Tag{Key: &k})
			}
		}
	}
	rule := []ecstypes.PlacementConstraint{{Type: "distinctInstance"}}
	for name, c := range map[string]struct {
		definition, want string // "" = ECS takes it
		change           change
	}{
		"load balancer":               {"front", "", behind("app", 8080, targetGroup)},
		"port of a range":             {"front", "", behind("app", 9005, targetGroup)},
		"unknown container":           {"front", noContainer, behind("db", 8080, targetGroup)},
		"port that nobody maps":       {"front", noPort, behind("app", 80, targetGroup)},
		"container without ports":     {"web", noPort, behind("app", 80, targetGroup)},
		"target group by name":        {"front", noGroup, behind("app", 8080, "web")},
		"load balancer for a group":   {"front", noGroup, behind("app", 8080, "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/web/1")},
		"grace without load balancer": {"web", "", func(in *ecs.CreateServiceInput) { in.HealthCheckGracePeriodSeconds = aws.Int32(9) }},
		"volume":                      {"disk", "", func(in *ecs.CreateServiceInput) { in.VolumeConfigurations = ebs("data") }},
		"volume left open":            {"disk", noVolume, func(*ecs.CreateServiceInput) {}},
		"volume of another name":      {"disk", noVolume, func(in *ecs.CreateServiceInput) { in.VolumeConfigurations = ebs("logs") }},
		"volume of nobody":            {"web", noMatch, func(in *ecs.CreateServiceInput) { in.VolumeConfigurations = ebs("data") }},
		"platform version":            {"web", "", func(in *ecs.CreateServiceInput) { in.PlatformVersion = aws.String("1.4.0") }},
		"platform version on EC2":     {"web", noPlatform, onEC2(func(in *ecs.CreateServiceInput) { in.PlatformVersion = aws.String("LATEST") })},
		"parameters":                  {"tuned", "", func(in *ecs.CreateServiceInput) { in.PlatformVersion = aws.String("1.4.0") }},
		"parameters, no platform":     {"tuned", "", func(*ecs.CreateServiceInput) {}},
		"parameters, an old platform": {"tuned", noControls, func(in *ecs.CreateServiceInput) { in.PlatformVersion = aws.String("1.3.0") }},
		"an old platform alone":       {"web", "", func(in *ecs.CreateServiceInput) { in.PlatformVersion = aws.String("1.3.0") }},
		"strategy on Fargate":         {"web", noStrategy, func(in *ecs.CreateServiceInput) { in.PlacementStrategy = spread() }},
		"strategy on EC2":             {"web", "", onEC2(func(in *ecs.CreateServiceInput) { in.PlacementStrategy = spread() })},
		"constraint on Fargate":       {"web", noRule, func(in *ecs.CreateServiceInput) { in.PlacementConstraints = rule }},
		"constraint on EC2":           {"web", "", onEC2(func(in *ecs.CreateServiceInput) { in.PlacementConstraints = rule })},
		"strategy on Fargate Spot": {"web", noStrategy, func(in *ecs.CreateServiceInput) {
			in.LaunchType, in.CapacityProviderStrategy, in.PlacementStrategy = "", spot(), spread()
		}},
		"six target groups": {"front", "InvalidParameterException: A service can have at most 5 target groups.", func(in *ecs.CreateServiceInput) {
			in.LoadBalancers = slices.Repeat(balanced("app", 8080, targetGroup), 6)
		}},
		"half a second target group": {"front", "InvalidParameterException: The advancedConfiguration of a load balancer needs alternateTargetGroupArn, productionListenerRule and roleArn.", func(in *ecs.CreateServiceInput) {
			in.LoadBalancers = balanced("app", 8080, targetGroup)
			in.LoadBalancers[0].AdvancedConfiguration = &ecstypes.AdvancedConfiguration{RoleArn: aws.String("r")}
		}},
		"a registry":                {"front", "", registered(ecstypes.ServiceRegistry{RegistryArn: aws.String("arn"), ContainerName: aws.String("app"), ContainerPort: aws.Int32(8080)})},
		"a registry's port":         {"front", noPort, registered(ecstypes.ServiceRegistry{RegistryArn: aws.String("arn"), ContainerName: aws.String("app"), ContainerPort: aws.Int32(80)})},
		"two ports of a registry":   {"front", "InvalidParameterException: Specify either a port or a container name and port of a service registry.", registered(ecstypes.ServiceRegistry{RegistryArn: aws.String("arn"), ContainerName: aws.String("app"), Port: aws.Int32(80)})},
		"half a port of a registry": {"front", "InvalidParameterException: A service registry needs both containerName and containerPort.", registered(ecstypes.ServiceRegistry{RegistryArn: aws.String("arn"), ContainerName: aws.String("app")})},
		"two registries":            {"front", "InvalidParameterException: A service can have at most one service registry.", registered(ecstypes.ServiceRegistry{RegistryArn: aws.String("a")}, ecstypes.ServiceRegistry{RegistryArn: aws.String("b")})},
		"a port without a name": {"front", "InvalidParameterException: The port name http does not exist in the task definition.", func(in *ecs.CreateServiceInput) {
			in.VpcLatticeConfigurations = []ecstypes.VpcLatticeConfiguration{{PortName: aws.String("http"), RoleArn: aws.String("r"), TargetGroupArn: aws.String("t")}}
		}},
		"a volume without a size": {"disk", "InvalidParameterException: The volume data needs a sizeInGiB or a snapshotId.", func(in *ecs.CreateServiceInput) {
			in.VolumeConfigurations = ebs("data")
			in.VolumeConfigurations[0].ManagedEBSVolume.SizeInGiB = nil
		}},
		"throughput of gp2": {"disk", "InvalidParameterException: The volume type gp2 does not support throughput.", func(in *ecs.CreateServiceInput) {
			in.VolumeConfigurations = ebs("data")
			in.VolumeConfigurations[0].ManagedEBSVolume.VolumeType, in.VolumeConfigurations[0].ManagedEBSVolume.Throughput = aws.String("gp2"), aws.Int32(200)
		}},
		"a daemon on Fargate": {"web", "InvalidParameterException: The daemon scheduling strategy is not supported with FARGATE launch type.", func(in *ecs.CreateServiceInput) {
			in.SchedulingStrategy, in.DesiredCount = "DAEMON", nil
		}},
		"a daemon's strategy": {"web", "InvalidParameterException: The daemon scheduling strategy does not support placement strategies.", onEC2(func(in *ecs.CreateServiceInput) {
			in.SchedulingStrategy, in.DesiredCount, in.PlacementStrategy = "DAEMON", nil, spread()
		})},
		"a daemon": {"web", "", onEC2(func(in *ecs.CreateServiceInput) { in.SchedulingStrategy, in.DesiredCount = "DAEMON", nil })},
		"a daemon's zones": {"web", "InvalidParameterException: The daemon scheduling strategy does not support Availability Zone rebalancing.", onEC2(func(in *ecs.CreateServiceInput) {
			in.SchedulingStrategy, in.DesiredCount, in.AvailabilityZoneRebalancing = "DAEMON", nil, "ENABLED"
		})},
		"zones of tasks that stay": {"web", "InvalidParameterException: Availability Zone rebalancing needs a maximumPercent above 100.", deployed(func(d *ecstypes.DeploymentConfiguration) {
			d.MinimumHealthyPercent, d.MaximumPercent = aws.Int32(50), aws.Int32(100)
		})},
		"Service Connect": {"web", "InvalidParameterException: This local ECS knows no Service Connect.", func(in *ecs.CreateServiceInput) {
			in.ServiceConnectConfiguration = &ecstypes.ServiceConnectConfiguration{Enabled: true}
		}},
		"no Service Connect": {"web", "", func(in *ecs.CreateServiceInput) {
			in.ServiceConnectConfiguration = &ecstypes.ServiceConnectConfiguration{}
		}},
		"a gateway": {"web", "InvalidParameterException: This local ECS knows no gateways.", func(in *ecs.CreateServiceInput) {
			in.GatewayConnectors = []ecstypes.GatewayConnector{{PortName: aws.String("http")}}
		}},
		"a metric each second": {"web", "InvalidParameterException: Metrics have names and a resolution of 20 or 60 seconds.", func(in *ecs.CreateServiceInput) {
			in.Monitoring = &ecstypes.MonitoringConfiguration{MetricConfigurations: []ecstypes.MetricConfiguration{{MetricNames: []string{"CPUUtilization"}, ResolutionSeconds: aws.Int32(1)}}}
		}},
		"blue and green": {"web", "InvalidParameterException: This local ECS knows the deployment strategy ROLLING only.", deployed(func(d *ecstypes.DeploymentConfiguration) { d.Strategy = "BLUE_GREEN" })},
		"a canary":       {"web", "InvalidParameterException: canaryConfiguration is only valid when the deployment strategy is CANARY.", deployed(func(d *ecstypes.DeploymentConfiguration) { d.CanaryConfiguration = &ecstypes.CanaryConfiguration{} })},
		"steps":          {"web", "InvalidParameterException: linearConfiguration is only valid when the deployment strategy is LINEAR.", deployed(func(d *ecstypes.DeploymentConfiguration) { d.LinearConfiguration = &ecstypes.LinearConfiguration{} })},
		"a hook": {"web", "InvalidParameterException: This local ECS calls no lifecycle hooks.", deployed(func(d *ecstypes.DeploymentConfiguration) {
			d.LifecycleHooks = make([]ecstypes.DeploymentLifecycleHook, 1)
		})},
		"a bake of two days": {"web", "InvalidParameterException: bakeTimeInMinutes must be between 0 and 1440.", deployed(func(d *ecstypes.DeploymentConfiguration) { d.BakeTimeInMinutes = aws.Int32(2880) })},
		"alarms of no name": {"web", "InvalidParameterException: Alarms need at least one alarm name when they are enabled.", deployed(func(d *ecstypes.DeploymentConfiguration) {
			d.Alarms = &ecstypes.DeploymentAlarms{AlarmNames: []string{}, Enable: true}
		})},
		"half a success": {"web", "InvalidParameterException: earlySuccessCriteria needs healthyPercent and sourceServiceRevisionCleanup when it is enabled.", deployed(func(d *ecstypes.DeploymentConfiguration) {
			d.EarlySuccessCriteria = &ecstypes.DeploymentEarlySuccessCriteria{Enable: true}
		})},
		"an early success": {"web", "", deployed(func(d *ecstypes.DeploymentConfiguration) {
			d.EarlySuccessCriteria = &ecstypes.DeploymentEarlySuccessCriteria{Enable: true, HealthyPercent: aws.Int32(100), SourceServiceRevisionCleanup: "DEFERRED"}
		})},
		"51 tags":       {"web", "InvalidParameterException: Too many tags: a resource can have at most 50 tags.", func(in *ecs.CreateServiceInput) { in.Tags = make([]ecstypes.Tag, 51) }},
		"one tag twice": {"web", "InvalidParameterException: Duplicate tag key 'a'.", tags("a", "a")},
		"tag of AWS":    {"web", "InvalidParameterException: Specified tag key 'aws:a' is invalid: aws: prefixed tag key names are not allowed for external use.", tags("aws:a")},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *plane) {
				s.registerFront()
				in := webService(c.definition, 0)
				c.change(in)
				_, err := s.CreateService(t.Context(), in)
				if got := code(err); err != nil && got != c.want || err == nil && c.want != "" {
					t.Errorf("got %v, want %q", err, c.want)
				}
			})
		})
	}
}

func TestServiceIsUpdatedOnlyAsItsDefinitionAllows(t *testing.T) {
	onEC2 := func(in *ecs.CreateServiceInput) { in.LaunchType, in.PlacementStrategy = "EC2", spread() }
	behind := func(in *ecs.CreateServiceInput) { in.LoadBalancers = balanced("app", 8080, targetGroup) }
	stored := func(in *ecs.CreateServiceInput) { in.VolumeConfigurations = ebs("data") }
	for name, c := range map[string]struct {
		definition string
		create     func(*ecs.CreateServiceInput)
		update     ecs.UpdateServiceInput
		want       string // "" = ECS takes it
	}{
		"its port is gone":         {"front", behind, ecs.UpdateServiceInput{TaskDefinition: aws.String("web")}, "InvalidParameterException: The container app did not have a container port 8080 defined."},
		"its load balancer, too":   {"front", behind, ecs.UpdateServiceInput{TaskDefinition: aws.String("web"), LoadBalancers: []ecstypes.LoadBalancer{}}, ""},
		"another container":        {"front", behind, ecs.UpdateServiceInput{LoadBalancers: balanced("db", 8080, targetGroup)}, noContainer},
		"group by name":            {"front", behind, ecs.UpdateServiceInput{LoadBalancers: balanced("app", 8080, "web")}, noGroup},
		"a volume comes, open":     {"web", nil, ecs.UpdateServiceInput{TaskDefinition: aws.String("disk")}, noVolume},
		"a volume comes":           {"web", nil, ecs.UpdateServiceInput{TaskDefinition: aws.String("disk"), VolumeConfigurations: ebs("data")}, ""},
		"its volume stays":         {"disk", stored, ecs.UpdateServiceInput{TaskDefinition: aws.String("disk")}, ""},
		"its volume goes":          {"disk", stored, ecs.UpdateServiceInput{TaskDefinition: aws.String("web")}, ""},
		"its configuration goes":   {"disk", stored, ecs.UpdateServiceInput{VolumeConfigurations: []ecstypes.ServiceVolumeConfiguration{}}, noVolume},
		"a volume of nobody":       {"web", nil, ecs.UpdateServiceInput{VolumeConfigurations: ebs("data")}, noMatch},
		"strategy on Fargate":      {"web", nil, ecs.UpdateServiceInput{PlacementStrategy: spread()}, noStrategy},
		"strategy goes to Fargate": {"web", onEC2, ecs.UpdateServiceInput{CapacityProviderStrategy: spot()}, noStrategy},
		"strategy removed on the way": {"web", onEC2, ecs.UpdateServiceInput{
			CapacityProviderStrategy: spot(), PlacementStrategy: []ecstypes.PlacementStrategy{}}, ""},
		"a daemon's count": {"web", func(in *ecs.CreateServiceInput) {
			in.LaunchType, in.SchedulingStrategy, in.DesiredCount = "EC2", "DAEMON", nil
		}, ecs.UpdateServiceInput{DesiredCount: aws.Int32(0)},
			"InvalidParameterException: The daemon scheduling strategy does not support desired count."},
		"to CodeDeploy":           {"web", nil, ecs.UpdateServiceInput{DeploymentController: &ecstypes.DeploymentController{Type: "CODE_DEPLOY"}}, "InvalidParameterException: This local ECS knows the deployment controller ECS only."},
		"a registry":              {"front", nil, ecs.UpdateServiceInput{ServiceRegistries: []ecstypes.ServiceRegistry{{}}}, "InvalidParameterException: A service registry needs a registryArn."},
		"platform version on EC2": {"web", onEC2, ecs.UpdateServiceInput{PlatformVersion: aws.String("1.4.0")}, noPlatform},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *plane) {
				s.registerFront()
				in := webService(c.definition, 0)
				if c.create != nil {
					c.create(in)
				}
				s.create(in)
				s.after(time.Second)
				before := s.service()
				c.update.Cluster, c.update.Service = aws.String("demo"), aws.String("web")
				_, err := s.UpdateService(t.Context(), &c.update)
				if got := code(err); err != nil && got != c.want || err == nil && c.want != "" {
					t.Errorf("got %v, want %q", err, c.want)
				}
				if diff := cmp.Diff(summary(before), summary(s.service())); err != nil && diff != "" {
					t.Errorf("a refused update changed the service (-before +after):\n%s", diff)
				}
			})
		})
	}
}

func TestUpdateKeepsWhatItLeavesOut(t *testing.T) {
	inBubble(t, func(t *testing.T, s *plane) {
		s.registerFront()
		in := webService("disk", 0)
		in.PlatformVersion, in.HealthCheckGracePeriodSeconds, in.VolumeConfigurations = aws.String("1.3.0"), aws.Int32(30), ebs("data")
		s.create(in)
		s.after(time.Second)
		update := func(change func(*ecs.UpdateServiceInput)) ecstypes.Service {
			t.Helper()
			in := &ecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: aws.String("web")}
			change(in)
			return *must(s.UpdateService(t.Context(), in))(t).Service
		}
		first := *s.service().Deployments[0].Id
		same := update(func(in *ecs.UpdateServiceInput) { in.VolumeConfigurations = ebs("data") })
		if *same.Deployments[0].Id != first {
			t.Error("the same volume configuration led to a new deployment")
		}
		forced := update(func(in *ecs.UpdateServiceInput) { in.ForceNewDeployment = true })
		now := forced.Deployments[0]
		if *now.Id == first || *forced.PlatformVersion != "1.3.0" || *now.PlatformVersion != "1.3.0" || *forced.HealthCheckGracePeriodSeconds != 30 || len(now.VolumeConfigurations) != 1 {
			t.Errorf("after an update of nothing: %s, platform version %s, grace period %d, volumes %v",
				*now.Id, *forced.PlatformVersion, *forced.HealthCheckGracePeriodSeconds, now.VolumeConfigurations)
		}
		moved := update(func(in *ecs.UpdateServiceInput) {
			in.CapacityProviderStrategy = []ecstypes.CapacityProviderStrategyItem{{CapacityProvider: aws.String("mine"), Weight: 1}}
		})
		if moved.PlatformVersion != nil || *moved.HealthCheckGracePeriodSeconds != 30 {
			t.Errorf("away from Fargate: platform version %v, grace period %d", moved.PlatformVersion, *moved.HealthCheckGracePeriodSeconds)
		}
	})
}
