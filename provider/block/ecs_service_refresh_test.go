package block

import (
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/provider/attachment"
)

// What ECS spells in its own way stays as the user spelt it; what is something else shows.
func TestPlacementStrategiesAreReadAsTheyWereSpelt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		was  PlacementField
		is   ecstypes.PlacementStrategy
		want PlacementField
	}{
		"memory in capitals": {
			PlacementField{aws.String("binpack"), aws.String("memory")}, ecstypes.PlacementStrategy{Type: "binpack", Field: aws.String("MEMORY")}, PlacementField{aws.String("binpack"), aws.String("memory")},
		},
		"hosts by their other name": {
			PlacementField{aws.String("spread"), aws.String("host")}, ecstypes.PlacementStrategy{Type: "spread", Field: aws.String("instanceId")}, PlacementField{aws.String("spread"), aws.String("host")},
		},
		"no field": {
			PlacementField{Type: aws.String("random")}, ecstypes.PlacementStrategy{Type: "random"}, PlacementField{Type: aws.String("random")},
		},
		"another field": {
			PlacementField{aws.String("binpack"), aws.String("memory")}, ecstypes.PlacementStrategy{Type: "binpack", Field: aws.String("CPU")}, PlacementField{aws.String("binpack"), aws.String("CPU")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &ECSService{PlacementStrategy: []PlacementField{c.was}}
			m.Refresh(Seen{Service: ecstypes.Service{PlacementStrategy: []ecstypes.PlacementStrategy{c.is}}})
			if diff := cmp.Diff([]PlacementField{c.want}, m.PlacementStrategy); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

// A service revision shows both: what was never said is not the resource's because the other is. An import takes over both.
func TestMetricsAndGatewaysAreReadEachForItself(t *testing.T) {
	t.Parallel()
	seconds := int32(20)
	metrics := &attachment.Monitoring{MetricConfigurations: []attachment.Metric{{MetricNames: []string{"CPUUtilization"}, ResolutionSeconds: &seconds}}}
	gateways := []attachment.Gateway{{PortName: aws.String("http")}}
	shown := &ecstypes.ServiceRevision{
		GatewayConnectors: []ecstypes.GatewayConnector{{PortName: aws.String("http")}},
		Monitoring:        &ecstypes.MonitoringConfiguration{MetricConfigurations: []ecstypes.MetricConfiguration{{MetricNames: []string{"CPUUtilization"}, ResolutionSeconds: &seconds}}},
	}
	for name, was := range map[string]ECSService{"metrics": {Monitoring: metrics}, "gateways": {GatewayConnectors: gateways}, "neither": {}} {
		next := was
		next.Refresh(Seen{Revision: shown})
		if diff := cmp.Diff(was, next); diff != "" {
			t.Errorf("%s: want -, got +:\n%s", name, diff)
		}
	}
	gone := ECSService{Monitoring: metrics, GatewayConnectors: gateways}
	gone.Refresh(Seen{Revision: &ecstypes.ServiceRevision{}})
	if gone.Monitoring != nil || gone.GatewayConnectors != nil {
		t.Errorf("what is gone is still there: %+v, %+v", gone.Monitoring, gone.GatewayConnectors)
	}
	var imported, deployed ECSService
	imported.ImportUnshown(shown)
	if diff := cmp.Diff(ECSService{Monitoring: metrics, GatewayConnectors: gateways}, imported); diff != "" {
		t.Errorf("imported: want -, got +:\n%s", diff)
	}
	deployed.DeploymentController = aws.String(string(ecstypes.DeploymentControllerTypeCodeDeploy))
	deployed.ImportUnshown(shown)
	if deployed.Monitoring != nil || deployed.GatewayConnectors != nil {
		t.Errorf("what CodeDeploy deploys is imported with %+v, %+v", deployed.Monitoring, deployed.GatewayConnectors)
	}
}

// A grace period of 0, which is the default, is said only to undo another: ECS refuses it where nothing checks the health.
func TestAGracePeriodIsSaidWhereItMatters(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		want, is, said *int32
	}{
		"set":         {aws.Int32(10), nil, aws.Int32(10)},
		"unset":       {nil, aws.Int32(10), aws.Int32(0)},
		"spelt out":   {aws.Int32(0), aws.Int32(10), aws.Int32(0)},
		"never set":   {nil, aws.Int32(0), nil},
		"0 as before": {aws.Int32(0), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &ECSService{HealthCheckGracePeriodSeconds: c.want}
			input := m.UpdateInput("arn")
			m.ResetInput(input, ecstypes.Service{HealthCheckGracePeriodSeconds: c.is}, nil)
			if diff := cmp.Diff(c.said, input.HealthCheckGracePeriodSeconds); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

// An update says everything that it can, so that what is unset goes back to the default.
func TestAnUpdateLeavesNothingUnsaid(t *testing.T) {
	t.Parallel()
	m := &ECSService{Cluster: aws.String("mesh"), Name: aws.String("web"), Network: Network{Subnets: []string{"subnet-1"}}}
	want := &ecs.UpdateServiceInput{
		Cluster: aws.String("mesh"), Service: aws.String("web"), TaskDefinition: aws.String("arn"), EnableExecuteCommand: aws.Bool(false), EnableECSManagedTags: aws.Bool(false), PropagateTags: Propagated,
		LoadBalancers: []ecstypes.LoadBalancer{}, PlacementConstraints: []ecstypes.PlacementConstraint{}, PlacementStrategy: []ecstypes.PlacementStrategy{},
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: []string{"subnet-1"}, AssignPublicIp: ecstypes.AssignPublicIpDisabled}},
		DeploymentConfiguration: &ecstypes.DeploymentConfiguration{
			MinimumHealthyPercent: aws.Int32(100), MaximumPercent: aws.Int32(200), DeploymentCircuitBreaker: &ecstypes.DeploymentCircuitBreaker{},
		},
	}
	if diff := cmp.Diff(want, m.UpdateInput("arn"), cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}
