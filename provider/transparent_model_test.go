package provider

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/diag"
)

func TestTargetsBehindTheProxyAreWarnedOf(t *testing.T) {
	t.Parallel()
	balanced := &ecsServiceModel{LoadBalancers: []loadBalancerModel{{ContainerPort: aws.Int32(8080)}, {ContainerPort: aws.Int32(9090)}}}
	for name, c := range map[string]struct {
		m    meshTaskModel
		want int
	}{
		"no redirection":      {meshTaskModel{ECSService: balanced}, 0},
		"redirection off":     {meshTaskModel{ECSService: balanced, Transparent: &transparentModel{Enabled: aws.Bool(false)}}, 0},
		"no service":          {meshTaskModel{Transparent: &transparentModel{Enabled: aws.Bool(true)}}, 0},
		"both behind":         {meshTaskModel{ECSService: balanced, Transparent: &transparentModel{Enabled: aws.Bool(true)}}, 2},
		"one excluded":        {meshTaskModel{ECSService: balanced, Transparent: &transparentModel{Enabled: aws.Bool(true), ExcludeInboundPorts: []int32{9090}}}, 1},
		"excluded or exposed": {meshTaskModel{ECSService: balanced, Transparent: &transparentModel{Enabled: aws.Bool(true), ExcludeInboundPorts: []int32{9090}}, Proxy: &proxyModel{Expose: &exposeModel{Paths: []exposePathModel{{ListenerPort: aws.Int32(8080)}}}}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var diags diag.Diagnostics
			c.m.warnOfGuardedTargets(&diags)
			if diags.WarningsCount() != c.want || diags.HasError() {
				t.Errorf("%d warnings, want %d: %v", diags.WarningsCount(), c.want, diags)
			}
		})
	}
}
