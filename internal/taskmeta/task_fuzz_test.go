package taskmeta_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/consulecs/terraform-provider-consulecs/internal/taskmeta"
)

// FuzzParse wants a task whose parts are all there, and that says the same once it is written and read again.
func FuzzParse(f *testing.F) {
	answers, err := filepath.Glob("testdata/*.json")
	if err != nil || len(answers) == 0 {
		f.Fatalf("no answers of ECS in testdata (%v)", err)
	}
	for _, name := range answers {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	for _, doc := range []string{
		`null`, `[]`, `{"TaskARN":"arn:aws:ecs:r:1:task/c/t","Containers":[null,{"ExitCode":1e3,"Networks":[{"IPv4Addresses":["127.0.0.1","10.0.0.1"]}]}]}`,
		`{"TaskARN":"arn:aws-cn:ecs:cn-north-1:1:task/t","Cluster":"prod","Containers":[{"StartedAt":"0001-01-01T00:00:00Z"}]}`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		task, err := taskmeta.Parse(doc)
		if err != nil {
			return
		}
		identified(t, task)
		if a := task.Address; a.IsValid() && (a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified()) {
			t.Errorf("address %s, which reaches no task", a)
		}
		again, err := taskmeta.Parse(written(t, task))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(task, again, cmpopts.EquateComparable(task.Address), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
	})
}

// FuzzARN judges the ARNs by AWS's own reading.
func FuzzARN(f *testing.F) {
	for _, c := range [][2]string{
		{"arn:aws:ecs:us-west-2:111122223333:task/default/158d1c80", "default"},
		{"arn:aws-us-gov:ecs:us-gov-east-1:111122223333:task/158d1c80", "arn:aws-us-gov:ecs:us-gov-east-1:111122223333:cluster/default"},
		{"arn:aws-cn:ecs:cn-north-1:111122223333:task/a/b/c", ""}, {"arn:aws:ecs:r:1:task/", "c"}, {"arn:aws:ecs:r:1:service/c/s", "c"},
		{"arn:::::task/x", "c"}, {"arn:aws:ecs:r:1:task/a:b", "x:y"}, {"arn:aws:ecs:r:1:task/x", "arn:"}, {"arn:aws:ecs:r:1:task//x", ""}, {"", ""},
	} {
		f.Add(c[0], c[1])
	}
	f.Fuzz(func(t *testing.T, taskARN, ecsCluster string) {
		doc, err := json.Marshal(map[string]string{"TaskARN": taskARN, "Cluster": ecsCluster})
		if err != nil {
			t.Fatal(err)
		}
		if task, err := taskmeta.Parse(doc); err == nil {
			identified(t, task)
		}
	})
}

// identified wants everything that is said of the task's identity to be there and to agree.
func identified(t *testing.T, task taskmeta.Task) {
	t.Helper()
	own, err := arn.Parse(task.ARN)
	if err != nil {
		t.Fatalf("task %q: %v", task.ARN, err)
	}
	if diff := cmp.Diff([]string{own.Partition, own.Region, own.AccountID}, []string{task.Partition, task.Region, task.AccountID}); diff != "" {
		t.Errorf("task %q: %s", task.ARN, diff)
	}
	if own.Service != "ecs" || own.Partition == "" || own.Region == "" || own.AccountID == "" {
		t.Errorf("task %q lacks a part", task.ARN)
	}
	if task.ID == "" || strings.Contains(task.ID, "/") || !strings.HasSuffix(task.ARN, "/"+task.ID) {
		t.Errorf("task %q has the ID %q", task.ARN, task.ID)
	}
	ecsCluster, err := arn.Parse(task.ClusterARN)
	if name, ok := strings.CutPrefix(ecsCluster.Resource, "cluster/"); err != nil || !ok || name == "" || ecsCluster.Service != "ecs" {
		t.Errorf("task %q is in the ECS cluster %q: %v", task.ARN, task.ClusterARN, err)
	}
}

// written is the task as the endpoint would tell of it.
func written(t *testing.T, task taskmeta.Task) []byte {
	t.Helper()
	type object = map[string]any
	var containers []object
	for i, c := range task.Containers {
		one := object{
			"Name": c.Name, "Type": c.Type, "DesiredStatus": c.DesiredStatus, "KnownStatus": c.KnownStatus, "Health": object{"status": c.Health},
			"ExitCode": c.ExitCode, "RestartCount": c.RestartCount, "StartedAt": c.StartedAt, "FinishedAt": c.FinishedAt,
		}
		if i == 0 { // the first mode counts; an address needs none
			networks := []object{{"NetworkMode": task.NetworkMode}}
			if task.Address.IsValid() {
				key := "IPv6Addresses"
				if task.Address.Is4() {
					key = "IPv4Addresses"
				}
				networks = append(networks, object{key: []string{task.Address.String()}})
			}
			one["Networks"] = networks
		}
		containers = append(containers, one)
	}
	doc, err := json.Marshal(object{
		"Cluster": task.ClusterARN, "TaskARN": task.ARN, "Family": task.Family, "Revision": task.Revision, "AvailabilityZone": task.AvailabilityZone,
		"DesiredStatus": task.DesiredStatus, "KnownStatus": task.KnownStatus, "Containers": containers,
	})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
