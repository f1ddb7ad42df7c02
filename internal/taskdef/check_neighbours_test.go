package taskdef_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/consulecs/terraform-provider-consulecs/internal/problem"
	"github.com/consulecs/terraform-provider-consulecs/internal/taskdef"
)

// neighbours are a Spec that is refused and the nearest that passes.
type neighbours struct {
	refused, passes func(*taskdef.Spec)
	want            string
}

func testNeighbours(t *testing.T, cases map[string]neighbours) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused, passes := valid(), valid()
			c.refused(&refused)
			c.passes(&passes)
			_, err := taskdef.Build(refused)
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(c.want, strings.TrimPrefix(err.Error(), "build task definition web: ")); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if _, err := taskdef.Build(passes); err != nil {
				t.Errorf("the neighbour is refused: %v", err)
			}
		})
	}
}

func mapped(mappings ...ecstypes.PortMapping) func(*taskdef.Spec) {
	return func(s *taskdef.Spec) { app(s).PortMappings = mappings }
}

func ranged(text string) ecstypes.PortMapping { return ecstypes.PortMapping{ContainerPortRange: &text} }

func ranges(n int) []ecstypes.PortMapping {
	list := make([]ecstypes.PortMapping, n)
	for i := range list {
		list[i] = ranged(fmt.Sprintf("%d-%d", 30000+2*i, 30001+2*i))
	}
	return list
}

func TestPortRangesThatAreNone(t *testing.T) {
	t.Parallel()
	want := func(text string) string {
		return fmt.Sprintf("containers[0].portMappings[0].containerPortRange: is %q, want two ports of 1 to 65535, the smaller first, such as 8000-8010", text)
	}
	testNeighbours(t, map[string]neighbours{
		"one port":        {mapped(ranged("8000")), mapped(ranged("8000-8001")), want("8000")},
		"one port, twice": {mapped(ranged("8000-8000")), mapped(ecstypes.PortMapping{ContainerPort: aws.Int32(8000)}), want("8000-8000")},
		"backwards":       {mapped(ranged("8001-8000")), mapped(ranged("8000-8001")), want("8001-8000")},
		"beyond":          {mapped(ranged("65000-65536")), mapped(ranged("65000-65535")), want("65000-65536")},
		"from 0":          {mapped(ranged("0-10")), mapped(ranged("1-10")), want("0-10")},
		"blanks":          {mapped(ranged("8000 - 8001")), mapped(ranged("8000-8001")), want("8000 - 8001")},
		"beside a port": {mapped(ecstypes.PortMapping{ContainerPort: aws.Int32(80), ContainerPortRange: aws.String("8000-8001")}), mapped(ecstypes.PortMapping{ContainerPort: aws.Int32(80)}, ranged("8000-8001")),
			"containers[0].portMappings[0].containerPortRange: is not allowed together with containers[0].portMappings[0].containerPort: make a mapping for each"},
		"overlapping": {mapped(ranged("8000-8010"), ranged("8010-8020")), mapped(ranged("8000-8010"), ranged("8011-8020")),
			"containers[0].portMappings[1].containerPortRange: has ports of containers[0].portMappings[0].containerPortRange: each may be in one mapping alone"},
		"a port within": {mapped(ranged("8000-8010"), ecstypes.PortMapping{ContainerPort: aws.Int32(8005)}), mapped(ranged("8000-8010"), ecstypes.PortMapping{ContainerPort: aws.Int32(8005), Protocol: "udp"}),
			"containers[0].portMappings[1].containerPort: has ports of containers[0].portMappings[0].containerPortRange: each may be in one mapping alone"},
		"101 of them": {mapped(ranges(101)...), mapped(ranges(100)...), "containers[0].portMappings: has 101 ranges, want at most 100"},
	})
}

func TestContainersThatDieLater(t *testing.T) {
	t.Parallel()
	image := func(text string) func(*taskdef.Spec) { return func(s *taskdef.Spec) { app(s).Image = &text } }
	limits := func(soft, hard int32) func(*taskdef.Spec) {
		return func(s *taskdef.Spec) {
			app(s).Ulimits = []ecstypes.Ulimit{{Name: "nofile", SoftLimit: soft, HardLimit: hard}}
		}
	}
	environment := func(name string) func(*taskdef.Spec) {
		return func(s *taskdef.Spec) {
			app(s).Environment = []ecstypes.KeyValuePair{{Name: &name, Value: aws.String("x")}}
		}
	}
	delayed := func(entryPoint, command []string) func(*taskdef.Spec) {
		return func(s *taskdef.Spec) {
			app(s).EntryPoint, app(s).Command = entryPoint, command
			s.Containers[0].ShutdownDelay = "5s"
		}
	}
	from := func(source string) func(*taskdef.Spec) {
		return func(s *taskdef.Spec) {
			s.Containers = containers(2)
			s.Containers[1].Definition.VolumesFrom = []ecstypes.VolumeFrom{{SourceContainer: &source}}
		}
	}
	testNeighbours(t, map[string]neighbours{
		"image with a blank":        {image("app :1"), image("registry.example:5000/team/app:1@sha256:00"), `containers[0].image: is "app :1", which has a blank: want a reference such as registry.example/app:1.0`},
		"image with a line's end":   {image("app:1\n"), image("app:1"), `containers[0].image: is "app:1\n", which has a blank: want a reference such as registry.example/app:1.0`},
		"sidecars' image":           {func(s *taskdef.Spec) { s.Sidecars.Image = " agent:1" }, func(s *taskdef.Spec) { s.Sidecars.Image = "agent:2" }, `sidecars.image: is " agent:1", which has a blank: want a reference such as registry.example/app:1.0`},
		"a sidecar's image":         {func(s *taskdef.Spec) { s.Sidecars.Dataplane.Image = "a b" }, func(s *taskdef.Spec) { s.Sidecars.Dataplane.Image = "a/b" }, `sidecars.dataplane.image: is "a b", which has a blank: want a reference such as registry.example/app:1.0`},
		"soft limit above hard":     {limits(1025, 1024), limits(1024, 1024), "containers[0].ulimits[0].softLimit: is 1025, above containers[0].ulimits[0].hardLimit of 1024"},
		"soft limit without an end": {limits(-1, 1024), limits(1024, -1), "containers[0].ulimits[0].softLimit: is -1, above containers[0].ulimits[0].hardLimit of 1024"},
		"configuration of the mesh": {environment("CONSUL_ECS_CONFIG_JSON"), environment("CONSUL_HTTP_ADDR"), `containers[0].environment["CONSUL_ECS_CONFIG_JSON"]: is set by the mesh, in its own containers: choose another name`},
		"configuration of the doctor": {environment("CONSUL_ECS_CONFIG_JSON"), func(s *taskdef.Spec) {
			environment("CONSUL_ECS_CONFIG_JSON")(s)
			app(s).Image = &s.Sidecars.Image
		}, `containers[0].environment["CONSUL_ECS_CONFIG_JSON"]: is set by the mesh, in its own containers: choose another name`},
		"entry point that is dropped": {delayed(nil, []string{"/app"}), delayed([]string{"/entrypoint.sh"}, []string{"/app"}),
			"containers[0].shutdownDelay: is 5s, but containers[0].entryPoint is missing, and the image's own ENTRYPOINT would not be run: set it to what that says, or to [] if the image has none"},
		"entry point, none of the image": {delayed(nil, []string{"/app"}), delayed([]string{}, []string{"/app"}),
			"containers[0].shutdownDelay: is 5s, but containers[0].entryPoint is missing, and the image's own ENTRYPOINT would not be run: set it to what that says, or to [] if the image has none"},
		"volumes of nobody":        {from("app-2"), from("app-0"), `containers[1].volumesFrom[0].sourceContainer: is "app-2", which is no container of the task`},
		"volumes of itself":        {from("app-1"), from("consul-dataplane"), `containers[1].volumesFrom[0].sourceContainer: is "app-1", the container itself: want another one`},
		"sidecar above the task":   {func(s *taskdef.Spec) { s.Sidecars.Dataplane.Memory = 513 }, func(s *taskdef.Spec) { s.Sidecars.Dataplane.Memory = 512 }, "sidecars.dataplane.memory: is 513 MiB, above the task's 512"},
		"container above the task": {func(s *taskdef.Spec) { app(s).Memory = aws.Int32(513) }, func(s *taskdef.Spec) { app(s).Memory, app(s).MemoryReservation = aws.Int32(512), aws.Int32(64) }, "containers[0].memory: is 513 MiB, above the task's 512"},
	})
}

func TestARNsOfTheWrongKind(t *testing.T) {
	t.Parallel()
	role := func(arn string) func(*taskdef.Spec) {
		return func(s *taskdef.Spec) { s.TaskRoleARN, s.ExecutionRoleARN = arn, "arn:aws:iam::123456789012:role/a/b" }
	}
	secret := func(from string) func(*taskdef.Spec) {
		return func(s *taskdef.Spec) { app(s).Secrets = []ecstypes.Secret{{Name: aws.String("DB"), ValueFrom: &from}} }
	}
	option := func(from string) func(*taskdef.Spec) {
		return func(s *taskdef.Spec) {
			s.Sidecars.LogConfiguration = &ecstypes.LogConfiguration{LogDriver: "splunk", SecretOptions: []ecstypes.Secret{{Name: aws.String("splunk-token"), ValueFrom: &from}}}
		}
	}
	file := func(arn string) func(*taskdef.Spec) {
		return func(s *taskdef.Spec) {
			app(s).EnvironmentFiles = []ecstypes.EnvironmentFile{{Type: "s3", Value: &arn}}
		}
	}
	const (
		aSecret   = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf"
		wantRole  = ", want the ARN of an IAM role: arn:<partition>:iam::<account>:role/<name>"
		wantRef   = ", want the ARN of a Secrets Manager secret or of an SSM parameter, or the name of a parameter"
		wantFile  = ", want the ARN of an S3 object: arn:<partition>:s3:::<bucket>/<key>"
		parameter = "arn:aws-us-gov:ssm:us-gov-east-1:123456789012:parameter/db/password"
	)
	testNeighbours(t, map[string]neighbours{
		"a user for a role":         {role("arn:aws:iam::123456789012:user/x"), role("arn:aws-cn:iam::123456789012:role/x"), `taskRoleArn: is "arn:aws:iam::123456789012:user/x"` + wantRole},
		"a role of another service": {role("arn:aws:sts::123456789012:assumed-role/x"), role("arn:aws:iam::123456789012:role/service-role/x"), `taskRoleArn: is "arn:aws:sts::123456789012:assumed-role/x"` + wantRole},
		"a bucket for a secret":     {secret("arn:aws:s3:::bucket/key"), secret(aSecret), `containers[0].secrets["DB"]: is "arn:aws:s3:::bucket/key"` + wantRef},
		"a secret without its name": {secret("arn:aws:secretsmanager:eu-west-1:123456789012:secret:"), secret(aSecret + ":password::"), `containers[0].secrets["DB"]: is "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"` + wantRef},
		"a half parameter":          {secret("arn:aws:ssm:eu-west-1:parameter/x"), secret(parameter), `containers[0].secrets["DB"]: is "arn:aws:ssm:eu-west-1:parameter/x"` + wantRef},
		"a parameter with a blank":  {secret("/db/my password"), secret("/db/my-password"), `containers[0].secrets["DB"]: is "/db/my password"` + wantRef},
		"a log option's queue":      {option("arn:aws:sqs:eu-west-1:123456789012:x"), option("splunk.token"), `sidecars.logConfiguration.secretOptions["splunk-token"]: is "arn:aws:sqs:eu-west-1:123456789012:x"` + wantRef},
		"a URL of a file":           {file("s3://settings/web.env"), file("arn:aws:s3:::settings/web.env"), `containers[0].environmentFiles[0].value: is "s3://settings/web.env"` + wantFile},
		"a bucket without a file":   {file("arn:aws:s3:::settings"), file("arn:aws-cn:s3:::settings/a b.env"), `containers[0].environmentFiles[0].value: is "arn:aws:s3:::settings"` + wantFile},
	})
}

func TestVolumesOfEFSThatDoNotMount(t *testing.T) {
	t.Parallel()
	volume := func(root string, encryption ecstypes.EFSTransitEncryption, access string, iam ecstypes.EFSAuthorizationConfigIAM) func(*taskdef.Spec) {
		return func(s *taskdef.Spec) {
			s.Task.Volumes = []ecstypes.Volume{{Name: aws.String("v"), EfsVolumeConfiguration: &ecstypes.EFSVolumeConfiguration{
				FileSystemId: aws.String("fs-1"), RootDirectory: &root, TransitEncryption: encryption,
				AuthorizationConfig: &ecstypes.EFSAuthorizationConfig{AccessPointId: &access, Iam: iam},
			}}}
		}
	}
	const at = "task.volumes[0].efsVolumeConfiguration."
	testNeighbours(t, map[string]neighbours{
		"IAM in the clear":          {volume("", "", "", "ENABLED"), volume("/x", "ENABLED", "", "ENABLED"), at + "transitEncryption: is not ENABLED, which " + at + "authorizationConfig.iam needs"},
		"access point in the clear": {volume("", "DISABLED", "fsap-1", ""), volume("", "DISABLED", "", "DISABLED"), at + "transitEncryption: is not ENABLED, which " + at + "authorizationConfig.accessPointId needs"},
		"access point and directory": {volume("/x", "ENABLED", "fsap-1", ""), volume("/", "ENABLED", "fsap-1", ""),
			at + `rootDirectory: is "/x", which is not allowed together with ` + at + "authorizationConfig.accessPointId: the access point has a directory of its own, so leave this out"},
	})
}

func TestVolumesAreOfOneKind(t *testing.T) {
	t.Parallel()
	volumes := func(list ...ecstypes.Volume) func(*taskdef.Spec) {
		return func(s *taskdef.Spec) {
			for i := range list {
				list[i].Name = aws.String(fmt.Sprint("v", i))
			}
			s.Task.Volumes = list
		}
	}
	yes, no := aws.Bool(true), aws.Bool(false)
	testNeighbours(t, map[string]neighbours{
		"two at launch": {volumes(ecstypes.Volume{ConfiguredAtLaunch: yes}, ecstypes.Volume{ConfiguredAtLaunch: yes}), volumes(ecstypes.Volume{ConfiguredAtLaunch: yes}, ecstypes.Volume{ConfiguredAtLaunch: no}),
			"task.volumes[1].configuredAtLaunch: is true, as task.volumes[0].configuredAtLaunch is: ECS takes one such volume in a task"},
		"of EFS at launch": {volumes(ecstypes.Volume{ConfiguredAtLaunch: yes, EfsVolumeConfiguration: &ecstypes.EFSVolumeConfiguration{}}), volumes(ecstypes.Volume{ConfiguredAtLaunch: no, EfsVolumeConfiguration: &ecstypes.EFSVolumeConfiguration{}}),
			"task.volumes[0].efsVolumeConfiguration: is not allowed together with task.volumes[0].configuredAtLaunch: a volume is of one kind"},
		"of the host and of EFS": {volumes(ecstypes.Volume{Host: &ecstypes.HostVolumeProperties{}, EfsVolumeConfiguration: &ecstypes.EFSVolumeConfiguration{}}), volumes(ecstypes.Volume{Host: &ecstypes.HostVolumeProperties{}}),
			"task.volumes[0].efsVolumeConfiguration: is not allowed together with task.volumes[0].host: a volume is of one kind"},
	})
}

func TestLogRoutersAndTheirUsersNeedEachOther(t *testing.T) {
	t.Parallel()
	routed := func() *ecstypes.LogConfiguration { return &ecstypes.LogConfiguration{LogDriver: "awsfirelens"} }
	withRouter := func(change func(*taskdef.Spec)) func(*taskdef.Spec) {
		return func(s *taskdef.Spec) {
			router := container("router")
			router.Definition.FirelensConfiguration = &ecstypes.FirelensConfiguration{Type: "fluentbit"}
			s.Containers = append(s.Containers, router)
			change(s)
		}
	}
	alone := func(*taskdef.Spec) {}
	app := func(s *taskdef.Spec) { app(s).LogConfiguration = routed() }
	sidecars := func(s *taskdef.Spec) { s.Sidecars.LogConfiguration = routed() }
	dataplane := func(s *taskdef.Spec) { s.Sidecars.Dataplane.LogConfiguration = routed() }
	const noRouter = ": is awsfirelens, but no container of the task is a log router (FireLens): add one"
	testNeighbours(t, map[string]neighbours{
		"the application's": {app, withRouter(app), "containers[0].logConfiguration.logDriver" + noRouter},
		"the sidecars'":     {sidecars, withRouter(sidecars), "sidecars.logConfiguration.logDriver" + noRouter},
		"a sidecar's":       {dataplane, withRouter(dataplane), "sidecars.dataplane.logConfiguration.logDriver" + noRouter},
		"both, said once":   {func(s *taskdef.Spec) { app(s); sidecars(s) }, withRouter(func(s *taskdef.Spec) { app(s); sidecars(s) }), "containers[0].logConfiguration.logDriver" + noRouter},
		"a router alone": {withRouter(alone), withRouter(dataplane),
			"containers[1].firelensConfiguration: makes the container a log router, but no container logs through it: set a log driver to awsfirelens, or leave this out"},
		"a router that waits for who logs through it": {withRouter(func(s *taskdef.Spec) { sidecars(s); s.Containers[1].WaitForProxy = aws.Bool(true) }),
			withRouter(func(s *taskdef.Spec) { app(s); s.Containers[1].WaitForProxy = aws.Bool(true) }),
			"containers: has a circle of containers that wait for each other: consul-ecs-mesh-ready → consul-dataplane → consul-ecs-mesh-init → router → consul-ecs-mesh-ready"},
	})
}

func TestTagsCountWithOurs(t *testing.T) {
	t.Parallel()
	tags := func(n int) func(*taskdef.Spec) {
		return func(s *taskdef.Spec) {
			s.Tags = map[string]string{}
			for i := range n {
				s.Tags[fmt.Sprint("k", i)] = ""
			}
		}
	}
	testNeighbours(t, map[string]neighbours{
		"too many": {tags(47), tags(46), "tags: has 51 keys, 4 of them the mesh's own, want at most 50"},
	})
}

func TestWhatFollowsFromUnknownValuesOfContainersIsNotReported(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*taskdef.Spec)
		unknown problem.Path
	}{
		"a secret": {func(s *taskdef.Spec) {
			app(s).Secrets = []ecstypes.Secret{{Name: aws.String("DB"), ValueFrom: aws.String("")}}
		}, problem.At("containers", 0, "secrets", problem.Key("DB"))},
		"a hard limit":       {func(s *taskdef.Spec) { app(s).Ulimits = []ecstypes.Ulimit{{SoftLimit: 1}} }, problem.At("containers", 0, "ulimits", 0, "hardLimit")},
		"the entry point":    {func(s *taskdef.Spec) { app(s).Command = []string{"x"}; s.Containers[0].ShutdownDelay = "5s" }, problem.At("containers", 0, "entryPoint")},
		"memory of the task": {func(s *taskdef.Spec) { s.Sidecars.HealthSync.Memory = 600 }, problem.At("task", "memory")},
		"a router": {func(s *taskdef.Spec) { app(s).LogConfiguration = &ecstypes.LogConfiguration{LogDriver: "awsfirelens"} },
			problem.At("containers", 0, "firelensConfiguration")},
		"a user of the router": {func(s *taskdef.Spec) { app(s).FirelensConfiguration = &ecstypes.FirelensConfiguration{} }, problem.At("sidecars", "dataplane", "logConfiguration")},
		"a source of volumes": {func(s *taskdef.Spec) {
			s.Containers = containers(2)
			s.Containers[1].Definition.VolumesFrom = []ecstypes.VolumeFrom{{SourceContainer: aws.String("db")}}
		}, problem.At("containers", 0, "name")},
		"encryption": {func(s *taskdef.Spec) {
			s.Task.Volumes = []ecstypes.Volume{{Name: aws.String("v"), EfsVolumeConfiguration: &ecstypes.EFSVolumeConfiguration{AuthorizationConfig: &ecstypes.EFSAuthorizationConfig{Iam: "ENABLED"}}}}
		}, problem.At("task", "volumes", 0, "efsVolumeConfiguration", "transitEncryption")},
		"an option of the log": {func(s *taskdef.Spec) {
			s.Sidecars.LogConfiguration = &ecstypes.LogConfiguration{LogDriver: "splunk", SecretOptions: []ecstypes.Secret{{Name: aws.String("a"), ValueFrom: aws.String("")}}}
		}, problem.At("sidecars", "logConfiguration", "secretOptions", problem.Key("a"))},
		"a range": {mapped(ranged("")), problem.At("containers", 0, "portMappings", 0, "containerPortRange")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := valid()
			c.change(&spec)
			if len(taskdef.Check(spec)) == 0 {
				t.Fatal("the case has no problem to leave out")
			}
			if err := taskdef.Check(spec).Without(c.unknown).Err(); err != nil {
				t.Error(err)
			}
		})
	}
}
