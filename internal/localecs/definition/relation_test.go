package definition_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/consulecs/terraform-provider-consulecs/internal/localecs/definition"
)

// What only together is right or wrong, with the cases beside it that ECS takes.
func TestPartsThatMustFit(t *testing.T) {
	t.Parallel()
	type change = func(*ecs.RegisterTaskDefinitionInput)
	logging := func(drivers ...ecstypes.LogDriver) change {
		return func(in *ecs.RegisterTaskDefinitionInput) {
			for i, d := range drivers {
				in.ContainerDefinitions[i].LogConfiguration = logs(d)
			}
		}
	}
	routed := func(kind ecstypes.FirelensConfigurationType, drivers ...ecstypes.LogDriver) change {
		return func(in *ecs.RegisterTaskDefinitionInput) {
			logging(drivers...)(in)
			in.ContainerDefinitions[1].FirelensConfiguration = &ecstypes.FirelensConfiguration{Type: kind}
		}
	}
	efs := func(e ecstypes.EFSVolumeConfiguration) change {
		e.FileSystemId = aws.String("fs-1")
		return func(in *ecs.RegisterTaskDefinitionInput) {
			in.Volumes = []ecstypes.Volume{{Name: aws.String("v"), EfsVolumeConfiguration: &e}}
		}
	}
	iam := &ecstypes.EFSAuthorizationConfig{Iam: "ENABLED"}
	point := &ecstypes.EFSAuthorizationConfig{AccessPointId: aws.String("fsap-1")}
	from := func(source string) change {
		return func(in *ecs.RegisterTaskDefinitionInput) {
			in.ContainerDefinitions[0].VolumesFrom = []ecstypes.VolumeFrom{{SourceContainer: &source}}
		}
	}
	ulimit := func(soft, hard int32) change {
		return func(in *ecs.RegisterTaskDefinitionInput) {
			in.ContainerDefinitions[0].Ulimits = []ecstypes.Ulimit{{Name: "nofile", SoftLimit: soft, HardLimit: hard}}
		}
	}
	tagged := func(keys ...string) change {
		return func(in *ecs.RegisterTaskDefinitionInput) {
			for _, k := range keys {
				in.Tags = append(in.Tags, ecstypes.Tag{Key: &k})
			}
		}
	}
	launched := func(names ...string) change {
		return func(in *ecs.RegisterTaskDefinitionInput) {
			for _, n := range names {
				in.Volumes = append(in.Volumes, ecstypes.Volume{Name: &n, ConfiguredAtLaunch: aws.Bool(true)})
			}
		}
	}
	const client, parameter = "ClientException", "InvalidParameterException"
	for name, c := range map[string]struct {
		change     change
		kind, want string // "" = ECS takes it
	}{
		"log router with a user":     {routed("fluentbit", "awsfirelens"), "", ""},
		"FireLens without a router":  {logging("awsfirelens"), client, "a firelens configuration object must be configured in one of the containers"},
		"router without a user":      {routed("fluentbit", "awslogs"), client, "at least one container has to be configured with the awsfirelens log driver"},
		"router of an unknown kind":  {routed("syslog", "awsfirelens"), client, "type 'syslog' is not one of fluentd, fluentbit"},
		"EFS":                        {efs(ecstypes.EFSVolumeConfiguration{RootDirectory: aws.String("/data")}), "", ""},
		"EFS, IAM":                   {efs(ecstypes.EFSVolumeConfiguration{AuthorizationConfig: iam, TransitEncryption: "ENABLED", RootDirectory: aws.String("/data")}), "", ""},
		"EFS, IAM in the clear":      {efs(ecstypes.EFSVolumeConfiguration{AuthorizationConfig: iam}), client, "when EFS IAM authorization is used"},
		"EFS, IAM, encryption off":   {efs(ecstypes.EFSVolumeConfiguration{AuthorizationConfig: iam, TransitEncryption: "DISABLED"}), client, "when EFS IAM authorization is used"},
		"access point":               {efs(ecstypes.EFSVolumeConfiguration{AuthorizationConfig: point, TransitEncryption: "ENABLED"}), "", ""},
		"access point and /":         {efs(ecstypes.EFSVolumeConfiguration{AuthorizationConfig: point, TransitEncryption: "ENABLED", RootDirectory: aws.String("/")}), "", ""},
		"access point in the clear":  {efs(ecstypes.EFSVolumeConfiguration{AuthorizationConfig: point}), client, "when an EFS access point is used"},
		"access point and directory": {efs(ecstypes.EFSVolumeConfiguration{AuthorizationConfig: point, TransitEncryption: "ENABLED", RootDirectory: aws.String("/data")}), client, `must either be set to "/" or be omitted`},
		"EFS encryption in words":    {efs(ecstypes.EFSVolumeConfiguration{TransitEncryption: "on"}), client, "'on' must be ENABLED or DISABLED"},
		"volumes of another":         {from("init"), "", ""},
		"volumes of nobody":          {from("db"), client, "volumesFrom names container 'db'"},
		"volumes of its own":         {from("app"), client, "volumesFrom names container 'app'"},
		"one volume at launch":       {launched("a"), "", ""},
		"two volumes at launch":      {launched("a", "b"), client, "only one volume that is configured at launch"},
		"equal limits":               {ulimit(1024, 1024), "", ""},
		"soft limit above":           {ulimit(1025, 1024), client, "The soft limit of ulimit 'nofile' must not be greater"},
		"50 tags":                    {func(in *ecs.RegisterTaskDefinitionInput) { in.Tags = tags(50) }, "", ""},
		"51 tags":                    {func(in *ecs.RegisterTaskDefinitionInput) { in.Tags = tags(51) }, parameter, "at most 50 tags"},
		"tags that differ by case":   {tagged("a", "A"), "", ""},
		"one tag twice":              {tagged("a", "a"), parameter, "Duplicate tag key 'a'"},
		"tag of AWS":                 {tagged("AWS:a"), parameter, "aws: prefixed tag key names are not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := task()
			c.change(in)
			_, err := definition.Complete(in)
			if c.kind == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			var api interface{ ErrorCode() string }
			if !errors.As(err, &api) || api.ErrorCode() != c.kind || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s with %q", err, c.kind, c.want)
			}
		})
	}
}
