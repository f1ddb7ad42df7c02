package controller

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/mesh"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/eventually"
	"github.com/consulecs/terraform-provider-consulecs/internal/testenv/logbuffer"
)

// TestTheAuthMethodFitsTheControllersAWSPartition runs a controller in each, with an auth method of its own.
func TestTheAuthMethodFitsTheControllersAWSPartition(t *testing.T) {
	w := newWorld(t)
	t.Setenv("AWS_ENDPOINT_URL_ECS", w.ecsURL)
	for region, want := range map[string]map[string]any{
		"us-gov-west-1": {"BoundIAMPrincipalARNs": []any{"arn:aws-us-gov:iam::123456789012:role/consul-ecs/*"}},
		"cn-northwest-1": {
			"BoundIAMPrincipalARNs": []any{"arn:aws-cn:iam::123456789012:role/consul-ecs/*"},
			"STSEndpoint":           "https://sts.cn-northwest-1.amazonaws.com.cn", "IAMEndpoint": "https://iam.cn-north-1.amazonaws.com.cn",
		},
	} {
		t.Run(region, func(t *testing.T) {
			partition, _, _ := strings.Cut(strings.TrimPrefix(want["BoundIAMPrincipalARNs"].([]any)[0].(string), "arn:"), ":")
			moved := strings.NewReplacer("arn:aws:", "arn:"+partition+":", ":us-east-1:", ":"+region+":")
			self := taskmeta.Task{ARN: moved.Replace(w.self.ARN), ClusterARN: moved.Replace(w.self.ClusterARN)}
			cfg := w.config()
			cfg.Controller = &agentconfig.Controller{HTTPAddress: "127.0.0.1:0", AuthMethod: &agentconfig.AuthMethod{Name: "own-" + region}}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var log logbuffer.Buffer
			done := make(chan error, 1)
			getenv := w.getenv(map[string]string{mesh.ConfigVariable: encode(t, cfg), taskmeta.Variable: metadata(t, self)})
			go func() { done <- Agent{}.Run(ctx, getenv, nil, nil, &log) }()
			eventually.True(t, "controller ready", 30*time.Second, func() bool { return strings.Contains(log.String(), "controller ready") })
			stop()
			if err := <-done; err != nil {
				t.Errorf("Run = %v\n%s", err, log.String())
			}
			method, _, err := w.consul.ACL().AuthMethodRead("own-"+region, nil)
			if err != nil || method == nil {
				t.Fatalf("read the auth method: %v, %v", method, err)
			}
			delete(method.Config, "EnableIAMEntityDetails")
			delete(method.Config, "IAMEntityTags")
			if diff := cmp.Diff(want, method.Config); diff != "" {
				t.Error(diff)
			}
		})
	}
}
