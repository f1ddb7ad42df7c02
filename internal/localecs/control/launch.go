package control

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/engine"
	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/names"
)

// The platform version of Fargate that there is, and the one that is asked for where nothing is said.
const (
	fargatePlatform = "1.4.0"
	latestPlatform  = "LATEST"
)

// placement is where and how tasks run: what RunTask and the deployments of a service have in common.
type placement struct {
	launchType      ecstypes.LaunchType
	providers       []ecstypes.CapacityProviderStrategyItem
	platformVersion string // as asked for, which services show; "" on anything but Fargate
	network         *ecstypes.NetworkConfiguration
	volumes         []ecstypes.ServiceVolumeConfiguration // of a service's tasks
}

// place works out a placement and checks it against the definition and the network it needs.
func (c *Control) place(cl *cluster, def *ecstypes.TaskDefinition, p placement) (placement, error) {
	if p.launchType != "" && len(p.providers) > 0 {
		return p, badParameter("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
	}
	if p.launchType == "" && len(p.providers) == 0 {
		p.providers = cl.DefaultCapacityProviderStrategy
	}
	kind := cmp.Or(p.launchType, ecstypes.LaunchTypeEc2)
	if len(p.providers) > 0 {
		kind = providerKind(p.provider(), def)
	}
	if !slices.Contains(kind.Values(), kind) {
		return p, badParameter("Invalid launch type '%s'.", kind)
	}
	if !slices.Contains(def.Compatibilities, ecstypes.Compatibility(kind)) {
		return p, badParameter("Task definition does not support launch_type %s.", kind)
	}
	if def.NetworkMode != ecstypes.NetworkModeAwsvpc {
		return p, badParameter("This local ECS runs tasks with networkMode awsvpc only.")
	}
	p.launchType = kind
	switch {
	case kind != ecstypes.LaunchTypeFargate && len(p.providers) == 0 && p.platformVersion != "":
		return p, badParameter("The platform version must be null when specifying an %s launch type.", kind)
	case kind != ecstypes.LaunchTypeFargate:
		p.platformVersion = "" // left over from Fargate, where a service has changed its capacity providers
	case p.platformVersion == "":
		p.platformVersion = latestPlatform
	case isOldPlatform(p.platformVersion) && slices.ContainsFunc(def.ContainerDefinitions, hasSystemControls):
		return p, &ecstypes.PlatformTaskDefinitionIncompatibilityException{Message: aws.String("One or more of the requested capabilities are not supported: systemControls.")}
	}
	var err error
	p.network, err = checkNetwork(p.network, kind)
	return p, err
}

// isOldPlatform reports whether a version is from before Fargate took kernel parameters.
func isOldPlatform(version string) bool {
	return strings.HasPrefix(version, "1.") && version < fargatePlatform
}

func hasSystemControls(c ecstypes.ContainerDefinition) bool { return len(c.SystemControls) > 0 }

// platform is the platform version that tasks get, which deployments and tasks show.
func (p placement) platform() string {
	if p.platformVersion == latestPlatform {
		return fargatePlatform
	}
	return p.platformVersion
}

// provider is the capacity provider that every task of the placement gets: everything fits on one machine, so that
// the strategy's weights share nothing out.
func (p placement) provider() string {
	if len(p.providers) == 0 {
		return ""
	}
	best := slices.MaxFunc(p.providers, func(a, b ecstypes.CapacityProviderStrategyItem) int {
		return cmp.Or(cmp.Compare(a.Base, b.Base), cmp.Compare(a.Weight, b.Weight))
	})
	return aws.ToString(best.CapacityProvider)
}

func providerKind(provider string, def *ecstypes.TaskDefinition) ecstypes.LaunchType {
	switch {
	case provider == "FARGATE" || provider == "FARGATE_SPOT":
		return ecstypes.LaunchTypeFargate
	case slices.Contains(def.RequiresCompatibilities, ecstypes.CompatibilityManagedInstances):
		return ecstypes.LaunchTypeManagedInstances
	}
	return ecstypes.LaunchTypeEc2
}

// checkNetwork checks what awsvpc needs and fills in what ECS fills in.
func checkNetwork(n *ecstypes.NetworkConfiguration, kind ecstypes.LaunchType) (*ecstypes.NetworkConfiguration, error) {
	if n == nil || n.AwsvpcConfiguration == nil {
		return nil, badParameter("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
	}
	v := *n.AwsvpcConfiguration
	switch {
	case len(v.Subnets) == 0:
		return nil, badParameter("subnets can not be empty.")
	case len(v.Subnets) > 16:
		return nil, badParameter("At most 16 subnets can be specified.")
	case len(v.SecurityGroups) > 5:
		return nil, badParameter("At most 5 security groups can be specified.")
	case v.AssignPublicIp != "" && !slices.Contains(v.AssignPublicIp.Values(), v.AssignPublicIp):
		return nil, badParameter("assignPublicIp must be ENABLED or DISABLED.")
	case v.AssignPublicIp == ecstypes.AssignPublicIpEnabled && kind != ecstypes.LaunchTypeFargate:
		return nil, badParameter("Assign public IP is not supported for this launch type.")
	}
	for _, s := range v.Subnets {
		if !strings.HasPrefix(s, "subnet-") {
			return nil, badParameter("Error retrieving subnet information for [%s]: The subnet ID '%s' does not exist", s, s)
		}
	}
	for _, g := range v.SecurityGroups {
		if !strings.HasPrefix(g, "sg-") {
			return nil, badParameter("Error retrieving security group information for [%s]: The security group '%s' does not exist", g, g)
		}
	}
	v.AssignPublicIp = cmp.Or(v.AssignPublicIp, ecstypes.AssignPublicIpDisabled)
	v.SecurityGroups = orEmpty(v.SecurityGroups)
	return &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &v}, nil
}

// order is one task to start.
type order struct {
	cluster          *cluster
	revision         *revision
	placement        placement
	overrides        *ecstypes.TaskOverride
	tags             []ecstypes.Tag
	group, startedBy string
	serviceARN       string
	execute          bool
}

// launch records a task and orders the engine to run it. Every task fits. The caller holds the lock.
func (c *Control) launch(o order, now time.Time) *task {
	id, def := names.TaskID(), &o.revision.Definition
	t := &task{ServiceARN: o.serviceARN, SubnetID: o.placement.network.AwsvpcConfiguration.Subnets[0], Given: o.overrides}
	t.Task = ecstypes.Task{
		TaskArn: aws.String(c.cfg.Account.Task(*o.cluster.ClusterName, id)), ClusterArn: o.cluster.ClusterArn,
		TaskDefinitionArn: def.TaskDefinitionArn, Group: aws.String(cmp.Or(o.group, "family:"+*def.Family)),
		LastStatus: aws.String(engine.StatusProvisioning), DesiredStatus: aws.String(engine.StatusRunning),
		HealthStatus: ecstypes.HealthStatusUnknown, CreatedAt: aws.Time(now.UTC()), Version: 0,
		AvailabilityZone: aws.String(c.cfg.Account.Region + "a"), LaunchType: o.placement.launchType,
		Attachments: []ecstypes.Attachment{}, Tags: orEmpty(o.tags), EnableExecuteCommand: o.execute,
		Attributes: []ecstypes.Attribute{{Name: aws.String("ecs.cpu-architecture"), Value: aws.String("x86_64")}},
		Cpu:        def.Cpu, Memory: def.Memory, EphemeralStorage: def.EphemeralStorage,
		Overrides:  fullOverride(def, o.overrides),
		Containers: c.newContainers(def, *o.cluster.ClusterName, id),
	}
	if o.startedBy != "" {
		t.StartedBy = &o.startedBy
	}
	if o.overrides != nil {
		t.Cpu, t.Memory = cmp.Or(o.overrides.Cpu, t.Cpu), cmp.Or(o.overrides.Memory, t.Memory)
	}
	if p := o.placement.provider(); p != "" {
		t.CapacityProviderName = &p
	}
	if o.placement.launchType == ecstypes.LaunchTypeFargate {
		t.PlatformVersion, t.PlatformFamily = aws.String(o.placement.platform()), aws.String("Linux")
	} else {
		t.ContainerInstanceArn = aws.String(c.cfg.Account.ContainerInstance(*o.cluster.ClusterName, instanceID(*o.cluster.ClusterArn)))
	}
	c.state.Tasks[*t.TaskArn] = t
	c.log.Info("task started", "task_arn", *t.TaskArn, "task_definition", names.Last(*def.TaskDefinitionArn), "group", *t.Group)
	started := c.engineTask(t)
	c.outbox = append(c.outbox, func() { c.cfg.Run(started) })
	c.taskChanged(t)
	return t
}

func (c *Control) newContainers(def *ecstypes.TaskDefinition, ecsCluster, taskID string) []ecstypes.Container {
	var out []ecstypes.Container
	for _, d := range def.ContainerDefinitions {
		out = append(out, ecstypes.Container{
			ContainerArn: aws.String(c.cfg.Account.Container(ecsCluster, taskID, names.UUID())),
			TaskArn:      aws.String(c.cfg.Account.Task(ecsCluster, taskID)), Name: d.Name, Image: d.Image,
			LastStatus: aws.String(engine.StatusPending), HealthStatus: ecstypes.HealthStatusUnknown,
			NetworkInterfaces: []ecstypes.NetworkInterface{}, Cpu: aws.String(strconv.Itoa(int(d.Cpu))),
			Memory: decimal(d.Memory), MemoryReservation: decimal(d.MemoryReservation),
		})
	}
	return out
}

// fullOverride is the override as ECS describes it: an entry for each container, whether it changes anything or not.
func fullOverride(def *ecstypes.TaskDefinition, given *ecstypes.TaskOverride) *ecstypes.TaskOverride {
	out := ecstypes.TaskOverride{}
	if given != nil {
		out = *given
	}
	all := make([]ecstypes.ContainerOverride, 0, len(def.ContainerDefinitions))
	for _, d := range def.ContainerDefinitions {
		entry := ecstypes.ContainerOverride{Name: d.Name}
		for _, o := range out.ContainerOverrides {
			if aws.ToString(o.Name) == *d.Name {
				entry = o
			}
		}
		all = append(all, entry)
	}
	out.ContainerOverrides = all
	return &out
}

// engineTask resolves what a recorded task refers to.
func (c *Control) engineTask(t *task) engine.Task {
	def := ecstypes.TaskDefinition{}
	if r := c.revision(t.TaskDefinitionArn); r != nil {
		def = r.Definition
	}
	taskRole, executionRole := def.TaskRoleArn, def.ExecutionRoleArn
	if t.Given != nil {
		taskRole, executionRole = cmp.Or(t.Given.TaskRoleArn, taskRole), cmp.Or(t.Given.ExecutionRoleArn, executionRole)
	}
	return engine.Task{
		ARN: *t.TaskArn, ClusterARN: *t.ClusterArn, Definition: def, Overrides: t.Given, LaunchType: t.LaunchType,
		AvailabilityZone: *t.AvailabilityZone, ServiceName: names.Last(t.ServiceARN), SubnetID: t.SubnetID,
		TaskRoleARN: c.cfg.Account.Role(aws.ToString(taskRole)), ExecutionRoleARN: c.cfg.Account.Role(aws.ToString(executionRole)),
		Tags: t.Tags, CreatedAt: *t.CreatedAt,
	}
}

// instanceID is this machine's ID in a cluster: always the same, so that it outlives a restart.
func instanceID(clusterARN string) string {
	sum := sha256.Sum256([]byte(clusterARN))
	return hex.EncodeToString(sum[:16])
}

func decimal(n *int32) *string {
	if n == nil {
		return nil
	}
	return aws.String(strconv.Itoa(int(*n)))
}
