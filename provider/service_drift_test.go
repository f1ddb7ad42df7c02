package provider_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/awsapi"
)

// outOfBand is what something else than the resource does to its ECS service.
type outOfBand struct {
	resource string
	update   *ecs.UpdateServiceInput
	tag      map[string]string
	untag    []string
	others   bool // it is theirs: no plan shows it
}

func outOfBandChanges(around surroundings) map[string]outOfBand {
	const task, control = "consulecs_mesh_task", "consulecs_controller"
	group := "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/other/0123456789abcdef"
	network := func(groups []string, public ecstypes.AssignPublicIp) *ecs.UpdateServiceInput {
		return &ecs.UpdateServiceInput{NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{
			Subnets: []string{around.subnet}, SecurityGroups: groups, AssignPublicIp: public,
		}}}
	}
	deployment := func(least, most int32, breaker bool) *ecs.UpdateServiceInput {
		return &ecs.UpdateServiceInput{DeploymentConfiguration: &ecstypes.DeploymentConfiguration{
			MinimumHealthyPercent: &least, MaximumPercent: &most, DeploymentCircuitBreaker: &ecstypes.DeploymentCircuitBreaker{Enable: breaker},
		}}
	}
	rollout := func(is ecstypes.DeploymentConfiguration) *ecs.UpdateServiceInput {
		is.MinimumHealthyPercent, is.MaximumPercent = aws.Int32(100), aws.Int32(200)
		return &ecs.UpdateServiceInput{DeploymentConfiguration: &is}
	}
	balancers := &ecs.UpdateServiceInput{LoadBalancers: []ecstypes.LoadBalancer{{TargetGroupArn: &group, ContainerName: aws.String("app"), ContainerPort: aws.Int32(9090)}}}
	return map[string]outOfBand{
		"tags-not-propagated":    {resource: task, update: &ecs.UpdateServiceInput{PropagateTags: ecstypes.PropagateTagsService}},
		"tag-removed":            {resource: task, untag: []string{"env"}},
		"tag-changed":            {resource: task, tag: map[string]string{"env": "other"}},
		"mesh-tag-removed":       {resource: task, untag: []string{"consul.hashicorp.com/mesh"}},
		"version-tag-changed":    {resource: task, tag: map[string]string{"consul.hashicorp.com/module-version": "0"}},
		"balancers-removed":      {resource: task, update: &ecs.UpdateServiceInput{LoadBalancers: []ecstypes.LoadBalancer{}}},
		"balancers-changed":      {resource: task, update: balancers},
		"percents-changed":       {resource: task, update: deployment(0, 200, false)},
		"breaker-set":            {resource: task, update: deployment(100, 200, true)},
		"strategy-changed":       {resource: task, update: rollout(ecstypes.DeploymentConfiguration{Strategy: "CANARY", CanaryConfiguration: &ecstypes.CanaryConfiguration{CanaryPercent: aws.Float64(20)}})},
		"alarms-set":             {resource: task, update: rollout(ecstypes.DeploymentConfiguration{Alarms: &ecstypes.DeploymentAlarms{AlarmNames: []string{"late"}, Enable: true}})},
		"hook-added":             {resource: task, update: rollout(ecstypes.DeploymentConfiguration{LifecycleHooks: []ecstypes.DeploymentLifecycleHook{{TargetType: "PAUSE", LifecycleStages: []ecstypes.DeploymentLifecycleHookStage{"PRE_SCALE_UP"}}}})},
		"registry-added":         {resource: task, update: &ecs.UpdateServiceInput{ServiceRegistries: []ecstypes.ServiceRegistry{{RegistryArn: aws.String("arn:aws:servicediscovery:us-east-1:123456789012:service/srv-1")}}}},
		"groups-removed":         {resource: task, update: network(nil, ecstypes.AssignPublicIpDisabled)},
		"public-address-set":     {resource: task, update: network([]string{around.group}, ecstypes.AssignPublicIpEnabled)},
		"c-tags-not-propagated":  {resource: control, update: &ecs.UpdateServiceInput{PropagateTags: ecstypes.PropagateTagsNone}},
		"c-tag-removed":          {resource: control, untag: []string{"env"}},
		"c-percents-changed":     {resource: control, update: deployment(50, 200, false)},
		"c-breaker-set":          {resource: control, update: deployment(0, 100, true)},
		"c-balancers-added":      {resource: control, update: balancers},
		"c-groups-removed":       {resource: control, update: network(nil, ecstypes.AssignPublicIpDisabled)},
		"scaled-by-others":       {resource: task, update: &ecs.UpdateServiceInput{DesiredCount: aws.Int32(3)}, others: true},
		"tag-added-by-others":    {resource: task, tag: map[string]string{"cost": "1"}, others: true},
		"c-tag-added-by-others":  {resource: control, tag: map[string]string{"cost": "1"}, others: true},
		"both-added-and-changed": {resource: task, tag: map[string]string{"cost": "1", "env": "other"}},
		"untouched":              {resource: task, others: true},
		"c-untouched":            {resource: control, others: true},
	}
}

func (o outOfBand) do(ctx context.Context, c cloud, ecsCluster, name string) error {
	if o.update != nil {
		o.update.Cluster, o.update.Service = &ecsCluster, &name
		if _, err := c.ecs.UpdateService(ctx, o.update); err != nil {
			return err
		}
	}
	arn := strings.Replace(ecsCluster, ":cluster/", ":service/", 1) + "/" + name
	if o.tag != nil {
		var tags []ecstypes.Tag
		for key, value := range o.tag {
			tags = append(tags, ecstypes.Tag{Key: &key, Value: &value})
		}
		if _, err := c.ecs.TagResource(ctx, &ecs.TagResourceInput{ResourceArn: &arn, Tags: tags}); err != nil {
			return err
		}
	}
	if o.untag != nil {
		if _, err := c.ecs.UntagResource(ctx, &ecs.UntagResourceInput{ResourceArn: &arn, TagKeys: o.untag}); err != nil {
			return err
		}
	}
	return nil
}

// What something else changes of an ECS service is seen and undone, unless it is for others to change.
func TestChangesOfTheECSServiceAreSeenAndUndone(t *testing.T) {
	t.Parallel()
	c := startMoto(t)
	around := c.surroundings(t, "service-drift")
	all := outOfBandChanges(around)
	tasks, controllers := fields{}, fields{}
	place := fields{"subnets": []any{around.subnet}, "security_groups": []any{around.group}, "launch_type": "EC2"}
	for name, o := range all {
		if o.resource == "consulecs_controller" {
			controllers[name] = controller(with(fields{"name": "drift-" + name, "cluster": around.ecsCluster, "wait_for_steady_state": false, "tags": fields{"env": "test"}}, place))
			continue
		}
		balancer := fields{"target_group_arn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef", "container_name": "app", "container_port": 9090}
		tasks[name] = meshTask(fields{
			"family": "drift-" + name, "tags": fields{"env": "test"}, "container": container(fields{"port_mapping": []any{fields{"container_port": 9090}}}),
			"ecs_service": with(fields{"cluster": around.ecsCluster, "load_balancer": []any{balancer}}, place),
		})
	}
	dir := workDir(t)
	dir.write(t, "main.tf.json", c.frame(fields{"consulecs_mesh_task": tasks, "consulecs_controller": controllers}))
	tf := dir.terraform(t)
	if err := tf.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := all[name].do(t.Context(), c, around.ecsCluster, "drift-"+name); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !all[name].others {
			want = append(want, all[name].resource+"."+name+" (update)")
		}
	}
	got, err := tf.PlanChanges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if slices.Sort(want); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("seen are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if err := tf.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := tf.PlanChanges(t.Context()); err != nil || len(got) > 0 {
		t.Errorf("there is still something to do: %v, %v", got, err)
	}
	c.wantServiceTags(t, around.ecsCluster, "drift-both-added-and-changed", map[string]string{"cost": "1", "env": "test"})
}

// wantServiceTags wants the service to have tags among its own.
func (c cloud) wantServiceTags(t *testing.T, ecsCluster, name string, want map[string]string) {
	t.Helper()
	described, err := c.ecs.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: &ecsCluster, Services: []string{name}, Include: []ecstypes.ServiceField{ecstypes.ServiceFieldTags}})
	if err != nil {
		t.Fatal(err)
	}
	got := awsapi.TagMap(described.Services[0].Tags)
	for key, value := range want {
		if got[key] != value {
			t.Errorf("tag %s of %s is %q, want %q", key, name, got[key], value)
		}
	}
}
