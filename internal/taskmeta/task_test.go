package taskmeta_test

import (
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

func TestATaskIsReadWhole(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/ec2.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := taskmeta.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	code := 0
	want := taskmeta.Task{
		ARN:        "arn:aws:ecs:us-west-2:111122223333:task/default/158d1c8083dd49d6b527399fd6414f5c",
		ID:         "158d1c8083dd49d6b527399fd6414f5c",
		ClusterARN: "arn:aws:ecs:us-west-2:111122223333:cluster/default",
		Family:     "web", Revision: "26", Partition: "aws", Region: "us-west-2", AccountID: "111122223333",
		AvailabilityZone: "us-west-2b", DesiredStatus: "RUNNING", KnownStatus: "RUNNING",
		NetworkMode: "awsvpc", Address: netip.MustParseAddr("10.0.2.106"),
		Containers: []taskmeta.Container{
			{Name: "~internal~ecs~pause", Type: "CNI_PAUSE", DesiredStatus: "RESOURCES_PROVISIONED", KnownStatus: "RESOURCES_PROVISIONED", StartedAt: time.Date(2026, 10, 2, 0, 43, 6, 0, time.UTC)},
			{Name: "consul-ecs-mesh-init", Type: "NORMAL", DesiredStatus: "STOPPED", KnownStatus: "STOPPED", ExitCode: &code, StartedAt: time.Date(2026, 10, 2, 0, 43, 7, 0, time.UTC), FinishedAt: time.Date(2026, 10, 2, 0, 43, 8, 0, time.UTC)},
			{Name: "app", Type: "NORMAL", DesiredStatus: "RUNNING", KnownStatus: "RUNNING", Health: taskmeta.Unhealthy, RestartCount: 2, StartedAt: time.Date(2026, 10, 2, 0, 43, 9, 0, time.UTC)},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string][3]bool{ // running, stopped, normal
		"~internal~ecs~pause": {false, false, false}, "consul-ecs-mesh-init": {false, true, true}, "app": {true, false, true},
	} {
		c, found := got.Container(name)
		if is := [3]bool{c.Running(), c.Stopped(), c.Normal()}; !found || is != want {
			t.Errorf("%s: running, stopped, normal = %v, want %v", name, is, want)
		}
	}
}

func TestWhatFargateAndEC2Answer(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		cluster, address, mode string
		unstopped              []string
	}{
		"fargate":            {"default", "192.0.2.3", "awsvpc", []string{"curl"}},
		"fargate-dual-stack": {"default", "192.0.2.3", "awsvpc", []string{"curl"}},
		"fargate-ipv6":       {"default", "2001:db8:10b:a900:a9ab:5b5a:4d4b:1", "awsvpc", []string{"curl"}},
		"ec2":                {"default", "10.0.2.106", "awsvpc", []string{"app"}},
		"ec2-bridge":         {"default", "invalid IP", "bridge", []string{"app"}},
		"ec2-host":           {"default", "invalid IP", "host", []string{"app"}},
		"ec2-none":           {"default", "invalid IP", "", []string{"app"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			uri, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/"+name+".json") })
			task, err := taskmeta.Read(t.Context(), uri)
			if err != nil {
				t.Fatal(err)
			}
			if task.ClusterARN != "arn:aws:ecs:us-west-2:111122223333:cluster/"+want.cluster || task.Region != "us-west-2" || task.Address.String() != want.address || task.NetworkMode != want.mode {
				t.Errorf("got %s in %s at %s by %q, want %+v", task.ClusterARN, task.Region, task.Address, task.NetworkMode, want)
			}
			if diff := cmp.Diff(want.unstopped, task.Unstopped()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheClusterIsKnownByItsARN(t *testing.T) {
	t.Parallel()
	const long, short = "arn:aws-cn:ecs:cn-north-1:1:task/prod/abc", "arn:aws-us-gov:ecs:us-gov-east-1:1:task/abc"
	for name, tc := range map[string]struct{ cluster, task, want string }{
		"Fargate gives an ARN":         {"arn:aws-cn:ecs:cn-north-1:1:cluster/prod", long, "arn:aws-cn:ecs:cn-north-1:1:cluster/prod"},
		"EC2 gives a name":             {"prod", long, "arn:aws-cn:ecs:cn-north-1:1:cluster/prod"},
		"short task ARN":               {"prod", short, "arn:aws-us-gov:ecs:us-gov-east-1:1:cluster/prod"},
		"the task's ARN names it":      {"", long, "arn:aws-cn:ecs:cn-north-1:1:cluster/prod"},
		"a cluster of slashes is none": {"", "arn:aws:ecs:r:1:task/a/b/c", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := taskmeta.Parse([]byte(`{"Cluster":"` + tc.cluster + `","TaskARN":"` + tc.task + `"}`))
			if got.ClusterARN != tc.want || (err != nil) != (tc.want == "") {
				t.Errorf("got %q and %v, want %q", got.ClusterARN, err, tc.want)
			}
		})
	}
}

func TestTheTasksOwnAddressIsChosen(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ networks, want string }{
		"awsvpc":                  {`{"NetworkMode":"awsvpc","IPv4Addresses":["10.0.0.7"],"IPv6Addresses":["2001:db8::7"]}`, "10.0.0.7"},
		"IPv6 only":               {`{"NetworkMode":"awsvpc","IPv6Addresses":["2001:db8::7"]}`, "2001:db8::7"},
		"link-local is not it":    {`{"NetworkMode":"awsvpc","IPv4Addresses":["169.254.172.2","10.0.0.7"]}`, "10.0.0.7"},
		"bridge before awsvpc":    {`{"NetworkMode":"bridge","IPv4Addresses":["172.17.0.2"]},{"NetworkMode":"awsvpc","IPv4Addresses":["10.0.0.7"]}`, "10.0.0.7"},
		"IPv6 before IPv4":        {`{"NetworkMode":"awsvpc","IPv6Addresses":["2001:db8::7"]},{"NetworkMode":"awsvpc","IPv4Addresses":["10.0.0.7"]}`, "10.0.0.7"},
		"bridge":                  {`{"NetworkMode":"bridge","IPv4Addresses":["172.17.0.2"]}`, "invalid IP"},
		"host":                    {`{"NetworkMode":"host","IPv4Addresses":[""]}`, "invalid IP"},
		"loopback, never chosen":  {`{"NetworkMode":"awsvpc","IPv4Addresses":["127.0.0.1"]}`, "invalid IP"},
		"nothing":                 {``, "invalid IP"},
		"an address that is none": {`{"NetworkMode":"awsvpc","IPv4Addresses":["ten"]}`, "invalid IP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := taskmeta.Parse([]byte(`{"Cluster":"c","TaskARN":"arn:aws:ecs:r:1:task/c/a","Containers":[{"Networks":[` + tc.networks + `]}]}`))
			if err != nil || got.Address.String() != tc.want {
				t.Errorf("got %s (%v), want %s", got.Address, err, tc.want)
			}
		})
	}
}

func TestBadMetadataAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:                                    "parse task metadata: unexpected end of JSON",
		`Too Many Requests`:                   "parse task metadata: invalid character",
		`{"TaskARN":"x"}`:                     `TaskARN "x" is not the ARN of a task`,
		`{}`:                                  `TaskARN "" is not the ARN of a task`,
		`{"TaskARN":"arn:a:ecs:c:d:e"}`:       "is not the ARN of a task",
		`{"TaskARN":"arn:a:b:c:d:task/1"}`:    "is not the ARN of a task",
		`{"TaskARN":"arn:a:ecs::d:task/1"}`:   "is not the ARN of a task",
		`{"TaskARN":"arn:a:ecs:c:d:task/"}`:   "is not the ARN of a task",
		`{"TaskARN":"arn:a:ecs:c:d:task/c/"}`: "is not the ARN of a task",
		`{"TaskARN":"arn:a:ecs:c:d:task/1"}`:  "neither Cluster nor TaskARN names the ECS cluster",
		`{"TaskARN":"arn:a:ecs:c:d:task/1","Cluster":"arn:a:ecs:c:d:task/1"}`: `the member Cluster, "arn:a:ecs:c:d:task/1", is not the ARN of an ECS cluster`,
	} {
		if _, err := taskmeta.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
