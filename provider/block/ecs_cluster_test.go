package block

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func TestANameAndAnARNAreOneCluster(t *testing.T) {
	t.Parallel()
	const mesh, elsewhere = "arn:aws:ecs:us-east-1:123456789012:cluster/mesh", "arn:aws:ecs:eu-west-1:123456789012:cluster/mesh"
	for _, c := range []struct {
		a, b string
		same bool
	}{{"mesh", "mesh", true}, {"mesh", mesh, true}, {mesh, "mesh", true}, {mesh, mesh, true}, {"mesh", "other", false}, {mesh, "other", false}, {mesh, elsewhere, false}} {
		if got := sameECSCluster(c.a, c.b); got != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
}

func TestWhatIsNoLongerAskedForGoesBackToTheDefault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		want     ECSService
		is       ecstypes.Service
		grace    *int32
		platform *string
	}{
		"nothing set":   {ECSService{}, ecstypes.Service{PlatformVersion: aws.String("LATEST")}, nil, nil},
		"a grace":       {ECSService{}, ecstypes.Service{HealthCheckGracePeriodSeconds: aws.Int32(30)}, aws.Int32(0), nil},
		"a grace asked": {ECSService{HealthCheckGracePeriodSeconds: aws.Int32(30)}, ecstypes.Service{HealthCheckGracePeriodSeconds: aws.Int32(60)}, aws.Int32(30), nil},
		"a platform":    {ECSService{}, ecstypes.Service{PlatformVersion: aws.String("1.3.0")}, nil, aws.String("LATEST")},
	} {
		input := &ecs.UpdateServiceInput{HealthCheckGracePeriodSeconds: c.want.HealthCheckGracePeriodSeconds, PlatformVersion: c.want.PlatformVersion}
		c.want.ResetInput(input, c.is, nil)
		if aws.ToInt32(input.HealthCheckGracePeriodSeconds) != aws.ToInt32(c.grace) || (input.HealthCheckGracePeriodSeconds == nil) != (c.grace == nil) ||
			aws.ToString(input.PlatformVersion) != aws.ToString(c.platform) {
			t.Errorf("%s: grace %v, platform %v", name, input.HealthCheckGracePeriodSeconds, input.PlatformVersion)
		}
	}
}
