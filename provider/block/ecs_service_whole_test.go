package block

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/document"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/provider/row"
)

// left are the settings of the SDK that the block does not set, by the reason.
var left = map[string][]string{
	"a name is given once, so that a call repeated is refused":             {"ClientToken"},
	"ECS's own role does it where tasks have addresses of their own":       {"Role"},
	"it would be a second mesh around the first; an update turns it off":   {"ServiceConnectConfiguration"},
	"a Classic Load Balancer reaches no tasks with addresses of their own": {"LoadBalancers.LoadBalancerName"},
	"said where a trigger or another capacity provider asks for it":        {"ForceNewDeployment"},
	"said where it changes": {"DeploymentController"},
}

// filled sets everything that a value has room for.
func filled(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		filled(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			filled(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		filled(v.Index(0))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"key": "value"}))
	case reflect.String:
		v.SetString(`{"a":1}`) // so that what has to be JSON is
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(7.5)
	}
}

func wholeService() *ECSService {
	var m ECSService
	filled(reflect.ValueOf(&m).Elem())
	return &m
}

// unset are the fields that say nothing, below at.
func unset(v reflect.Value, at string) []string {
	if v.Kind() != reflect.Bool && v.IsZero() {
		return []string{at}
	}
	switch v.Kind() {
	case reflect.Pointer:
		return unset(v.Elem(), at)
	case reflect.Slice:
		if v.Len() == 0 {
			return []string{at}
		}
		return unset(v.Index(0), at)
	case reflect.Struct:
		var all []string
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() {
				all = append(all, unset(v.Field(i), strings.TrimPrefix(at+"."+field.Name, "."))...)
			}
		}
		return all
	}
	if v.Kind() == reflect.Bool && !v.Bool() {
		return []string{at}
	}
	return nil
}

// The block has all that ECS has for a service, in the version of the SDK that is in use.
func TestTheBlockHasEverySettingOfAService(t *testing.T) {
	t.Parallel()
	m := wholeService()
	daemon, codeDeploy := *m, *m
	daemon.SchedulingStrategy, codeDeploy.DeploymentController = aws.String("DAEMON"), aws.String("CODE_DEPLOY")
	missing := map[string]int{}
	creates := []*ecs.CreateServiceInput{m.CreateInput("arn", map[string]string{"a": "b"}), daemon.CreateInput("arn", map[string]string{"a": "b"}), codeDeploy.CreateInput("arn", map[string]string{"a": "b"})}
	for _, input := range creates {
		for _, at := range unset(reflect.ValueOf(*input), "") {
			missing[at]++
		}
	}
	scaled := *m
	scaled.IgnoreDesiredCount = nil
	for _, at := range unset(reflect.ValueOf(*scaled.UpdateInput("arn")), "") {
		missing[at] += len(creates)
	}
	for _, places := range left {
		for _, at := range places {
			if missing[at] == 0 {
				t.Errorf("%s is said to be left out, and is not", at)
			}
			delete(missing, at)
		}
	}
	for at, n := range missing {
		if n >= len(creates) {
			t.Errorf("%s is set by nothing", at)
		}
	}
}

// shown is the service as ECS shows what it was asked for.
func shown(in *ecs.CreateServiceInput) Seen {
	return Seen{ecstypes.Service{
		DesiredCount: row.Value(in.DesiredCount), AvailabilityZoneRebalancing: in.AvailabilityZoneRebalancing, CapacityProviderStrategy: in.CapacityProviderStrategy,
		DeploymentConfiguration: in.DeploymentConfiguration, DeploymentController: in.DeploymentController, EnableECSManagedTags: in.EnableECSManagedTags,
		EnableExecuteCommand: in.EnableExecuteCommand, HealthCheckGracePeriodSeconds: in.HealthCheckGracePeriodSeconds, LaunchType: in.LaunchType,
		LoadBalancers: in.LoadBalancers, NetworkConfiguration: in.NetworkConfiguration, PlacementConstraints: in.PlacementConstraints, PlacementStrategy: in.PlacementStrategy,
		PlatformVersion: in.PlatformVersion, SchedulingStrategy: in.SchedulingStrategy, ServiceRegistries: in.ServiceRegistries,
		Deployments: []ecstypes.Deployment{
			{Status: aws.String("ACTIVE")},
			{Status: aws.String("PRIMARY"), VolumeConfigurations: in.VolumeConfigurations, VpcLatticeConfigurations: in.VpcLatticeConfigurations},
		},
	}, &ecstypes.ServiceRevision{Monitoring: in.Monitoring, GatewayConnectors: in.GatewayConnectors}}
}

// kept are what ECS does not show, and what the user says without asking ECS.
func kept(m ECSService) ECSService {
	return ECSService{
		Cluster: m.Cluster, Name: m.Name, IgnoreDesiredCount: m.IgnoreDesiredCount, Triggers: m.Triggers, WaitForSteadyState: m.WaitForSteadyState,
		// What ECS decides of a service that says nothing is not looked at: here is something to compare with.
		DesiredCount: aws.Int32(1), AvailabilityZoneRebalancing: aws.String("x"), Deployment: &Deployment{BakeTimeInMinutes: aws.Int32(1)},
		Network: Network{LaunchType: aws.String("x"), CapacityProviderStrategy: []CapacityProvider{}},
	}
}

// What ECS has of a service is read back as it was asked for: as it was spelt where it is the same, and whole where nobody knew of it.
func TestEverySettingOfAServiceIsReadBack(t *testing.T) {
	t.Parallel()
	m := *wholeService()
	m.IgnoreDesiredCount, m.SchedulingStrategy, m.DeploymentController = nil, nil, nil
	m.ServiceConnectConfiguration = nil // never asked for
	is := shown(m.CreateInput("arn", nil))
	same := m
	same.Refresh(is)
	if diff := cmp.Diff(m, same); diff != "" {
		t.Errorf("as it was (want -, got +):\n%s", diff)
	}
	for _, strategy := range []string{"ROLLING", "CANARY", "LINEAR"} {
		learnt, want := kept(m), m
		deployment := *m.Deployment
		want.Deployment, deployment.Strategy = &deployment, &strategy
		if strategy != "CANARY" {
			deployment.CanaryConfiguration = nil
		}
		if strategy != "LINEAR" {
			deployment.LinearConfiguration = nil
		}
		all := shown(want.CreateInput("arn", nil))
		learnt.Refresh(all)
		learnt.ImportUnshown(all.Revision)
		if strategy == "ROLLING" { // the default, which nobody asked for
			deployment.Strategy = nil
		}
		if diff := cmp.Diff(want, learnt); diff != "" {
			t.Errorf("%s, learnt (want -, got +):\n%s", strategy, diff)
		}
	}
}

// Each setting that something else changes shows, and an update that wants the former one says so.
func TestEveryChangeOfAServiceShowsAndIsUndone(t *testing.T) {
	t.Parallel()
	bare := &ECSService{Cluster: aws.String("mesh"), Name: aws.String("web"), Network: Network{Subnets: []string{"subnet-1"}}}
	whole := *wholeService()
	whole.IgnoreDesiredCount, whole.ServiceConnectConfiguration = nil, nil
	whole.SchedulingStrategy, whole.DeploymentController = nil, nil
	is := shown(whole.CreateInput("arn", nil))
	is.Deployments[1].ServiceConnectConfiguration = &ecstypes.ServiceConnectConfiguration{Enabled: true}
	is.DeploymentController = &ecstypes.DeploymentController{Type: ecstypes.DeploymentControllerTypeEcs}
	input := bare.UpdateInput("arn")
	had := whole
	bare.ResetInput(input, is.Service, &had)
	after := shown(&ecs.CreateServiceInput{
		AvailabilityZoneRebalancing: input.AvailabilityZoneRebalancing, DeploymentConfiguration: input.DeploymentConfiguration, EnableECSManagedTags: *input.EnableECSManagedTags,
		EnableExecuteCommand: *input.EnableExecuteCommand, HealthCheckGracePeriodSeconds: input.HealthCheckGracePeriodSeconds, LoadBalancers: input.LoadBalancers,
		NetworkConfiguration: input.NetworkConfiguration, PlacementConstraints: input.PlacementConstraints, PlacementStrategy: input.PlacementStrategy, PlatformVersion: input.PlatformVersion,
		ServiceRegistries: input.ServiceRegistries, VolumeConfigurations: input.VolumeConfigurations, VpcLatticeConfigurations: input.VpcLatticeConfigurations,
		Monitoring: input.Monitoring, GatewayConnectors: input.GatewayConnectors,
	})
	refreshed := *bare
	refreshed.Refresh(after)
	if diff := cmp.Diff(*bare, refreshed); diff != "" {
		t.Errorf("after the update there is still (want -, got +):\n%s", diff)
	}
	d := input.DeploymentConfiguration
	if input.VolumeConfigurations == nil || input.VpcLatticeConfigurations == nil || input.ServiceRegistries == nil || d.LifecycleHooks == nil || d.Alarms == nil || d.Strategy == "" ||
		*d.BakeTimeInMinutes != 0 || d.EarlySuccessCriteria == nil || d.DeploymentCircuitBreaker.ThresholdConfiguration == nil || input.AvailabilityZoneRebalancing == "" {
		t.Errorf("what ECS keeps unless something is said stays: %+v, deployment %+v", input, d)
	}
	if c := input.ServiceConnectConfiguration; c == nil || c.Enabled {
		t.Errorf("Service Connect stays: %+v", c)
	}
	if len(input.Monitoring.MetricConfigurations) != 1 || *input.Monitoring.MetricConfigurations[0].ResolutionSeconds != 60 || input.GatewayConnectors == nil {
		t.Errorf("metrics are %+v, gateways %+v", input.Monitoring, input.GatewayConnectors)
	}
	changed := *bare
	changed.Refresh(is)
	for _, at := range []struct {
		name string
		is   any
	}{
		{"deployment", changed.Deployment}, {"load_balancer", changed.LoadBalancers}, {"service_registry", changed.ServiceRegistries}, {"volume_configuration", changed.VolumeConfigurations},
		{"vpc_lattice_configuration", changed.VpcLatticeConfigurations}, {"enable_ecs_managed_tags", changed.EnableECSManagedTags}, {"service_connect_configuration", changed.ServiceConnectConfiguration},
	} {
		if reflect.ValueOf(at.is).IsZero() {
			t.Errorf("a change of %s does not show", at.name)
		}
	}
}

// An update that wants what there is says nothing which ECS did not know a year ago.
func TestAnUpdateOfAPlainServiceSaysNothingNew(t *testing.T) {
	t.Parallel()
	bare := &ECSService{Cluster: aws.String("mesh"), Name: aws.String("web"), Network: Network{Subnets: []string{"subnet-1"}}}
	input := bare.UpdateInput("arn")
	bare.ResetInput(input, shown(bare.CreateInput("arn", nil)).Service, bare)
	if diff := cmp.Diff(bare.UpdateInput("arn"), input, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestWhatCodeDeployBringsIsLeftToIt(t *testing.T) {
	t.Parallel()
	m := *wholeService()
	m.DeploymentController, m.SchedulingStrategy, m.ServiceConnectConfiguration = aws.String("CODE_DEPLOY"), nil, nil
	is := shown(m.CreateInput("arn", nil))
	is.LoadBalancers, is.NetworkConfiguration = []ecstypes.LoadBalancer{{TargetGroupArn: aws.String("the other one")}}, nil
	refreshed := m
	refreshed.Refresh(is)
	if diff := cmp.Diff(m, refreshed); diff != "" {
		t.Errorf("CodeDeploy's change shows (want -, got +):\n%s", diff)
	}
	input := m.UpdateInput("arn")
	m.ResetInput(input, is.Service, &m)
	if input.TaskDefinition != nil || input.NetworkConfiguration != nil || input.LoadBalancers != nil || input.PlatformVersion != nil || input.VolumeConfigurations != nil || m.Redeploys(&ECSService{}) {
		t.Errorf("the update says what ECS refuses: %+v", input)
	}
	moved := m
	moved.DeploymentController = nil
	input = moved.UpdateInput("arn")
	if moved.ResetInput(input, is.Service, &m); input.DeploymentController == nil || input.DeploymentController.Type != "ECS" || input.TaskDefinition == nil {
		t.Errorf("back to ECS, the update says %+v", input)
	}
}

func TestADesiredCountIsUsedAsItIsAskedFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		m                ECSService
		created, updated *int32
		read             *int32 // where ECS has 5
	}{
		"left out":       {ECSService{}, aws.Int32(1), nil, nil},
		"set":            {ECSService{DesiredCount: aws.Int32(2)}, aws.Int32(2), aws.Int32(2), aws.Int32(5)},
		"to begin with":  {ECSService{DesiredCount: aws.Int32(2), IgnoreDesiredCount: aws.Bool(true)}, aws.Int32(2), nil, aws.Int32(2)},
		"of a daemon":    {ECSService{SchedulingStrategy: aws.String("DAEMON")}, nil, nil, nil},
		"nothing to use": {ECSService{IgnoreDesiredCount: aws.Bool(true)}, aws.Int32(1), nil, nil},
	} {
		got := []*int32{c.m.CreateInput("arn", nil).DesiredCount, c.m.UpdateInput("arn").DesiredCount}
		c.m.Refresh(Seen{Service: ecstypes.Service{DesiredCount: 5, SchedulingStrategy: ecstypes.SchedulingStrategy(row.Value(c.m.SchedulingStrategy))}})
		if diff := cmp.Diff([]*int32{c.created, c.updated, c.read}, append(got, c.m.DesiredCount)); diff != "" {
			t.Errorf("%s: created, updated, read (want -, got +):\n%s", name, diff)
		}
	}
}

func TestTriggersRedeploy(t *testing.T) {
	t.Parallel()
	on := func(value string) *ECSService { return &ECSService{Triggers: map[string]string{"image": value}} }
	for name, c := range map[string]struct {
		want, had *ECSService
		redeploys bool
	}{
		"a new service": {on("1"), nil, false}, "as before": {on("1"), on("1"), false}, "changed": {on("2"), on("1"), true},
		"begun": {on("1"), &ECSService{}, true}, "ended": {&ECSService{}, on("1"), true}, "none": {&ECSService{}, &ECSService{}, false},
	} {
		if got := c.want.Redeploys(c.had); got != c.redeploys {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// A hook's details are a document, of which only the meaning counts.
func TestDetailsOfAHookAreJSON(t *testing.T) {
	t.Parallel()
	const text = `{ "b": [1, 2.5, {"c": null}], "a": "x", "n": 9007199254740993 }`
	m := ECSService{Deployment: &Deployment{}}
	filled(reflect.ValueOf(&m.Deployment.LifecycleHooks).Elem())
	m.Deployment.LifecycleHooks[0].HookDetails = aws.String(text)
	sent, err := m.CreateInput("arn", nil).DeploymentConfiguration.LifecycleHooks[0].HookDetails.MarshalSmithyDocument()
	if want := `{"a":"x","b":[1,2.5,{"c":null}],"n":9007199254740993}`; err != nil || string(sent) != want {
		t.Errorf("sent is %s (%v), want %s", sent, err, want)
	}
	is := shown(m.CreateInput("arn", nil))
	is.DeploymentConfiguration.LifecycleHooks[0].HookDetails = document.NewLazyDocument(map[string]any{"a": "x", "b": []any{1, 2.5, map[string]any{"c": nil}}, "n": 9007199254740993})
	m.Refresh(is)
	if got := row.Value(m.Deployment.LifecycleHooks[0].HookDetails); got != text {
		t.Errorf("read is %s", got)
	}
	is.DeploymentConfiguration.LifecycleHooks[0].HookDetails = document.NewLazyDocument(map[string]any{"a": "y"})
	m.Refresh(is)
	if got := row.Value(m.Deployment.LifecycleHooks[0].HookDetails); got != `{"a":"y"}` {
		t.Errorf("changed is %s", fmt.Sprint(got))
	}
}

// leaves are the places of a model that can be unset, each by a function that does so.
func leaves(v reflect.Value, at string) map[string]func() {
	all := map[string]func(){}
	switch v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		all[at] = v.SetZero
		if v.Kind() == reflect.Pointer {
			maps.Copy(all, leaves(v.Elem(), at))
			all[at] = v.SetZero
		}
		if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct {
			maps.Copy(all, leaves(v.Index(0), at+"[0]"))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			maps.Copy(all, leaves(v.Field(i), at+"."+v.Type().Field(i).Name))
		}
	}
	return all
}

// overlay is what ECS keeps and changes when an update says something: lists and blocks are replaced, and so is each setting of a
// deployment.
func overlay(dst, said reflect.Value) {
	for i := range said.NumField() {
		to := dst.FieldByName(said.Type().Field(i).Name)
		switch from := said.Field(i); {
		case !said.Type().Field(i).IsExported() || !to.IsValid() || from.IsZero():
		case from.Type() == reflect.TypeFor[*ecstypes.DeploymentConfiguration]():
			overlay(to.Elem(), from.Elem())
		case from.Kind() == reflect.Pointer && to.Kind() != reflect.Pointer:
			to.Set(from.Elem())
		default:
			to.Set(from)
		}
	}
}

// Each setting that is no longer asked for goes back to ECS's default, and nothing is left to do.
func TestEachSettingOfAServiceCanBeUnset(t *testing.T) {
	t.Parallel()
	service := func(strategy string) *ECSService {
		m := wholeService()
		m.IgnoreDesiredCount, m.ServiceConnectConfiguration, m.SchedulingStrategy, m.DeploymentController = nil, nil, nil, nil
		m.Deployment.Strategy = &strategy
		return m
	}
	for _, strategy := range []string{"ROLLING", "BLUE_GREEN", "CANARY", "LINEAR"} {
		names := slices.Sorted(maps.Keys(leaves(reflect.ValueOf(service(strategy)).Elem(), "")))
		for _, at := range names {
			had, want := service(strategy), service(strategy)
			if at == "" || at == ".Subnets" || at == ".Name" || at == ".Cluster" || at == ".LaunchType" || at == ".CapacityProviderStrategy" {
				continue // they cannot be unset, or are for the ECS cluster to say
			}
			leaves(reflect.ValueOf(want).Elem(), "")[at]()
			input := want.UpdateInput("arn")
			is := shown(had.CreateInput("arn", nil))
			want.ResetInput(input, is.Service, had)
			after := shown(service(strategy).CreateInput("arn", nil))
			overlay(reflect.ValueOf(&after.Service).Elem(), reflect.ValueOf(*input))
			overlay(reflect.ValueOf(&after.Deployments[1]).Elem(), reflect.ValueOf(*input))
			overlay(reflect.ValueOf(after.Revision).Elem(), reflect.ValueOf(*input))
			refreshed := *want
			refreshed.Refresh(after)
			if diff := cmp.Diff(*want, refreshed); diff != "" {
				t.Errorf("%s, %s unset (want -, got +):\n%s", strategy, at, diff)
			}
		}
	}
}
