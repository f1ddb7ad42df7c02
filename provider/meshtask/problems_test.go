package meshtask

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/consulecs/terraform-provider-consulecs/provider/block"
)

func TestTargetsBehindTheProxyAreWarnedOf(t *testing.T) {
	t.Parallel()
	balanced := &block.ECSService{LoadBalancers: []block.LoadBalancer{{ContainerPort: aws.Int32(8080)}, {ContainerPort: aws.Int32(9090)}}}
	for name, c := range map[string]struct {
		m    model
		want int
	}{
		"no redirection":      {model{ECSService: balanced}, 0},
		"redirection off":     {model{ECSService: balanced, Transparent: &block.TransparentProxy{Enabled: aws.Bool(false)}}, 0},
		"no service":          {model{Transparent: &block.TransparentProxy{Enabled: aws.Bool(true)}}, 0},
		"both behind":         {model{ECSService: balanced, Transparent: &block.TransparentProxy{Enabled: aws.Bool(true)}}, 2},
		"one excluded":        {model{ECSService: balanced, Transparent: &block.TransparentProxy{Enabled: aws.Bool(true), ExcludeInboundPorts: []int32{9090}}}, 1},
		"excluded or exposed": {model{ECSService: balanced, Transparent: &block.TransparentProxy{Enabled: aws.Bool(true), ExcludeInboundPorts: []int32{9090}}, Proxy: &block.Proxy{Expose: &block.Expose{Paths: []block.ExposePath{{ListenerPort: aws.Int32(8080)}}}}}, 0},
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
