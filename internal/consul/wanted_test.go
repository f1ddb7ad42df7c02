package consul

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/agentconfig"
	"github.com/consulecs/terraform-provider-consulecs/internal/consul/acl"
)

func TestRolesOfTheTasksAWSPartitionMayLogIn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ partition, path, region, want string }{
		"default path": {"aws", "", "us-east-1", "arn:aws:iam::123456789012:role/consul-ecs/*"},
		"own path":     {"aws", "/team/mesh/", "us-east-1", "arn:aws:iam::123456789012:role/team/mesh/*"},
		"all roles":    {"aws", "/", "us-east-1", "arn:aws:iam::123456789012:role/*"},
		"China":        {"aws-cn", "", "cn-north-1", "arn:aws-cn:iam::123456789012:role/consul-ecs/*"},
		"GovCloud":     {"aws-us-gov", "", "us-gov-west-1", "arn:aws-us-gov:iam::123456789012:role/consul-ecs/*"},
	} {
		cfg := agentconfig.Config{Controller: &agentconfig.Controller{IAMRolePath: tc.path}}
		got, err := WantedOf(t.Context(), cfg.ControllerSettings(), tc.partition, "123456789012", tc.region)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{tc.want}, got.Method.BoundPrincipals); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	absent, err := WantedOf(t.Context(), agentconfig.Config{}.ControllerSettings(), "aws", "1", "us-east-1")
	want := acl.Wanted{Method: acl.Method{Name: "iam-ecs-service-token", BoundPrincipals: []string{"arn:aws:iam::1:role/consul-ecs/*"}}, AnonymousReads: true}
	if diff := cmp.Diff(want, absent); diff != "" || err != nil {
		t.Errorf("without a controller section (-want +got):\n%s%v", diff, err)
	}
}

func TestSettingsOfTheAuthMethodReachIt(t *testing.T) {
	t.Parallel()
	ttl, retries, no := 7200, 4, false
	cfg := agentconfig.Config{Controller: &agentconfig.Controller{
		AuthMethod: &agentconfig.AuthMethod{
			Name: "m", STSEndpoint: "https://sts/", IAMEndpoint: "https://iam", ServerIDHeaderValue: "id", TokenTTLSeconds: &ttl, MaxRetries: &retries,
		},
		AnonymousReads: &no, PartitionsEnabled: true,
	}}
	got, err := WantedOf(t.Context(), cfg.ControllerSettings(), "aws-cn", "1", "cn-north-1")
	want := acl.Wanted{
		Method: acl.Method{
			Name: "m", BoundPrincipals: []string{"arn:aws-cn:iam::1:role/consul-ecs/*"}, STSEndpoint: "https://sts", IAMEndpoint: "https://iam",
			Fallback:            acl.Replay{STSEndpoint: "https://sts.cn-north-1.amazonaws.com.cn", IAMEndpoint: "https://iam.cn-north-1.amazonaws.com.cn"},
			ServerIDHeaderValue: "id", TokenTTL: 2 * time.Hour, MaxRetries: &retries,
		},
		Partition: "default",
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("wanted (-want +got):\n%s%v", diff, err)
	}
}
