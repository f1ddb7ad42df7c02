package block_test

import (
	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/consulecs/terraform-provider-consulecs/provider/attachment"
	"github.com/consulecs/terraform-provider-consulecs/provider/block"
	"github.com/consulecs/terraform-provider-consulecs/provider/rollout"
)

const (
	role     = "arn:aws:iam::123456789012:role/ecs"
	registry = "arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-1"
)

// change is what a case makes of a good service.
type change = func(*block.ECSService)

func deployed(change func(*block.Deployment)) change {
	return func(s *block.ECSService) {
		s.Deployment = &block.Deployment{}
		change(s.Deployment)
	}
}

// advanced leaves the listener's rule as it is.
func advanced(*attachment.TrafficShift) {}

// shifting is a service behind a load balancer; without a change, one that says nothing of the traffic to shift.
func shifting(strategy string, change func(*attachment.TrafficShift)) change {
	return func(s *block.ECSService) {
		balanced(targetGroup, "app", 8080)(s)
		s.Deployment = &block.Deployment{Strategy: &strategy}
		if change == nil {
			return
		}
		shift := &attachment.TrafficShift{
			AlternateTargetGroupArn: aws.String(targetGroup), RoleArn: aws.String(role),
			ProductionListenerRule: aws.String("arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener-rule/app/web/1/2/3"),
		}
		change(shift)
		s.LoadBalancers[0].AdvancedConfiguration = shift
	}
}

func earlySuccess(percent, minimum int32) func(*block.Deployment) {
	return func(d *block.Deployment) {
		d.EarlySuccessCriteria = &rollout.EarlySuccess{Enable: aws.Bool(true), HealthyPercent: &percent, SourceServiceRevisionCleanup: aws.String("DEFERRED")}
		if minimum > 0 {
			d.MinimumHealthyPercent = &minimum
		}
	}
}

func hooked(hook rollout.Hook) func(*block.Deployment) {
	return func(d *block.Deployment) { d.LifecycleHooks = []rollout.Hook{hook} }
}

func daemon(change change) change {
	return func(s *block.ECSService) {
		s.SchedulingStrategy = aws.String("DAEMON")
		change(s)
	}
}

func provided(name string) change {
	return func(s *block.ECSService) {
		s.CapacityProviderStrategy = []block.CapacityProvider{{CapacityProvider: &name}}
	}
}

func controlled(by string, change change) change {
	return func(s *block.ECSService) {
		s.DeploymentController = &by
		change(s)
	}
}

func rebalanced(how string, most int32) change {
	return func(s *block.ECSService) {
		s.AvailabilityZoneRebalancing = &how
		s.Deployment = &block.Deployment{MinimumHealthyPercent: aws.Int32(50), MaximumPercent: &most}
	}
}

func registered(all ...attachment.Registry) change {
	return func(s *block.ECSService) { s.ServiceRegistries = all }
}

func latticed(port string) change {
	return func(s *block.ECSService) {
		s.VpcLatticeConfigurations = []attachment.Lattice{{PortName: &port, RoleArn: aws.String(role), TargetGroupArn: aws.String("arn:aws:vpc-lattice:eu-west-1:123456789012:targetgroup/tg-1")}}
	}
}

func measured(names ...string) change {
	return func(s *block.ECSService) {
		s.Monitoring = &attachment.Monitoring{}
		for _, name := range names {
			s.Monitoring.MetricConfigurations = append(s.Monitoring.MetricConfigurations, attachment.Metric{MetricNames: []string{name}})
		}
	}
}

func stored(name string, change func(*attachment.EBS)) change {
	return func(s *block.ECSService) {
		volume := &attachment.EBS{RoleArn: aws.String(role)}
		change(volume)
		s.VolumeConfigurations = []attachment.Volume{{Name: &name, ManagedEBSVolume: volume}}
	}
}

func sized(e *attachment.EBS) { e.SizeInGiB = aws.Int32(10) }

// typed is a volume of a type, "" for none, with IOPS unless they are 0.
func typed(kind string, size, iops int32) func(*attachment.EBS) {
	return func(e *attachment.EBS) {
		if e.SizeInGiB = &size; kind != "" {
			e.VolumeType = &kind
		}
		if iops > 0 {
			e.Iops = &iops
		}
	}
}
