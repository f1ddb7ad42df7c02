package occupancy

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func task(arn, desired, last, group string, tags ...string) ecstypes.Task {
	t := ecstypes.Task{TaskArn: &arn, DesiredStatus: &desired, LastStatus: &last, Group: &group, ClusterArn: aws.String("arn:aws:ecs:us-east-1:123456789012:cluster/mesh")}
	for i := 0; i < len(tags); i += 2 {
		t.Tags = append(t.Tags, ecstypes.Tag{Key: &tags[i], Value: &tags[i+1]})
	}
	return t
}

func TestTagsTellTheTasksThatAControllerLooksAfter(t *testing.T) {
	t.Parallel()
	const mesh, partition = "consul.hashicorp.com/mesh", "consul.hashicorp.com/partition"
	for name, c := range map[string]struct {
		of   Mesh
		tags []string
		want bool
	}{
		"a mesh task":                     {Mesh{}, []string{mesh, "true"}, true},
		"no tag":                          {Mesh{}, nil, false},
		"a tag that says no":              {Mesh{}, []string{mesh, "false"}, false},
		"any partition":                   {Mesh{}, []string{mesh, "true", partition, "team"}, true},
		"its partition":                   {Mesh{Partition: "team"}, []string{mesh, "true", partition, "team"}, true},
		"another partition":               {Mesh{Partition: "team"}, []string{mesh, "true", partition, "other"}, false},
		"no partition, beside one":        {Mesh{Partition: "team"}, []string{mesh, "true"}, false},
		"no partition is the default one": {Mesh{Partition: "default"}, []string{mesh, "true"}, true},
	} {
		if got := c.of.has(task("a", "RUNNING", "RUNNING", "service:web", c.tags...)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestTasksAreToldByWhatRunsThem(t *testing.T) {
	t.Parallel()
	all := func(tasks ...ecstypes.Task) Tasks {
		found := Tasks{running: map[string]string{}}
		for _, one := range tasks {
			found.add(one)
		}
		return found
	}
	run := func(arn, group string) ecstypes.Task { return task(arn, "RUNNING", "PENDING", group) }
	some := all(run("1", "service:web"), run("2", "service:web"), run("3", "family:job"))
	if got := some.String(); some.None() || got != "tasks of the mesh run: those of family job of ECS cluster mesh (1), service web of ECS cluster mesh (2)" {
		t.Error(got)
	}
	var many []ecstypes.Task
	for _, name := range strings.Split("a b c d e f g", " ") {
		many = append(many, run(name, "service:"+name))
	}
	if got := all(many...).String(); !strings.HasSuffix(got, "service e of ECS cluster mesh (1) and 2 more") {
		t.Error(got)
	}
	ends := all(task("1", "STOPPED", "DEPROVISIONING", "service:web"))
	if ends.None() || ends.String() != "1 tasks of the mesh have not stopped yet" {
		t.Error(ends)
	}
	if !ends.MovedSince(ends) || some.MovedSince(some) || !some.MovedSince(all(run("1", "service:web"))) {
		t.Error("what moves, and what does not, are not told apart")
	}
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	first, second := task("1", "STOPPED", "STOPPED", "service:web"), task("2", "STOPPED", "STOPPED", "service:web")
	first.StoppedAt, second.StoppedAt = &late, &early
	if gone := all(first, second); !gone.None() || !gone.LastStopped.Equal(late) {
		t.Errorf("the last stopped at %v", gone.LastStopped)
	}
}
