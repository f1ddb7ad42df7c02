package control

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/definition"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
)

const (
	maxServicesDescribed = 10
	defaultServicesPage  = 10
	maxDesired           = 5000
)

// CreateService makes a service and its first deployment. A repeated call that asks for the same gets the same answer.
func (c *Control) CreateService(in *ecs.CreateServiceInput) (*ecs.CreateServiceOutput, error) {
	if err := checkCreate(in); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cl, err := c.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	asked := *in
	asked.ClientToken = nil
	asking := fingerprint(asked)
	arn := c.cfg.Account.Service(*cl.ClusterName, *in.ServiceName)
	if s, ok := c.state.Services[arn]; ok && *s.Status != inactive {
		switch {
		case *s.Status == draining:
			return nil, badParameter("Unable to Start a service that is still Draining.")
		case s.Fingerprint != asking:
			return nil, badParameter("Creation of service was not idempotent.")
		}
		return &ecs.CreateServiceOutput{Service: c.describeService(s)}, nil
	}
	rev, err := c.runnable(in.TaskDefinition)
	if err != nil {
		return nil, err
	}
	placed, err := c.place(cl, &rev.Definition, placement{in.LaunchType, in.CapacityProviderStrategy, aws.ToString(in.PlatformVersion), in.NetworkConfiguration, in.VolumeConfigurations})
	if err != nil {
		return nil, err
	}
	wished := wishes{
		in.LoadBalancers, in.PlacementStrategy, in.PlacementConstraints, volumeNames(in.VolumeConfigurations), in.VolumeConfigurations, in.ServiceRegistries, in.VpcLatticeConfigurations,
		in.SchedulingStrategy == ecstypes.SchedulingStrategyDaemon,
	}
	if err := wished.check(&rev.Definition, placed.launchType); err != nil {
		return nil, err
	}
	s := newService(in, cl, arn, time.Now())
	s.Lattice, s.Monitoring = in.VpcLatticeConfigurations, in.Monitoring
	s.CreatedBy, s.Token, s.Fingerprint = aws.String(c.cfg.Account.Caller()), aws.ToString(in.ClientToken), asking
	c.state.Services[arn] = s
	c.deploy(s, rev, placed, "", time.Now())
	c.log.Info("service created", "service", *s.ServiceName, "task_definition", names.Last(*s.TaskDefinition), "desired", s.DesiredCount)
	return &ecs.CreateServiceOutput{Service: c.describeService(s)}, nil
}

func newService(in *ecs.CreateServiceInput, cl *cluster, arn string, now time.Time) *service {
	s := &service{Service: ecstypes.Service{
		ServiceArn: &arn, ServiceName: in.ServiceName, ClusterArn: cl.ClusterArn, Status: aws.String(active),
		CreatedAt: aws.Time(now.UTC()), DesiredCount: aws.ToInt32(in.DesiredCount), Tags: in.Tags,
		SchedulingStrategy:          cmp.Or(in.SchedulingStrategy, ecstypes.SchedulingStrategyReplica),
		DeploymentController:        &ecstypes.DeploymentController{Type: ecstypes.DeploymentControllerTypeEcs},
		DeploymentConfiguration:     fullDeployment(in.DeploymentConfiguration, nil, in.SchedulingStrategy),
		PropagateTags:               cmp.Or(in.PropagateTags, ecstypes.PropagateTagsNone),
		EnableECSManagedTags:        in.EnableECSManagedTags,
		EnableExecuteCommand:        in.EnableExecuteCommand,
		AvailabilityZoneRebalancing: cmp.Or(in.AvailabilityZoneRebalancing, ecstypes.AvailabilityZoneRebalancingDisabled),
		LoadBalancers:               orEmpty(in.LoadBalancers), ServiceRegistries: orEmpty(in.ServiceRegistries),
		PlacementConstraints: orEmpty(in.PlacementConstraints), PlacementStrategy: orEmpty(in.PlacementStrategy),
		HealthCheckGracePeriodSeconds: in.HealthCheckGracePeriodSeconds, Events: []ecstypes.ServiceEvent{},
	}}
	if s.SchedulingStrategy == ecstypes.SchedulingStrategyDaemon {
		s.DesiredCount = 1 // one task an instance, and this machine is the only one
	}
	return s
}

func checkCreate(in *ecs.CreateServiceInput) error {
	switch {
	case !namePattern.MatchString(aws.ToString(in.ServiceName)):
		return badParameter("Invalid service name '%s': up to 255 letters, numbers, underscores and hyphens are allowed.", aws.ToString(in.ServiceName))
	case aws.ToString(in.TaskDefinition) == "":
		return badParameter("TaskDefinition cannot be empty.")
	case in.DeploymentController != nil && in.DeploymentController.Type != ecstypes.DeploymentControllerTypeEcs:
		return badParameter("This local ECS knows the deployment controller ECS only.")
	case in.SchedulingStrategy != "" && !slices.Contains(in.SchedulingStrategy.Values(), in.SchedulingStrategy):
		return badParameter("Invalid schedulingStrategy '%s'.", in.SchedulingStrategy)
	case in.SchedulingStrategy == ecstypes.SchedulingStrategyDaemon && in.DesiredCount != nil:
		return badParameter("The daemon scheduling strategy does not support desired count.")
	case in.SchedulingStrategy != ecstypes.SchedulingStrategyDaemon && in.DesiredCount == nil:
		return badParameter("Desired count is required for the replica scheduling strategy.")
	case in.PropagateTags != "" && !slices.Contains(in.PropagateTags.Values(), in.PropagateTags):
		return badParameter("Invalid propagateTags '%s'.", in.PropagateTags)
	}
	if err := checkCount(in.DesiredCount); err != nil {
		return err
	}
	asked := settings{
		fullDeployment(in.DeploymentConfiguration, nil, in.SchedulingStrategy), in.SchedulingStrategy, in.AvailabilityZoneRebalancing,
		in.ServiceConnectConfiguration, in.GatewayConnectors, in.Monitoring,
	}
	if err := asked.check(); err != nil {
		return err
	}
	return definition.CheckTags(in.Tags)
}

func checkCount(n *int32) error {
	if n != nil && (*n < 0 || *n > maxDesired) {
		return badParameter("Desired count must be between 0 and %d.", maxDesired)
	}
	return nil
}

func checkDeployment(d *ecstypes.DeploymentConfiguration) error {
	low, high := *d.MinimumHealthyPercent, *d.MaximumPercent
	switch {
	case low < 0 || high < 1 || high < low:
		return badParameter("maximumPercent must be positive and not less than minimumHealthyPercent.")
	case low == 100 && high == 100:
		return badParameter("Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.")
	}
	return checkRollout(d)
}

// fullDeployment lays what is given over what was, and that over ECS's defaults.
func fullDeployment(given, was *ecstypes.DeploymentConfiguration, strategy ecstypes.SchedulingStrategy) *ecstypes.DeploymentConfiguration {
	out := ecstypes.DeploymentConfiguration{
		MinimumHealthyPercent: aws.Int32(100), MaximumPercent: aws.Int32(200), DeploymentCircuitBreaker: &ecstypes.DeploymentCircuitBreaker{},
	}
	if strategy == ecstypes.SchedulingStrategyDaemon {
		out.MinimumHealthyPercent, out.MaximumPercent = aws.Int32(0), aws.Int32(100)
	}
	for _, d := range []*ecstypes.DeploymentConfiguration{was, given} {
		if d == nil {
			continue
		}
		out.MinimumHealthyPercent = cmp.Or(d.MinimumHealthyPercent, out.MinimumHealthyPercent)
		out.MaximumPercent = cmp.Or(d.MaximumPercent, out.MaximumPercent)
		out.DeploymentCircuitBreaker = cmp.Or(d.DeploymentCircuitBreaker, out.DeploymentCircuitBreaker)
		out.Alarms = cmp.Or(d.Alarms, out.Alarms)
		out.Strategy = cmp.Or(d.Strategy, out.Strategy)
		out.BakeTimeInMinutes = cmp.Or(d.BakeTimeInMinutes, out.BakeTimeInMinutes)
		out.EarlySuccessCriteria = cmp.Or(d.EarlySuccessCriteria, out.EarlySuccessCriteria)
		out.CanaryConfiguration, out.LinearConfiguration, out.LifecycleHooks = d.CanaryConfiguration, d.LinearConfiguration, d.LifecycleHooks // refused
	}
	return &out
}

// UpdateService changes a service. What its tasks are made of leads to a new deployment, the rest takes effect as it is.
func (c *Control) UpdateService(in *ecs.UpdateServiceInput) (*ecs.UpdateServiceOutput, error) {
	if err := checkCount(in.DesiredCount); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s, cl, err := c.activeService(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	deployment := fullDeployment(in.DeploymentConfiguration, s.DeploymentConfiguration, s.SchedulingStrategy)
	asked := settings{deployment, s.SchedulingStrategy, cmp.Or(in.AvailabilityZoneRebalancing, s.AvailabilityZoneRebalancing), in.ServiceConnectConfiguration, in.GatewayConnectors, in.Monitoring}
	if err := asked.check(); err != nil {
		return nil, err
	}
	switch daemon := s.SchedulingStrategy == ecstypes.SchedulingStrategyDaemon; {
	case daemon && in.DesiredCount != nil:
		return nil, badParameter("The daemon scheduling strategy does not support desired count.")
	case in.DeploymentController != nil && in.DeploymentController.Type != ecstypes.DeploymentControllerTypeEcs:
		return nil, badParameter("This local ECS knows the deployment controller ECS only.")
	}
	rev, placed, anew, err := c.nextDeployment(in, s, cl)
	if err != nil {
		return nil, err
	}
	changed := s.Service
	overlay(&changed, in)
	lattice := s.Lattice
	if in.VpcLatticeConfigurations != nil {
		lattice = in.VpcLatticeConfigurations
	}
	wished := wishes{
		changed.LoadBalancers, changed.PlacementStrategy, changed.PlacementConstraints, volumeNames(placed.volumes), placed.volumes, changed.ServiceRegistries, lattice,
		s.SchedulingStrategy == ecstypes.SchedulingStrategyDaemon,
	}
	if err := wished.check(&rev.Definition, placed.launchType); err != nil {
		return nil, err
	}
	anew = anew || fingerprint(changed.LoadBalancers) != fingerprint(s.LoadBalancers) || fingerprint(changed.ServiceRegistries) != fingerprint(s.ServiceRegistries) || fingerprint(lattice) != fingerprint(s.Lattice) ||
		in.Monitoring != nil && fingerprint(in.Monitoring) != fingerprint(s.Monitoring)
	s.Service, s.DeploymentConfiguration, s.Lattice, s.Monitoring = changed, deployment, lattice, cmp.Or(in.Monitoring, s.Monitoring)
	if in.DesiredCount != nil && s.SchedulingStrategy == ecstypes.SchedulingStrategyReplica {
		s.DesiredCount = *in.DesiredCount
	}
	if anew {
		c.deploy(s, rev, placed, "", time.Now())
	}
	s.Rollouts[0].NoStartBefore = time.Time{} // an operator who acts need not wait for the throttle
	c.log.Info("service updated", "service", *s.ServiceName, "task_definition", names.Last(*s.TaskDefinition), "desired", s.DesiredCount, "new_deployment", anew)
	c.touch()
	return &ecs.UpdateServiceOutput{Service: c.describeService(s)}, nil
}

// overlay changes what an update speaks of and takes effect without a deployment. What it leaves out stays.
func overlay(s *ecstypes.Service, in *ecs.UpdateServiceInput) {
	s.PropagateTags = cmp.Or(in.PropagateTags, s.PropagateTags)
	s.EnableECSManagedTags = aws.ToBool(cmp.Or(in.EnableECSManagedTags, &s.EnableECSManagedTags))
	s.EnableExecuteCommand = aws.ToBool(cmp.Or(in.EnableExecuteCommand, &s.EnableExecuteCommand))
	s.HealthCheckGracePeriodSeconds = cmp.Or(in.HealthCheckGracePeriodSeconds, s.HealthCheckGracePeriodSeconds)
	s.AvailabilityZoneRebalancing = cmp.Or(in.AvailabilityZoneRebalancing, s.AvailabilityZoneRebalancing)
	if in.LoadBalancers != nil {
		s.LoadBalancers = in.LoadBalancers
	}
	if in.ServiceRegistries != nil {
		s.ServiceRegistries = in.ServiceRegistries
	}
	if in.PlacementStrategy != nil {
		s.PlacementStrategy = in.PlacementStrategy
	}
	if in.PlacementConstraints != nil {
		s.PlacementConstraints = in.PlacementConstraints
	}
}

// nextDeployment works out what an update makes of the service's tasks, and whether they have to be replaced for it.
func (c *Control) nextDeployment(in *ecs.UpdateServiceInput, s *service, cl *cluster) (rev *revision, p placement, anew bool, err error) {
	now := s.Rollouts[0]
	rev = c.revision(now.TaskDefinition)
	if in.TaskDefinition != nil {
		if rev, err = c.runnable(in.TaskDefinition); err != nil {
			return nil, p, false, err
		}
	}
	if rev == nil {
		return nil, p, false, clientError("TaskDefinition not found.")
	}
	p = now.placement()
	if len(p.providers) > 0 {
		p.launchType = ""
	}
	if in.CapacityProviderStrategy != nil {
		p.launchType, p.providers = "", in.CapacityProviderStrategy
	}
	p.platformVersion = cmp.Or(aws.ToString(in.PlatformVersion), p.platformVersion)
	p.network = cmp.Or(in.NetworkConfiguration, p.network)
	if p.volumes = in.VolumeConfigurations; p.volumes == nil {
		p.volumes = keptVolumes(now.VolumeConfigurations, openVolumes(&rev.Definition))
	}
	if p, err = c.place(cl, &rev.Definition, p); err != nil {
		return nil, p, false, err
	}
	anew = in.ForceNewDeployment || *rev.Definition.TaskDefinitionArn != *now.TaskDefinition ||
		fingerprint(p.network) != fingerprint(now.NetworkConfiguration) || p.platformVersion != now.Platform ||
		in.VolumeConfigurations != nil && fingerprint(p.volumes) != fingerprint(now.VolumeConfigurations) ||
		in.CapacityProviderStrategy != nil && !slices.EqualFunc(p.providers, now.CapacityProviderStrategy, sameProvider)
	return rev, p, anew, nil
}

// keptVolumes are the configurations that an update leaves out, of volumes that its definition still has.
func keptVolumes(now []ecstypes.ServiceVolumeConfiguration, open []string) []ecstypes.ServiceVolumeConfiguration {
	return slices.DeleteFunc(slices.Clone(now), func(v ecstypes.ServiceVolumeConfiguration) bool {
		return !slices.Contains(open, aws.ToString(v.Name))
	})
}

func sameProvider(a, b ecstypes.CapacityProviderStrategyItem) bool {
	return aws.ToString(a.CapacityProvider) == aws.ToString(b.CapacityProvider) && a.Base == b.Base && a.Weight == b.Weight
}

// DeleteService drains a service; it turns inactive once its last task has stopped.
func (c *Control) DeleteService(in *ecs.DeleteServiceInput) (*ecs.DeleteServiceOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, _, err := c.activeService(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	if s.DesiredCount > 0 && !aws.ToBool(in.Force) {
		return nil, badParameter("The service cannot be stopped while it is scaled above 0.")
	}
	s.DesiredCount, s.Status = 0, aws.String(draining)
	c.log.Info("service deleted", "service", *s.ServiceName)
	c.touch()
	return &ecs.DeleteServiceOutput{Service: c.describeService(s)}, nil
}

// activeService finds a service that can be changed.
func (c *Control) activeService(ecsCluster, ref *string) (*service, *cluster, error) {
	cl, err := c.cluster(ecsCluster)
	if err != nil {
		return nil, nil, err
	}
	s, ok := c.state.Services[c.cfg.Account.Service(*cl.ClusterName, names.Last(aws.ToString(ref)))]
	if !ok {
		return nil, nil, serviceNotFound()
	}
	if *s.Status != active {
		return nil, nil, &ecstypes.ServiceNotActiveException{Message: aws.String("Service was not ACTIVE.")}
	}
	return s, cl, nil
}

func serviceNotFound() error {
	return &ecstypes.ServiceNotFoundException{Message: aws.String("Service not found.")}
}

// DescribeServices describes up to ten services, deleted ones for an hour.
func (c *Control) DescribeServices(in *ecs.DescribeServicesInput) (*ecs.DescribeServicesOutput, error) {
	if len(in.Services) == 0 {
		return nil, badParameter("Services cannot be empty.")
	}
	if len(in.Services) > maxServicesDescribed {
		return nil, badParameter("Cannot describe more than %d services.", maxServicesDescribed)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cl, err := c.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	out := &ecs.DescribeServicesOutput{Services: []ecstypes.Service{}, Failures: []ecstypes.Failure{}}
	for _, ref := range in.Services {
		arn := c.cfg.Account.Service(*cl.ClusterName, names.Last(ref))
		s, ok := c.state.Services[arn]
		if !ok {
			out.Failures = append(out.Failures, missing(arn))
			continue
		}
		described := c.describeService(s)
		if !slices.Contains(in.Include, ecstypes.ServiceFieldTags) {
			described.Tags = nil
		}
		out.Services = append(out.Services, *described)
	}
	return out, nil
}

// ListServices lists the ARNs of a cluster's services that are not deleted.
func (c *Control) ListServices(in *ecs.ListServicesInput) (*ecs.ListServicesOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cl, err := c.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	var arns []string
	for _, arn := range slices.Sorted(maps.Keys(c.state.Services)) {
		s := c.state.Services[arn]
		if *s.ClusterArn == *cl.ClusterArn && *s.Status != inactive &&
			(in.LaunchType == "" || in.LaunchType == s.LaunchType) &&
			(in.SchedulingStrategy == "" || in.SchedulingStrategy == s.SchedulingStrategy) {
			arns = append(arns, arn)
		}
	}
	list, next, err := page(arns, cmp.Or(in.MaxResults, aws.Int32(defaultServicesPage)), in.NextToken, maxPage)
	return &ecs.ListServicesOutput{ServiceArns: list, NextToken: next}, err
}
